// What was worked out under a snapshot, so that it is not worked out again for each chunk: judgements by all that they
// depend on, and their words. It holds nothing that is a chunk's own, and changes no answer; it is emptied when it is
// large. Keys are numbers, because a text for each flow would cost more than judging it.

import { HashIndex } from './hash-index.ts'
import type { Judgement } from './judge.ts'
import { JudgementWords } from './judgement-words.ts'
import { keyedHash } from './keyed-hash.ts'

/** Words of a key. */
export const KEY_WORDS = 11
/** Judgements, and texts, with which a chunk may begin; it may add some thousands. */
const JUDGEMENTS_MAX = 65_536
const TEXTS_MAX = 65_536
/** Judgements that are found without the secret's hash, which costs more than all else here; a power of two. */
const NEAR = 1 << 16

const FINDING = 1
const TURNED = 2

export class JudgementBook {
  /** To be filled by whoever asks. */
  readonly key: Int32Array = new Int32Array(KEY_WORDS)
  readonly words: JudgementWords = new JudgementWords()
  readonly #secret: Int32Array
  #judgements: Judgement[] = []
  #words = new Int32Array(1024 * KEY_WORDS)
  #index = new HashIndex()
  #texts = new Map<string, number>()
  /** Per judgement: FINDING and TURNED. Objects lie all over memory, and hardly any row needs more of its own. */
  #marks = new Uint8Array(1024)
  /** Numbers + 1 by a plain hash of the key: whoever makes keys collide here is sent to the index. */
  readonly #near = new Int32Array(NEAR)

  /** @param secret hexadecimal; what hashes are made under. Senders of flows must not know it. */
  constructor(secret: string) {
    this.#secret = Int32Array.from({ length: 4 }, (_, i) =>
      Number.parseInt(secret.slice(8 * i, 8 * i + 8), 16),
    )
  }

  /** Another chunk begins. */
  begin(): void {
    this.words.begin()
    if (this.#judgements.length < JUDGEMENTS_MAX && this.#texts.size < TEXTS_MAX) return
    this.#judgements = []
    this.#index = new HashIndex()
    this.#texts = new Map()
    this.#near.fill(0)
    this.words.clear()
  }

  /** A number for a text; equal texts have equal ones until the next `begin`, and often longer. */
  text(text: string): number {
    let number = this.#texts.get(text)
    if (number === undefined) this.#texts.set(text, (number = this.#texts.size))
    return number
  }

  /** The number of the judgement of `key`, or -1. */
  find(): number {
    const { key } = this
    let hash = 0
    for (let i = 0; i < KEY_WORDS; i++) hash = Math.imul(hash ^ key[i]!, 0x9e3779b1)
    const slot = (hash ^ (hash >>> 16)) & (NEAR - 1)
    const near = this.#near[slot]! - 1
    if (near >= 0 && this.#isKeyOf(near)) return near
    const number = this.#seek()
    this.#near[slot] = number + 1
    return number
  }

  #seek(): number {
    const index = this.#index
    for (
      let slot = index.first(keyedHash(this.key, KEY_WORDS, this.#secret));
      slot >= 0;
      slot = index.after(slot)
    ) {
      const number = index.at(slot)
      if (this.#isKeyOf(number)) return number
    }
    return -1
  }

  /** Keeps the judgement of `key`; its number. */
  add(judgement: Judgement): number {
    const number = this.#judgements.length
    if ((number + 1) * KEY_WORDS > this.#words.length) this.#words = grown(this.#words)
    this.#judgements.push(judgement)
    this.#words.set(this.key, number * KEY_WORDS)
    this.#index.add(keyedHash(this.key, KEY_WORDS, this.#secret), number)
    if (number === this.#marks.length) {
      const larger = new Uint8Array(number * 2)
      larger.set(this.#marks)
      this.#marks = larger
    }
    this.#marks[number] = (judgement.finding ? FINDING : 0) | (judgement.turned ? TURNED : 0)
    this.words.learn(number, judgement)
    return number
  }

  at(number: number): Judgement {
    return this.#judgements[number]!
  }

  isFinding(number: number): boolean {
    return (this.#marks[number]! & FINDING) !== 0
  }

  isTurned(number: number): boolean {
    return (this.#marks[number]! & TURNED) !== 0
  }

  #isKeyOf(number: number): boolean {
    const words = this.#words
    const { key } = this
    for (let i = 0, at = number * KEY_WORDS; i < KEY_WORDS; i++, at++)
      if (words[at] !== key[i]) return false
    return true
  }
}

function grown(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2)
  larger.set(array)
  return larger
}
