// Each way in which kafkajs is known to spin, stall, skip or repeat, provoked against a real broker, and what keeps
// Bailiwick from it. Where kafkajs does it alone is shown beside it.

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { promisify } from 'node:util'
import type { Consumer } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Sink, Source, Trouble } from '../../src/bus/bus.ts'
import { type KafkaSettings, kafkaClient, protocolType } from '../../src/bus/kafka-client.ts'
import { groupState } from '../../src/bus/kafka-group.ts'
import { listenToGroup, type Membership } from '../../src/bus/kafka-patch.ts'
import { BATCH_BYTES_MAX } from '../../src/bus/kafka-records.ts'
import { KafkaSink } from '../../src/bus/kafka-sink.ts'
import { KafkaSource, type KafkaSourceSettings } from '../../src/bus/kafka-source.ts'
import { ensureTopics } from '../../src/bus/kafka-topics.ts'
import { CompressionTypes, PartitionAssigners } from '../../src/bus/kafkajs.ts'
import { type Cluster, kafkaAvailable, startCluster, stopCluster } from './broker.ts'
import { eachClaim, firstClaim, take, text } from './contract.ts'

const available = await kafkaAvailable()
const run = promisify(execFile)
const require = createRequire(import.meta.url)

describe.skipIf(!available)('kafkajs', () => {
  let cluster: Cluster
  let count = 0
  const open: (Sink | Source)[] = []
  const troubles: Trouble[] = []
  const settings = (): KafkaSettings => ({ brokers: cluster.bootstrap, clientId: 'guards' })

  beforeAll(async () => {
    cluster = await startCluster()
  }, 90_000)
  afterAll(async () => {
    await Promise.all(open.map((one) => one.close()))
    if (cluster !== undefined) await stopCluster(cluster.dir)
  })

  async function freshTopic(partitions = 1): Promise<string> {
    const topic = `guard.${count++}`
    await ensureTopics(settings(), [{ topic, partitions, replicas: 1, retentionMillis: 3_600_000 }])
    return topic
  }

  function sinkOf(topic: string): KafkaSink {
    const sink = new KafkaSink({ ...settings(), topic }, (one) => troubles.push(one))
    open.push(sink)
    return sink
  }

  async function sourceOf(
    topic: string,
    more: Partial<KafkaSourceSettings> = {},
  ): Promise<KafkaSource> {
    const source = await KafkaSource.open(
      {
        ...settings(),
        topic,
        groupId: `group-${topic}`,
        inFlightBytes: 1 << 20,
        sessionTimeoutMillis: 6000,
        heartbeatMillis: 300,
        ...more,
      },
      (one) => troubles.push(one),
    )
    open.push(source)
    return source
  }

  const bodiesOf = (taken: readonly { bytes: Uint8Array }[]) => taken.map((one) => text(one.bytes))

  test('as it comes arms a timer every millisecond for ever; changed, hardly any', async () => {
    const topic = await freshTopic()
    const child = path.join(import.meta.dirname, 'idle-child.mjs')
    const idle = async (how: string) =>
      JSON.parse(
        (await run(process.execPath, [child, how, cluster.bootstrap[0]!, topic])).stdout,
      ) as { timers: number; cpuMillis: number }
    const [alone, changed] = await Promise.all([idle('as-it-comes'), idle('changed')])
    expect(alone.timers).toBeGreaterThan(500)
    // What is left: a fetch every 250 ms, and heartbeats.
    expect(changed.timers).toBeLessThan(alone.timers / 10)
  })

  /** The next batch is held back, as a slow handler would, until it is handed over. */
  function holdBatch(): { late: (() => Promise<void>) | undefined; restore(): void } {
    interface Runner {
      handleBatch(batch: unknown): Promise<void>
      processEachBatch(batch: unknown): Promise<void>
    }
    const runners = require('kafkajs/src/consumer/runner') as { prototype: Runner }
    const { handleBatch } = runners.prototype
    const spy = vi.spyOn(runners.prototype, 'handleBatch')
    const held: ReturnType<typeof holdBatch> = { late: undefined, restore: () => spy.mockRestore() }
    spy.mockImplementation(async function (this: Runner, batch) {
      if (held.late !== undefined) return await handleBatch.call(this, batch)
      held.late = () => this.processEachBatch(batch)
    })
    return held
  }

  test('hands over a batch that was fetched before the partition was lost; it is not taken', async () => {
    const topic = await freshTopic()
    const sink = sinkOf(topic)
    for (const body of ['a', 'b', 'c']) await sink.send({ key: 'k/0', bytes: Buffer.from(body) })
    const held = holdBatch()
    const first = await sourceOf(topic)
    const claim = await firstClaim(first)
    await expect.poll(() => held.late, { timeout: 10_000 }).toBeDefined()
    expect(bodiesOf(await take(claim, 3))).toEqual(['a', 'b', 'c'])
    await claim.commit(2n)
    const second = await sourceOf(topic)
    const next = firstClaim(second)
    await expect.poll(() => claim.lost.aborted, { timeout: 20_000 }).toBe(true)

    const before = { ...first.counters }
    await held.late!()
    held.restore()
    expect(first.restarts.staleBatches).toBeGreaterThan(0)
    expect(first.counters).toMatchObject({ inFlightBytes: before.inFlightBytes })
    await first.close()
    for await (const again of (async function* () {
      yield await next
      yield* second.claims()
    })()) {
      const taken = await take(again, 1)
      // The partition may have gone back and forth.
      if (taken.length === 0) continue
      expect(bodiesOf(taken)).toEqual(['c'])
      break
    }
    await second.close()
  }, 60_000)

  test('hands over such a batch also where the partition was won again since; what is committed does not come back', async () => {
    const topic = await freshTopic()
    const sink = sinkOf(topic)
    for (const body of ['a', 'b', 'c']) await sink.send({ key: 'k/0', bytes: Buffer.from(body) })
    const held = holdBatch()
    const source = await sourceOf(topic)
    const claim = await firstClaim(source)
    expect(bodiesOf(await take(claim, 3))).toEqual(['a', 'b', 'c'])
    await claim.commit(3n)
    // Another member comes and goes.
    const other = await sourceOf(topic)
    await expect.poll(() => claim.lost.aborted, { timeout: 45_000 }).toBe(true)
    await other.close()
    const alone = { state: 'Stable', members: 1 }
    const group = () => groupState(settings(), `group-${topic}`, topic)
    await expect.poll(group, { timeout: 45_000 }).toMatchObject(alone)
    const again = await firstClaim(source)

    const { staleBatches } = source.restarts
    await held.late!()
    held.restore()
    expect(source.restarts.staleBatches).toBeGreaterThan(staleBatches)
    await sink.send({ key: 'k/0', bytes: Buffer.from('d') })
    expect(bodiesOf(await take(again, 1, 5000))).toEqual(['d'])
    await source.close()
  }, 120_000)

  test('resolves a whole batch when its handler returns early; here only what was taken', async () => {
    const topic = await freshTopic()
    const sink = sinkOf(topic)
    // In one request, and so in one batch.
    await Promise.all(
      Array.from({ length: 10 }, (_, i) => sink.send({ key: 'k/0', bytes: Buffer.alloc(1000, i) })),
    )
    const source = await sourceOf(topic, { inFlightBytes: 3000 })
    const claim = await firstClaim(source)
    const seen = (await take(claim, 3)).map(({ bytes }) => bytes[0])
    // No room: nothing comes, and nothing is passed over.
    expect(await claim.next(700)).toBeUndefined()
    for (let i = 3; i < 10; i++) {
      await claim.commit(BigInt(i - 2))
      seen.push((await take(claim, 1))[0]?.bytes[0])
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    const admin = kafkaClient(settings(), 3).admin()
    await admin.connect()
    const [stored] = await admin.fetchOffsets({ groupId: `group-${topic}`, topics: [topic] })
    await admin.disconnect()
    // Seven are committed, because seven were: kafkajs commits nothing by itself.
    expect(stored!.partitions).toMatchObject([{ partition: 0, offset: '7' }])
    await source.close()
  })

  test('commits under the generation of the moment; here a commit has its own, and the broker refuses it', async () => {
    const topic = await freshTopic()
    await sinkOf(topic).send({ key: 'k/0', bytes: Buffer.from('a') })
    const groupId = `group-${topic}`
    const memberships: Membership[] = []
    const client = kafkaClient(settings(), 3)
    const consumer: Consumer = client.consumer({
      groupId,
      sessionTimeout: 6000,
      heartbeatInterval: 300,
      maxWaitTimeInMs: 250,
      partitionAssigners: [
        (config) => {
          listenToGroup(config.cluster, {
            leaving() {},
            async joined(membership) {
              memberships.push(membership)
            },
            async outOfRange() {},
          })
          return PartitionAssigners.roundRobin(config)
        },
      ],
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({ autoCommit: false, eachMessage: async () => {} })
    await expect.poll(() => memberships.length, { timeout: 20_000 }).toBe(1)
    await memberships[0]!.commit(topic, 0, 0n, 'in time')
    const other = await sourceOf(topic)
    await expect.poll(() => memberships.length, { timeout: 20_000 }).toBeGreaterThan(1)
    // The same member, one generation later: this is what a process does that was stopped for a while.
    const fault = await memberships[0]!.commit(topic, 0, 1n, 'late').then(
      () => undefined,
      (error) => protocolType(error),
    )
    expect(fault).toBe('ILLEGAL_GENERATION')
    // What kafkajs itself would have done with the same words.
    await consumer.commitOffsets([{ topic, partition: 0, offset: '1', metadata: 'unasked' }])
    const admin = client.admin()
    await admin.connect()
    const [stored] = await admin.fetchOffsets({ groupId, topics: [topic] })
    await admin.disconnect()
    expect(stored!.partitions[0]).toMatchObject({ offset: '1', metadata: 'unasked' })
    await consumer.disconnect()
    await other.close()
  }, 60_000)

  test('stands still when a fetch is never answered; here it is seen, and the consumer is built anew', async () => {
    const topic = await freshTopic()
    const sink = sinkOf(topic)
    await sink.send({ key: 'k/0', bytes: Buffer.from('before') })
    const source = await sourceOf(topic, { silenceMillis: 1500 })
    const seen: string[] = []
    const working = eachClaim(source, async (claim) => {
      while (!claim.lost.aborted)
        for (const one of await take(claim, 1, 500)) {
          seen.push(text(one.bytes))
          await claim.commit(one.offset + 1n)
        }
    })
    await expect.poll(() => seen, { timeout: 20_000 }).toEqual(['before'])
    const pid = Number(await readFile(`${cluster.dir}/broker-1.pid`, 'utf8'))
    process.kill(pid, 'SIGSTOP')
    const stoodStill = () =>
      troubles.some(({ where, detail }) => where === topic && /has stood still/.test(detail))
    await expect.poll(stoodStill, { timeout: 20_000 }).toBe(true)
    process.kill(pid, 'SIGCONT')
    await sink.send({ key: 'k/0', bytes: Buffer.from('after') })
    await expect.poll(() => seen, { timeout: 40_000 }).toEqual(['before', 'after'])
    await source.close()
    await working
  }, 90_000)

  test('decompresses a bomb into whatever it takes, or ends at it for ever; here it is told and passed', async () => {
    const topic = await freshTopic()
    const sink = sinkOf(topic)
    await sink.send({ key: 'k/0', bytes: Buffer.from('before') })
    const producer = kafkaClient(settings(), 3).producer()
    await producer.connect()
    const zeros = Buffer.alloc(BATCH_BYTES_MAX + 1000)
    const send = (compression: number, value: Buffer) =>
      producer.send({ topic, acks: -1, compression, messages: [{ key: 'bomb', value }] })
    await send(CompressionTypes.LZ4, zeros)
    await send(CompressionTypes.GZIP, zeros)
    await producer.disconnect()
    await sink.send({ key: 'k/0', bytes: Buffer.from('after') })

    const source = await sourceOf(topic)
    const taken = await take(await firstClaim(source), 4)
    expect(taken.map(({ unreadable }) => unreadable)).toEqual([
      undefined,
      expect.stringContaining('more than 16777216 bytes'),
      expect.stringContaining('more than 16777216 bytes'),
      undefined,
    ])
    expect(taken.map(({ offset }) => offset)).toEqual([0n, 1n, 2n, 3n])
    // A dead letter has room for the batch as it lies on the topic.
    expect(taken[1]!.bytes.length).toBeLessThan(200_000)
    expect(text(taken[3]!.bytes)).toBe('after')
    expect(source.counters.unreadable).toBe(2)
    expect(source.restarts.consumers).toBe(0)
    expect(troubles).toContainEqual(
      expect.objectContaining({ kind: 'damage', where: `${topic}/0 at 1` }),
    )
    await source.close()
  })

  test('holds on to a batch for the smallest piece of it; here a message has memory of its own', async () => {
    const topic = await freshTopic()
    const sink = sinkOf(topic)
    await Promise.all(
      ['small', 'x'.repeat(500_000)].map((body) =>
        sink.send({ key: 'k/0', bytes: Buffer.from(body) }),
      ),
    )
    const source = await sourceOf(topic)
    const [small] = await take(await firstClaim(source), 1)
    expect(small!.bytes.buffer.byteLength).toBe(5)
    await source.close()
  })
})
