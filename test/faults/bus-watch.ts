// Watches the bus from outside while a test runs: which message lies where, how far the workers have committed, and
// what died. It is a consumer group of its own, so it takes nothing from anybody.

import { type Admin, Kafka, logLevel } from 'kafkajs'
import { ALERT_STREAM, CHUNK_STREAM, type Claim, DEAD_STREAM } from '../../src/bus/bus.ts'
import { type DeadLetter, decodeDeadLetter } from '../../src/bus/dead-letter.ts'
import { KafkaSource } from '../../src/bus/kafka-source.ts'
import { type ChunkHeader, decodeChunk } from '../../src/chunk.ts'
import { sha256Hex } from '../../src/hash.ts'
import { decodeFindings, type FindingEvent } from '../../src/respond/finding.ts'
import { eachClaim } from '../bus/contract.ts'

/** The group that `bailiwick worker` joins. */
export const GROUP = 'bailiwick-workers'
const IN_FLIGHT_BYTES = 32 << 20

/** A message of the chunk stream: a chunk, or what is none. */
export interface SeenMessage {
  header: ChunkHeader | undefined
}

export interface SeenDead {
  letter: DeadLetter
  sha256: string
}

/** Offsets by partition. */
export type Offsets = ReadonlyMap<number, bigint>

export class BusWatch {
  /** By `partition:offset` of the stream of chunks. */
  readonly messages = new Map<string, SeenMessage>()
  /** Dead letters by id: the same one may be written again. */
  readonly dead = new Map<string, SeenDead>()
  readonly #brokers: readonly string[]
  readonly #admin: Admin
  readonly #sources: KafkaSource[] = []
  readonly #reading: Promise<void>[] = []
  readonly #read = new Map<string, bigint>()

  static async open(brokers: readonly string[]): Promise<BusWatch> {
    const kafka = new Kafka({
      brokers: [...brokers],
      clientId: 'watch',
      requestTimeout: 5000,
      retry: { retries: 8 },
      logLevel: logLevel.NOTHING,
    })
    const admin = kafka.admin()
    await admin.connect()
    const watch = new BusWatch(brokers, admin)
    await watch.#follow(CHUNK_STREAM, ({ partition, offset, bytes }) => {
      watch.messages.set(`${partition}:${offset}`, { header: headerOf(bytes) })
    })
    await watch.#follow(DEAD_STREAM, ({ bytes }) => {
      const dead = decodeDeadLetter(bytes)
      watch.dead.set(dead.letter.id, { letter: dead.letter, sha256: sha256Hex(dead.bytes) })
    })
    return watch
  }

  private constructor(brokers: readonly string[], admin: Admin) {
    this.#brokers = brokers
    this.#admin = admin
  }

  /** What the workers have committed; 0 where nothing is. */
  async committed(): Promise<Offsets> {
    const [topic] = await this.#admin.fetchOffsets({ groupId: GROUP, topics: [CHUNK_STREAM] })
    return new Map(
      (topic?.partitions ?? []).map(({ partition, offset }) => [
        partition,
        Number(offset) < 0 ? 0n : BigInt(offset),
      ]),
    )
  }

  /** Where each partition of a stream ends. */
  async ends(stream: string): Promise<Offsets> {
    const partitions = await this.#admin.fetchTopicOffsets(stream)
    return new Map(partitions.map(({ partition, high }) => [partition, BigInt(high)]))
  }

  /** Messages of the chunk stream that are not committed. */
  async lag(): Promise<number> {
    const [committed, ends] = await Promise.all([this.committed(), this.ends(CHUNK_STREAM)])
    let lag = 0n
    for (const [partition, end] of ends) lag += end - (committed.get(partition) ?? 0n)
    return Number(lag)
  }

  /** Members of the workers' group. */
  async members(): Promise<number> {
    const { groups } = await this.#admin.describeGroups([GROUP])
    return groups[0]?.members.length ?? 0
  }

  /** Waits until everything before `offsets` of a stream was seen here. */
  async seen(stream: string, offsets: Offsets, patienceMillis = 60_000): Promise<void> {
    const until = performance.now() + patienceMillis
    const behind = () =>
      [...offsets].filter(
        ([partition, end]) => (this.#read.get(`${stream}/${partition}`) ?? 0n) < end,
      )
    while (behind().length > 0) {
      if (performance.now() > until) throw new Error(`the watch stands still at ${stream}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  /** Every finding that stands in the stream of alerts now, as often as it stands there. To be asked once. */
  async findings(): Promise<FindingEvent[]> {
    const found: FindingEvent[] = []
    const ends = await this.ends(ALERT_STREAM)
    await this.#follow(ALERT_STREAM, ({ bytes }) => {
      found.push(...decodeFindings(bytes))
    })
    await this.seen(ALERT_STREAM, ends)
    return found
  }

  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()))
    await Promise.all(this.#reading)
    await this.#admin.disconnect()
  }

  async #follow(
    stream: string,
    take: (message: { partition: number; offset: bigint; bytes: Uint8Array }) => void,
  ): Promise<void> {
    const settings = { brokers: this.#brokers, clientId: 'watch', inFlightBytes: IN_FLIGHT_BYTES }
    const source = await KafkaSource.open(
      { ...settings, topic: stream, groupId: `watch-${stream}` },
      () => {},
    )
    this.#sources.push(source)
    const follow = async (claim: Claim) => {
      while (!claim.lost.aborted) {
        const message = await claim.next(200)
        if (message === undefined) continue
        take(message)
        await claim.commit(message.offset + 1n)
        this.#read.set(`${stream}/${claim.partition}`, message.offset + 1n)
      }
    }
    this.#reading.push(eachClaim(source, follow))
  }
}

function headerOf(bytes: Uint8Array): ChunkHeader | undefined {
  try {
    return decodeChunk(bytes).header
  } catch {
    return undefined
  }
}
