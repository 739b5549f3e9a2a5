// A member of a consumer group that lasts: kafkajs fetches and keeps the membership alive, and where its consumer ends
// or stands still, however often, a new one takes its place, with a wait that grows.

import type { Consumer, EachBatchPayload, PartitionAssigner } from 'kafkajs'
import type { BusErrorKind, TellTrouble } from './bus.ts'
import { busErrorOf, disconnect, type KafkaSettings, kafkaClient } from './kafka-client.ts'
import { listenToGroup, type Membership } from './kafka-patch.ts'
import { PartitionAssigners } from './kafkajs.ts'

export interface KafkaMemberSettings extends KafkaSettings {
  topic: string
  groupId: string
  /** A member that is silent for this long loses its partitions. */
  sessionTimeoutMillis?: number
  heartbeatMillis?: number
  /** A consumer that has asked for nothing for this long is built anew. */
  silenceMillis?: number
}

/** What whoever works with the partitions is told. */
export interface MemberEvents {
  /** The membership is over, and nothing is ours any more. */
  leaving(): void
  joined(membership: Membership): Promise<void>
  /** The broker has nothing where we want to read. */
  outOfRange(partition: number): Promise<void>
  batch(payload: EachBatchPayload): void
  /** Every few seconds, while the consumer is at work. */
  look(): void
}

const SESSION_MILLIS = 30_000
const RESTART_MILLIS = [500, 1000, 2000, 5000, 10_000]
/** Where nobody answers: to try costs nothing, and what arrives piles up meanwhile. */
const NOBODY_MILLIS = [500, 1000, 2000]
/** Longest wait of a fetch for data, and so for a partition that is resumed meanwhile. */
const FETCH_WAIT_MILLIS = 250
/** Between looks at whether kafkajs lives. */
const WATCH_MILLIS = 4000

export class KafkaMember {
  /** Consumers built anew. */
  restarts = 0
  readonly #settings: KafkaMemberSettings
  readonly #events: MemberEvents
  readonly #tell: TellTrouble
  readonly #watch: NodeJS.Timeout
  #closed = false
  #consumer: Consumer | undefined
  /** When kafkajs last asked for something, or was built. */
  #active = Date.now()
  #failures = 0
  #rebuilding = false
  /** It was told that the consumer ended, and has not been in the group since. */
  #apart = false

  constructor(settings: KafkaMemberSettings, events: MemberEvents, tell: TellTrouble) {
    this.#settings = settings
    this.#events = events
    this.#tell = tell
    const { sessionTimeoutMillis = SESSION_MILLIS } = settings
    const silence = settings.silenceMillis ?? Math.max(60_000, 2 * sessionTimeoutMillis)
    this.#watch = setInterval(
      () => {
        if (Date.now() - this.#active > silence)
          this.#rebuild({ message: 'the consumer has stood still', kind: undefined })
        else events.look()
      },
      Math.min(WATCH_MILLIS, silence),
    )
    this.#build()
  }

  pause(partitions: number[]): void {
    this.#consumer?.pause([{ topic: this.#settings.topic, partitions }])
  }

  resume(partitions: number[]): void {
    this.#consumer?.resume([{ topic: this.#settings.topic, partitions }])
  }

  /** No consumer is built from now on; the one that is there stays until `leave`. */
  stop(): void {
    this.#closed = true
    clearInterval(this.#watch)
  }

  async leave(): Promise<void> {
    if (this.#consumer !== undefined) await disconnect(this.#consumer)
  }

  #build(): void {
    const { topic, groupId, sessionTimeoutMillis = SESSION_MILLIS } = this.#settings
    const consumer = kafkaClient(this.#quietAtTheEnd(), 3).consumer({
      groupId,
      sessionTimeout: sessionTimeoutMillis,
      rebalanceTimeout: sessionTimeoutMillis,
      heartbeatInterval: this.#settings.heartbeatMillis ?? 3000,
      maxWaitTimeInMs: FETCH_WAIT_MILLIS,
      allowAutoTopicCreation: false,
      metadataMaxAge: 60_000,
      partitionAssigners: [this.#assigner()],
    })
    this.#consumer = consumer
    this.#active = Date.now()
    const mine = () => this.#consumer === consumer
    consumer.on(consumer.events.FETCH_START, () => {
      if (mine()) this.#active = Date.now()
    })
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (mine()) this.#rebuild(busErrorOf(payload.error, 'the consumer ended'))
    })
    const start = async () => {
      await consumer.connect()
      await consumer.subscribe({ topics: [topic], fromBeginning: true })
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: 1,
        eachBatch: async (payload) => {
          if (mine()) this.#events.batch(payload)
        },
      })
    }
    start().catch((error) => {
      if (mine()) this.#rebuild(busErrorOf(error, 'the consumer did not start'))
    })
  }

  /** What kafkajs says of a consumer that we are closing is nobody's trouble. */
  #quietAtTheEnd(): KafkaSettings {
    const { log } = this.#settings
    if (log === undefined) return this.#settings
    return {
      ...this.#settings,
      log: (level, message, fields) => log(this.#closed ? 'debug' : level, message, fields),
    }
  }

  /** kafkajs's own round robin; it is the one place where kafkajs shows a consumer's cluster. */
  #assigner(): PartitionAssigner {
    return (config) => {
      listenToGroup(config.cluster, {
        leaving: () => this.#events.leaving(),
        joined: (membership) => this.#joined(membership),
        outOfRange: (_, partition) => this.#events.outOfRange(partition),
      })
      return PartitionAssigners.roundRobin(config)
    }
  }

  async #joined(membership: Membership): Promise<void> {
    if (this.#closed) return
    if (this.#apart) {
      this.#apart = false
      const { topic } = this.#settings
      this.#tell({ kind: 'recovered', where: topic, detail: 'a member of the group again' })
    }
    await this.#events.joined(membership)
    this.#failures = 0
  }

  #rebuild({ message, kind }: { message: string; kind: BusErrorKind | undefined }): void {
    if (this.#closed || this.#rebuilding) return
    this.#rebuilding = true
    this.#events.leaving()
    const old = this.#consumer
    this.#consumer = undefined
    this.restarts++
    this.#apart = true
    const waits = kind === 'unreachable' ? NOBODY_MILLIS : RESTART_MILLIS
    const wait = waits[Math.min(this.#failures++, waits.length - 1)]!
    this.#tell({
      kind: 'restart',
      where: this.#settings.topic,
      detail: `${message}; again in ${wait} ms`,
    })
    const again = async () => {
      if (old !== undefined) await disconnect(old)
      await new Promise((resolve) => setTimeout(resolve, wait))
      this.#rebuilding = false
      if (!this.#closed) this.#build()
    }
    void again()
  }
}
