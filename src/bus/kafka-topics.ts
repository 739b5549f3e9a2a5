// The topics that Bailiwick uses: looked at, and created where they are not there.

import type { PartitionMetadata } from 'kafkajs'
import { BusError, messageBytesMax } from './bus.ts'
import { busErrorOf, disconnect, type KafkaSettings, kafkaClient } from './kafka-client.ts'
import { ConfigResourceTypes } from './kafkajs.ts'

export interface TopicWish {
  topic: string
  partitions: number
  replicas: number
  retentionMillis: number
  /** `compact` keeps the latest message of each key for ever; `delete` (without it) all, for the retention. */
  cleanup?: 'delete' | 'compact'
}

export interface TopicState {
  topic: string
  /** Partitions that it has now; 0 if it is not there. */
  partitions: number
  created: boolean
  /** What differs from the wish; it is not changed, because the operator may have meant it. */
  differs: string[]
}

/**
 * Creates what is missing.
 * @param only `look` creates nothing
 * @throws BusError
 */
export async function ensureTopics(
  settings: KafkaSettings,
  wishes: readonly TopicWish[],
  only?: 'look',
): Promise<TopicState[]> {
  return await asAdmin(settings, `topics at ${settings.brokers.join(',')}`, async (admin) => {
    const before = new Set(await admin.listTopics())
    const missing = wishes.filter(({ topic }) => !before.has(topic))
    const create = missing.length > 0 && only !== 'look'
    if (create) await admin.createTopics({ waitForLeaders: true, topics: missing.map(topicConfig) })
    const states: TopicState[] = []
    for (const wish of wishes) {
      const { topic } = wish
      const absent = missing.includes(wish)
      if (absent && !create) states.push({ topic, partitions: 0, created: false, differs: [] })
      else {
        const there = await partitionsOf(admin, topic)
        const differs = absent ? [] : await differences(admin, wish, there)
        states.push({ topic, partitions: there.length, created: absent, differs })
      }
    }
    return states
  })
}

/**
 * How many brokers a cluster has.
 * @throws BusError
 */
export async function brokerCount(settings: KafkaSettings): Promise<number> {
  return await asAdmin(settings, `Kafka at ${settings.brokers.join(',')}`, async (admin) => {
    const { brokers } = await admin.describeCluster()
    return brokers.length
  })
}

async function asAdmin<T>(
  settings: KafkaSettings,
  what: string,
  work: (admin: Admin) => Promise<T>,
): Promise<T> {
  const admin = kafkaClient(settings, 3).admin()
  try {
    await admin.connect()
    return await work(admin)
  } catch (error) {
    throw busErrorOf(error, what)
  } finally {
    await disconnect(admin)
  }
}

/**
 * The number of partitions of a topic.
 * @throws BusError `unreachable`, `refused`, or `no_stream` if there is no such topic
 */
export async function checkTopic(settings: KafkaSettings, topic: string): Promise<number> {
  const admin = kafkaClient(settings, 2).admin()
  try {
    await admin.connect()
    const topics = await admin.listTopics()
    if (!topics.includes(topic))
      throw new BusError(
        'no_stream',
        `there is no topic ${topic} at ${settings.brokers.join(',')} (or it may not be seen): bailiwick topics creates it`,
      )
    return (await partitionsOf(admin, topic)).length
  } catch (error) {
    throw busErrorOf(error, `Kafka at ${settings.brokers.join(',')}`)
  } finally {
    await disconnect(admin)
  }
}

type Admin = ReturnType<ReturnType<typeof kafkaClient>['admin']>

async function partitionsOf(admin: Admin, topic: string): Promise<PartitionMetadata[]> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  return topics[0]?.partitions ?? []
}

/** Room for a batch of one message that does not compress. */
const BATCH_ROOM = 4096

function topicConfig({ topic, partitions, replicas, retentionMillis, cleanup }: TopicWish) {
  const values: Record<string, string> = {
    'cleanup.policy': cleanup ?? 'delete',
    'compression.type': 'producer',
    'max.message.bytes': String(messageBytesMax(topic) + BATCH_ROOM),
  }
  if (cleanup !== 'compact') values['retention.ms'] = String(retentionMillis)
  // One replica may be lost without loss of what was acknowledged.
  if (replicas >= 3) values['min.insync.replicas'] = '2'
  return {
    topic,
    numPartitions: partitions,
    replicationFactor: replicas,
    configEntries: Object.entries(values).map(([name, value]) => ({ name, value })),
  }
}

async function differences(
  admin: Admin,
  wish: TopicWish,
  there: readonly PartitionMetadata[],
): Promise<string[]> {
  const differs: string[] = []
  if (there.length !== wish.partitions)
    differs.push(`${there.length} partitions instead of ${wish.partitions}`)
  const replicas = Math.min(...there.map((one) => one.replicas.length))
  if (replicas !== wish.replicas) differs.push(`replicas: ${replicas} instead of ${wish.replicas}`)
  const { configEntries } = topicConfig(wish)
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [
      {
        type: ConfigResourceTypes.TOPIC,
        name: wish.topic,
        configNames: configEntries.map(({ name }) => name),
      },
    ],
  })
  const values = new Map(
    resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]),
  )
  for (const { name, value } of configEntries)
    if (values.get(name) !== value)
      differs.push(`${name} is ${values.get(name) ?? 'not set'} instead of ${value}`)
  return differs
}
