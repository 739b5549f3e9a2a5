// Reads a topic from outside, without a group: nothing is committed, nobody's partitions move, nothing is left behind.
// For commands that look. kafkajs has no such client, but the parts of one.

import type { Kafka } from 'kafkajs'
import { BusError, type Delivery, KEY_BYTES_MAX, MESSAGE_BYTES_MAX } from './bus.ts'
import { busErrorOf, type KafkaSettings, kafkaClient, protocolType } from './kafka-client.ts'
import type { FetchedMessage } from './kafka-records.ts'

/** What a partition holds: offsets from `first` to before `end`. */
export interface PartitionRange {
  partition: number
  first: bigint
  end: bigint
}

interface ReadBroker {
  fetch(request: {
    maxWaitTime: number
    minBytes: number
    maxBytes: number
    isolationLevel: number
    topics: {
      topic: string
      partitions: { partition: number; fetchOffset: string; maxBytes: number }[]
    }[]
  }): Promise<{ responses: { partitions: { partition: number; messages: FetchedMessage[] }[] }[] }>
}

interface ReadCluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  refreshMetadata(): Promise<void>
  findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number }[]
  findBroker(request: { nodeId: number }): Promise<ReadBroker>
  fetchTopicsOffset(
    topics: { topic: string; partitions: { partition: number }[]; fromBeginning: boolean }[],
  ): Promise<{ partitions: { partition: number; offset: string }[] }[]>
}

const FETCH_WAIT_MILLIS = 500
/** Room for the largest batch; the broker sends the first one of a fetch whatever its size. */
const FETCH_BYTES = MESSAGE_BYTES_MAX
const READ_COMMITTED = 1
/** Fetches that bring nothing, or fail in a way that passes, before reading is given up. */
const TRIES_MAX = 8
const RETRY_MILLIS = 250

export class KafkaReader {
  readonly topic: string
  readonly #settings: KafkaSettings
  readonly #cluster: ReadCluster

  /** @throws BusError `unreachable`, `refused`, or `no_stream` if there is no such topic */
  static async open(settings: KafkaSettings, topic: string): Promise<KafkaReader> {
    const reader = new KafkaReader(settings, topic, clusterOf(kafkaClient(settings, 3)))
    try {
      await reader.#cluster.connect()
      await reader.#cluster.addTargetTopic(topic)
    } catch (error) {
      await reader.close()
      throw reader.#errorOf(error)
    }
    return reader
  }

  private constructor(settings: KafkaSettings, topic: string, cluster: ReadCluster) {
    this.#settings = settings
    this.topic = topic
    this.#cluster = cluster
  }

  /** What each partition holds now, ascending. @throws BusError */
  async ranges(): Promise<PartitionRange[]> {
    const { topic } = this
    const partitions = this.#cluster
      .findTopicPartitionMetadata(topic)
      .map(({ partitionId }) => ({ partition: partitionId }))
    const limits = async (fromBeginning: boolean) => {
      const [found] = await this.#cluster.fetchTopicsOffset([{ topic, partitions, fromBeginning }])
      return new Map(found?.partitions.map(({ partition, offset }) => [partition, BigInt(offset)]))
    }
    try {
      const [firsts, ends] = await Promise.all([limits(true), limits(false)])
      return partitions
        .map(({ partition }) => ({
          partition,
          first: firsts.get(partition) ?? 0n,
          end: ends.get(partition) ?? 0n,
        }))
        .sort((a, b) => a.partition - b.partition)
    } catch (error) {
      throw this.#errorOf(error)
    }
  }

  /**
   * The messages of a partition from offset `from` to before `to`, which must not be beyond its end.
   * @throws BusError
   */
  async *read(partition: number, from: bigint, to: bigint): AsyncGenerator<Delivery> {
    let next = from
    for (let tries = 0; next < to; ) {
      const messages = await this.#fetch(partition, next)
      const fresh = messages.filter(({ offset }) => BigInt(offset) >= next)
      if (fresh.length === 0) {
        // Removed meanwhile, or taken out by a transaction that was given up.
        const range = (await this.ranges()).find((one) => one.partition === partition)
        if (range !== undefined && range.first > next) next = range.first
        else if (++tries >= TRIES_MAX) return
        continue
      }
      tries = 0
      for (const message of fresh) {
        const offset = BigInt(message.offset)
        if (offset >= to) return
        next = offset + 1n
        if (!message.isControlRecord) yield deliveryOf(this.topic, partition, message)
      }
    }
  }

  /** Which broker leads which partitions, as last heard. @throws BusError if a partition has no leader now */
  leaders(): Map<number, number[]> {
    const found = new Map<number, number[]>()
    for (const { partitionId, leader } of this.#cluster.findTopicPartitionMetadata(this.topic)) {
      if (leader < 0)
        throw new BusError('unreachable', `${this.topic} ${partitionId} has no leader now`)
      found.set(leader, [...(found.get(leader) ?? []), partitionId])
    }
    return found
  }

  /** Asks anew who leads what. */
  async refresh(): Promise<void> {
    await this.#cluster.refreshMetadata().catch(() => {})
  }

  /**
   * What a broker has of the partitions that it leads, as soon as it has anything, at the latest after `waitMillis`.
   * Markers of transactions come as messages without bytes.
   * @throws what kafkajs throws
   */
  async fetchFrom(
    node: number,
    partitions: readonly { partition: number; from: bigint }[],
    waitMillis: number,
  ): Promise<Delivery[]> {
    const broker = await this.#cluster.findBroker({ nodeId: node })
    const { responses } = await broker.fetch({
      maxWaitTime: waitMillis,
      minBytes: 1,
      maxBytes: FETCH_BYTES,
      isolationLevel: READ_COMMITTED,
      topics: [
        {
          topic: this.topic,
          partitions: partitions.map(({ partition, from }) => ({
            partition,
            fetchOffset: String(from),
            maxBytes: FETCH_BYTES,
          })),
        },
      ],
    })
    return responses.flatMap((response) =>
      response.partitions.flatMap(({ partition, messages }) =>
        messages.map((message) => deliveryOf(this.topic, partition, message)),
      ),
    )
  }

  async close(): Promise<void> {
    await this.#cluster.disconnect().catch(() => {})
  }

  async #fetch(partition: number, from: bigint): Promise<readonly FetchedMessage[]> {
    const { topic } = this
    for (let tries = 1; ; tries++) {
      try {
        const leader = this.#cluster
          .findTopicPartitionMetadata(topic)
          .find(({ partitionId }) => partitionId === partition)?.leader
        if (leader === undefined)
          throw new BusError('no_stream', `topic ${topic} has no partition ${partition}`)
        const broker = await this.#cluster.findBroker({ nodeId: leader })
        const wanted = { partition, fetchOffset: String(from), maxBytes: FETCH_BYTES }
        const { responses } = await broker.fetch({
          maxWaitTime: FETCH_WAIT_MILLIS,
          minBytes: 1,
          maxBytes: FETCH_BYTES,
          isolationLevel: READ_COMMITTED,
          topics: [{ topic, partitions: [wanted] }],
        })
        return responses[0]?.partitions[0]?.messages ?? []
      } catch (error) {
        if (protocolType(error) === 'OFFSET_OUT_OF_RANGE') return []
        const fault = this.#errorOf(error)
        if (fault.kind !== 'unreachable' || tries >= TRIES_MAX) throw fault
        await new Promise((resolve) => setTimeout(resolve, RETRY_MILLIS))
        await this.#cluster.refreshMetadata().catch(() => {})
      }
    }
  }

  #errorOf(error: unknown): BusError {
    const fault = busErrorOf(error, `Kafka at ${this.#settings.brokers.join(',')}`)
    if (fault.kind !== 'no_stream') return fault
    return new BusError(
      'no_stream',
      `there is no topic ${this.topic} at ${this.#settings.brokers.join(',')} (or it may not be seen): bailiwick topics creates ours`,
      { cause: error },
    )
  }
}

/** A fetched message as it is handed out. */
function deliveryOf(stream: string, partition: number, message: FetchedMessage): Delivery {
  const { offset, key, value, timestamp, unreadable } = message
  return {
    stream,
    partition,
    offset: BigInt(offset),
    key: key?.toString('utf8', 0, KEY_BYTES_MAX) ?? '',
    bytes: value === null ? new Uint8Array(0) : new Uint8Array(value),
    acceptedAt: Number(timestamp),
    ...(unreadable === undefined ? {} : { unreadable }),
  }
}

/** kafkajs makes one of these for each of its clients, and shows none of them. */
function clusterOf(kafka: Kafka): ReadCluster {
  const name = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  )
  if (name === undefined) throw new Error('kafkajs no longer makes clusters this way')
  const create = (kafka as unknown as Record<symbol, (options: object) => ReadCluster>)[name]!
  return create({
    metadataMaxAge: 60_000,
    allowAutoTopicCreation: false,
    isolationLevel: READ_COMMITTED,
  })
}
