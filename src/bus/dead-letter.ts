// Dead letters: messages that could not be worked on, kept with their bytes, where they were and why. They travel on
// a stream of their own, so that they can be looked at, mended and sent again.
//
//   "BWD1" | u32 length of the header | header (JSON, UTF-8) | the bytes as they came

import { contentUuid, formatUuid } from '../hash.ts'
import { printable } from '../wire-text.ts'
import { BusError, type Delivery } from './bus.ts'

/** Why a message is dead. */
export const DEAD_REASONS = [
  /** No chunk at all, or its content is not what its id says. */
  'garbage',
  /** A chunk of a version that this program does not know. */
  'version',
  /** A chunk whose rows cannot be read or judged. */
  'unreadable',
  /** It killed the thread, or again and again the process, that worked on it. */
  'killed_worker',
  /** The store holds rows that contradict it. */
  'contradicted',
  /** The store refuses it for good. */
  'refused',
] as const
export type DeadReason = (typeof DEAD_REASONS)[number]

/** What is known of the chunk, if its header could be read. */
export interface DeadChunk {
  id: string
  sensor: string
  origin: string
  seq: number
  piece: string
  flowRecords: number
  hours: [hour: number, records: number][]
}

export interface DeadLetter {
  /** UUID of (stream, partition, offset, piece): the same message dies only once. */
  id: string
  reason: DeadReason
  /** For people: printable. */
  detail: string
  stream: string
  partition: number
  offset: string
  key: string
  /** Milliseconds since 1970: when the stream took it, and when it was given up. */
  acceptedAt: number
  diedAt: number
  /** Version of the program that gave up. */
  version: string
  chunk?: DeadChunk
}

const MAGIC = Buffer.from('BWD1')
const HEADER_BYTES_MAX = 1 << 16

/** A letter's id. @param piece path of the piece of a chunk that was split, or '' */
export function deadLetterId(
  { stream, partition, offset }: Omit<Delivery, 'bytes' | 'key' | 'acceptedAt'>,
  piece: string,
): string {
  return formatUuid(contentUuid(['dead', stream, String(partition), String(offset), piece]))
}

export function encodeDeadLetter(letter: DeadLetter, bytes: Uint8Array): Uint8Array {
  const head = Buffer.from(
    JSON.stringify({ v: 1, ...letter, detail: printable(letter.detail.slice(0, 2000)) }),
  )
  const size = Buffer.alloc(4)
  size.writeUInt32LE(head.length)
  return Buffer.concat([MAGIC, size, head, bytes])
}

/**
 * Reads one back.
 * @throws BusError `refused` when the bytes are no dead letter
 */
export function decodeDeadLetter(bytes: Uint8Array): { letter: DeadLetter; bytes: Uint8Array } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const wrong = (why: string) => new BusError('refused', `no dead letter: ${why}`)
  if (buffer.length < 8 || !buffer.subarray(0, 4).equals(MAGIC))
    throw wrong('it does not begin with BWD1')
  const size = buffer.readUInt32LE(4)
  if (size > HEADER_BYTES_MAX || 8 + size > buffer.length) throw wrong('its header is cut')
  let parsed: { v?: unknown } & DeadLetter
  try {
    parsed = JSON.parse(buffer.toString('utf8', 8, 8 + size))
  } catch {
    throw wrong('its header is not JSON')
  }
  if (parsed.v !== 1) throw wrong('its version is not known')
  const { v: _, ...letter } = parsed
  return { letter, bytes: bytes.subarray(8 + size) }
}
