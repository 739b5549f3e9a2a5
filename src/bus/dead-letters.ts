// All dead letters of the cluster: listed newest first, looked at, and sent again. Read from outside any group, so
// looking changes nothing. Bodies are not kept: a letter is read again when its bytes are asked for.

import { ALERT_STREAM, CHUNK_STREAM, DEAD_STREAM, type Delivery, type Sink } from './bus.ts'
import {
  type DeadLetter,
  type DeadReason,
  decodeDeadLetter,
  decodeRedriveMark,
  encodeRedriveMark,
} from './dead-letter.ts'
import type { KafkaSettings } from './kafka-client.ts'
import { KafkaReader, type PartitionRange } from './kafka-reader.ts'
import { KafkaSink } from './kafka-sink.ts'

/** A letter, and where it lies. */
export interface FoundLetter {
  letter: DeadLetter
  /** Of what was given up. */
  bytes: number
  partition: number
  offset: bigint
  /** Under which it lies; its mark must lie there, too. */
  key: string
  /** When it was last sent again, milliseconds since 1970; undefined if never. */
  redrivenAt: number | undefined
}

export interface LetterList {
  /** Newest first. A letter that lies there twice (its writer died before it knew) is one. */
  letters: FoundLetter[]
  /** Offsets of the stream that were not looked at, because `limit` was reached. */
  unread: bigint
  /** Messages that are neither letters nor marks, with why. At most 100. */
  strangers: { partition: number; offset: bigint; why: string }[]
}

export interface LetterQuery {
  /** Most letters. */
  limit: number
  reason?: DeadReason | undefined
  /** Only letters that were never sent again. */
  onlyOpen?: boolean | undefined
  /** Only letters whose id begins so. */
  id?: string | undefined
}

/** Where letters lie, and what takes messages: a cluster, or the directory of one process. */
export interface LetterStreams {
  ranges(): Promise<PartitionRange[]>
  /** Letters of a partition from one offset to before another. */
  read(partition: number, from: bigint, to: bigint): AsyncIterable<Delivery>
  /** What takes messages of a stream. Asked once. @throws BusError */
  sink(stream: string): Promise<Sink>
  close(): Promise<void>
}

/** Offsets of a partition that are read at once on the way from its end to its beginning. */
const WINDOW = 256n
const STRANGERS_MAX = 100

/** What redriving a letter came to. */
export type Redriven = 'sent' | 'refused_stream'

export class DeadLetters {
  readonly #streams: LetterStreams
  readonly #sinks = new Map<string, Promise<Sink>>()

  /** Those of a cluster. @throws BusError `unreachable`, `refused`, or `no_stream` if there is no such topic */
  static async open(settings: KafkaSettings): Promise<DeadLetters> {
    const reader = await KafkaReader.open(settings, DEAD_STREAM)
    return new DeadLetters({
      ranges: () => reader.ranges(),
      read: (partition, from, to) => reader.read(partition, from, to),
      sink: async (topic) => new KafkaSink({ ...settings, topic }, () => {}),
      close: () => reader.close(),
    })
  }

  constructor(streams: LetterStreams) {
    this.#streams = streams
  }

  /**
   * Letters that were on the stream when this was called.
   * @throws BusError
   */
  async list(query: LetterQuery): Promise<LetterList> {
    const found: LetterList = { letters: [], unread: 0n, strangers: [] }
    const marks = new Map<string, number>()
    const seen = new Set<string>()
    let left = (await this.#streams.ranges()).filter(({ first, end }) => end > first)
    while (left.length > 0) {
      const round: FoundLetter[] = []
      for (const range of left) {
        const from = range.end - WINDOW > range.first ? range.end - WINDOW : range.first
        await this.#window(range.partition, from, range.end, { found, marks, round })
        range.end = from
      }
      // Marks lie behind their letters: those of this round are known by now.
      for (const one of round.sort((a, b) => b.letter.diedAt - a.letter.diedAt)) {
        one.redrivenAt = marks.get(one.letter.id)
        if (seen.has(one.letter.id) || !matches(one, query)) continue
        seen.add(one.letter.id)
        found.letters.push(one)
      }
      left = left.filter(({ first, end }) => end > first)
      if (found.letters.length >= query.limit) break
    }
    found.letters.sort((a, b) => b.letter.diedAt - a.letter.diedAt)
    found.letters.splice(query.limit)
    found.unread = left.reduce((sum, { first, end }) => sum + end - first, 0n)
    return found
  }

  async #window(
    partition: number,
    from: bigint,
    to: bigint,
    into: { found: LetterList; marks: Map<string, number>; round: FoundLetter[] },
  ): Promise<void> {
    for await (const delivery of this.#streams.read(partition, from, to)) {
      const mark = decodeRedriveMark(delivery.bytes)
      if (mark !== undefined) {
        into.marks.set(mark.id, Math.max(mark.at, into.marks.get(mark.id) ?? 0))
        continue
      }
      const { offset, key } = delivery
      try {
        const { letter, bytes } = decodeDeadLetter(delivery.bytes)
        const place = { partition, offset, key, redrivenAt: undefined }
        into.round.push({ letter, bytes: bytes.length, ...place })
      } catch (error) {
        if (into.found.strangers.length < STRANGERS_MAX)
          into.found.strangers.push({ partition, offset, why: whyOf(delivery, error) })
      }
    }
  }

  /**
   * What was given up, byte for byte.
   * @throws BusError; also when the letter was removed meanwhile
   */
  async bytesOf({ partition, offset }: FoundLetter): Promise<Uint8Array | undefined> {
    for await (const delivery of this.#streams.read(partition, offset, offset + 1n))
      return decodeDeadLetter(delivery.bytes).bytes
    return undefined
  }

  /**
   * Sends the bytes of a letter under their key to the stream that they came from, waits until they are acknowledged,
   * and marks the letter. Killed in between, the letter is open as before and may be sent a second time: a chunk has
   * an id, and the store keeps it once.
   * @param now milliseconds since 1970
   * @throws BusError
   */
  async redrive(found: FoundLetter, bytes: Uint8Array, now: number): Promise<Redriven> {
    const { id, stream, key } = found.letter
    // A letter says where it came from, and anybody may have written it.
    if (stream !== CHUNK_STREAM && stream !== ALERT_STREAM) return 'refused_stream'
    await (await this.#sinkOf(stream)).send({ key, bytes })
    await (await this.#sinkOf(DEAD_STREAM)).send({
      key: found.key,
      bytes: encodeRedriveMark({ id, at: now }),
    })
    return 'sent'
  }

  /**
   * Sends a chunk that a sensor could not, because it was too large for the broker as it was set then.
   * @throws BusError
   */
  async sendChunk(key: string, bytes: Uint8Array): Promise<void> {
    await (await this.#sinkOf(CHUNK_STREAM)).send({ key, bytes })
  }

  #sinkOf(stream: string): Promise<Sink> {
    const known = this.#sinks.get(stream) ?? this.#streams.sink(stream)
    this.#sinks.set(stream, known)
    return known
  }

  async close(): Promise<void> {
    for (const opening of await Promise.allSettled(this.#sinks.values()))
      if (opening.status === 'fulfilled') await opening.value.close()
    await this.#streams.close()
  }
}

function matches({ letter, redrivenAt }: FoundLetter, query: LetterQuery): boolean {
  if (query.reason !== undefined && letter.reason !== query.reason) return false
  if (query.id !== undefined && !letter.id.startsWith(query.id)) return false
  return query.onlyOpen !== true || redrivenAt === undefined
}

function whyOf({ unreadable }: Delivery, error: unknown): string {
  return unreadable ?? (error instanceof Error ? error.message : String(error))
}
