// Names read from the wire without a string for each: a name is bytes until it turns out to be a new one. Each
// distinct name has a number as long as somebody holds it, so the table is as bounded as its holders are.

import { HashIndex } from './hash-index.ts'
import { keyedHash } from './keyed-hash.ts'

/** Room for the text of any DNS name: 255 bytes, each escaped with four characters at most. */
export const NAME_TEXT_MAX = 1_024

/** A name as ASCII text in bytes, written by whoever read it and used again for the next one. */
export class NameText {
  readonly bytes = new Uint8Array(NAME_TEXT_MAX)
  /** The same memory. */
  readonly words = new Int32Array(this.bytes.buffer)
  length = 0

  get text(): string {
    return Buffer.from(this.bytes.buffer, 0, this.length).toString('latin1')
  }

  /** Takes over a string. False if it is too long or not ASCII, which no name here is. */
  take(text: string): boolean {
    if (text.length > NAME_TEXT_MAX) return false
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7e) return false
      this.bytes[i] = code
    }
    this.length = text.length
    return true
  }

  equals(other: NameText): boolean {
    if (this.length !== other.length) return false
    for (let i = 0; i < this.length; i++) if (this.bytes[i] !== other.bytes[i]) return false
    return true
  }
}

export class NameTable {
  readonly #seed: Int32Array
  readonly #index = new HashIndex()
  readonly #texts: string[] = []
  readonly #hashes: number[] = []
  readonly #holders: number[] = []
  readonly #free: number[] = []

  /** @param seed four secret words */
  constructor(seed: Int32Array) {
    this.#seed = seed
  }

  /** Names held. */
  get size(): number {
    return this.#texts.length - this.#free.length
  }

  text(name: number): string {
    return this.#texts[name]!
  }

  /** The number of a name that is held, or -1. */
  find(name: NameText): number {
    return this.#find(name, this.#hash(name))
  }

  /** The number of a name, which has one holder more now. */
  hold(name: NameText): number {
    const hash = this.#hash(name)
    let number = this.#find(name, hash)
    if (number < 0) {
      number = this.#free.pop() ?? this.#texts.length
      this.#texts[number] = name.text
      this.#hashes[number] = hash
      this.#holders[number] = 0
      this.#index.add(hash, number)
    }
    this.#holders[number]!++
    return number
  }

  /** One more holder of a name that is held. */
  holdAgain(name: number): void {
    this.#holders[name]!++
  }

  /** One holder less; the last one takes the name with it. */
  release(name: number): void {
    if (--this.#holders[name]! > 0) return
    this.#index.remove(this.#hashes[name]!, name)
    this.#texts[name] = ''
    this.#free.push(name)
  }

  #hash(name: NameText): number {
    for (let i = name.length; (i & 3) !== 0; i++) name.bytes[i] = 0
    return keyedHash(name.words, (name.length + 3) >> 2, this.#seed)
  }

  #find(name: NameText, hash: number): number {
    const index = this.#index
    for (let slot = index.first(hash); slot >= 0; slot = index.after(slot))
      if (isText(this.#texts[index.at(slot)]!, name)) return index.at(slot)
    return -1
  }
}

function isText(text: string, name: NameText): boolean {
  if (text.length !== name.length) return false
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== name.bytes[i]) return false
  return true
}
