// Live capture when interfaces go and come back, when there are several, and when nobody can keep up.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { LiveEvent } from '../../src/live/live.ts'
import { Network } from './network.ts'
import { captureProcesses } from './processes.ts'
import { NAMESPACES } from './right.ts'
import { Servers } from './servers.ts'
import { comesBack, expectNothingElseLost, talk, whole } from './stories.ts'
import { capture, chunksOf, coverageOf, flowsOf, statesOf, until } from './watching.ts'

let servers: Servers
let networks: Network[] = []

beforeAll(async () => {
  servers = await Servers.open()
})
afterEach(() => {
  for (const network of networks) network.close()
  networks = []
  expect(captureProcesses(), 'processes that are left').toEqual([])
})
afterAll(() => servers.close())

function newNetwork(): Network {
  const network = new Network()
  networks.push(network)
  return network
}

describe.skipIf(!NAMESPACES)('an interface', () => {
  test('that goes and comes back is captured on again, and the gaps are rows', () =>
    comesBack('pcap', newNetwork(), servers))

  test('that is off at first is waited for', async () => {
    const network = newNetwork()
    network.switch('down')
    const watched: LiveEvent[] = []
    const events = await capture(
      { interfaces: [network.interface] },
      async () => {
        await talk(servers, network, 'late')
        await sleep(400)
      },
      async (event) => {
        watched.push(event)
        if (event.type === 'state' && event.state === 'retrying' && watched.length < 6)
          network.switch('up')
      },
    )
    const first = events.find((one) => one.type === 'state' && one.state === 'lost')
    expect(first).toMatchObject({ detail: expect.stringMatching(/is switched off|not up|is down/) })
    expect(whole(chunksOf(events), 'late')).toBe(3)
  })

  test('is one of three: what becomes of it does not touch the others', async () => {
    const [one, two] = [newNetwork(), newNetwork()]
    const names = [one.interface, two.interface, 'lo']
    const events = await capture({ interfaces: names }, async ({ live, seen }) => {
      await Promise.all([talk(servers, one, 'one'), talk(servers, two, 'two')])
      one.disconnect()
      await until(() => statesOf(seen, one.interface).includes('retrying'), 'a lost interface')
      expect(live.readiness().reason).toMatch(
        new RegExp(`^${one.interface}: (?:lost|retrying|opening)`),
      )
      await talk(servers, two, 'after')
      await sleep(400)
    })
    expect(statesOf(events, two.interface)).toEqual(['opening', 'capturing', 'stopped'])
    expect(statesOf(events, 'lo')).toEqual(['opening', 'capturing', 'stopped'])
    const chunks = chunksOf(events, two.interface)
    expect([whole(chunks, 'two'), whole(chunks, 'after')]).toEqual([3, 3])
    expectNothingElseLost(chunks)
    for (const flow of flowsOf(chunks).values()) expect(flow.vantage).toBe(two.interface)
    // Nobody captured there any more when it was stopped: the row comes from the parent.
    expect(coverageOf(chunksOf(events, one.interface)).get('capture_gap_seconds')).toBeGreaterThan(
      0,
    )
  })
})

describe.skipIf(!NAMESPACES)('more than can be taken', () => {
  test('a process that stands still: what its ring cannot keep is counted, the rest comes', async () => {
    const network = newNetwork()
    const events = await capture(
      { interfaces: [network.interface], ringBytes: 64 << 10 },
      async ({ live }) => {
        await sleep(300)
        const [process_] = captureProcesses()
        process.kill(process_!.pid, 'SIGSTOP')
        const flood = new URL('flood.mjs', import.meta.url).pathname
        await network.run(process.execPath, flood, network.address, '5000', '100')
        process.kill(process_!.pid, 'SIGCONT')
        await sleep(1500)
        const dropped = live.samples().find(({ name }) => name === 'capture_dropped_total')
        expect(dropped?.value).toBeGreaterThan(1000)
      },
    )
    const coverage = coverageOf(chunksOf(events))
    expect(coverage.get('capture_dropped')).toBeGreaterThan(1000)
    expect(coverage.get('capture_received')).toBeGreaterThanOrEqual(5000)
    expectNothingElseLost(chunksOf(events))
  })
})
