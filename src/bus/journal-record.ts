// How the journal lies on disk. All numbers are little-endian.
//
// Segment `FIRST-MARKER.seg`: FIRST is the id of its first record (20 digits), MARKER eight random bytes in hex.
//
//   0  "BWJ1"     4  u32 CRC-32C of bytes 8..32     8  marker (8)     16  u64 first id
//   24 u64 first id that nothing was lost for: ids from here to the first id were skipped at a torn tail
//   32 records
//
// Record:
//
//   0  marker (8)     8  u64 id     16 u64 milliseconds since 1970     24 u32 length of the key
//   28 u32 length of the body     32 u32 CRC-32C of key and body     36 u32 CRC-32C of bytes 0..36     40 key, body
//
// The marker is random, so text from a network cannot forge a record that a search after damage would find. A header
// has a checksum of its own: where the body is damaged, its length still leads to the next record.

import { KEY_BYTES_MAX, LETTER_BYTES_MAX } from './bus.ts'
import { crc32c } from './crc32c.ts'

export const SEGMENT_HEAD_BYTES = 32
export const RECORD_HEAD_BYTES = 40

const SEGMENT_MAGIC = Buffer.from('BWJ1')

export interface SegmentName {
  name: string
  firstId: bigint
  marker: Buffer
}

export function segmentName(firstId: bigint, marker: Uint8Array): SegmentName {
  const hex = Buffer.from(marker).toString('hex')
  return {
    name: `${String(firstId).padStart(20, '0')}-${hex}.seg`,
    firstId,
    marker: Buffer.from(marker),
  }
}

/** What a file name says, or undefined if it is no segment. */
export function parseSegmentName(name: string): SegmentName | undefined {
  const match = /^(\d{20})-([0-9a-f]{16})\.seg$/.exec(name)
  if (match === null) return undefined
  return { name, firstId: BigInt(match[1]!), marker: Buffer.from(match[2]!, 'hex') }
}

export function segmentHead(segment: SegmentName, follows: bigint): Buffer {
  const head = Buffer.alloc(SEGMENT_HEAD_BYTES)
  SEGMENT_MAGIC.copy(head)
  segment.marker.copy(head, 8)
  head.writeBigUInt64LE(segment.firstId, 16)
  head.writeBigUInt64LE(follows, 24)
  head.writeUInt32LE(crc32c(head.subarray(8)), 4)
  return head
}

/** The id that would have been next before the segment was begun, or undefined if the head is damaged. */
export function parseSegmentHead(head: Buffer, segment: SegmentName): bigint | undefined {
  if (head.length < SEGMENT_HEAD_BYTES || !head.subarray(0, 4).equals(SEGMENT_MAGIC))
    return undefined
  if (head.readUInt32LE(4) !== crc32c(head.subarray(8, SEGMENT_HEAD_BYTES))) return undefined
  if (head.readBigUInt64LE(16) !== segment.firstId) return undefined
  return head.readBigUInt64LE(24)
}

export interface RecordHead {
  id: bigint
  acceptedAt: number
  keyBytes: number
  bodyBytes: number
  /** Of key and body. */
  crc: number
}

/** Bytes that a record takes on disk. */
export function recordSize(keyBytes: number, bodyBytes: number): number {
  return RECORD_HEAD_BYTES + keyBytes + bodyBytes
}

/** Head and key of a record; the body follows as it is. */
export function encodeRecord(
  marker: Uint8Array,
  id: bigint,
  acceptedAt: number,
  key: string,
  body: Uint8Array,
): Buffer {
  const keyText = Buffer.from(key)
  const head = Buffer.alloc(RECORD_HEAD_BYTES + keyText.length)
  head.set(marker, 0)
  head.writeBigUInt64LE(id, 8)
  head.writeBigUInt64LE(BigInt(Math.max(0, Math.floor(acceptedAt))), 16)
  head.writeUInt32LE(keyText.length, 24)
  head.writeUInt32LE(body.length, 28)
  head.writeUInt32LE(crc32c(body, crc32c(keyText)), 32)
  head.writeUInt32LE(crc32c(head.subarray(0, 36)), 36)
  keyText.copy(head, RECORD_HEAD_BYTES)
  return head
}

/** The head at `at`, or undefined if there is none that is whole and right. */
export function parseRecordHead(bytes: Buffer, at: number, marker: Buffer): RecordHead | undefined {
  if (at < 0 || at + RECORD_HEAD_BYTES > bytes.length) return undefined
  if (!bytes.subarray(at, at + 8).equals(marker)) return undefined
  if (bytes.readUInt32LE(at + 36) !== crc32c(bytes.subarray(at, at + 36))) return undefined
  const keyBytes = bytes.readUInt32LE(at + 24)
  const bodyBytes = bytes.readUInt32LE(at + 28)
  if (keyBytes > KEY_BYTES_MAX || bodyBytes > LETTER_BYTES_MAX) return undefined
  return {
    id: bytes.readBigUInt64LE(at + 8),
    acceptedAt: Number(bytes.readBigUInt64LE(at + 16)),
    keyBytes,
    bodyBytes,
    crc: bytes.readUInt32LE(at + 32),
  }
}

/** Is this the key and body that the head speaks of? */
export function isWhole(head: RecordHead, keyAndBody: Uint8Array): boolean {
  return keyAndBody.length === head.keyBytes + head.bodyBytes && crc32c(keyAndBody) === head.crc
}
