// Kafka as a home of the bus, against a real broker: the contract, and one test for each way in which kafkajs or a
// broker is known to lose or repeat messages silently.

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Claim, ClaimLost, type Sink, type Source, type Trouble } from '../../src/bus/bus.ts'
import { type KafkaSettings, kafkaClient } from '../../src/bus/kafka-client.ts'
import { KAFKAJS_VERSION } from '../../src/bus/kafka-patch.ts'
import { KafkaSink, partitionOf } from '../../src/bus/kafka-sink.ts'
import { KafkaSource } from '../../src/bus/kafka-source.ts'
import { checkTopic, ensureTopics } from '../../src/bus/kafka-topics.ts'
import {
  type Cluster,
  kafkaAvailable,
  startBroker,
  startCluster,
  stopBroker,
  stopCluster,
} from './broker.ts'
import { aborted, busContract, eachClaim, firstClaim, sliceOf, take, text } from './contract.ts'

const available = await kafkaAvailable()
let cluster: Cluster
let count = 0

const clientSettings = (): KafkaSettings => ({ brokers: cluster.bootstrap, clientId: 'test' })

async function freshTopic(partitions = 1, more: Record<string, string> = {}): Promise<string> {
  const topic = `test.${count++}`
  const wish = { topic, partitions, replicas: 1, retentionMillis: 3_600_000 }
  await ensureTopics(clientSettings(), [wish])
  const entries = Object.entries(more)
  if (entries.length > 0)
    await withAdmin((admin) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [
          {
            type: 2,
            name: topic,
            configEntries: entries.map(([name, value]) => ({ name, value })),
          },
        ],
      }),
    )
  return topic
}

async function withAdmin<T>(work: (admin: ReturnType<Kafka['admin']>) => Promise<T>): Promise<T> {
  const admin = kafkaClient(clientSettings(), 5).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

/** As retention does. */
async function removeBefore(topic: string, offset: number): Promise<void> {
  await withAdmin(async (admin) => {
    // Loads what the next call needs to know of the topic.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({
      topic,
      partitions: [{ partition: 0, offset: String(offset) }],
    })
  })
}

/** Sinks and sources of a topic, closed together. */
function ends(topic: string, options: { inFlightBytes?: number; groupId?: string } = {}) {
  const open: (Sink | Source)[] = []
  const troubles: Trouble[] = []
  const groupId = options.groupId ?? `group-${topic}`
  const keep = <T extends Sink | Source>(one: T): T => {
    open.push(one)
    return one
  }
  return {
    troubles,
    groupId,
    sink: (more: Partial<KafkaSettings> = {}) =>
      keep(new KafkaSink({ ...clientSettings(), ...more, topic }, (one) => troubles.push(one))),
    source: async (more: Partial<KafkaSettings> = {}) =>
      keep(
        await KafkaSource.open(
          {
            ...clientSettings(),
            ...more,
            topic,
            groupId,
            inFlightBytes: options.inFlightBytes ?? 1 << 20,
            sessionTimeoutMillis: 6000,
            heartbeatMillis: 300,
          },
          (one) => troubles.push(one),
        ),
      ),
    async close() {
      await Promise.all(open.splice(0).map((one) => one.close()))
    },
  }
}

const bytes = (body: string) => ({ key: 'probe/0', bytes: Buffer.from(body) })
const bodiesOf = (taken: readonly { bytes: Uint8Array }[]) => taken.map((one) => text(one.bytes))

describe.skipIf(!available)('Kafka', () => {
  beforeAll(async () => {
    cluster = await startCluster()
  }, 90_000)
  afterAll(async () => {
    if (cluster !== undefined) await stopCluster(cluster.dir)
  })

  busContract({
    name: 'the contract',
    async start() {},
    async stream(options) {
      const both = ends(await freshTopic(), options)
      return {
        sink: async () => both.sink(),
        source: () => both.source(),
        restart: () => both.close(),
        close: () => both.close(),
      }
    },
    async stop() {},
  })

  test('topics are created once, and differences are told, not changed', async () => {
    const topic = `test.${count++}`
    const wish = { topic, partitions: 3, replicas: 1, retentionMillis: 3_600_000 }
    expect(await ensureTopics(clientSettings(), [wish])).toEqual([
      { topic, partitions: 3, created: true, differs: [] },
    ])
    const other = { ...wish, partitions: 5, retentionMillis: 1000 }
    expect(await ensureTopics(clientSettings(), [other])).toEqual([
      {
        topic,
        partitions: 3,
        created: false,
        differs: ['3 partitions instead of 5', 'retention.ms is 3600000 instead of 1000'],
      },
    ])
    expect(await checkTopic(clientSettings(), topic)).toBe(3)
  })

  test('a topic that is missing is said so, by sink and source', async () => {
    const both = ends('test.none')
    const said = { kind: 'no_stream', message: expect.stringContaining('test.none') }
    await expect(both.source()).rejects.toMatchObject(said)
    await expect(both.sink().send(bytes('a'))).rejects.toMatchObject(said)
    await both.close()
  })

  test('messages travel compressed', async () => {
    const topic = await freshTopic()
    const both = ends(topic)
    await both.sink().send({ key: 'probe/0', bytes: Buffer.alloc(500_000, 'compressible ') })
    const [size] = await logSizes(topic)
    expect(size).toBeGreaterThan(0)
    expect(size).toBeLessThan(20_000)
    await both.close()
  })

  test('lanes of one sensor are dealt evenly over partitions', async () => {
    const topic = await freshTopic(4)
    const both = ends(topic)
    const sink = both.sink()
    const places = await Promise.all(
      Array.from({ length: 8 }, (_, lane) =>
        sink.send({ key: `s-1/${lane}`, bytes: Buffer.from(String(lane)) }),
      ),
    )
    const counts = [0, 1, 2, 3].map((p) => places.filter((one) => one.partition === p).length)
    expect(counts).toEqual([2, 2, 2, 2])
    expect(partitionOf('no lane', 4)).toBeLessThan(4)
    await both.close()
  })

  test('an idle connection arms no timers', async () => {
    const both = ends(await freshTopic())
    const sink = both.sink()
    await sink.send(bytes('a'))
    const { version } = createRequire(import.meta.url)('kafkajs/package.json')
    expect(version).toBe(KAFKAJS_VERSION)
    const timers = vi.spyOn(globalThis, 'setTimeout')
    await new Promise((resolve) => setImmediate(resolve))
    const { port1, port2 } = new MessageChannel()
    const waited = new Promise((resolve) => port2.on('message', resolve))
    // A second by another clock than the one that is watched.
    const later = setInterval(() => port1.postMessage('now'), 1000)
    await waited
    clearInterval(later)
    port1.close()
    expect(timers.mock.calls.length).toBeLessThan(10)
    timers.mockRestore()
    await both.close()
  })

  test('messages that were removed before they were read are a hole that is told, not a jump', async () => {
    const topic = await freshTopic()
    const both = ends(topic)
    const sink = both.sink()
    for (let i = 0; i < 10; i++) await sink.send(bytes(String(i)))
    const first = await both.source()
    const claim = await firstClaim(first)
    const [, second] = await take(claim, 2)
    await claim.commit(second!.offset + 1n)
    await first.close()
    await removeBefore(topic, 7)
    const source = await both.source()
    expect(bodiesOf(await take(await firstClaim(source), 3))).toEqual(['7', '8', '9'])
    expect(source.counters).toMatchObject({ holes: 1, holeOffsets: 5n })
    expect(both.troubles).toContainEqual(
      expect.objectContaining({ kind: 'hole', where: `${topic}/0` }),
    )
    await both.close()
  })

  test('messages removed under a reader are a hole, and reading goes on at the oldest one left', async () => {
    const topic = await freshTopic()
    const both = ends(topic, { inFlightBytes: 3000 })
    const sink = both.sink()
    for (let i = 0; i < 10; i++) await sink.send({ key: 'probe/0', bytes: Buffer.alloc(1000, i) })
    const source = await both.source()
    const claim = await firstClaim(source)
    // Three are in flight, the rest waits at the broker and is removed there.
    const taken = await take(claim, 3)
    await removeBefore(topic, 8)
    await claim.commit(taken[2]!.offset + 1n)
    const rest = await take(claim, 2)
    expect(rest.map((one) => one.bytes[0])).toEqual([8, 9])
    expect(source.counters).toMatchObject({ holes: 1, holeOffsets: 5n })
    await both.close()
  })

  test('a position beyond the end reads everything again and says so', async () => {
    const topic = await freshTopic()
    const both = ends(topic)
    const sink = both.sink()
    for (const body of ['a', 'b']) await sink.send(bytes(body))
    await withAdmin((admin) =>
      admin.setOffsets({
        groupId: both.groupId,
        topic,
        partitions: [{ partition: 0, offset: '100' }],
      }),
    )
    const source = await both.source()
    expect(bodiesOf(await take(await firstClaim(source), 2))).toEqual(['a', 'b'])
    expect(both.troubles).toContainEqual(expect.objectContaining({ kind: 'hole' }))
    await both.close()
  })

  test('the intent is metadata of the committed offset, and metadata of others is told', async () => {
    const topic = await freshTopic()
    const both = ends(topic)
    await both.sink().send(bytes('a'))
    const source = await both.source()
    const claim = await firstClaim(source)
    await claim.intend({ attempt: 3, slices: [sliceOf(await take(claim, 1), 't-1')] })
    const read = () =>
      withAdmin((admin) => admin.fetchOffsets({ groupId: both.groupId, topics: [topic] }))
    expect((await read())[0]!.partitions[0]).toMatchObject({
      offset: '0',
      metadata: '{"v":1,"try":3,"slices":[["0","0",1,"t-1"]]}',
    })
    await claim.commit(1n)
    expect((await read())[0]!.partitions[0]).toMatchObject({ offset: '1', metadata: null })
    await source.close()

    const stranger = new Kafka({ brokers: cluster.bootstrap, logLevel: logLevel.NOTHING })
    const consumer = stranger.consumer({ groupId: both.groupId })
    await consumer.subscribe({ topics: [topic] })
    await consumer.run({ eachMessage: async () => {}, autoCommit: false })
    await expect
      .poll(
        () =>
          consumer
            .commitOffsets([{ topic, partition: 0, offset: '0', metadata: 'by hand' }])
            .then(read)
            .then((offsets) => offsets[0]!.partitions[0]!.metadata),
        { timeout: 10_000 },
      )
      .toBe('by hand')
    await consumer.disconnect()
    const again = await both.source()
    expect((await firstClaim(again)).intent).toBeUndefined()
    expect(again.counters.intentsUnread).toBe(1)
    expect(both.troubles).toContainEqual(expect.objectContaining({ kind: 'intent' }))
    await both.close()
  })

  test('whatever members come and go, a message is inserted again only as its intent says', {
    timeout: 60_000,
  }, async () => {
    const topic = await freshTopic(4)
    const both = ends(topic)
    const sink = both.sink()
    /** What a store would hold: by body, the tokens under which it was inserted. */
    const stored = new Map<string, string[]>()
    const wrong: string[] = []
    const sources = [await both.source(), await both.source(), await both.source()]
    const working = sources.map((source) => eachClaim(source, insertAll))

    async function insertAll(claim: Claim): Promise<void> {
      const again = claim.intent?.slices[0]
      while (!claim.lost.aborted) {
        const taken = await take(claim, 3, 100)
        if (taken.length === 0) continue
        // What the intent names is one slice, whatever else there is.
        const inside = taken.filter(({ offset }) => again !== undefined && offset <= again.last)
        for (const run of [inside, taken.filter((one) => !inside.includes(one))]) {
          if (run.length === 0) continue
          const isAgain = run === inside
          const token = isAgain ? again!.token : `${claim.partition}:${run[0]!.offset}`
          if (!isAgain) await claim.intend({ attempt: 1, slices: [sliceOf(run, token)] })
          for (const { bytes: body } of run) {
            const tokens = stored.get(text(body)) ?? []
            stored.set(text(body), tokens)
            if (tokens.length > 0 && !isAgain) wrong.push(`${text(body)} under ${token}`)
            tokens.push(token)
          }
          await claim.commit(run.at(-1)!.offset + 1n)
        }
      }
    }
    for (let i = 0; i < 90; i++) {
      await sink.send({ key: `s-1/${i % 8}`, bytes: Buffer.from(String(i)) })
      if (i === 30) await sources[0]!.close()
      if (i === 60) {
        const fourth = await both.source()
        working.push(eachClaim(fourth, insertAll))
      }
    }
    await expect.poll(() => stored.size, { timeout: 20_000 }).toBe(90)
    await both.close()
    await Promise.all(working)
    expect(wrong).toEqual([])
    for (const tokens of stored.values()) expect(new Set(tokens).size).toBe(1)
  })

  test('a broker that is gone for a while costs time only, and ended consumers are built anew', {
    timeout: 90_000,
  }, async () => {
    const topic = await freshTopic()
    const both = ends(topic)
    const sink = both.sink({ requestTimeoutMillis: 2000 })
    const source = await both.source({ requestTimeoutMillis: 2000 })
    const seen = new Set<string>()
    let firstLost: AbortSignal | undefined
    const working = eachClaim(source, async (claim) => {
      firstLost ??= claim.lost
      while (!claim.lost.aborted)
        for (const one of await take(claim, 1, 500)) {
          seen.add(text(one.bytes))
          await claim.commit(one.offset + 1n)
        }
    })
    const sends: Promise<unknown>[] = []
    const send = (i: number) => {
      sends.push(sink.send({ key: `s/${i % 3}`, bytes: Buffer.from(`m${i}`) }))
    }
    for (let i = 0; i < 10; i++) send(i)
    await Promise.all(sends)
    await expect.poll(() => seen.size, { timeout: 10_000 }).toBe(10)
    await stopBroker(cluster.dir, 1)
    for (let i = 10; i < 40; i++) send(i)
    const told = (kind: string) => both.troubles.some((one) => one.kind === kind)
    await expect.poll(() => told('unreachable'), { timeout: 20_000 }).toBe(true)
    await expect.poll(() => source.restarts.consumers, { timeout: 40_000 }).toBeGreaterThan(0)
    expect(firstLost?.aborted).toBe(true)
    expect(told('restart')).toBe(true)
    await startBroker(cluster, 1)
    await Promise.all(sends)
    await expect.poll(() => seen.size, { timeout: 40_000 }).toBe(40)
    expect(told('recovered')).toBe(true)
    await both.close()
    await working
  })

  test('a broker that answers too late loses nothing', { timeout: 60_000 }, async () => {
    const topic = await freshTopic()
    const both = ends(topic)
    const sink = both.sink({ requestTimeoutMillis: 1000 })
    await sink.send(bytes('before'))
    const pid = Number(await readFile(`${cluster.dir}/broker-1.pid`, 'utf8'))
    process.kill(pid, 'SIGSTOP')
    const sends = Array.from({ length: 6 }, (_, i) => sink.send(bytes(`frozen ${i}`)))
    await expect.poll(() => sink.counters.retries, { timeout: 20_000 }).toBeGreaterThan(0)
    process.kill(pid, 'SIGCONT')
    await Promise.all(sends)
    const claim = await firstClaim(await both.source())
    const found = bodiesOf(await take(claim, 30, 1500))
    for (let i = 0; i < 6; i++) expect(found).toContain(`frozen ${i}`)
    await both.close()
  })

  test('a member that has lost its partition without knowing cannot commit it', {
    timeout: 60_000,
  }, async () => {
    const topic = await freshTopic()
    const both = ends(topic)
    await both.sink().send(bytes('a'))
    const source = await both.source()
    const claim = await firstClaim(source)
    const taken = await take(claim, 1)
    const intent = { attempt: 1, slices: [sliceOf(taken)] }
    await claim.intend(intent)
    // The group is handed on while this member knows nothing of it: its claim looks fine here.
    const fresh = await both.source()
    const handed = firstClaim(fresh)
    await aborted(claim.lost)
    await expect(claim.commit(1n)).rejects.toThrow(ClaimLost)
    await source.close()
    expect((await handed).intent).toEqual(intent)
    await both.close()
  })
})

/** Bytes of each partition of a topic on the broker's disk. */
async function logSizes(topic: string): Promise<number[]> {
  const { readdir, stat } = await import('node:fs/promises')
  const data = `${cluster.dir}/data-1`
  const names = (await readdir(data)).filter((name) => name.startsWith(`${topic}-`)).sort()
  return await Promise.all(
    names.map(async (name) => (await stat(`${data}/${name}/00000000000000000000.log`)).size),
  )
}
