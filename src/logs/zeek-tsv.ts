// Zeek's ASCII writer: tab-separated rows below a header that names the columns. The header is obeyed, not assumed:
// separators, unset and empty tokens may differ, and a rotated or concatenated file has several headers.

import type { LineParser } from './line-decoder.ts'
import type { LogReport } from './log-report.ts'
import { matches, type ZeekConsumer, ZeekRow } from './zeek-rows.ts'

const HASH = 0x23
/** Most columns that are looked at; a conn log with every package has about 40. */
const COLUMNS_MAX = 1024
/** A bare header line (`tsv=T`) is known by these. */
const BARE_HEADER = /^(?:[\w.]+\t)*(?:ts|uid|id\.orig_h)(?:\t[\w.]+)*$/

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
}

/** `\xHH` in a header value. */
function unescaped(text: string): Uint8Array {
  const plain = text.replace(/\\x([0-9a-fA-F]{2})/g, (_, pair: string) =>
    String.fromCharCode(Number.parseInt(pair, 16)),
  )
  return Uint8Array.from(Buffer.from(plain, 'latin1'))
}

export class ZeekTsvParser implements LineParser {
  readonly #report: LogReport
  readonly #consumer: ZeekConsumer
  readonly #row: ZeekRow
  /** Stream by file name or by what the first bytes looked like; #path overrides it. */
  readonly #hint: string
  #path: string
  #separator = 9
  #empty: Uint8Array = Uint8Array.from(Buffer.from('(empty)'))
  #unset: Uint8Array = Uint8Array.of(0x2d)
  /** Number of the consumer's field in each column, -1 if it does not read it. */
  #plan: Int32Array | undefined
  /** The bare header line of a `tsv=T` file, which may come again. */
  #bare = ''
  /** Rows of this header are skipped (false), read (true), or rejected for this reason. */
  #accepts: boolean | string = false

  constructor(report: LogReport, consumer: ZeekConsumer, hint: string) {
    this.#report = report
    this.#consumer = consumer
    this.#hint = hint
    this.#path = hint
    this.#row = new ZeekRow(consumer.fields.length, 'hex')
  }

  line(bytes: Uint8Array, start: number, end: number, number: number): void {
    if (bytes[start] === HASH) {
      this.#meta(latin1(bytes, start, end))
      this.#report.skip()
      return
    }
    const plan = this.#plan
    if (plan === undefined || this.#bare !== '') {
      if (this.#bareHeader(bytes, start, end)) return this.#report.skip()
      if (plan === undefined) {
        const detail = 'no #fields line before this row: the columns are not known'
        this.#report.stats.broken = true
        return this.#report.reject('no_header', detail, bytes, start, end, number)
      }
    }
    if (this.#accepts === false) return this.#report.skip()
    if (typeof this.#accepts === 'string')
      return this.#report.reject('missing_columns', this.#accepts, bytes, start, end, number)
    const columns = this.#split(plan!, bytes, start, end)
    if (columns !== plan!.length) {
      const detail = `${columns} columns, the header names ${plan!.length}`
      return this.#report.reject('field_count', detail, bytes, start, end, number)
    }
    const result = this.#consumer.row(this.#row)
    if (result === 'skipped') this.#report.skip()
    else if (result !== 'accepted')
      this.#report.reject(result.reason, result.detail, bytes, start, end, number)
  }

  end(): void {
    this.#consumer.end?.()
  }

  /** Finds the value of each column that is read; the number of columns. */
  #split(plan: Int32Array, bytes: Uint8Array, start: number, end: number): number {
    const { starts } = this.#row
    const separator = this.#separator
    this.#row.bytes = bytes
    starts.fill(-1)
    let column = 0
    let from = start
    for (let at = start; at <= end; at++) {
      if (at < end && bytes[at] !== separator) continue
      const field = column < plan.length ? plan[column]! : -1
      if (field >= 0) this.#value(field, bytes, from, at)
      column++
      from = at + 1
    }
    return column
  }

  /** Reserved tokens are compared with the raw text: a real value that looks like one is escaped by the writer. */
  #value(field: number, bytes: Uint8Array, from: number, to: number): void {
    const unset = this.#unset
    const length = to - from
    if (length === unset.length && (length === 0 || matches(bytes, from, to, unset))) return
    const empty = this.#empty
    const isEmpty = length === empty.length && length > 0 && matches(bytes, from, to, empty)
    this.#row.starts[field] = from
    this.#row.ends[field] = isEmpty ? from : to
  }

  #meta(line: string): void {
    if (line.startsWith('#separator ')) {
      const separator = unescaped(line.slice(11))
      this.#plan = undefined
      this.#bare = ''
      this.#path = this.#hint
      this.#separator = separator[0] ?? 9
      if (separator.length > 1) this.#report.count('zeek_separator_cut')
      return
    }
    const cells = line.split(String.fromCharCode(this.#separator))
    const value = cells[1] ?? ''
    switch (cells[0]) {
      case '#set_separator':
        if (value !== '') this.#row.setSeparator = unescaped(value)
        break
      case '#empty_field':
        this.#empty = unescaped(value)
        break
      case '#unset_field':
        this.#unset = unescaped(value)
        this.#row.unset = this.#unset
        break
      case '#path':
        this.#path = value
        break
      case '#fields':
        this.#fields(cells.slice(1))
        break
    }
  }

  #bareHeader(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#bare !== '') {
      if (end - start !== this.#bare.length) return false
      return latin1(bytes, start, end) === this.#bare
    }
    if (end - start > 65_536) return false
    const line = latin1(bytes, start, end)
    if (!BARE_HEADER.test(line)) return false
    this.#bare = line
    this.#separator = 9
    this.#fields(line.split('\t'))
    return true
  }

  #fields(names: readonly string[]): void {
    const columns = names.slice(0, COLUMNS_MAX)
    this.#plan = Int32Array.from(columns, (name) => this.#consumer.fields.indexOf(name))
    const named = new Set(columns)
    this.#accepts = this.#consumer.accepts(this.#path, (name) => named.has(name))
    if (typeof this.#accepts === 'string') this.#report.stats.broken = true
  }
}
