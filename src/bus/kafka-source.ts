// Consumes a topic as a member of a group. kafkajs fetches, keeps the membership alive and says when it changes;
// positions, intents and commits are kept here, each under the generation of the membership that it belongs to.

import type { Consumer, EachBatchPayload, KafkaMessage, PartitionAssigner } from 'kafkajs'
import {
  type Claim,
  ClaimLost,
  type Delivery,
  KEY_BYTES_MAX,
  type Lag,
  newSourceCounters,
  type Source,
  type TellTrouble,
} from './bus.ts'
import { ClaimFeed, Flight, QueuedClaim } from './claim.ts'
import { parseIntent } from './intent-text.ts'
import {
  busErrorOf,
  disconnect,
  type KafkaSettings,
  kafkaClient,
  protocolType,
} from './kafka-client.ts'
import { listenToGroup, type Membership } from './kafka-patch.ts'
import { fetchEnds, fetchStands } from './kafka-positions.ts'
import type { FetchedMessage } from './kafka-records.ts'
import { checkTopic } from './kafka-topics.ts'
import { PartitionAssigners } from './kafkajs.ts'

export interface KafkaSourceSettings extends KafkaSettings {
  topic: string
  groupId: string
  /** Most bytes that are fetched or handed out and not committed. */
  inFlightBytes: number
  /** A member that is silent for this long loses its partitions. */
  sessionTimeoutMillis?: number
  heartbeatMillis?: number
  /** A consumer that has asked for nothing for this long is built anew. */
  silenceMillis?: number
}

/** A message as kafka-records.ts made it. */
type FetchedRecord = KafkaMessage & Pick<FetchedMessage, 'unreadable'>

/** Answers that mean: this generation is over for this member. */
const FENCED = [
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'REBALANCE_IN_PROGRESS',
  'FENCED_INSTANCE_ID',
]
const SESSION_MILLIS = 30_000
const RESTART_MILLIS = [500, 1000, 2000, 5000, 10_000]
/** Longest wait of a fetch for data, and so for a partition that is resumed meanwhile. */
const FETCH_WAIT_MILLIS = 250
const COMMIT_RETRY_MILLIS = 200
/** Between looks at whether kafkajs lives and how far the partitions have grown. */
const WATCH_MILLIS = 4000

export class KafkaSource implements Source {
  readonly counters = newSourceCounters()
  /** Of kafkajs: consumers built anew, and batches that belonged to a membership before. */
  readonly restarts = { consumers: 0, staleBatches: 0 }
  readonly #settings: KafkaSourceSettings
  readonly #tell: TellTrouble
  readonly #feed = new ClaimFeed()
  readonly #flight: Flight
  readonly #claims = new Map<number, QueuedClaim>()
  /** The end of each partition, as last heard. */
  readonly #ends = new Map<number, bigint>()
  readonly #paused = new Set<number>()
  readonly #closing = new AbortController()
  #membership: Membership | undefined
  #consumer: Consumer | undefined
  #watch: NodeJS.Timeout | undefined
  /** When kafkajs last asked for something, or was built. */
  #active = Date.now()
  #failures = 0
  #rebuilding = false
  /** It was told that the consumer ended, and has not been in the group since. */
  #apart = false

  /**
   * Joins the group.
   * @throws BusError `unreachable`, `refused`, `no_stream`: nothing was started
   */
  static async open(settings: KafkaSourceSettings, tell: TellTrouble): Promise<KafkaSource> {
    await checkTopic(settings, settings.topic)
    const source = new KafkaSource(settings, tell)
    source.#build()
    return source
  }

  private constructor(settings: KafkaSourceSettings, tell: TellTrouble) {
    this.#settings = settings
    this.#tell = tell
    this.#flight = new Flight(settings.inFlightBytes, this.counters)
    this.#flight.onRoom = () => this.#resume()
    const { sessionTimeoutMillis = SESSION_MILLIS } = settings
    const silence = settings.silenceMillis ?? Math.max(60_000, 2 * sessionTimeoutMillis)
    this.#watch = setInterval(
      () => {
        if (Date.now() - this.#active > silence) this.#rebuild('the consumer has stood still')
        else void this.#hearEnds()
      },
      Math.min(WATCH_MILLIS, silence),
    )
  }

  lag(): Lag[] {
    return [...this.#claims.values()].map(({ stream, partition, committed }) => {
      const heard = this.#ends.get(partition)
      const isBehind = heard !== undefined && heard > committed
      return { stream, partition, committed, end: isBehind ? heard : committed }
    })
  }

  claims(): AsyncIterable<Claim> {
    return this.#feed
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    clearInterval(this.#watch)
    const claims = [...this.#claims.values()]
    this.#endClaims()
    this.#feed.close()
    const settled = Promise.all(claims.map((claim) => claim.settled())).then(() => {})
    await disconnect({ disconnect: () => settled })
    if (this.#consumer !== undefined) await disconnect(this.#consumer)
  }

  #build(): void {
    const { topic, groupId, sessionTimeoutMillis = SESSION_MILLIS } = this.#settings
    const consumer = kafkaClient(this.#settings, 3).consumer({
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
      if (mine()) this.#rebuild(busErrorOf(payload.error, 'the consumer ended').message)
    })
    const start = async () => {
      await consumer.connect()
      await consumer.subscribe({ topics: [topic], fromBeginning: true })
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: 1,
        eachBatch: async (payload) => {
          if (mine()) this.#take(payload)
        },
      })
    }
    start().catch((error) => {
      if (mine()) this.#rebuild(busErrorOf(error, 'the consumer did not start').message)
    })
  }

  /** kafkajs's own round robin; it is the one place where kafkajs shows a consumer's cluster. */
  #assigner(): PartitionAssigner {
    return (config) => {
      listenToGroup(config.cluster, {
        leaving: () => this.#endClaims(),
        joined: (membership) => this.#joined(membership),
        outOfRange: (_, partition) => this.#outOfRange(partition),
      })
      return PartitionAssigners.roundRobin(config)
    }
  }

  /** A consumer that ended or stands still is replaced, however often, with a wait that grows. */
  #rebuild(reason: string): void {
    if (this.#closing.signal.aborted || this.#rebuilding) return
    this.#rebuilding = true
    this.#endClaims()
    const old = this.#consumer
    this.#consumer = undefined
    this.restarts.consumers++
    this.#apart = true
    const wait = RESTART_MILLIS[Math.min(this.#failures++, RESTART_MILLIS.length - 1)]!
    this.#tell({
      kind: 'restart',
      where: this.#settings.topic,
      detail: `${reason}; again in ${wait} ms`,
    })
    const again = async () => {
      if (old !== undefined) await disconnect(old)
      await new Promise((resolve) => setTimeout(resolve, wait))
      this.#rebuilding = false
      if (!this.#closing.signal.aborted) this.#build()
    }
    void again()
  }

  #endClaims(): void {
    this.#membership = undefined
    this.#ends.clear()
    const claims = [...this.#claims.values()]
    this.#claims.clear()
    this.#paused.clear()
    for (const claim of claims) claim.end()
  }

  /** Reads positions and intents of what was won, and hands out the claims. */
  async #joined(membership: Membership): Promise<void> {
    if (this.#closing.signal.aborted) return
    const { topic } = this.#settings
    if (this.#apart) {
      this.#apart = false
      this.#tell({ kind: 'recovered', where: topic, detail: 'a member of the group again' })
    }
    const mine = membership.assigned.find((one) => one.topic === topic)
    if (mine === undefined || mine.partitions.length === 0) return
    const stands = await fetchStands(membership, topic, mine.partitions)
    this.#membership = membership
    for (const { partition, committed, metadata, first, end } of stands) {
      const start = this.#startOf(partition, committed, first, end)
      this.#ends.set(partition, end)
      membership.moveTo(topic, partition, start)
      this.#claim(membership, partition, start, metadata)
    }
    this.#failures = 0
  }

  /** A partition that is paused is not fetched from, and grows all the same. */
  async #hearEnds(): Promise<void> {
    const membership = this.#membership
    const partitions = [...this.#claims.keys()]
    if (membership === undefined || partitions.length === 0) return
    try {
      const ends = await fetchEnds(membership, this.#settings.topic, partitions)
      for (const [partition, end] of ends) this.#ends.set(partition, end)
    } catch {
      // What was heard last stands. A broker that is gone is noticed by the fetches.
    }
  }

  /** Where to read from; tells what is missing before it. */
  #startOf(partition: number, wanted: bigint, first: bigint, end: bigint): bigint {
    if (wanted < 0n) return first
    if (wanted >= first && wanted <= end) return wanted
    const beyond = wanted > end
    this.counters.holes++
    if (!beyond) this.counters.holeOffsets += first - wanted
    this.#tell({
      kind: 'hole',
      where: `${this.#settings.topic}/${partition}`,
      detail: beyond
        ? `offset ${wanted} is beyond the end ${end}: the broker lost messages; read again from ${first}`
        : `${first - wanted} offsets from ${wanted} to ${first} were removed before they were read`,
      ...(beyond
        ? {}
        : { lost: { stream: this.#settings.topic, partition, first: wanted, last: first - 1n } }),
    })
    return first
  }

  #claim(membership: Membership, partition: number, start: bigint, metadata: string): void {
    const { topic } = this.#settings
    const intent = metadata === '' ? undefined : parseIntent(metadata)
    if (metadata !== '' && intent === undefined) {
      this.counters.intentsUnread++
      this.#tell({
        kind: 'intent',
        where: `${topic}/${partition}`,
        detail: `the metadata of the committed offset is no intent: ${JSON.stringify(metadata.slice(0, 100))}`,
      })
    }
    const claim = new QueuedClaim({
      stream: topic,
      partition,
      committed: start,
      intent,
      flight: this.#flight,
      store: (next, text) => this.#store(membership, claim, next, text),
    })
    this.#claims.set(partition, claim)
    this.#feed.add(claim)
  }

  async #store(
    membership: Membership,
    claim: QueuedClaim,
    next: bigint,
    text: string,
  ): Promise<void> {
    const { topic } = this.#settings
    for (;;) {
      try {
        return await membership.commit(topic, claim.partition, next, text)
      } catch (error) {
        const lost = FENCED.includes(protocolType(error))
        if (lost) claim.end()
        if (lost || claim.lost.aborted)
          throw new ClaimLost(`${topic}/${claim.partition} has another holder`, { cause: error })
        const fault = busErrorOf(error, `commit of ${topic}/${claim.partition}`)
        if (fault.kind !== 'unreachable') throw fault
        // The membership ends when the coordinator stays away; then so does this.
        await new Promise((resolve) => setTimeout(resolve, COMMIT_RETRY_MILLIS))
      }
    }
  }

  /** Takes of a batch what there is room for. What is left is fetched again when there is. */
  #take({ batch, resolveOffset, isRunning, isStale }: EachBatchPayload): void {
    const { topic } = this.#settings
    const { partition, highWatermark } = batch
    const claim = this.#claims.get(partition)
    // Fetched for a membership before, or before the position was moved: not ours to take.
    const fetchedAt = (batch as unknown as { fetchedOffset: string }).fetchedOffset
    if (
      claim === undefined ||
      claim.lost.aborted ||
      !isRunning() ||
      isStale() ||
      this.#membership?.position(topic, partition) !== BigInt(fetchedAt)
    ) {
      this.restarts.staleBatches++
      return
    }
    claim.skipTo(BigInt(fetchedAt))
    this.#ends.set(partition, BigInt(highWatermark))
    let taken: string | undefined
    for (const message of batch.messages as readonly FetchedRecord[]) {
      if (!claim.hasRoom) break
      taken = message.offset
      claim.push(this.#delivery(partition, message))
    }
    if (taken !== undefined) resolveOffset(taken)
    if (!claim.hasRoom) this.#pause(claim)
  }

  #delivery(partition: number, message: FetchedRecord): Delivery {
    const { offset, key, value, timestamp, unreadable } = message
    const { topic } = this.#settings
    const delivery: Delivery = {
      stream: topic,
      partition,
      offset: BigInt(offset),
      key: key?.toString('utf8', 0, KEY_BYTES_MAX) ?? '',
      // A copy: the value lies in the memory of its whole batch, which it would hold.
      bytes: value === null ? new Uint8Array(0) : new Uint8Array(value),
      acceptedAt: Number(timestamp),
    }
    if (unreadable === undefined) return delivery
    this.counters.unreadable++
    this.#tell({ kind: 'damage', where: `${topic}/${partition} at ${offset}`, detail: unreadable })
    return { ...delivery, unreadable }
  }

  #pause({ partition }: QueuedClaim): void {
    if (this.#paused.has(partition)) return
    this.#paused.add(partition)
    this.counters.pauses++
    this.#consumer?.pause([{ topic: this.#settings.topic, partitions: [partition] }])
  }

  #resume(): void {
    const partitions = [...this.#paused].filter((one) => this.#claims.get(one)?.hasRoom)
    if (partitions.length === 0) return
    for (const partition of partitions) this.#paused.delete(partition)
    this.#consumer?.resume([{ topic: this.#settings.topic, partitions }])
  }

  /** The broker has nothing where we want to read: it removed it, or lost it. */
  async #outOfRange(partition: number): Promise<void> {
    const membership = this.#membership
    const claim = this.#claims.get(partition)
    if (membership === undefined || claim === undefined) return
    const { topic } = this.#settings
    const [stand] = await fetchStands(membership, topic, [partition])
    if (this.#membership !== membership || claim.lost.aborted || stand === undefined) return
    const wanted = membership.position(topic, partition)
    const start = this.#startOf(partition, wanted, stand.first, stand.end)
    if (start === wanted) return
    membership.moveTo(topic, partition, start)
    if (start > wanted) claim.skipTo(start)
    else {
      // Offsets begin anew, so what is held by them means nothing any more.
      claim.end()
      this.#claim(membership, partition, start, '')
    }
  }
}
