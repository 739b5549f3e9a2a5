// Words of a log that come again and again (interface ids, states, services) as dictionary codes, without making
// the same string twice. The cache is direct-mapped: a clash costs a string, never time, so crafted words gain
// nothing; and it never changes what is written, because codes are given in the order of first use in a block.

import type { Words } from '../block.ts'
import { type Escapes, logText } from './log-text.ts'

/** Longest word that is cached, in bytes. */
const WORD_BYTES = 64

export class TokenCache {
  /** Text of each slot; valid after `find`. */
  readonly texts: string[]
  readonly #mask: number
  readonly #bytes: Uint8Array
  /** Length of the word of each slot, -1 if none is held, and what was derived from it: read together. */
  readonly #heads: Int32Array
  readonly #escapes: Escapes
  readonly #derive: ((text: string) => number) | undefined

  /** @param slots a power of two: small where there are few words, so that they stay in the processor's cache */
  constructor(escapes: Escapes, slots: number, derive?: (text: string) => number) {
    this.texts = new Array<string>(slots).fill('')
    this.#mask = slots - 1
    this.#bytes = new Uint8Array(slots * WORD_BYTES)
    this.#heads = new Int32Array(slots * 2).fill(-1)
    this.#escapes = escapes
    this.#derive = derive
  }

  get slots(): number {
    return this.texts.length
  }

  /** What `derive` made of the text of a slot; valid after `find`. */
  number(slot: number): number {
    return this.#heads[slot * 2 + 1]! >>> 0
  }

  /** Told when the word of a slot has changed, so that codes kept for it are given up. */
  changed: (slot: number) => void = () => {}

  /** The slot that now holds this word. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start
    let hash = length
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
    const slot = (hash ^ (hash >>> 15)) & this.#mask
    if (this.#heads[slot * 2] === length) {
      const held = this.#bytes
      const shift = slot * WORD_BYTES - start
      let i = start
      while (i < end && held[shift + i] === bytes[i]) i++
      if (i === end) return slot
    }
    this.#fill(slot, bytes, start, end)
    return slot
  }

  #fill(slot: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    const text = logText(bytes, start, end, this.#escapes)
    this.texts[slot] = text
    this.#heads[slot * 2] = length <= WORD_BYTES ? length : -1
    this.#heads[slot * 2 + 1] = this.#derive?.(text) ?? 0
    if (length <= WORD_BYTES) this.#bytes.set(bytes.subarray(start, end), slot * WORD_BYTES)
    this.changed(slot)
  }
}

/**
 * Codes of known texts in one column, each looked up once in a block. A block is told by the number of flow records
 * before it.
 */
export class ColumnCodes {
  readonly #texts: readonly string[]
  /** For each text the block that it was looked up in, and its code there: read together. */
  readonly #codes: Float64Array

  constructor(texts: readonly string[]) {
    this.#texts = texts
    this.#codes = new Float64Array(texts.length * 2).fill(-1)
  }

  set(words: Words, row: number, block: number, index: number): void {
    const codes = this.#codes
    if (codes[index * 2] !== block) {
      codes[index * 2] = block
      codes[index * 2 + 1] = words.code(this.#texts[index]!)
    }
    words.codes[row] = codes[index * 2 + 1]!
  }

  /** The text of this index is another now. */
  forget(index: number): void {
    this.#codes[index * 2] = -1
  }
}

/** Words of one column, read from bytes. */
export class WordColumn {
  readonly tokens: TokenCache
  readonly #codes: ColumnCodes

  constructor(escapes: Escapes, slots: number, derive?: (text: string) => number) {
    this.tokens = new TokenCache(escapes, slots, derive)
    this.#codes = new ColumnCodes(this.tokens.texts)
    this.tokens.changed = (slot) => this.#codes.forget(slot)
  }

  /** Writes the word between `start` and `end`; what was derived from it. */
  set(
    words: Words,
    row: number,
    block: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): number {
    const slot = this.tokens.find(bytes, start, end)
    this.#codes.set(words, row, block, slot)
    return this.tokens.number(slot)
  }
}
