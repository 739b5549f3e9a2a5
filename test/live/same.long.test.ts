// The same packets give the same flows live and from a file also where time goes on without packets for longer than flows
// live, and where the process that reads them stood still meanwhile.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../../src/live/live.ts'
import { Network } from './network.ts'
import { captureProcesses } from './processes.ts'
import { NAMESPACES } from './right.ts'
import { Servers } from './servers.ts'
import { capture, chunksOf, chunksOfFile, flowsOf } from './watching.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'bailiwick-same-long-'))
let servers: Servers
beforeAll(async () => {
  servers = await Servers.open()
})
afterAll(() => {
  servers.close()
  rmSync(directory, { recursive: true })
})

/** Stops the process that decodes for a while, not the program that it may read from. */
async function standStill(millis: number): Promise<void> {
  const [reader] = captureProcesses().filter(({ name }) => / \S*capture\.js/.test(name))
  process.kill(reader!.pid, 'SIGSTOP')
  await sleep(millis)
  process.kill(reader!.pid, 'SIGCONT')
}

describe.skipIf(!NAMESPACES).each(BACKENDS)('captured by %s', (backend) => {
  test('flows that time ends, and a reader that stands still, change nothing', async () => {
    const network = new Network()
    const where = path.join(directory, backend)
    try {
      const events = await capture(
        {
          interfaces: [network.interface],
          backend,
          activeTimeoutSeconds: 2,
          write: { directory: where, bytes: 1 << 30 },
        },
        async () => {
          const order = { ...servers.ports, count: 20, name: 'talk' }
          // Who gets no answer asks again after 1, 3 and 7 seconds.
          const talking = network.traffic({ ...order, longMillis: 9000, silentMillis: 16_000 })
          await sleep(2000)
          await standStill(4000)
          await sleep(3000)
          await standStill(3000)
          await talking
          await sleep(70_000)
          await network.traffic({ ...order, longMillis: 0 })
          await sleep(3000)
        },
      )
      const live = flowsOf(chunksOf(events))
      const reasons = new Set([...live.values()].map(({ end_reason }) => end_reason))
      expect(reasons.size).toBeGreaterThan(2)
      const [file] = readdirSync(where)
      expect(live).toEqual(flowsOf(chunksOfFile(readFileSync(path.join(where, file!)))))
    } finally {
      network.close()
    }
  })
})
