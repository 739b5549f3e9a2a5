// `bailiwick sensor --live` as a process, with a real broker: from packets to messages, also when it is killed on the
// way: what it captured before comes, and what nobody saw is told.

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeChunk } from '../../src/chunk.ts'
import { kafkaAvailable, startCluster, stopCluster } from '../bus/broker.ts'
import { captureProcesses } from '../live/processes.ts'
import { CAPTURES } from '../live/right.ts'
import { coverageOf, flowsOf, until } from '../live/watching.ts'
import { bailiwick, headerOf, makeTopic, messagesOn } from './stream.ts'

const available = CAPTURES && (await kafkaAvailable())
const server = createServer((_, response) => response.end('ok'))
let directory = ''
let port = 0
let cluster: Awaited<ReturnType<typeof startCluster>>

describe.skipIf(!available)('a sensor that captures', () => {
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-sensor-live-'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
    cluster = await startCluster()
    await makeTopic(cluster.bootstrap)
  }, 90_000)
  afterAll(async () => {
    server.close()
    if (cluster !== undefined) await stopCluster(cluster.dir)
    await rm(directory, { recursive: true, force: true })
  })

  async function start() {
    const sensor = bailiwick([
      ...['sensor', '--live', 'lo', '--filter', `tcp port ${port}`, '--sensor-id', 'alive'],
      ...['--spool', path.join(directory, 'spool'), '--kafka', cluster.bootstrap.join(',')],
    ])
    await until(() => /"capturing by/.test(sensor.said.stderr), 'capture', 60_000)
    return sensor
  }

  /** Asks the server by a name; the flow is told of when it is decided, a moment later. */
  const ask = (host: string) =>
    new Promise<void>((resolve, reject) => {
      const headers = { host, connection: 'close' }
      get({ host: '127.0.0.1', port, headers }, (answer) => answer.resume().on('end', resolve)).on(
        'error',
        reject,
      )
    })
  const messages = async () =>
    (await messagesOn(cluster.bootstrap)).filter(({ bytes }) => {
      const { sensor, format } = headerOf({ bytes })
      return sensor === 'alive' && format !== 'statement'
    })
  const named = (all: readonly { bytes: Uint8Array }[]) =>
    [...flowsOf(all.map(({ bytes }) => bytes)).values()].map(({ server_name }) => server_name)

  test('sends flows while it goes on; killed, it says what nobody saw, and told to end, it sends everything', async () => {
    const first = await start()
    await ask('first.example')
    for (let tries = 0; !named(await messages()).includes('first.example'); tries++)
      expect(tries).toBeLessThan(20)
    first.child.kill('SIGKILL')
    await first.ended
    const second = await start()
    await ask('second.example')
    second.child.kill('SIGTERM')
    const { code, stderr } = await second.ended
    expect([code, stderr]).toEqual([0, expect.stringContaining('everything is sent')])
    expect(stderr).toContain('the process before ended while it captured')
    const all = await messages()
    const names = named(all)
    expect(names).toEqual(expect.arrayContaining(['first.example', 'second.example']))
    const coverage = coverageOf(all.map(({ bytes }) => bytes))
    expect(coverage.get('sensor_restart')).toBe(1)
    // Each origin is a sequence from 0 without a hole, with an end.
    const origins = new Map<string, { seq: number; last: boolean }[]>()
    for (const { bytes } of all) {
      const { origin, seq, last } = decodeChunk(bytes).header
      origins.set(origin, [...(origins.get(origin) ?? []), { seq, last: last === true }])
    }
    expect(origins.size).toBe(2)
    for (const chunks of origins.values()) {
      chunks.sort((a, b) => a.seq - b.seq)
      expect(chunks.map(({ seq }) => seq)).toEqual(chunks.map((_, at) => at))
      expect(chunks.map(({ last }) => last).indexOf(true)).toBe(chunks.length - 1)
    }
    expect(captureProcesses()).toEqual([])
  }, 120_000)
})
