// The flow table: records of fixed stride in pages, an index by keyed hash (open addressing, linear probing,
// backward-shift deletion), and a timer wheel on packet time. Order never depends on the hash: flows are numbered
// and leave in the order of the wheel, or of their birth.

import { keyedHash } from '../keyed-hash.ts'
import {
  BIRTH,
  FLAGS,
  HASH,
  IN_USE,
  KEY_WORDS,
  NEXT,
  PREVIOUS,
  SLOT,
  WORDS,
} from './flow-fields.ts'

const PAGE_BITS = 11
const PAGE = 1 << PAGE_BITS
const SLOTS = 512
const TICK = 1e6
/** Third word of an IPv4 address in IPv6's form. */
const MAPPED = 0x0000_ffff

/** 2048 flows; the three are the same memory. */
export interface Page {
  words: Int32Array
  bytes: Uint8Array
  doubles: Float64Array
}

export class FlowTable {
  /** Flows in the table. */
  active = 0
  /** Flows ever. */
  births = 0
  readonly max: number
  readonly #seed: Int32Array
  readonly #four = new Int32Array(4)
  readonly #pages: Page[] = []
  /** Pairs of hash and flow number + 1; 0 = empty. */
  #index = new Int32Array(2 << 12)
  #mask = (1 << 12) - 1
  /** Numbers given back, last in first out, and the first never used. */
  readonly #free: number[] = []
  #fresh = 0
  readonly #heads = new Int32Array(SLOTS).fill(-1)
  readonly #tails = new Int32Array(SLOTS).fill(-1)
  /** Tick up to which the wheel has turned. */
  #turned = -1
  /** Time of the next tick, microseconds. */
  #next = Number.NEGATIVE_INFINITY
  #hand = 0

  /**
   * @param seed four secret words
   * @param max most flows at a time
   */
  constructor(seed: Int32Array, max: number) {
    this.#seed = seed
    this.max = max
  }

  page(flow: number): Page {
    return this.#pages[flow >>> PAGE_BITS]!
  }

  /** Where the words of a flow begin in its page. */
  words(flow: number): number {
    return (flow & (PAGE - 1)) * WORDS
  }

  /** Where its doubles begin. */
  doubles(flow: number): number {
    return (flow & (PAGE - 1)) * (WORDS / 2)
  }

  hash(key: Int32Array): number {
    const mapped = key[2] === MAPPED && key[6] === MAPPED
    if (!mapped || (key[0]! | key[1]! | key[4]! | key[5]!) !== 0)
      return keyedHash(key, KEY_WORDS, this.#seed)
    // IPv4 keys differ in four words only, and a shorter message has another hash.
    const four = this.#four
    four[0] = key[3]!
    four[1] = key[7]!
    four[2] = key[8]!
    four[3] = key[9]!
    return keyedHash(four, 4, this.#seed)
  }

  /** Number of the flow with this key, or -1. */
  find(key: Int32Array, hash: number): number {
    const index = this.#index
    let slot = hash & this.#mask
    for (;;) {
      const entry = index[2 * slot + 1]!
      if (entry === 0) return -1
      if (index[2 * slot] === hash && this.#equals(entry - 1, key)) return entry - 1
      slot = (slot + 1) & this.#mask
    }
  }

  /** Makes a flow; there must be room. Its fields are zero but for the key. */
  add(key: Int32Array, hash: number): number {
    if ((this.active + 1) * 2 > this.#mask) this.#grow()
    const flow = this.#free.pop() ?? this.#fresh++
    if (flow >>> PAGE_BITS >= this.#pages.length) this.#pages.push(newPage())
    const { words } = this.page(flow)
    const at = this.words(flow)
    words.fill(0, at, at + WORDS)
    for (let i = 0; i < KEY_WORDS; i++) words[at + i] = key[i]!
    words[at + HASH] = hash
    words[at + SLOT] = -1
    words[at + NEXT] = -1
    words[at + FLAGS] = IN_USE
    words[at + BIRTH] = this.births++ | 0
    this.active++
    this.#enter(hash, flow)
    return flow
  }

  /** Takes a flow out; its number is free for another. */
  remove(flow: number): void {
    const { words } = this.page(flow)
    const at = this.words(flow)
    this.#leave(words[at + HASH]!, flow)
    if (words[at + SLOT]! >= 0) this.#unlink(flow)
    words[at + FLAGS] = 0
    this.active--
    this.#free.push(flow)
  }

  /** Puts a flow on the wheel, to be visited when `deadline` (microseconds) has passed, or before. */
  arm(flow: number, deadline: number): void {
    const { words } = this.page(flow)
    const at = this.words(flow)
    if (words[at + SLOT]! >= 0) this.#unlink(flow)
    const tick = Math.floor(deadline / TICK) + 1
    const slot = Math.min(Math.max(tick, this.#turned + 1), this.#turned + SLOTS - 1) % SLOTS
    const tail = this.#tails[slot]!
    words[at + SLOT] = slot
    words[at + NEXT] = -1
    words[at + PREVIOUS] = tail
    if (tail < 0) this.#heads[slot] = flow
    else this.page(tail).words[this.words(tail) + NEXT] = flow
    this.#tails[slot] = flow
  }

  #unlink(flow: number): void {
    const { words } = this.page(flow)
    const at = this.words(flow)
    const slot = words[at + SLOT]!
    const next = words[at + NEXT]!
    const previous = words[at + PREVIOUS]!
    if (previous < 0) this.#heads[slot] = next
    else this.page(previous).words[this.words(previous) + NEXT] = next
    if (next < 0) this.#tails[slot] = previous
    else this.page(next).words[this.words(next) + PREVIOUS] = previous
    words[at + SLOT] = -1
  }

  /**
   * Turns the wheel up to `now` and visits the flows it passes. The visitor removes a flow, or arms it again.
   * A jump of any length turns at most once around.
   */
  advance(now: number, visit: (flow: number) => void): void {
    if (now < this.#next) return
    const tick = Math.floor(now / TICK)
    this.#next = (tick + 1) * TICK
    if (tick <= this.#turned) return
    if (this.#turned < 0) {
      this.#turned = tick
      return
    }
    let from = this.#turned + 1
    if (tick - from >= SLOTS) from = tick - SLOTS + 1
    for (let at = from; at <= tick; at++) {
      this.#turned = at
      this.#turn(at % SLOTS, visit)
    }
  }

  #turn(slot: number, visit: (flow: number) => void): void {
    for (;;) {
      const flow = this.#heads[slot]!
      if (flow < 0) return
      this.#unlink(flow)
      visit(flow)
    }
  }

  /** Up to `count` flows from a hand that goes round: candidates for eviction. */
  sweep(count: number, visit: (flow: number) => void): void {
    let seen = 0
    for (let step = 0; step < this.#fresh && seen < count; step++) {
      this.#hand = this.#hand + 1 < this.#fresh ? this.#hand + 1 : 0
      const { words } = this.page(this.#hand)
      if ((words[this.words(this.#hand) + FLAGS]! & IN_USE) === 0) continue
      seen++
      visit(this.#hand)
    }
  }

  /** All flows, oldest first. */
  inOrder(): number[] {
    const flows: number[] = []
    for (let flow = 0; flow < this.#fresh; flow++)
      if ((this.page(flow).words[this.words(flow) + FLAGS]! & IN_USE) !== 0) flows.push(flow)
    const birth = (flow: number) => this.page(flow).words[this.words(flow) + BIRTH]! >>> 0
    return flows.sort((a, b) => birth(a) - birth(b))
  }

  #equals(flow: number, key: Int32Array): boolean {
    const { words } = this.page(flow)
    const at = this.words(flow)
    for (let i = KEY_WORDS - 1; i >= 0; i--) if (words[at + i] !== key[i]) return false
    return true
  }

  #enter(hash: number, flow: number): void {
    const index = this.#index
    let slot = hash & this.#mask
    while (index[2 * slot + 1] !== 0) slot = (slot + 1) & this.#mask
    index[2 * slot] = hash
    index[2 * slot + 1] = flow + 1
  }

  #leave(hash: number, flow: number): void {
    const index = this.#index
    const mask = this.#mask
    let hole = hash & mask
    while (index[2 * hole + 1] !== flow + 1) hole = (hole + 1) & mask
    let slot = (hole + 1) & mask
    // Close the gap: whatever was pushed past the hole moves back into it.
    while (index[2 * slot + 1] !== 0) {
      const home = index[2 * slot]! & mask
      if (((slot - home) & mask) >= ((slot - hole) & mask)) {
        index[2 * hole] = index[2 * slot]!
        index[2 * hole + 1] = index[2 * slot + 1]!
        hole = slot
      }
      slot = (slot + 1) & mask
    }
    index[2 * hole + 1] = 0
  }

  #grow(): void {
    const old = this.#index
    this.#index = new Int32Array(old.length * 2)
    this.#mask = this.#mask * 2 + 1
    for (let i = 0; i < old.length; i += 2)
      if (old[i + 1] !== 0) this.#enter(old[i]!, old[i + 1]! - 1)
  }
}

function newPage(): Page {
  const words = new Int32Array(PAGE * WORDS)
  return {
    words,
    bytes: new Uint8Array(words.buffer),
    doubles: new Float64Array(words.buffer),
  }
}
