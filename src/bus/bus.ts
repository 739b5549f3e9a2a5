// The bus carries chunks from sensors to workers. One small contract, two homes: the embedded journal
// (`journal.ts`) and Apache Kafka (`kafka-sink.ts`, `kafka-source.ts`). `test/bus/contract.ts` holds both to it.
//
// A stream is divided into partitions. Whoever consumes holds a *claim* on a partition and, for each run of
// messages it is about to insert, records an *intent* first and a *commit* after. If it dies between the two, the
// next holder is handed the intent and repeats exactly that run, so that the store recognises it.

import { crc32c } from './crc32c.ts'

/** What a sink takes. The bytes must not be changed until `send` has settled. */
export interface Outgoing {
  /** Messages of one key stay in order. `laneKey` for chunks. At most `KEY_BYTES_MAX` bytes of UTF-8. */
  key: string
  bytes: Uint8Array
}

/** Where a message lies. */
export interface Place {
  stream: string
  partition: number
  /** Counts up within the partition. May have gaps. */
  offset: bigint
}

/** Takes messages and keeps them. */
export interface Sink {
  /**
   * Resolves when the message is durable (fsynced, or acknowledged by all replicas in sync). While there is no room
   * or no broker it waits, for hours if need be: callers bound the number of sends they have open.
   * @param signal gives up waiting; the message may be durable all the same.
   * @throws BusError `too_large`, `refused`, `no_stream`, `closed` · BusFault when the process must end
   */
  send(message: Outgoing, signal?: AbortSignal): Promise<Place>
  /** Waits for what is open, within bounds, and lets go. */
  close(): Promise<void>
}

/** A message as it is handed to a worker. */
export interface Delivery extends Place {
  key: string
  /** In memory of their own: nobody else reads or holds it. */
  bytes: Uint8Array
  /**
   * Set if the message could not be taken out of what it lies in: why. `bytes` are then that (a whole batch of Kafka's
   * records, at the offset of the last), so that it can be kept with the dead letters.
   */
  unreadable?: string
  /** When the stream took it, milliseconds since 1970. For lag, never for judgement. */
  acceptedAt: number
}

/** A run of messages that is inserted as one. */
export interface IntendedSlice {
  /** First and last offset, both inside. */
  first: bigint
  last: bigint
  /** Flow records in it, to check that a repetition is the same. */
  rows: number
  /** What the store recognises it by. */
  token: string
}

/** What a consumer is about to insert. */
export interface Intent {
  /** 1 for the first try. A slice that kills its worker is known by a high count. */
  attempt: number
  /** Ascending, not overlapping. */
  slices: readonly IntendedSlice[]
}

/** The right to consume one partition, until it is lost. */
export interface Claim {
  readonly stream: string
  readonly partition: number
  /** The next offset to be delivered is at or after this one; everything before is committed. */
  readonly committed: bigint
  /** What an earlier holder may have begun: repeat exactly these slices before anything else. */
  readonly intent: Intent | undefined
  /** Aborted when the partition went to somebody else or the source was closed. */
  readonly lost: AbortSignal
  /**
   * The next message in order; undefined if none came within `waitMillis` or the claim is lost. A message counts as
   * in flight until it is committed, and delivery stops at the limit: commit what you have when nothing comes.
   */
  next(waitMillis: number): Promise<Delivery | undefined>
  /**
   * Records durably what will be inserted. Every slice must have been delivered.
   * @throws ClaimLost if the partition has another holder: then nothing may be inserted
   */
  intend(intent: Intent): Promise<void>
  /**
   * Records durably that everything before `next` is stored, and clears the intent.
   * @throws ClaimLost if the partition has another holder, who will repeat the intent
   */
  commit(next: bigint): Promise<void>
}

/** How far a claim is behind its stream. */
export interface Lag {
  stream: string
  partition: number
  /** Everything before this offset is committed. */
  committed: bigint
  /** The offset that the next message of the stream will have, as last heard: of Kafka within about 5 s. */
  end: bigint
}

/** Hands out claims. */
export interface Source {
  /** Claims as they are won; ends when the source is closed. To be iterated once. */
  claims(): AsyncIterable<Claim>
  /** Of each claim held now. `end - committed` counts offsets: never fewer than there are messages. */
  lag(): Lag[]
  readonly counters: Readonly<SourceCounters>
  /** Ends all claims and lets go, within bounds. What is not committed is delivered again to the next holder. */
  close(): Promise<void>
}

export interface SourceCounters {
  delivered: number
  deliveredBytes: number
  /** Bytes handed out or fetched and not yet committed. */
  inFlightBytes: number
  /** Times that delivery stopped at the limit of bytes in flight. */
  pauses: number
  claims: number
  claimsLost: number
  /** Intents and commits refused because the claim was lost. */
  refused: number
  commits: number
  intents: number
  /** Intents of an earlier holder that could not be read. */
  intentsUnread: number
  /** Places where the stream had lost messages before they were delivered, and how many offsets they span. */
  holes: number
  holeOffsets: bigint
  /** Deliveries that stand for what could not be read. */
  unreadable: number
}

/** How a source and a sink tell what went wrong without failing. `hole` and `damage` are loss: they must be stored. */
export interface Trouble {
  kind: 'hole' | 'damage' | 'unreachable' | 'recovered' | 'full' | 'restart' | 'intent' | 'notice'
  /** Stream and place, as far as known. */
  where: string
  detail: string
  /** What is gone, where that is known: a partition and its offsets, both inside. */
  lost?: { stream: string; partition: number; first: bigint; last: bigint }
}
export type TellTrouble = (trouble: Trouble) => void

export type BusErrorKind =
  | 'too_large'
  | 'refused'
  | 'no_stream'
  | 'unreachable'
  | 'in_use'
  | 'closed'

/** Something that the caller can act on. The message is for people. */
export class BusError extends Error {
  override readonly name = 'BusError'
  readonly kind: BusErrorKind

  constructor(kind: BusErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

/** The partition has another holder. Not a fault: stop this work, the other one repeats it. */
export class ClaimLost extends Error {
  override readonly name = 'ClaimLost'
}

/**
 * The disk refused to keep what it had taken (a failed fsync or write). What is on it is unknown until it is read
 * again by a new process, so this one must end (exit code 70). Never retried.
 */
export class BusFault extends Error {
  override readonly name = 'BusFault'
}

/** The topic or journal that carries chunks. The number is that of the wire format. */
export const CHUNK_STREAM = 'bailiwick.chunks.v1'

/** Dead letters of it (`dead-letter.ts`), and what others put on streams of their own later. */
export const DEAD_STREAM = 'bailiwick.dlq.v1'
export const IDENTITY_STREAM = 'bailiwick.identity.v1'
export const ALERT_STREAM = 'bailiwick.alerts.v1'

/** Longest key, in bytes. */
export const KEY_BYTES_MAX = 256
/** Largest message. A chunk is far below it. */
export const MESSAGE_BYTES_MAX = 8 << 20
/** Largest dead letter: a whole message, perhaps the batch it came in, and what is said about it. */
export const LETTER_BYTES_MAX = MESSAGE_BYTES_MAX + (128 << 10)
/** Longest text of an intent: what a Kafka broker accepts as metadata of an offset by default. */
export const INTENT_BYTES_MAX = 4096

/**
 * The lane in which a chunk travels. Those of an origin take turns, and each origin begins at a lane of its own: most
 * inputs are one chunk, and would all be in the first.
 */
export function laneOf({ origin, seq }: { origin: string; seq: number }, lanes: number): number {
  return (crc32c(Buffer.from(origin)) + seq) % lanes
}

/** The key under which a chunk travels: those of one sensor are dealt over `lanes`. */
export function laneKey(
  chunk: { sensor: string; origin: string; seq: number },
  lanes: number,
): string {
  return `${chunk.sensor}/${laneOf(chunk, lanes)}`
}

/** Sensor and lane of a key, or undefined if it is not one of ours. */
export function parseLaneKey(key: string): { sensor: string; lane: number } | undefined {
  const match = /^(.+)\/(0|[1-9]\d{0,5})$/.exec(key)
  return match === null ? undefined : { sensor: match[1]!, lane: Number(match[2]) }
}

export function newSourceCounters(): SourceCounters {
  return {
    delivered: 0,
    deliveredBytes: 0,
    inFlightBytes: 0,
    pauses: 0,
    claims: 0,
    claimsLost: 0,
    refused: 0,
    commits: 0,
    intents: 0,
    intentsUnread: 0,
    holes: 0,
    holeOffsets: 0n,
    unreadable: 0,
  }
}

/** The largest message that a stream takes. */
export function messageBytesMax(stream: string): number {
  return stream === DEAD_STREAM ? LETTER_BYTES_MAX : MESSAGE_BYTES_MAX
}

/** @throws BusError `too_large` */
export function checkOutgoing({ key, bytes }: Outgoing, bytesMax = MESSAGE_BYTES_MAX): void {
  const keyBytes = Buffer.byteLength(key)
  if (keyBytes > KEY_BYTES_MAX)
    throw new BusError('too_large', `the key has ${keyBytes} bytes, more than ${KEY_BYTES_MAX}`)
  if (bytes.length > bytesMax)
    throw new BusError('too_large', `the message has ${bytes.length} bytes, more than ${bytesMax}`)
}
