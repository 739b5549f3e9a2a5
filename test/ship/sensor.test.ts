// `bailiwick sensor` as a process, with a real broker: from files to messages.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { laneKey } from '../../src/bus/bus.ts'
import { kafkaAvailable, startCluster, stopCluster } from '../bus/broker.ts'
import { bailiwick, chunkIds, headerOf, makeTopic, messagesOn, ROOT } from './stream.ts'

const available = await kafkaAvailable()
const STORY = path.join(ROOT, 'fixtures', 'told-three-times', 'input')

let directory = ''
let cluster: Awaited<ReturnType<typeof startCluster>>

describe.skipIf(!available)('a sensor', () => {
  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-sensor-'))
    cluster = await startCluster()
  }, 90_000)
  afterAll(async () => {
    if (cluster !== undefined) await stopCluster(cluster.dir)
    await rm(directory, { recursive: true, force: true })
  })
  const sensor = (...args: string[]) =>
    bailiwick([
      'sensor',
      ...args,
      '--spool',
      path.join(directory, 'spool'),
      '--kafka',
      cluster.bootstrap.join(','),
    ])

  test('says what is missing where it cannot send, keeps what it read, and sends it the next time', async () => {
    const first = await sensor(STORY).ended
    expect(first.code).toBe(4)
    expect(first.stderr).toMatch(/no topic bailiwick\.chunks\.v1 .*bailiwick topics creates it/)
    await makeTopic(cluster.bootstrap)
    // Nothing to read now: what the spool holds is sent.
    const second = await sensor(path.join(ROOT, 'fixtures', 'ipv6', 'input'), '--lanes', '2').ended
    expect([second.code, second.stderr]).toEqual([0, expect.stringContaining('sent')])
    const messages = (await messagesOn(cluster.bootstrap)).filter(
      (one) => headerOf(one).format !== 'statement',
    )
    const expected = [
      ...(await chunkIds([STORY], 'local')),
      ...(await chunkIds([path.join(ROOT, 'fixtures', 'ipv6', 'input')], 'local')),
    ]
    expect(messages.map((one) => headerOf(one).id).sort()).toEqual(expected.sort())
    for (const one of messages) {
      const { sensor: name, seq } = headerOf(one)
      expect([laneKey(name, seq, 8), laneKey(name, seq, 2)]).toContain(one.key)
    }
  }, 60_000)
})
