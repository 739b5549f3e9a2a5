// An input that goes on: bytes are decoded as they come, and what is pending is cut by the clock, so that it is seen
// soon. The place of the last cut is remembered by the ledger (it stands in the chunk itself, as counts of rows), so
// that a reading from the start makes that chunk once more, compares it, and goes on behind it.

import { ChunkWriter } from '../chunk.ts'
import type { Decoder } from '../decoder.ts'
import {
  type InputFormat,
  inputDecoder,
  type SensorSettings,
  type ZeekDirectory,
} from '../sensor.ts'
import type { LedgerEntry } from './ledger-entry.ts'
import { isLastOf } from './match.ts'
import type { Shipper } from './shipper.ts'

/** What is pending is cut so long after the first of it. */
export const CUT_MILLIS = 1000

export interface LiveParts {
  settings: SensorSettings
  shipper: Shipper
  cutMillis: number
}

export class LiveInput {
  readonly entry: LedgerEntry
  readonly #parts: LiveParts
  readonly #decoder: Decoder
  readonly #writer: ChunkWriter
  #made: Uint8Array<ArrayBuffer>[] = []
  /** The next chunk is one that was sent before. */
  #compare: boolean
  #differs = false
  /** When the first of what is pending came, by `now`. */
  #pendingSince: number | undefined
  #seq: number

  /** Reads an input of this origin from its start; what the entry knows of it is not sent again. */
  constructor(input: InputFormat, entry: LedgerEntry, zeek: ZeekDirectory, parts: LiveParts) {
    this.entry = entry
    this.#parts = parts
    const { sensor } = parts.settings
    const { origin, chunks, before: from, total: to } = entry
    const resume = chunks === 0 ? undefined : { seq: chunks - 1, from, to }
    this.#compare = resume !== undefined
    this.#writer = new ChunkWriter(
      { sensor, origin, format: input.format },
      (chunk) => this.#made.push(chunk),
      resume,
    )
    this.#seq = this.#writer.seq
    this.#decoder = inputDecoder(input, parts.settings, zeek, this.#writer)
  }

  /**
   * Whether this is the input that the entry knows: `not yet` while what was sent is not reached; `no` if it is
   * another one, of which nothing is sent.
   */
  get known(): 'yes' | 'not yet' | 'no' {
    if (this.#differs || this.#writer.resumed === 'diverged') return 'no'
    return this.#writer.resumed === 'not yet' || this.#compare ? 'not yet' : 'yes'
  }

  /** Flows that have begun and are in no chunk. */
  get open(): number {
    return this.#decoder.open ?? 0
  }

  get stats() {
    return this.#decoder.stats
  }

  /** Decodes; resolves when there is room for more. @param now milliseconds of any clock that goes on */
  async push(bytes: Uint8Array, now: number): Promise<void> {
    this.#decoder.push(bytes)
    await this.#send()
    this.#look(now)
    if (this.cutIn(now) <= 0) await this.cut()
  }

  /** Milliseconds until the clock cuts what is pending; Infinity if nothing is. */
  cutIn(now: number): number {
    if (this.#pendingSince === undefined) return Number.POSITIVE_INFINITY
    return this.#pendingSince + this.#parts.cutMillis - now
  }

  /** Cuts what is pending. To be called where an input has no more for now, so that what is known comes to its end. */
  async cut(): Promise<void> {
    this.#writer.cut()
    this.#pendingSince = undefined
    await this.#send()
  }

  /** The input is over. @returns false if it ended before what is known of it did: then nothing was sent */
  async end(): Promise<boolean> {
    this.#writer.cut()
    await this.#send()
    if (this.known !== 'yes') return false
    this.#decoder.end()
    this.#writer.end()
    this.#pendingSince = undefined
    await this.#send()
    return true
  }

  #look(now: number): void {
    const { pending, seq } = this.#writer
    if (pending === 0) this.#pendingSince = undefined
    else if (this.#pendingSince === undefined || seq !== this.#seq) this.#pendingSince = now
    this.#seq = seq
  }

  async #send(): Promise<void> {
    for (const chunk of this.#made.splice(0)) {
      if (this.#differs) continue
      if (this.#compare) {
        this.#compare = false
        this.#differs = !isLastOf(this.entry, chunk)
        this.#parts.shipper.counters.known++
      } else await this.#parts.shipper.send(chunk)
    }
  }
}
