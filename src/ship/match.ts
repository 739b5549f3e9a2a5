// Is this an input that was read before? Chunks of the same input are the same whenever it is decoded, so the ledger's
// word that n of them are in the spool is compared with what comes out now: the last of the n must be the same.
// An input may have several generations in the ledger: the same first bytes with other bytes behind them.

import { randomBytes } from 'node:crypto'
import { chunkId, decodeChunk, encodeChunk } from '../chunk.ts'
import { factsOf, type LedgerEntry } from './ledger-entry.ts'

/** The same chunk as one of another origin. */
export function renameChunk(bytes: Uint8Array, origin: string): Uint8Array<ArrayBuffer> {
  const { header, parts } = decodeChunk(bytes)
  const bodies = header.parts.map(({ table }) => parts.get(table)!)
  const renamed = { ...header, origin }
  return encodeChunk({ ...renamed, id: chunkId(renamed, bodies) }, bodies)
}

/** A name for another generation of an input. Random: what an earlier one was called may be forgotten. */
export function generationName(base: string): string {
  return `${base}-${randomBytes(4).toString('hex')}`
}

/** Is this chunk the last one that an entry knows? What it says of its flows may have changed (names come late). */
export function isLastOf(entry: LedgerEntry, chunk: Uint8Array): boolean {
  const { header, key } = factsOf(chunk)
  if (header.seq !== entry.chunks - 1) return false
  const { id } = decodeChunk(renameChunk(chunk, entry.origin)).header
  return id === entry.lastId || (header.last === entry.over && key === entry.lastKey)
}

/** What is to be done with a chunk: it is known, it is new, or the input must be read again under another name. */
export type Matched = 'known' | 'new' | 'again'

/**
 * One reading of one input. `entry` is what it turned out to be, or undefined as long as that is open; after `again`
 * it is the generation to read it as, undefined for a new one.
 */
export class InputMatch {
  entry: LedgerEntry | undefined
  #settled: boolean
  /** Generations that it may still turn out to be. */
  #candidates: LedgerEntry[]
  #seen = 0

  /**
   * @param candidates generations with at least one chunk
   * @param as the generation that it is, if that is known
   */
  constructor(candidates: readonly LedgerEntry[], as?: LedgerEntry) {
    this.#candidates = as === undefined ? candidates.filter(({ chunks }) => chunks > 0) : []
    this.entry = as
    this.#settled = this.#candidates.length === 0
  }

  take(chunk: Uint8Array): Matched {
    const count = ++this.#seen
    if (this.#settled) return count <= (this.entry?.chunks ?? 0) ? 'known' : 'new'
    const ended = this.#candidates.filter(({ chunks }) => chunks === count)
    const same = ended.find((candidate) => isLastOf(candidate, chunk))
    if (same !== undefined) this.entry = same
    this.#candidates = this.#candidates.filter(({ chunks }) => chunks > count)
    // The longest generation that it can be is the one: nothing is decided while there is a longer one.
    if (this.#candidates.length > 0) return 'known'
    if (this.entry?.chunks !== count) return 'again'
    this.#settled = true
    return 'known'
  }

  /** The input is over. `known` if all of it was known or is dealt with. */
  end(): 'known' | 'again' {
    return this.#settled || this.entry?.chunks === this.#seen ? 'known' : 'again'
  }
}
