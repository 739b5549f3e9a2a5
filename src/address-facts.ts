// What a snapshot tells of single addresses: text, kind, networks of scopes and owners, endpoint. Remembered by place, so
// that an address that comes again costs a comparison; one that shares its place with another is worked out anew, as
// often as they take turns. It holds nothing that is a flow's own, and changes no answer.

import { formatAddress } from './address.ts'
import { type AddressKind, addressKind } from './detect/destination.ts'
import { endpointOfAddress } from './detect/unregistered.ts'
import { findPrefix } from './identity/address-table.ts'
import type { Endpoint } from './identity/endpoint-file.ts'
import { peerClass } from './scope/policy.ts'
import type { Snapshot } from './snapshot.ts'

/** Places: a power of two. Together about 4 MB, and the texts. */
const SLOTS = 1 << 16

export class AddressFacts {
  /** By place: the narrowest network that an agent declares, and that a rule names, or -1. */
  readonly ownerPrefixes: Int32Array = new Int32Array(SLOTS)
  readonly classes: Int32Array = new Int32Array(SLOTS)
  readonly kinds: AddressKind[] = new Array<AddressKind>(SLOTS).fill('public')
  readonly endpoints: (Endpoint | undefined)[] = new Array<undefined>(SLOTS).fill(undefined)
  readonly #snapshot: Snapshot
  readonly #words = new Int32Array(SLOTS * 4)
  readonly #held = new Uint8Array(SLOTS)
  /** '' until it is asked for. */
  readonly #texts: string[] = new Array<string>(SLOTS).fill('')

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
    let hash = Math.imul(w3 ^ Math.imul(w1 ^ Math.imul(w0, 31), 31) ^ w2, 0x9e3779b1)
    hash ^= hash >>> 15
    const slot = hash & (SLOTS - 1)
    const held = this.#words
    const at = slot * 4
    if (
      held[at + 3] !== w3 ||
      held[at + 2] !== w2 ||
      held[at + 1] !== w1 ||
      held[at] !== w0 ||
      this.#held[slot] === 0
    ) {
      for (let i = 0; i < 4; i++) held[at + i] = words[from + i]!
      this.#learn(slot, bytes, row * 16)
    }
    return slot
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

  #learn(slot: number, bytes: Uint8Array, at: number): void {
    const { owners, scopes, endpoints } = this.#snapshot
    this.#held[slot] = 1
    this.#texts[slot] = ''
    this.ownerPrefixes[slot] = findPrefix(owners.table, bytes, at)
    this.classes[slot] = peerClass(scopes, bytes, at)
    this.kinds[slot] = addressKind(bytes, at)
    this.endpoints[slot] = endpointOfAddress(endpoints, bytes, at)
  }
}

/** Addresses of a column as words. */
export function addressWords(bytes: Uint8Array<ArrayBuffer>, rows: number): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, rows * 4)
}
