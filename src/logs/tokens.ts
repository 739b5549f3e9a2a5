// Words of a log that come again and again (interface ids, states, services) as dictionary codes, without making
// the same string twice. The cache is direct-mapped: a clash costs a string, never time, so crafted words gain
// nothing; and it never changes what is written, because codes are given in the order of first use in a block.

import type { Words } from '../block.ts'
import { type Escapes, logText } from './log-text.ts'

const SLOTS = 4096
/** Longest word that is cached, in bytes. */
const WORD_BYTES = 64

export class TokenCache {
  /** Text of each slot; valid after `find`. */
  readonly texts: string[] = new Array<string>(SLOTS).fill('')
  /** What `derive` made of the text of each slot. */
  readonly numbers = new Uint32Array(SLOTS)
  readonly #bytes = new Uint8Array(SLOTS * WORD_BYTES)
  readonly #lengths = new Int32Array(SLOTS).fill(-1)
  readonly #codes = new Uint32Array(SLOTS)
  readonly #blocks = new Float64Array(SLOTS).fill(-1)
  readonly #escapes: Escapes
  readonly #derive: ((text: string) => number) | undefined

  constructor(escapes: Escapes, derive?: (text: string) => number) {
    this.#escapes = escapes
    this.#derive = derive
  }

  /** The slot that now holds this word. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start
    let hash = length
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
    if (this.#lengths[slot] === length) {
      const at = slot * WORD_BYTES
      let i = 0
      while (i < length && this.#bytes[at + i] === bytes[start + i]) i++
      if (i === length) return slot
    }
    this.#fill(slot, bytes, start, end)
    return slot
  }

  /**
   * The code of this word in `words`, for the block that began with flow record number `block`. One cache serves
   * one column.
   */
  code(words: Words, block: number, bytes: Uint8Array, start: number, end: number): number {
    return this.codeOf(words, block, this.find(bytes, start, end))
  }

  codeOf(words: Words, block: number, slot: number): number {
    if (this.#blocks[slot] === block) return this.#codes[slot]!
    const code = words.code(this.texts[slot]!)
    this.#codes[slot] = code
    this.#blocks[slot] = block
    return code
  }

  #fill(slot: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    const text = logText(bytes, start, end, this.#escapes)
    this.texts[slot] = text
    this.numbers[slot] = this.#derive?.(text) ?? 0
    this.#blocks[slot] = -1
    this.#lengths[slot] = length <= WORD_BYTES ? length : -1
    if (length <= WORD_BYTES) this.#bytes.set(bytes.subarray(start, end), slot * WORD_BYTES)
  }
}
