// Kafka with TLS and credentials: what opens the door, and what is said when it stays shut.

import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BusLog, KafkaSettings } from '../../src/bus/kafka-client.ts'
import { KafkaSink } from '../../src/bus/kafka-sink.ts'
import { KafkaSource } from '../../src/bus/kafka-source.ts'
import { checkTopic, ensureTopics } from '../../src/bus/kafka-topics.ts'
import { type Cluster, kafkaAvailable, startCluster, stopCluster } from './broker.ts'
import { firstClaim, take, text } from './contract.ts'

const available = await kafkaAvailable()

describe.skipIf(!available)('Kafka behind TLS and SASL', () => {
  let cluster: Cluster
  let ca = ''
  beforeAll(async () => {
    cluster = await startCluster({ tls: true })
    ca = await readFile(cluster.tls!.ca, 'utf8')
    const wish = { topic: 'secure', partitions: 1, replicas: 1, retentionMillis: 3_600_000 }
    await ensureTopics(as('admin'), [wish])
  }, 90_000)
  afterAll(async () => {
    if (cluster !== undefined) await stopCluster(cluster.dir)
  })

  type Sasl = NonNullable<KafkaSettings['sasl']>
  const as = (
    username: string,
    more: Partial<Sasl> = {},
    tls: KafkaSettings['tls'] = { ca },
  ): KafkaSettings => ({
    brokers: cluster.bootstrap,
    clientId: 'test',
    requestTimeoutMillis: 3000,
    tls,
    sasl: {
      mechanism: 'scram-sha-512',
      username,
      password: cluster.tls!.users[username] ?? '',
      ...more,
    } as Sasl,
  })

  test.each(['scram-sha-512', 'plain'] as const)('a message passes with %s', async (mechanism) => {
    const settings = { ...as('admin', { mechanism }), topic: 'secure' }
    const sink = new KafkaSink(settings, () => {})
    await sink.send({ key: 'probe/0', bytes: Buffer.from(mechanism) })
    const source = await KafkaSource.open(
      { ...settings, groupId: mechanism, inFlightBytes: 1 << 20 },
      () => {},
    )
    const taken = await take(await firstClaim(source), 5, 2000)
    expect(taken.map(({ bytes }) => text(bytes))).toContain(mechanism)
    await Promise.all([sink.close(), source.close()])
  })

  test.each([
    ['a wrong password', () => as('sensor', { password: 'wrong' }), /[Aa]uthentication/],
    ['an unknown authority', () => as('admin', {}, {}), /certificate/],
    ['no rights to the topic', () => as('sensor'), /secure/],
  ])('%s is said at once', async (_, settings, message) => {
    const fault = await checkTopic(settings(), 'secure').catch((error) => error)
    expect(fault).toMatchObject({ name: 'BusError', message: expect.stringMatching(message) })
    expect(['refused', 'no_stream']).toContain(fault.kind)
  })

  test('a broker that is not there is unreachable', async () => {
    const nowhere = { ...as('admin'), brokers: ['127.0.0.1:1'] }
    await expect(checkTopic(nowhere, 'secure')).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('127.0.0.1:1'),
    })
  })

  test('what kafkajs tries again by itself is no error in the log, and no line has the password', async () => {
    const lines: { level: string; text: string }[] = []
    const log: BusLog = (level, message, fields) =>
      lines.push({ level, text: `${message} ${JSON.stringify(fields)}` })
    // A group that is new: its coordinator is not known at first.
    const settings = { ...as('admin'), topic: 'secure', groupId: 'brand-new', log }
    const source = await KafkaSource.open({ ...settings, inFlightBytes: 1 << 20 }, () => {})
    await firstClaim(source)
    // Another member comes, and a broker is away: each is told by whom it concerns, not by each try.
    const another = await KafkaSource.open({ ...settings, inFlightBytes: 1 << 20 }, () => {})
    await expect.poll(() => source.counters.claimsLost, { timeout: 30_000 }).toBeGreaterThan(0)
    await another.close()
    await source.close()
    await checkTopic({ ...settings, brokers: ['127.0.0.1:1'] }, 'secure').catch(() => {})
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.filter(({ level }) => level === 'error')).toEqual([])
    expect(lines.filter((one) => one.text.includes(cluster.tls!.users.admin!))).toEqual([])
  })
})
