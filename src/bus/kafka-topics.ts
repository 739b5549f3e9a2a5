// The topics that Bailiwick uses: looked at, and created where they are not there.

import { BusError, messageBytesMax } from './bus.ts'
import { busErrorOf, disconnect, type KafkaSettings, kafkaClient } from './kafka-client.ts'
import { ConfigResourceTypes } from './kafkajs.ts'

export interface TopicWish {
  topic: string
  partitions: number
  replicas: number
  retentionMillis: number
}

export interface TopicState {
  topic: string
  /** Partitions that it has now. */
  partitions: number
  created: boolean
  /** What differs from the wish; it is not changed, because the operator may have meant it. */
  differs: string[]
}

/**
 * Creates what is missing.
 * @throws BusError
 */
export async function ensureTopics(
  settings: KafkaSettings,
  wishes: readonly TopicWish[],
): Promise<TopicState[]> {
  const admin = kafkaClient(settings, 3).admin()
  try {
    await admin.connect()
    const there = new Set(await admin.listTopics())
    const missing = wishes.filter(({ topic }) => !there.has(topic))
    if (missing.length > 0)
      await admin.createTopics({ waitForLeaders: true, topics: missing.map(topicConfig) })
    const states: TopicState[] = []
    for (const wish of wishes) {
      const partitions = await partitionsOf(admin, wish.topic)
      const differs = missing.includes(wish) ? [] : await differences(admin, wish, partitions)
      states.push({ topic: wish.topic, partitions, created: missing.includes(wish), differs })
    }
    return states
  } catch (error) {
    throw busErrorOf(error, `topics at ${settings.brokers.join(',')}`)
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
    return await partitionsOf(admin, topic)
  } catch (error) {
    throw busErrorOf(error, `Kafka at ${settings.brokers.join(',')}`)
  } finally {
    await disconnect(admin)
  }
}

type Admin = ReturnType<ReturnType<typeof kafkaClient>['admin']>

async function partitionsOf(admin: Admin, topic: string): Promise<number> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  return topics[0]?.partitions.length ?? 0
}

/** Room for a batch of one message that does not compress. */
const BATCH_ROOM = 4096

function topicConfig({ topic, partitions, replicas, retentionMillis }: TopicWish) {
  const values: Record<string, string> = {
    'cleanup.policy': 'delete',
    'compression.type': 'producer',
    'max.message.bytes': String(messageBytesMax(topic) + BATCH_ROOM),
    'retention.ms': String(retentionMillis),
  }
  // One replica may be lost without loss of what was acknowledged.
  if (replicas >= 3) values['min.insync.replicas'] = '2'
  return {
    topic,
    numPartitions: partitions,
    replicationFactor: replicas,
    configEntries: Object.entries(values).map(([name, value]) => ({ name, value })),
  }
}

async function differences(admin: Admin, wish: TopicWish, partitions: number): Promise<string[]> {
  const differs: string[] = []
  if (partitions !== wish.partitions)
    differs.push(`${partitions} partitions instead of ${wish.partitions}`)
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
