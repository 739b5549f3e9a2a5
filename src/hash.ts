// Hashes: SipHash-2-4 with 128 bits for identifiers made per flow, SHA-256 for content.
//
// SipHash: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with the 128-bit output of its
// reference implementation. 64-bit words are held as two 32-bit halves, because BigInt is 50 x slower.

import { createHash } from 'node:crypto'

/** v0..v3 as (low, high) pairs; one set per thread, reused. */
const v = new Int32Array(8)

function add(a: number, b: number): void {
  const low = (v[a]! >>> 0) + (v[b]! >>> 0)
  v[a] = low | 0
  v[a + 1] = (v[a + 1]! + v[b + 1]! + (low > 0xffffffff ? 1 : 0)) | 0
}

function rotateXor(a: number, bits: number, b: number): void {
  const low = v[a]!
  const high = v[a + 1]!
  if (bits < 32) {
    v[a] = ((low << bits) | (high >>> (32 - bits))) ^ v[b]!
    v[a + 1] = ((high << bits) | (low >>> (32 - bits))) ^ v[b + 1]!
  } else {
    v[a] = high ^ v[b]!
    v[a + 1] = low ^ v[b + 1]!
  }
}

function swap(a: number): void {
  const low = v[a]!
  v[a] = v[a + 1]!
  v[a + 1] = low
}

function rounds(count: number): void {
  for (let i = 0; i < count; i++) {
    add(0, 2)
    rotateXor(2, 13, 0)
    swap(0)
    add(4, 6)
    rotateXor(6, 16, 4)
    add(0, 6)
    rotateXor(6, 21, 0)
    add(4, 2)
    rotateXor(2, 17, 4)
    swap(4)
  }
}

/**
 * SipHash-2-4, 128-bit output, of `length` bytes (a multiple of 4; see `view`) under a 16-byte key.
 * @param view the message; its byte length from 0 to `length` is hashed
 * @param key four 32-bit little-endian words
 * @param to receives 16 bytes at `at`
 */
export function sipHash128(
  view: DataView,
  length: number,
  key: Int32Array,
  to: Uint8Array,
  at: number,
): void {
  v[0] = key[0]! ^ 0x70736575
  v[1] = key[1]! ^ 0x736f6d65
  v[2] = key[2]! ^ 0x6e646f6d ^ 0xee
  v[3] = key[3]! ^ 0x646f7261
  v[4] = key[0]! ^ 0x6e657261
  v[5] = key[1]! ^ 0x6c796765
  v[6] = key[2]! ^ 0x79746573
  v[7] = key[3]! ^ 0x74656462
  const whole = length & ~7
  for (let i = 0; i < whole; i += 8) {
    const low = view.getInt32(i, true)
    const high = view.getInt32(i + 4, true)
    v[6]! ^= low
    v[7]! ^= high
    rounds(2)
    v[0]! ^= low
    v[1]! ^= high
  }
  let low = 0
  let high = length << 24
  for (let i = whole; i < length; i++) {
    const shift = (i - whole) * 8
    if (shift < 32) low |= view.getUint8(i) << shift
    else high |= view.getUint8(i) << (shift - 32)
  }
  v[6]! ^= low
  v[7]! ^= high
  rounds(2)
  v[0]! ^= low
  v[1]! ^= high
  v[4]! ^= 0xee
  rounds(4)
  write(to, at)
  v[2]! ^= 0xdd
  rounds(4)
  write(to, at + 8)
}

function write(to: Uint8Array, at: number): void {
  const low = v[0]! ^ v[2]! ^ v[4]! ^ v[6]!
  const high = v[1]! ^ v[3]! ^ v[5]! ^ v[7]!
  for (let i = 0; i < 4; i++) {
    to[at + i] = low >>> (8 * i)
    to[at + 4 + i] = high >>> (8 * i)
  }
}

/** Marks 16 hash bytes as a UUID of version 8 (RFC 9562: custom), so that every reader takes them for one. */
export function stampUuid(bytes: Uint8Array, at = 0): void {
  bytes[at + 6] = (bytes[at + 6]! & 0x0f) | 0x80
  bytes[at + 8] = (bytes[at + 8]! & 0x3f) | 0x80
}

/** A UUID of version 8 from the SHA-256 of the parts, each preceded by its length. */
export function contentUuid(parts: readonly (string | Uint8Array)[]): Uint8Array {
  const hash = createHash('sha256')
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part
    hash.update(`${bytes.length}:`)
    hash.update(bytes)
  }
  const uuid = Uint8Array.from(hash.digest().subarray(0, 16))
  stampUuid(uuid)
  return uuid
}

/** Lower-case hexadecimal SHA-256. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

const BYTE_TEXT = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))

/** 8-4-4-4-12 text of 16 bytes. */
export function formatUuid(bytes: Uint8Array, at = 0): string {
  let text = ''
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-'
    text += BYTE_TEXT[bytes[at + i]!]
  }
  return text
}
