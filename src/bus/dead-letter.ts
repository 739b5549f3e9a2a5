// Dead letters: messages that could not be worked on, kept with their bytes, where they were and why. They travel on
// a stream of their own, so that they can be looked at, mended and sent again.
//
//   "BWD1" | u32 length of the header | header (JSON, UTF-8) | the bytes as they came
//
// A letter that was sent again has a mark behind it on the same stream, under the same key, and so in the same
// partition: "BWR1" | JSON {"v":1,"id":…,"at":…}.

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
  let parsed: unknown
  try {
    parsed = JSON.parse(buffer.toString('utf8', 8, 8 + size))
  } catch {
    throw wrong('its header is not JSON')
  }
  const letter = checkLetter(parsed)
  if (typeof letter === 'string') throw wrong(letter)
  return { letter, bytes: bytes.subarray(8 + size) }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0

/** A letter of what was parsed, or what is wrong with it: anybody may have written it. */
function checkLetter(parsed: unknown): DeadLetter | string {
  if (typeof parsed !== 'object' || parsed === null) return 'its header is no object'
  const { v, chunk, ...given } = parsed as Record<string, unknown>
  if (v !== 1) return 'its version is not known'
  const { id, reason, detail, stream, partition, offset, key, version } = given
  if (typeof id !== 'string' || !UUID.test(id)) return 'its id is no UUID'
  const known = DEAD_REASONS.find((one) => one === reason)
  if (known === undefined) return 'its reason is not known'
  for (const text of [detail, stream, offset, key, version])
    if (typeof text !== 'string') return 'its header is incomplete'
  if (!/^\d{1,19}$/.test(String(offset))) return 'its offset is no number'
  for (const number of [partition, given.acceptedAt, given.diedAt])
    if (!isCount(number)) return 'its header is incomplete'
  const letter = { ...given, reason: known } as DeadLetter
  if (chunk === undefined) return letter
  if (typeof chunk !== 'object' || chunk === null) return 'its chunk is no object'
  const { sensor, origin, seq, piece, flowRecords, hours } = chunk as Record<string, unknown>
  for (const text of [sensor, origin, piece, (chunk as Record<string, unknown>).id])
    if (typeof text !== 'string') return 'its chunk is incomplete'
  if (!isCount(seq) || !isCount(flowRecords) || !Array.isArray(hours))
    return 'its chunk is incomplete'
  return { ...letter, chunk: chunk as DeadChunk }
}

/** That a letter was sent again. */
export interface RedriveMark {
  id: string
  /** Milliseconds since 1970. */
  at: number
}

const MARK_MAGIC = Buffer.from('BWR1')
const MARK_BYTES_MAX = 1024

export function encodeRedriveMark({ id, at }: RedriveMark): Uint8Array {
  return Buffer.concat([MARK_MAGIC, Buffer.from(JSON.stringify({ v: 1, id, at }))])
}

/** Undefined if the bytes are no mark. */
export function decodeRedriveMark(bytes: Uint8Array): RedriveMark | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (buffer.length > MARK_BYTES_MAX || !buffer.subarray(0, 4).equals(MARK_MAGIC)) return undefined
  try {
    const { v, id, at } = JSON.parse(buffer.toString('utf8', 4)) as Record<string, unknown>
    if (v === 1 && typeof id === 'string' && UUID.test(id) && isCount(at)) return { id, at }
  } catch {
    // Falls through: no mark.
  }
  return undefined
}
