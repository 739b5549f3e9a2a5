// Looking on while a topic grows: everything from now on, and a little of what was before, whatever the broker does.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Delivery, Trouble } from '../../src/bus/bus.ts'
import { kafkaClient } from '../../src/bus/kafka-client.ts'
import { KafkaSink } from '../../src/bus/kafka-sink.ts'
import { KafkaTail } from '../../src/bus/kafka-tail.ts'
import { ensureTopics } from '../../src/bus/kafka-topics.ts'
import {
  type Cluster,
  kafkaAvailable,
  startBroker,
  startCluster,
  stopBroker,
  stopCluster,
} from './broker.ts'
import { text } from './contract.ts'

const available = await kafkaAvailable()
const until = { timeout: 60_000, interval: 50 }

describe.skipIf(!available)('a tail', () => {
  let cluster: Cluster
  let sink: KafkaSink
  const settings = () => ({
    brokers: cluster.bootstrap,
    clientId: 'tail',
    requestTimeoutMillis: 3000,
  })
  const open: { ended: AbortController; running: Promise<void>; tail: KafkaTail }[] = []

  beforeAll(async () => {
    cluster = await startCluster()
    const wish = { topic: 'told', partitions: 3, replicas: 1, retentionMillis: 3_600_000 }
    await ensureTopics(settings(), [wish])
    sink = new KafkaSink({ ...settings(), topic: 'told' }, () => {})
    await send('before', 30)
  }, 90_000)
  afterEach(async () => {
    for (const { ended, running, tail } of open.splice(0)) {
      ended.abort()
      await running
      await tail.close()
    }
  })
  afterAll(async () => {
    await sink?.close()
    if (cluster !== undefined) await stopCluster(cluster.dir)
  })

  async function send(word: string, count: number): Promise<void> {
    for (let i = 0; i < count; i++)
      await sink.send({ key: `k/${i}`, bytes: Buffer.from(`${word} ${i}`) })
  }

  /** @param meanwhile happens after it was opened and before it reads */
  async function look(back: bigint, meanwhile = async () => {}) {
    const ended = new AbortController()
    const seen: Delivery[] = []
    const troubles: Trouble[] = []
    const tail = await KafkaTail.open(settings(), 'told', back, (one) => troubles.push(one))
    await meanwhile()
    const running = tail.run((delivery) => void seen.push(delivery), ended.signal)
    open.push({ ended, running, tail })
    return { seen, troubles }
  }
  const bodies = (seen: readonly Delivery[]) => seen.map(({ bytes }) => text(bytes)).sort()
  const named = (word: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${word} ${i}`).sort()

  test('several of them see everything from now on, each partition in order', async () => {
    const both = await Promise.all([look(0n), look(0n)])
    await send('now', 20)
    for (const { seen } of both) {
      await expect.poll(() => bodies(seen), until).toEqual(named('now', 20))
      for (const partition of [0, 1, 2]) {
        const offsets = seen.filter((one) => one.partition === partition).map((one) => one.offset)
        expect(offsets).toEqual([...offsets].sort((a, b) => Number(a - b)))
      }
    }
    const admin = kafkaClient(settings(), 3).admin()
    await admin.connect()
    expect((await admin.listGroups()).groups).toEqual([])
    await admin.disconnect()
  })

  test('a little of what was before is handed out first, or all there is', async () => {
    const { seen } = await look(1n)
    await expect.poll(() => seen.length, until).toBe(3)
    const whole = await look(1000n)
    await expect
      .poll(() => bodies(whole.seen), until)
      .toEqual([...named('before', 30), ...named('now', 20)].sort())
  })

  test('what was removed before it was read is passed over, and said', async () => {
    const { seen, troubles } = await look(0n, async () => {
      await send('gone', 30)
      const admin = kafkaClient(settings(), 3).admin()
      await admin.connect()
      const ends = await admin.fetchTopicOffsets('told')
      const partitions = ends.map(({ partition, high }) => ({ partition, offset: high }))
      await admin.deleteTopicRecords({ topic: 'told', partitions })
      await admin.disconnect()
    })
    await send('after', 10)
    await expect.poll(() => bodies(seen), until).toEqual(named('after', 10))
    expect(troubles.map(({ kind }) => kind)).toEqual(['hole', 'hole', 'hole'])
  })

  test('goes on when the broker is back, and says both', async () => {
    const { seen, troubles } = await look(0n)
    await send('one', 3)
    await expect.poll(() => seen.length, until).toBe(3)
    await stopBroker(cluster.dir, 1)
    const told = () => troubles.map(({ kind }) => kind)
    await expect.poll(told, until).toEqual(['unreachable'])
    await startBroker(cluster, 1)
    await send('two', 3)
    await expect.poll(() => seen.length, until).toBe(6)
    await expect.poll(told, until).toEqual(['unreachable', 'recovered'])
  })
})
