// Zeek's JSON writer: one object a line, keys flat with dots. The scanner walks the bytes once and notes where the
// values of the wanted keys lie; nothing is built. Also read: `"id":{"orig_h":…}` and the tagged `{"conn":{…}}`.

import type { LineParser } from './line-decoder.ts'
import type { LogReport } from './log-report.ts'
import { logText } from './log-text.ts'
import { TokenCache } from './tokens.ts'
import { type ZeekConsumer, ZeekRow } from './zeek-rows.ts'
import { isZeekStream } from './zeek-streams.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN = 0x7b
const CLOSE = 0x7d
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d

/** Deepest nesting of a value that is passed over. */
const DEPTH_MAX = 64
/** Room for the keys that are held at hand; a log has some dozens. */
const KEY_SLOTS = 4096

export class ZeekJsonParser implements LineParser {
  readonly #report: LogReport
  readonly #consumer: ZeekConsumer
  readonly #row: ZeekRow
  readonly #hint: string
  readonly #pathField: number
  readonly #fields = new Map<string, number>()
  /** Keys with the number of their field plus one, 0 for one that is not read. */
  readonly #keys = new TokenCache('json', KEY_SLOTS, (key) => (this.#fields.get(key) ?? -1) + 1)
  readonly #has = (column: string): boolean => this.#row.has(this.#fields.get(column) ?? -1)
  /** Where the scanner stands, and why it stopped. */
  #at = 0
  #wrong = ''
  /** Stream that the line itself names, '' if it does not. */
  #stream = ''

  constructor(report: LogReport, consumer: ZeekConsumer, hint: string) {
    this.#report = report
    this.#consumer = consumer
    this.#hint = hint
    // One more field for the stream's name, which json-streaming-logs writes into every row.
    this.#pathField = consumer.fields.length
    this.#row = new ZeekRow(consumer.fields.length + 1, 'json')
    for (const [field, name] of consumer.fields.entries()) this.#fields.set(name, field)
    this.#fields.set('_path', this.#pathField)
  }

  line(bytes: Uint8Array, start: number, end: number, number: number): void {
    // Comments are no JSON, but some collectors put one on top.
    if (bytes[start] === 0x23) return this.#report.skip()
    this.#row.bytes = bytes
    this.#row.starts.fill(-1)
    this.#wrong = ''
    this.#stream = ''
    this.#at = start
    if (!this.#object(bytes, end, '', 0) || !this.#isEnd(bytes, end)) {
      const detail = `${this.#wrong === '' ? 'not one JSON object' : this.#wrong} at byte ${this.#at - start + 1}`
      return this.#report.reject('bad_json', detail, bytes, start, end, number)
    }
    if (this.#stream === '' && this.#row.has(this.#pathField))
      this.#stream = this.#row.text(this.#pathField)
    const accepts = this.#consumer.accepts(
      this.#stream === '' ? this.#hint : this.#stream,
      this.#has,
    )
    if (accepts === false) return this.#report.skip()
    if (typeof accepts === 'string')
      return this.#report.reject('missing_columns', accepts, bytes, start, end, number)
    const result = this.#consumer.row(this.#row)
    if (result === 'skipped') this.#report.skip()
    else if (result !== 'accepted')
      this.#report.reject(result.reason, result.detail, bytes, start, end, number)
  }

  end(): void {
    this.#consumer.end?.()
  }

  /** Reads an object at `#at`, whose keys get the prefix; false with `#wrong` set if it is broken. */
  #object(bytes: Uint8Array, end: number, prefix: string, depth: number): boolean {
    this.#space(bytes, end)
    if (bytes[this.#at] !== OPEN || this.#at >= end) return this.#stop('expected {')
    this.#at++
    this.#space(bytes, end)
    if (bytes[this.#at] === CLOSE && this.#at < end) {
      this.#at++
      return true
    }
    for (;;) {
      this.#space(bytes, end)
      const start = this.#at + 1
      const stop = this.#string(bytes, end)
      if (stop < 0) return this.#stop('expected a key')
      this.#space(bytes, end)
      if (bytes[this.#at] !== COLON || this.#at >= end) return this.#stop('expected :')
      this.#at++
      this.#space(bytes, end)
      if (!this.#member(bytes, start, stop, end, prefix, depth)) return false
      this.#space(bytes, end)
      const next = this.#at < end ? bytes[this.#at] : 0
      if (next !== COMMA && next !== CLOSE) return this.#stop('expected , or }')
      this.#at++
      if (next === CLOSE) return true
    }
  }

  /** One member, whose key lies between `start` and `stop` and whose value begins at `#at`. */
  #member(
    bytes: Uint8Array,
    start: number,
    stop: number,
    end: number,
    prefix: string,
    depth: number,
  ): boolean {
    const byte = this.#at < end ? bytes[this.#at]! : 0
    if (byte === OPEN && depth < 2) {
      const key = logText(bytes, start, stop, 'json')
      if (prefix === '' && key === 'id') return this.#object(bytes, end, 'id.', 1)
      if (prefix === 'id.' && key === 'ctx') return this.#object(bytes, end, 'id.ctx.', 2)
      if (depth === 0 && isZeekStream(key)) {
        this.#stream = key
        return this.#object(bytes, end, '', 1)
      }
    }
    const field = this.#field(bytes, start, stop, prefix)
    const from = this.#at
    if (byte === QUOTE) {
      const close = this.#string(bytes, end)
      if (close < 0) return this.#stop('string without end')
      if (field >= 0) this.#keep(field, from + 1, close)
      return true
    }
    if (byte === OPEN || byte === OPEN_LIST) {
      if (!this.#nested(bytes, end)) return false
      if (field >= 0 && byte === OPEN_LIST) this.#keep(field, from, this.#at)
      return true
    }
    return this.#word(bytes, end, field)
  }

  #keep(field: number, from: number, to: number): void {
    this.#row.starts[field] = from
    this.#row.ends[field] = to
  }

  /** A number, true, false or null. */
  #word(bytes: Uint8Array, end: number, field: number): boolean {
    const from = this.#at
    let at = from
    let number = true
    while (at < end) {
      const byte = bytes[at]!
      if (byte === COMMA || byte === CLOSE || byte <= 0x20) break
      if (!((byte >= 48 && byte <= 57) || byte === 45 || byte === 46 || byte === 43)) number = false
      at++
    }
    this.#at = at
    if (number && at > from) {
      if (field >= 0) this.#keep(field, from, at)
      return true
    }
    const text = at - from > 40 ? '' : logText(bytes, from, at, 'json')
    if (text === 'null') return true
    if (text !== 'true' && text !== 'false' && !/^-?\d+(?:\.\d+)?[eE][+-]?\d+$/.test(text)) {
      this.#at = from
      return this.#stop('not a value')
    }
    if (field >= 0) this.#keep(field, from, at)
    return true
  }

  /** Passes over a string at `#at`; where its content ends, or -1. */
  #string(bytes: Uint8Array, end: number): number {
    if (bytes[this.#at] !== QUOTE || this.#at >= end) return -1
    let at = this.#at + 1
    while (at < end) {
      const byte = bytes[at]!
      if (byte === QUOTE) {
        this.#at = at + 1
        return at
      }
      at += byte === BACKSLASH ? 2 : 1
    }
    return -1
  }

  /** Passes over an object or a list at `#at`, counting brackets; depth is bounded, nothing recurses. */
  #nested(bytes: Uint8Array, end: number): boolean {
    let depth = 0
    while (this.#at < end) {
      const byte = bytes[this.#at]!
      if (byte === QUOTE) {
        if (this.#string(bytes, end) < 0) return this.#stop('string without end')
        continue
      }
      this.#at++
      if (byte === OPEN || byte === OPEN_LIST) {
        if (++depth > DEPTH_MAX) return this.#stop('nested too deep')
      } else if ((byte === CLOSE || byte === CLOSE_LIST) && --depth === 0) return true
    }
    return this.#stop('value without end')
  }

  /** The number of the field with this key, -1 if it is not read. */
  #field(bytes: Uint8Array, start: number, stop: number, prefix: string): number {
    if (prefix === '') return this.#keys.number(this.#keys.find(bytes, start, stop)) - 1
    return this.#fields.get(`${prefix}${logText(bytes, start, stop, 'json')}`) ?? -1
  }

  #space(bytes: Uint8Array, end: number): void {
    while (this.#at < end) {
      const byte = bytes[this.#at]!
      if (byte !== 0x20 && byte !== 9) return
      this.#at++
    }
  }

  #isEnd(bytes: Uint8Array, end: number): boolean {
    this.#space(bytes, end)
    return this.#at === end || this.#stop('text after the object')
  }

  #stop(why: string): false {
    this.#wrong = why
    return false
  }
}
