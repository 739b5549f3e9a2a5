// What a snapshot tells of single addresses: text, kind, networks of scopes and owners, endpoint. Remembered by place, so
// that an address that comes again costs a comparison or two; where more than two share two places they are worked out
// anew, as often as they take turns. It holds nothing that is a flow's own, and changes no answer.

import { formatAddress } from './address.ts'
import { type AddressKind, addressKind } from './detect/destination.ts'
import { endpointOfAddress } from './detect/unregistered.ts'
import { findPrefix } from './identity/address-table.ts'
import type { Endpoint } from './identity/endpoint-file.ts'
import type { Destinations } from './judgement-words.ts'
import { peerClass } from './scope/policy.ts'
import type { Snapshot } from './snapshot.ts'

/** Two to this power are the places. Together about 6 MB, and the texts. */
const SLOT_BITS = 17
const SLOTS = 1 << SLOT_BITS
const SHIFT = 32 - SLOT_BITS
// A place has eight words, which lie in one line of the processor's cache: the address, and what is known of it.
const PLACE = 8
const OWNER = 4
const CLASS = 5
/** The place in KINDS, and 8 if anything is known. */
const KIND = 6
const KNOWN = 8
/** The place in the list of endpoints + 1, or 0. */
const ENDPOINT = 7

const KINDS: readonly AddressKind[] = ['public', 'private', 'metadata', 'multicast', 'local']

export class AddressFacts {
  readonly #snapshot: Snapshot
  readonly #places = new Int32Array(SLOTS * PLACE)
  /** Those that were met, and their places in the list. */
  readonly #endpoints: Endpoint[] = []
  readonly #endpointNumbers = new Map<Endpoint, number>()
  /** '' until it is asked for. */
  readonly #texts: string[] = new Array<string>(SLOTS).fill('')
  /** Of the texts in `#numbered`, + 1; 0 until it is asked for. */
  readonly #numbers = new Int32Array(SLOTS)
  #numbered: Destinations | undefined

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot
  }

  /**
   * The place of an address; what stands there holds until the next call.
   * @param words the same memory as `bytes`, as words
   * @param row of 16 bytes
   */
  find(words: Int32Array, bytes: Uint8Array, row: number): number {
    const from = row * 4
    const w0 = words[from]!
    const w1 = words[from + 1]!
    const w2 = words[from + 2]!
    const w3 = words[from + 3]!
    // Twice, because networks differ in few bits: after one product their addresses would lie upon each other's.
    let hash = Math.imul(w3 ^ Math.imul(w1 ^ Math.imul(w0, 31), 31) ^ w2, 0x9e3779b1)
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b)
    const home = hash >>> SHIFT
    if (this.#isAt(home, w0, w1, w2, w3)) return home
    if (this.#isAt(home ^ 1, w0, w1, w2, w3)) return home ^ 1
    // The one that gives way, where both places are taken, is as good as random.
    const free = this.#places[home * PLACE + KIND] === 0 ? home : home ^ 1
    const slot = this.#places[free * PLACE + KIND] === 0 ? free : home ^ (hash & 1)
    const places = this.#places
    const at = slot * PLACE
    for (let i = 0; i < 4; i++) places[at + i] = words[from + i]!
    this.#learn(slot, bytes, row * 16)
    return slot
  }

  #isAt(slot: number, w0: number, w1: number, w2: number, w3: number): boolean {
    const places = this.#places
    const at = slot * PLACE
    return (
      places[at + 3] === w3 &&
      places[at + 2] === w2 &&
      places[at + 1] === w1 &&
      places[at] === w0 &&
      places[at + KIND]! >= KNOWN
    )
  }

  /** The narrowest network of any agent that holds the address, or -1. */
  ownerPrefix(slot: number): number {
    return this.#places[slot * PLACE + OWNER]!
  }

  /** What rules can tell of the address: `peerClass`. */
  class(slot: number): number {
    return this.#places[slot * PLACE + CLASS]!
  }

  kind(slot: number): AddressKind {
    return KINDS[this.#places[slot * PLACE + KIND]! - KNOWN]!
  }

  /** What is published to be at the address. */
  endpoint(slot: number): Endpoint | undefined {
    const number = this.#places[slot * PLACE + ENDPOINT]!
    return number === 0 ? undefined : this.#endpoints[number - 1]
  }

  /** The address in words. */
  text(words: Int32Array, bytes: Uint8Array, row: number): string {
    const slot = this.find(words, bytes, row)
    const known = this.#texts[slot]!
    if (known !== '') return known
    const text = formatAddress(bytes, row * 16)
    this.#texts[slot] = text
    return text
  }

  /** The number of the address in words among destinations. */
  number(words: Int32Array, bytes: Uint8Array, row: number, destinations: Destinations): number {
    if (destinations !== this.#numbered) {
      this.#numbers.fill(0)
      this.#numbered = destinations
    }
    const known = this.#numbers[this.find(words, bytes, row)]!
    if (known !== 0) return known - 1
    const number = destinations.number(this.text(words, bytes, row))
    this.#numbers[this.find(words, bytes, row)] = number + 1
    return number
  }

  #learn(slot: number, bytes: Uint8Array, at: number): void {
    const { owners, scopes, endpoints } = this.#snapshot
    const places = this.#places
    const to = slot * PLACE
    this.#texts[slot] = ''
    this.#numbers[slot] = 0
    places[to + OWNER] = findPrefix(owners.table, bytes, at)
    places[to + CLASS] = peerClass(scopes, bytes, at)
    places[to + KIND] = KNOWN + KINDS.indexOf(addressKind(bytes, at))
    places[to + ENDPOINT] = this.#endpointNumber(endpointOfAddress(endpoints, bytes, at))
  }

  #endpointNumber(endpoint: Endpoint | undefined): number {
    if (endpoint === undefined) return 0
    let number = this.#endpointNumbers.get(endpoint)
    if (number === undefined) {
      number = this.#endpoints.push(endpoint)
      this.#endpointNumbers.set(endpoint, number)
    }
    return number
  }
}

/** Addresses of a column as words. */
export function addressWords(bytes: Uint8Array<ArrayBuffer>, rows: number): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, rows * 4)
}
