// Files that are read to their end. What the ledger says is in the spool already is decoded again and passed over; what
// turns out to be something else with the same beginning is read once more, under a name of its own.

import path from 'node:path'
import { decodeChunk } from '../chunk.ts'
import type { SensorEvent } from '../sensor.ts'
import type { Log } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import { type LedgerEntry, newEntry } from './ledger-entry.ts'
import { generationName, InputMatch, renameChunk } from './match.ts'
import type { Shipper } from './shipper.ts'

export interface ReadFilesParts {
  /** Decodes the inputs behind these paths. */
  decode: (paths: readonly string[]) => AsyncIterable<SensorEvent>
  shipper: Shipper
  log: Log
  signal: AbortSignal
  /** Told once of each input that is over. */
  inputOver: (event: SensorEvent & { type: 'input' }) => void
}

/** Readings of the same input: files that change while they are read must not keep us busy for ever. */
const PASSES_MAX = 8

/**
 * Reads everything behind the paths.
 * @returns inputs that were given up because they changed again and again while they were read
 * @throws what decoding, or the spool, throws
 */
export async function readFiles(
  paths: readonly string[],
  parts: ReadFilesParts,
): Promise<string[]> {
  const { log, signal } = parts
  const told = new Set<string>()
  let wanted = paths
  /** Inputs that are read once more, and the generation that they are; undefined for a new one. */
  let again = new Map<string, LedgerEntry | undefined>()
  for (let pass = 0; pass < PASSES_MAX && wanted.length > 0; pass++) {
    const reading = new Pass(parts, again, told)
    for await (const event of parts.decode(wanted)) {
      if (signal.aborted) return []
      if (event.type === 'input') reading.over(event)
      else await reading.chunk(event.source, event.chunk)
    }
    again = reading.again
    for (const source of again.keys())
      log('warn', 'this input is not what it was when it was read before: it is sent again', {
        input: printable(source),
      })
    // Zeek logs of one directory give each other names, so they are read together; what is known is passed over.
    const directories = new Set([...again.keys()].map((source) => path.dirname(source)))
    wanted = reading.sources.filter((source) => directories.has(path.dirname(source)))
  }
  return [...again.keys()]
}

class Pass {
  readonly again = new Map<string, LedgerEntry | undefined>()
  readonly sources: string[] = []
  readonly #parts: ReadFilesParts
  /** Decided by the pass before. */
  readonly #decided: ReadonlyMap<string, LedgerEntry | undefined>
  readonly #told: Set<string>
  readonly #matches = new Map<string, InputMatch>()

  constructor(
    parts: ReadFilesParts,
    decided: ReadonlyMap<string, LedgerEntry | undefined>,
    told: Set<string>,
  ) {
    this.#parts = parts
    this.#decided = decided
    this.#told = told
  }

  async chunk(source: string, chunk: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.again.has(source)) return
    const { shipper } = this.#parts
    const { origin, format } = decodeChunk(chunk).header
    let match = this.#matches.get(source)
    if (match === undefined) {
      // The input before may be the same one: all that was sent of it must be counted.
      await shipper.flush()
      const decided = this.#decided.get(source)
      const fresh = this.#decided.has(source) && decided === undefined
      match = new InputMatch(fresh ? [] : shipper.ledger.ofBase(origin).filter(isFile), decided)
      this.#matches.set(source, match)
    }
    const matched = match.take(chunk)
    if (matched === 'known') {
      shipper.counters.known++
      return
    }
    if (matched === 'again') {
      this.again.set(source, match.entry)
      return
    }
    if (match.entry === undefined) match.entry = await this.#begin(origin, format, source)
    const { entry } = match
    await shipper.send(entry.origin === origin ? chunk : renameChunk(chunk, entry.origin))
  }

  over(event: SensorEvent & { type: 'input' }): void {
    const { source } = event
    this.sources.push(source)
    const match = this.#matches.get(source)
    if (match !== undefined && !this.again.has(source) && match.end() === 'again')
      this.again.set(source, match.entry)
    this.#matches.delete(source)
    if (this.#told.has(source)) return
    this.#told.add(source)
    this.#parts.inputOver(event)
  }

  /** A new entry: under the name that the bytes give, or another one if that is taken. */
  async #begin(base: string, format: string, source: string): Promise<LedgerEntry> {
    const { ledger } = this.#parts.shipper
    const [first] = ledger.ofBase(base)
    // Nothing of it went into the spool when an earlier process ended.
    if (first?.kind === 'file' && first.chunks === 0) return first
    const taken = first !== undefined
    const origin = taken ? generationName(base) : base
    const entry = newEntry({ origin, base, kind: 'file', format, source })
    if (taken) await ledger.begin(entry)
    else ledger.changed(entry, Date.now())
    return entry
  }
}

const isFile = ({ kind }: LedgerEntry) => kind === 'file'
