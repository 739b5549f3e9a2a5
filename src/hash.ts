// Hashes: SipHash-2-4 with 128 bits for identifiers made per flow, SHA-256 for content.
//
// SipHash: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with the 128-bit output of its
// reference implementation. 64-bit words are held as two 32-bit halves, because BigInt is 50 x slower.

import { createHash, hash } from 'node:crypto'

/**
 * SipHash-2-4, 128-bit output, of `length` bytes under a 16-byte key. The state is eight local variables, so that it
 * stays in registers: an array of words is five times as slow.
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
  let v0 = key[0]! ^ 0x70736575
  let v0h = key[1]! ^ 0x736f6d65
  let v1 = key[2]! ^ 0x6e646f6d ^ 0xee
  let v1h = key[3]! ^ 0x646f7261
  let v2 = key[0]! ^ 0x6e657261
  let v2h = key[1]! ^ 0x6c796765
  let v3 = key[2]! ^ 0x79746573
  let v3h = key[3]! ^ 0x74656462
  const whole = length & ~7
  // One step for each 8 bytes, one for what is left with the length, two for the halves of the result.
  const last = (whole >> 3) + 2
  for (let step = 0; step <= last; step++) {
    const finish = step > last - 2
    let low = 0
    let high = 0
    if (step < last - 2) {
      low = view.getInt32(step * 8, true)
      high = view.getInt32(step * 8 + 4, true)
    } else if (!finish) {
      low = restOf(view, whole, length)
      high = restOf(view, whole + 4, length) | (length << 24)
    } else if (step < last) v2 ^= 0xee
    else v1 ^= 0xdd
    v3 ^= low
    v3h ^= high
    for (let round = finish ? 4 : 2; round > 0; round--) {
      let sum = (v0 + v1) | 0
      v0h = (v0h + v1h + carry(v0, v1, sum)) | 0
      let turned = (v1 << 13) | (v1h >>> 19)
      v1h = ((v1h << 13) | (v1 >>> 19)) ^ v0h
      v1 = turned ^ sum
      v0 = v0h
      v0h = sum
      sum = (v2 + v3) | 0
      v2h = (v2h + v3h + carry(v2, v3, sum)) | 0
      v2 = sum
      turned = (v3 << 16) | (v3h >>> 16)
      v3h = ((v3h << 16) | (v3 >>> 16)) ^ v2h
      v3 = turned ^ v2
      sum = (v0 + v3) | 0
      v0h = (v0h + v3h + carry(v0, v3, sum)) | 0
      v0 = sum
      turned = (v3 << 21) | (v3h >>> 11)
      v3h = ((v3h << 21) | (v3 >>> 11)) ^ v0h
      v3 = turned ^ v0
      sum = (v2 + v1) | 0
      v2h = (v2h + v1h + carry(v2, v1, sum)) | 0
      turned = (v1 << 17) | (v1h >>> 15)
      v1h = ((v1h << 17) | (v1 >>> 15)) ^ v2h
      v1 = turned ^ sum
      v2 = v2h
      v2h = sum
    }
    v0 ^= low
    v0h ^= high
    if (finish) {
      const out = step === last ? at + 8 : at
      write32(to, out, v0 ^ v1 ^ v2 ^ v3)
      write32(to, out + 4, v0h ^ v1h ^ v2h ^ v3h)
    }
  }
}

/**
 * What the sum of two 32-bit words leaves for the next one, 0 or 1. Without a comparison: a processor guesses where a
 * branch goes, and of a hash it guesses every second one wrong, which takes as long as all the rest.
 */
function carry(a: number, b: number, sum: number): number {
  return ((a & b) | ((a | b) & ~sum)) >>> 31
}

/** Up to four bytes of what is left of the message, little-endian. */
function restOf(view: DataView, from: number, length: number): number {
  let word = 0
  for (let i = from; i < length && i < from + 4; i++) word |= view.getUint8(i) << ((i - from) * 8)
  return word
}

function write32(to: Uint8Array, at: number, word: number): void {
  to[at] = word
  to[at + 1] = word >>> 8
  to[at + 2] = word >>> 16
  to[at + 3] = word >>> 24
}

/** Marks 16 hash bytes as a UUID of version 8 (RFC 9562: custom), so that every reader takes them for one. */
export function stampUuid(bytes: Uint8Array, at = 0): void {
  bytes[at + 6] = (bytes[at + 6]! & 0x0f) | 0x80
  bytes[at + 8] = (bytes[at + 8]! & 0x3f) | 0x80
}

/** A UUID of version 8 from the SHA-256 of the parts, each preceded by its length. */
export function contentUuid(parts: readonly (string | Uint8Array)[]): Uint8Array {
  const uuid = new Uint8Array(16)
  uuid.set(contentHash(parts).subarray(0, 16))
  stampUuid(uuid)
  return uuid
}

function contentHash(parts: readonly (string | Uint8Array)[]): Buffer {
  // Words alone are short, and there are many of them: one call for all takes half the time.
  if (parts.every((part) => typeof part === 'string'))
    return hash(
      'sha256',
      parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join(''),
      'buffer',
    )
  const all = createHash('sha256')
  for (const part of parts) {
    const bytes = typeof part === 'string' ? Buffer.from(part) : part
    all.update(`${bytes.length}:`)
    all.update(bytes)
  }
  return all.digest()
}

/** Lower-case hexadecimal SHA-256. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return hash('sha256', bytes, 'hex')
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
