// Looking at a topic from outside: everything that is there, nothing changed by the look.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kafkaClient } from '../../src/bus/kafka-client.ts'
import { KafkaReader } from '../../src/bus/kafka-reader.ts'
import { KafkaSink } from '../../src/bus/kafka-sink.ts'
import { ensureTopics } from '../../src/bus/kafka-topics.ts'
import { type Cluster, kafkaAvailable, startCluster, stopCluster } from './broker.ts'
import { text } from './contract.ts'

const available = await kafkaAvailable()

describe.skipIf(!available)('a reader', () => {
  let cluster: Cluster
  let reader: KafkaReader
  const settings = () => ({
    brokers: cluster.bootstrap,
    clientId: 'reader',
    requestTimeoutMillis: 3000,
  })

  beforeAll(async () => {
    cluster = await startCluster()
    const wish = { topic: 'seen', partitions: 2, replicas: 1, retentionMillis: 3_600_000 }
    await ensureTopics(settings(), [wish])
    const sink = new KafkaSink({ ...settings(), topic: 'seen' }, () => {})
    for (let i = 0; i < 20; i++)
      await sink.send({ key: `s/${i % 2}`, bytes: Buffer.alloc(100_000, String(i % 10)) })
    await sink.close()
    reader = await KafkaReader.open(settings(), 'seen')
  }, 90_000)
  afterAll(async () => {
    await reader?.close()
    if (cluster !== undefined) await stopCluster(cluster.dir)
  })

  async function all(partition: number, from: bigint, to: bigint) {
    const found: [bigint, string][] = []
    for await (const { offset, bytes } of reader.read(partition, from, to))
      found.push([offset, text(bytes.subarray(0, 1))])
    return found
  }

  test('says what each partition holds, and reads any part of it', async () => {
    expect(await reader.ranges()).toEqual([
      { partition: 0, first: 0n, end: 10n },
      { partition: 1, first: 0n, end: 10n },
    ])
    const [even, odd] = [await all(0, 0n, 10n), await all(1, 3n, 5n)]
    expect([...even.map(([, body]) => body)].join('')).toMatch(/^(0246802468|1357913579)$/)
    expect(odd.map(([offset]) => offset)).toEqual([3n, 4n])
  })

  test('begins at the oldest that is left where retention was faster', async () => {
    const admin = kafkaClient(settings(), 3).admin()
    await admin.connect()
    await admin.fetchTopicOffsets('seen')
    await admin.deleteTopicRecords({ topic: 'seen', partitions: [{ partition: 0, offset: '8' }] })
    expect((await all(0, 0n, 10n)).map(([offset]) => offset)).toEqual([8n, 9n])
    expect((await reader.ranges())[0]).toEqual({ partition: 0, first: 8n, end: 10n })
    // No group has come to be.
    expect((await admin.listGroups()).groups).toEqual([])
    await admin.disconnect()
  })

  test('a topic that is missing, and a broker that is, are said', async () => {
    await expect(KafkaReader.open(settings(), 'none')).rejects.toMatchObject({
      kind: 'no_stream',
      message: expect.stringContaining('no topic none'),
    })
    await expect(
      KafkaReader.open({ ...settings(), brokers: ['127.0.0.1:1'] }, 'seen'),
    ).rejects.toMatchObject({ kind: 'unreachable' })
  })
})
