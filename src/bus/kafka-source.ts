// Consumes a topic as a member of a group (kafka-member.ts): positions, intents and commits are kept here, each under
// the generation of the membership that it belongs to.

import type { EachBatchPayload, KafkaMessage } from 'kafkajs'
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
import { busErrorOf, disconnect, protocolType } from './kafka-client.ts'
import { KafkaMember, type KafkaMemberSettings } from './kafka-member.ts'
import type { Membership } from './kafka-patch.ts'
import { fetchEnds, fetchStands } from './kafka-positions.ts'
import type { FetchedMessage } from './kafka-records.ts'
import { checkTopic } from './kafka-topics.ts'

export interface KafkaSourceSettings extends KafkaMemberSettings {
  /** Most bytes that are fetched or handed out and not committed. */
  inFlightBytes: number
  /** Makes the copy that is handed out, if its memory is to be of a certain kind. */
  copy?: (bytes: Uint8Array) => Uint8Array
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
const COMMIT_RETRY_MILLIS = 200

export class KafkaSource implements Source {
  readonly counters = newSourceCounters()
  readonly #settings: KafkaSourceSettings
  readonly #tell: TellTrouble
  readonly #feed = new ClaimFeed()
  readonly #flight: Flight
  readonly #claims = new Map<number, QueuedClaim>()
  /** The end of each partition, as last heard. */
  readonly #ends = new Map<number, bigint>()
  readonly #paused = new Set<number>()
  readonly #member: KafkaMember
  #staleBatches = 0
  #closed = false
  #membership: Membership | undefined

  /**
   * Joins the group.
   * @throws BusError `unreachable`, `refused`, `no_stream`: nothing was started
   */
  static async open(settings: KafkaSourceSettings, tell: TellTrouble): Promise<KafkaSource> {
    await checkTopic(settings, settings.topic)
    return new KafkaSource(settings, tell)
  }

  private constructor(settings: KafkaSourceSettings, tell: TellTrouble) {
    this.#settings = settings
    this.#tell = tell
    this.#flight = new Flight(settings.inFlightBytes, this.counters)
    this.#flight.onRoom = () => this.#resume()
    this.#member = new KafkaMember(
      settings,
      {
        leaving: () => this.#endClaims(),
        joined: (membership) => this.#joined(membership),
        outOfRange: (partition) => this.#outOfRange(partition),
        batch: (payload) => this.#take(payload),
        look: () => void this.#hearEnds(),
      },
      tell,
    )
  }

  /** Of kafkajs: consumers built anew, and batches that belonged to a membership before. */
  get restarts(): { consumers: number; staleBatches: number } {
    return { consumers: this.#member.restarts, staleBatches: this.#staleBatches }
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
    if (this.#closed) return
    this.#closed = true
    this.#member.stop()
    const claims = [...this.#claims.values()]
    this.#endClaims()
    this.#feed.close()
    const settled = Promise.all(claims.map((claim) => claim.settled())).then(() => {})
    await disconnect({ disconnect: () => settled })
    await this.#member.leave()
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
    const { topic } = this.#settings
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
      this.#staleBatches++
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
      bytes: value === null ? new Uint8Array(0) : this.#copy(value),
      acceptedAt: Number(timestamp),
    }
    if (unreadable === undefined) return delivery
    this.counters.unreadable++
    this.#tell({ kind: 'damage', where: `${topic}/${partition} at ${offset}`, detail: unreadable })
    return { ...delivery, unreadable }
  }

  #copy(value: Uint8Array): Uint8Array {
    const { copy } = this.#settings
    return copy === undefined ? new Uint8Array(value) : copy(value)
  }

  #pause({ partition }: QueuedClaim): void {
    if (this.#paused.has(partition)) return
    this.#paused.add(partition)
    this.counters.pauses++
    this.#member.pause([partition])
  }

  #resume(): void {
    const partitions = [...this.#paused].filter((one) => this.#claims.get(one)?.hasRoom)
    if (partitions.length === 0) return
    for (const partition of partitions) this.#paused.delete(partition)
    this.#member.resume(partitions)
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
