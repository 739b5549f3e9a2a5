// What the readers of Zeek's TSV and JSON have in common: a row is a set of places in the bytes of its line, one for
// each field that its consumer asked for. So a value is read by the same code whatever it was written in.

import { type Escapes, logBytes, logText } from './log-text.ts'

/** Most elements of a set or vector that are read. */
const ELEMENTS_MAX = 1000

/** One row. The bytes are only lent. */
export class ZeekRow {
  bytes: Uint8Array = new Uint8Array(0)
  /** Where the value of each field begins, -1 if it is unset. */
  readonly starts: Int32Array
  readonly ends: Int32Array
  readonly escapes: Escapes
  /** TSV: what separates the elements of a set, and what stands for an unset one. */
  setSeparator: Uint8Array = Uint8Array.of(0x2c)
  unset: Uint8Array = Uint8Array.of(0x2d)

  constructor(fields: number, escapes: Escapes) {
    this.starts = new Int32Array(fields).fill(-1)
    this.ends = new Int32Array(fields)
    this.escapes = escapes
  }

  has(field: number): boolean {
    return field >= 0 && this.starts[field]! >= 0
  }

  /** A value as printable text, '' if unset. */
  text(field: number): string {
    const start = this.starts[field]!
    return start < 0 ? '' : logText(this.bytes, start, this.ends[field]!, this.escapes)
  }

  /** A value as the bytes that were escaped, valid until the next call; empty if unset. */
  raw(field: number): Uint8Array {
    const start = this.starts[field]!
    if (start < 0) return new Uint8Array(0)
    return logBytes(this.bytes, start, this.ends[field]!, this.escapes)
  }

  /** True if the value is exactly these ASCII characters. */
  is(field: number, text: string): boolean {
    const start = this.starts[field]!
    if (start < 0 || this.ends[field]! - start !== text.length) return false
    for (let i = 0; i < text.length; i++)
      if (this.bytes[start + i] !== text.charCodeAt(i)) return false
    return true
  }

  /** The elements of a set or vector; an unset element is ''. */
  list(field: number): string[] {
    const start = this.starts[field]!
    if (start < 0) return []
    const end = this.ends[field]!
    return this.escapes === 'json' ? this.#array(start, end) : this.#set(start, end)
  }

  #set(start: number, end: number): string[] {
    const found: string[] = []
    if (start === end) return found
    const { bytes, setSeparator, unset } = this
    let from = start
    for (let at = start; at <= end && found.length < ELEMENTS_MAX; at++) {
      const stop = at === end
      if (!stop && !matches(bytes, at, end, setSeparator)) continue
      const isUnset = at - from === unset.length && matches(bytes, from, at, unset)
      found.push(isUnset ? '' : logText(bytes, from, at, 'hex'))
      from = at + setSeparator.length
      at = from - 1
    }
    return found
  }

  /** The elements of a JSON array of strings or numbers; a value that is no array is its own only element. */
  #array(start: number, end: number): string[] {
    const { bytes } = this
    if (bytes[start] !== 0x5b) return [logText(bytes, start, end, 'json')]
    const found: string[] = []
    let at = start + 1
    while (at < end - 1 && found.length < ELEMENTS_MAX) {
      const byte = bytes[at]!
      if (byte === 0x22) {
        const from = at + 1
        at = from
        while (at < end - 1 && bytes[at] !== 0x22) at += bytes[at] === 0x5c ? 2 : 1
        found.push(logText(bytes, from, Math.min(at, end - 1), 'json'))
        at++
      } else if (byte === 0x2c || byte <= 0x20) at++
      else {
        const from = at
        while (at < end - 1 && bytes[at] !== 0x2c) at++
        const text = logText(bytes, from, at, 'json').trim()
        found.push(text === 'null' ? '' : text)
      }
    }
    return found
  }
}

export function matches(bytes: Uint8Array, at: number, end: number, token: Uint8Array): boolean {
  if (token.length === 0 || at + token.length > end) return false
  for (let i = 0; i < token.length; i++) if (bytes[at + i] !== token[i]) return false
  return true
}

/** What became of a row. The consumer itself counts one that it accepted; a `reason` is a stable code of a rejected row. */
export type RowResult = 'accepted' | 'skipped' | { reason: string; detail: string }

/** Takes the rows of one Zeek stream. */
export interface ZeekConsumer {
  /** The fields it reads; a field's place in this list is its number in a row. */
  readonly fields: readonly string[]
  /** Reads one row. Must not throw. */
  row(row: ZeekRow): RowResult
  /**
   * False if rows of this stream with these columns are none of its business; in words what is missing if they are
   * but cannot be used. `path` is '' where nothing names the stream.
   */
  accepts(path: string, has: (column: string) => boolean): boolean | string
  end?(): void
}
