// The decoder of every log that is made of lines: frames them, hands them to the parser of the dialect, and refuses
// what is too long.

import type { Decoder, DecodeStats } from '../decoder.ts'
import { LINE_BYTES_MAX, LineReader, type LineSink } from './lines.ts'
import type { LogReport } from './log-report.ts'

/** Reads one line; must account for it by exactly one of accept, skip or reject. Never throws. */
export interface LineParser {
  line(bytes: Uint8Array, start: number, end: number, number: number): void
  /** The input is over. */
  end?(): void
}

const MARK = [0xef, 0xbb, 0xbf]

export class LineDecoder implements Decoder, LineSink {
  readonly stats: DecodeStats
  readonly #report: LogReport
  readonly #parser: LineParser
  readonly #lines: LineReader

  constructor(report: LogReport, parser: LineParser) {
    this.#report = report
    this.#parser = parser
    this.stats = report.stats
    this.#lines = new LineReader(this)
  }

  push(bytes: Uint8Array): void {
    this.stats.bytes += bytes.length
    this.#lines.push(bytes)
  }

  end(): void {
    this.#lines.end()
    this.#parser.end?.()
    this.#report.end()
  }

  line(bytes: Uint8Array, start: number, end: number, number: number): void {
    let from = start
    // A byte-order mark is no part of the first line.
    if (number === 1 && end - start >= 3 && MARK.every((byte, i) => bytes[start + i] === byte))
      from += 3
    if (from === end) this.#report.skip()
    else this.#parser.line(bytes, from, end, number)
  }

  longLine(bytes: Uint8Array, start: number, end: number, number: number): void {
    const detail = `longer than ${LINE_BYTES_MAX} bytes`
    this.#report.reject('line_too_long', detail, bytes, start, end, number)
  }
}
