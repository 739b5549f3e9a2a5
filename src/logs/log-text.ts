// Text of a log as the store keeps it: first what the writer escaped is had back as bytes, then those bytes are
// escaped again by our own rule, so that TSV and JSON of one value give one text and no control character lives.

import { printable, wireText } from '../wire-text.ts'

/** How the writer escaped: not at all (cloud logs), Zeek's TSV (`\xHH`, `\\`), or JSON with Zeek's `\xHH` within. */
export type Escapes = 'none' | 'hex' | 'json'

/** Longest text that is kept of one value, in bytes before escaping. A cut is marked with `…`. */
export const TEXT_BYTES_MAX = 1024

/** JSON takes at most six characters for a byte (`\\u000a`). */
const LONGEST_ESCAPED = 6 * TEXT_BYTES_MAX

const BACKSLASH = 0x5c
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const scratch = new Uint8Array(LONGEST_ESCAPED + 16)
const fromText = new TextEncoder()

/**
 * The value between `start` and `end` as printable text. Plain ASCII stays as it is, valid UTF-8 stays if it can
 * be printed, a backslash becomes `\\`, every other byte `\xHH`.
 */
export function logText(bytes: Uint8Array, start: number, end: number, escapes: Escapes): string {
  if (end - start <= TEXT_BYTES_MAX) {
    let text = ''
    let i = start
    for (; i < end; i++) {
      const byte = bytes[i]!
      if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) break
      text += String.fromCharCode(byte)
    }
    if (i === end) return text
  }
  const size = unescapeTo(bytes, start, end, escapes)
  const cut = size > TEXT_BYTES_MAX || end - start > LONGEST_ESCAPED
  return escapeBytes(Math.min(size, TEXT_BYTES_MAX), cut)
}

/** The bytes that the writer escaped; a view that is valid until the next call. At most TEXT_BYTES_MAX of them. */
export function logBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
  escapes: Escapes,
): Uint8Array {
  return scratch.subarray(0, Math.min(unescapeTo(bytes, start, end, escapes), TEXT_BYTES_MAX))
}

/** Fills the scratch space; how many bytes of it. */
function unescapeTo(bytes: Uint8Array, start: number, end: number, escapes: Escapes): number {
  const stop = Math.min(end, start + LONGEST_ESCAPED)
  if (escapes === 'hex') return unescapeHex(bytes, start, stop, false)
  if (escapes === 'json') return unescapeHex(scratch, 0, unescapeJson(bytes, start, stop), true)
  scratch.set(bytes.subarray(start, stop))
  return stop - start
}

/** The first `size` bytes of the scratch space as printable text. */
function escapeBytes(size: number, cut: boolean): string {
  let whole = size
  // A cut must not make a valid character invalid: leave off what is left of it.
  if (cut) while (whole > size - 4 && whole > 0 && (scratch[whole]! & 0xc0) === 0x80) whole--
  const tail = cut ? '…' : ''
  try {
    const text = utf8.decode(scratch.subarray(0, whole))
    const escaped = text.replace(/[\\\u0000-\u001f\u007f]/g, (char) =>
      char === '\\' ? '\\\\' : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
    )
    return printable(escaped) + tail
  } catch {
    return wireText(scratch, 0, size, size) + tail
  }
}

function hexPair(bytes: Uint8Array, at: number): number {
  const high = hexValue(bytes[at]!)
  const low = hexValue(bytes[at + 1]!)
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexValue(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const lower = byte | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

/**
 * Zeek's `\xHH` as bytes, into the scratch space (which may be where they come from). In TSV `\\` is a backslash.
 * In JSON only bytes that Zeek would have escaped are taken back: `\x41` was never written by it.
 */
function unescapeHex(bytes: Uint8Array, start: number, end: number, json: boolean): number {
  let to = 0
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!
    if (byte === BACKSLASH && i + 3 < end && bytes[i + 1] === 0x78) {
      const value = hexPair(bytes, i + 2)
      if (value >= 0 && (!json || value < 0x20 || value > 0x7e)) {
        scratch[to++] = value
        i += 3
        continue
      }
    }
    if (!json && byte === BACKSLASH && i + 1 < end && bytes[i + 1] === BACKSLASH) i++
    scratch[to++] = byte
  }
  return to
}

const SHORT_ESCAPES: Readonly<Record<number, number>> = {
  98: 8,
  102: 12,
  110: 10,
  114: 13,
  116: 9,
}

/** The bytes of a JSON string's content, into the scratch space. */
function unescapeJson(bytes: Uint8Array, start: number, end: number): number {
  let to = 0
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!
    if (byte !== BACKSLASH || i + 1 >= end) {
      scratch[to++] = byte
      continue
    }
    i++
    const escaped = bytes[i]!
    if (escaped !== 0x75 || i + 4 >= end) {
      scratch[to++] = SHORT_ESCAPES[escaped] ?? escaped
      continue
    }
    let unit = hexPair(bytes, i + 1) * 256 + hexPair(bytes, i + 3)
    i += 4
    const high = unit >= 0xd800 && unit <= 0xdbff
    if (high && i + 6 < end && bytes[i + 1] === BACKSLASH && bytes[i + 2] === 0x75) {
      const low = hexPair(bytes, i + 3) * 256 + hexPair(bytes, i + 5)
      if (low >= 0xdc00 && low <= 0xdfff) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
        i += 6
      }
    }
    const text = unit < 0 ? '\ufffd' : String.fromCodePoint(unit)
    to += fromText.encodeInto(text, scratch.subarray(to)).written
  }
  return to
}
