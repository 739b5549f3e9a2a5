// What every log decoder keeps account of: lines accepted, rejected and skipped, always adding up to lines; dead
// letters with their place; and, at the end, the coverage rows.

import type { ChunkWriter } from '../chunk.ts'
import { type DecodeStats, newStats, noteError } from '../decoder.ts'
import { printable, wireText } from '../wire-text.ts'

/** Most bytes of a bad line that are kept. */
const SAMPLE_BYTES = 512

export class LogReport {
  readonly stats: DecodeStats
  readonly chunks: ChunkWriter
  readonly kind: string
  /** First start and last end of the flows accepted, microseconds. */
  from = Number.POSITIVE_INFINITY
  to = 0
  readonly #metrics = new Map<string, number>()

  constructor(format: string, kind: string, chunks: ChunkWriter) {
    this.stats = newStats(format)
    this.kind = kind
    this.chunks = chunks
  }

  accept(from: number, to: number): void {
    this.stats.lines++
    this.stats.accepted++
    if (from < this.from) this.from = from
    if (to > this.to) this.to = to
  }

  /** A line that is no flow record and need not be one: header, comment, no data, row of another stream. */
  skip(): void {
    this.stats.lines++
    this.stats.skipped++
  }

  /** A line that should have been a record and is none. `reason` is a stable code, `detail` is for people. */
  reject(
    reason: string,
    detail: string,
    bytes: Uint8Array,
    start: number,
    end: number,
    line: number,
  ): void {
    this.stats.lines++
    this.stats.rejected++
    const words = printable(detail)
    noteError(this.stats, `line ${line}: ${reason}: ${words}`)
    const sample = wireText(bytes, start, end, SAMPLE_BYTES)
    this.chunks.reject({ kind: this.kind, at: line, unit: 'line', reason, detail: words, sample })
  }

  /** Something odd that is counted but costs no line; it becomes a coverage row. */
  count(metric: string, by = 1): void {
    this.#metrics.set(metric, (this.#metrics.get(metric) ?? 0) + by)
  }

  /** Writes the coverage of the whole input. */
  end(): void {
    const { stats, kind } = this
    const from = Number.isFinite(this.from) ? this.from : 0
    const to = Math.max(from, this.to)
    const cover = (metric: string, value: number): void =>
      this.chunks.cover({ kind, from, to, metric, value })
    cover('lines', stats.lines)
    cover('accepted', stats.accepted)
    cover('rejected', stats.rejected)
    cover('skipped', stats.skipped)
    for (const [metric, value] of this.#metrics) cover(metric, value)
  }
}
