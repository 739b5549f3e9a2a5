// What a sensor says it has put into its spool: running totals of each origin and hour, as chunks of their own, through
// the same spool. Whoever stores the flows compares them with what it has.

import { randomBytes } from 'node:crypto'
import { CHUNK_NOTES_MAX, ChunkWriter } from '../chunk.ts'
import type { Ledger } from './ledger.ts'
import type { LedgerEntry } from './ledger-entry.ts'

const HOUR_MICROS = 3_600_000_000

export class Announcer {
  readonly #ledger: Ledger
  readonly #append: (chunk: Uint8Array<ArrayBuffer>) => Promise<unknown>
  readonly #writer: ChunkWriter
  #made: Uint8Array<ArrayBuffer>[] = []
  /** Rows of coverage about the sensor itself. */
  #notes = 0

  /** @param append resolves when the chunk is durable */
  constructor(
    sensor: string,
    ledger: Ledger,
    append: (chunk: Uint8Array<ArrayBuffer>) => Promise<unknown>,
  ) {
    this.#ledger = ledger
    this.#append = append
    const epoch = randomBytes(8).toString('hex')
    const origin = `${sensor}/said/${epoch}`
    this.#writer = new ChunkWriter({ sensor, origin, format: 'statement' }, (chunk) =>
      this.#made.push(chunk),
    )
  }

  /** Adds something about this sensor that is no input's: it goes with the next announcement. Wall clock, microseconds. */
  note(metric: string, value: number, from: number, to: number): void {
    this.#writer.cover({ kind: 'sensor', metric, value, from, to })
    this.#notes++
  }

  /**
   * Announces what changed since the last time; nothing if nothing did.
   * @param now milliseconds since 1970
   */
  async announce(now: number): Promise<void> {
    const untold = this.#ledger.untold().map((entry) => ({ entry, chunks: entry.chunks }))
    if (untold.length === 0 && this.#notes === 0) return
    for (const { entry } of untold) this.#tell(entry, now * 1000)
    this.#notes = 0
    this.#writer.cut()
    await this.#send()
    for (const { entry, chunks } of untold) this.#ledger.told(entry.origin, chunks)
  }

  /** Says that nothing more is announced. */
  async end(): Promise<void> {
    if (this.#writer.seq === 0) return
    this.#writer.end()
    await this.#send()
  }

  async #send(): Promise<void> {
    await Promise.all(this.#made.splice(0).map(this.#append))
  }

  #tell(entry: LedgerEntry, saidAt: number): void {
    const { chunks, over, total } = entry
    this.#row(entry, 'origin', 0, { chunks, last: over, ...total }, saidAt)
    for (const hour of this.#ledger.untoldHours(entry)) {
      const records = { flow_records: entry.hours.get(hour)!, coverage: 0, rejects: 0 }
      const start = hour < 0 ? 0 : hour * HOUR_MICROS
      this.#row(entry, 'hour', start, { chunks: 0, last: false, ...records }, saidAt)
    }
  }

  #row(
    { origin }: LedgerEntry,
    about: 'origin' | 'hour',
    hour: number,
    totals: {
      chunks: number
      last: boolean
      flow_records: number
      coverage: number
      rejects: number
    },
    saidAt: number,
  ): void {
    const { announced } = this.#writer
    if (announced.rows >= CHUNK_NOTES_MAX) this.#writer.cut()
    const row = announced.add()
    const c = announced.columns
    c.sensor.set(row, this.#writer.sensor)
    c.origin.set(row, origin)
    c.about.set(row, about)
    c.hour[row] = hour
    c.chunks[row] = totals.chunks
    c.last[row] = totals.last ? 1 : 0
    c.flow_records[row] = totals.flow_records
    c.coverage[row] = totals.coverage
    c.rejects[row] = totals.rejects
    c.said_at[row] = saidAt
  }
}
