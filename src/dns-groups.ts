// Lists of entries, each under a key of a few words. Entries and groups are numbers, what they hold stands in typed arrays:
// no object and no string for any of them. The memory of DNS answers (src/dns-memory.ts) is made of these.

import { HashIndex } from './hash-index.ts'
import { keyedHash } from './keyed-hash.ts'

/** Words of a key: a client and an address, four each. */
export const KEY_WORDS = 8

// A group: its key, the hash of it, both ends of its list and how many entries are in it.
const HASH = KEY_WORDS
const OLDEST = KEY_WORDS + 1
const NEWEST = KEY_WORDS + 2
const COUNT = KEY_WORDS + 3
const STRIDE = KEY_WORDS + 4

// An entry's place in a list: its group and its neighbours.
const GROUP = 0
const OLDER = 1
const NEWER = 2
const PLACE = 3

export class Groups {
  /** The key in hand: write it, then `aim`. */
  readonly key = new Int32Array(KEY_WORDS)
  /** A time for each group, for the user of this. */
  times = new Float64Array(64)
  readonly #seed: Int32Array
  readonly #keyWords: number
  readonly #index = new HashIndex()
  #groups = new Int32Array(64 * STRIDE)
  #places = new Int32Array(64 * PLACE)
  readonly #free: number[] = []
  #fresh = 0
  #hash = 0

  /**
   * @param seed four secret words
   * @param keyWords words of `key` in use; the others stay 0
   */
  constructor(seed: Int32Array, keyWords: number) {
    this.#seed = seed
    this.#keyWords = keyWords
  }

  /** Makes the key that was written the one that `find` and `make` speak of. */
  aim(): void {
    this.#hash = keyedHash(this.key, this.#keyWords, this.#seed)
  }

  /** The group of the key in hand, or -1. */
  find(): number {
    const index = this.#index
    for (let slot = index.first(this.#hash); slot >= 0; slot = index.after(slot))
      if (this.#hasKey(index.at(slot))) return index.at(slot)
    return -1
  }

  /** A new, empty group of the key in hand, which must have none. */
  make(): number {
    const group = this.#free.pop() ?? this.#fresh++
    if (group >= this.times.length) {
      this.times = doubled(this.times, new Float64Array(this.times.length * 2))
      this.#groups = doubled(this.#groups, new Int32Array(this.#groups.length * 2))
    }
    const at = group * STRIDE
    this.#groups.set(this.key, at)
    this.#groups[at + HASH] = this.#hash
    this.#groups[at + OLDEST] = -1
    this.#groups[at + NEWEST] = -1
    this.#groups[at + COUNT] = 0
    this.times[group] = 0
    this.#index.add(this.#hash, group)
    return group
  }

  /** Takes an empty group out; its number is free for another. */
  remove(group: number): void {
    this.#index.remove(this.#groups[group * STRIDE + HASH]!, group)
    this.#free.push(group)
  }

  count(group: number): number {
    return this.#groups[group * STRIDE + COUNT]!
  }

  /** Ends of a group's list, -1 if it is empty; neighbours of an entry, -1 at the end. */
  oldest(group: number): number {
    return this.#groups[group * STRIDE + OLDEST]!
  }

  newest(group: number): number {
    return this.#groups[group * STRIDE + NEWEST]!
  }

  older(entry: number): number {
    return this.#places[entry * PLACE + OLDER]!
  }

  groupOf(entry: number): number {
    return this.#places[entry * PLACE + GROUP]!
  }

  /** Puts an entry that is in no group of these at the newest end. */
  append(group: number, entry: number): void {
    while (entry * PLACE >= this.#places.length - PLACE)
      this.#places = doubled(this.#places, new Int32Array(this.#places.length * 2))
    this.#places[entry * PLACE + GROUP] = group
    this.#link(group, entry)
    this.#groups[group * STRIDE + COUNT]!++
  }

  /** Takes an entry out of its group. */
  take(entry: number): void {
    const group = this.groupOf(entry)
    this.#unlink(group, entry)
    this.#groups[group * STRIDE + COUNT]!--
  }

  /** Moves an entry to the newest end of its group. */
  renew(entry: number): void {
    const group = this.groupOf(entry)
    if (this.newest(group) === entry) return
    this.#unlink(group, entry)
    this.#link(group, entry)
  }

  #link(group: number, entry: number): void {
    const at = group * STRIDE
    const newest = this.#groups[at + NEWEST]!
    this.#places[entry * PLACE + OLDER] = newest
    this.#places[entry * PLACE + NEWER] = -1
    if (newest < 0) this.#groups[at + OLDEST] = entry
    else this.#places[newest * PLACE + NEWER] = entry
    this.#groups[at + NEWEST] = entry
  }

  #unlink(group: number, entry: number): void {
    const at = group * STRIDE
    const older = this.#places[entry * PLACE + OLDER]!
    const newer = this.#places[entry * PLACE + NEWER]!
    if (older < 0) this.#groups[at + OLDEST] = newer
    else this.#places[older * PLACE + NEWER] = newer
    if (newer < 0) this.#groups[at + NEWEST] = older
    else this.#places[newer * PLACE + OLDER] = older
  }

  #hasKey(group: number): boolean {
    const groups = this.#groups
    const at = group * STRIDE
    for (let i = this.#keyWords - 1; i >= 0; i--) if (groups[at + i] !== this.key[i]) return false
    return true
  }
}

/** Copies an array into the beginning of a larger one, and gives that back. */
export function doubled<A extends Int32Array | Float64Array>(from: A, to: A): A {
  to.set(from)
  return to
}
