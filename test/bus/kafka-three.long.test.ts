// Three brokers, two replicas in sync, one broker killed and brought back under load: nothing acknowledged is missing.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KafkaSink } from '../../src/bus/kafka-sink.ts'
import { KafkaSource } from '../../src/bus/kafka-source.ts'
import { ensureTopics } from '../../src/bus/kafka-topics.ts'
import {
  type Cluster,
  kafkaAvailable,
  startBroker,
  startCluster,
  stopBroker,
  stopCluster,
} from './broker.ts'
import { eachClaim, take, text } from './contract.ts'

const available = await kafkaAvailable()

describe.skipIf(!available)('three brokers', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await startCluster({ brokers: 3 })
  }, 120_000)
  afterAll(async () => {
    if (cluster !== undefined) await stopCluster(cluster.dir)
  })

  test('one of them lost and back', { timeout: 120_000 }, async () => {
    const settings = { brokers: cluster.bootstrap, clientId: 'test', requestTimeoutMillis: 5000 }
    const wish = { topic: 'three', partitions: 4, replicas: 3, retentionMillis: 3_600_000 }
    await ensureTopics(settings, [wish])
    const sink = new KafkaSink({ ...settings, topic: 'three' }, () => {})
    const acknowledged: string[] = []
    let stop = false
    const sending = Promise.all(
      Array.from({ length: 8 }, async (_, lane) => {
        for (let i = 0; !stop; i++) {
          const body = `${lane}.${i}`
          await sink.send({ key: `s/${lane}`, bytes: Buffer.from(body) })
          acknowledged.push(body)
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
      }),
    )
    const seconds = (count: number) => new Promise((resolve) => setTimeout(resolve, count * 1000))
    await seconds(3)
    await stopBroker(cluster.dir, 2)
    await seconds(12)
    const before = acknowledged.length
    await startBroker(cluster, 2)
    await seconds(8)
    stop = true
    await sending
    expect(acknowledged.length).toBeGreaterThan(before)

    const source = await KafkaSource.open(
      { ...settings, topic: 'three', groupId: 'g', inFlightBytes: 1 << 24 },
      () => {},
    )
    const found: string[] = []
    const reading = eachClaim(source, async (claim) => {
      while (!claim.lost.aborted) {
        const taken = await take(claim, 100, 500)
        found.push(...taken.map(({ bytes }) => text(bytes)))
        if (taken.length > 0) await claim.commit(taken.at(-1)!.offset + 1n)
      }
    })
    await expect
      .poll(() => acknowledged.filter((body) => !found.includes(body)).length, { timeout: 30_000 })
      .toBe(0)
    await source.close()
    await reading
    await sink.close()
  })
})
