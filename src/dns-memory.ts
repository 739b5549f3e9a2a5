// What a client's own DNS told it: which names it was given for an address, and which addresses for a name. This is the
// evidence that joins a name to a flow without one, and that proves or contradicts a name that a flow claims. Every DNS
// answer comes through here, so it is numbers in typed arrays: a third of the CPU of objects under text keys, the reading
// of the message included (bench/dns-memory.ts).

import { doubled, Groups } from './dns-groups.ts'
import type { NameProof } from './flow.ts'
import { NameTable, NameText } from './name-table.ts'

/** An answer is good for its TTL and this much longer: resolvers, runtimes and connection pools hold on to it. */
export const SLACK_SECONDS = 3_600
/** A longer TTL counts as this (RFC 8767 section 4 lets resolvers cap it at seven days). */
export const MAX_TTL_SECONDS = 7 * 86_400
/** Names told of one address at most. */
export const MAX_NAMES = 8
/** Entries kept of one (client, address) and of one (client, name); one more pushes out the oldest of them. */
export const MAX_GROUP = 64

/** The words of a key: the client's four, then those of the address, or the number of the name. */
const CLIENT = 0
const ADDRESS = 4
const NAME = 4

// An entry: when it was first learned, and until when it is good, both in microseconds; and the number of its name. Four
// doubles are half a cache line, so that whoever looks at one of them has them all.
const FIRST = 0
const EXPIRES = 1
const NAME_NUMBER = 2
const STRIDE = 4

const NO_NAMES: readonly string[] = []

/**
 * A bounded memory of (client, name, address) triples. When it is full, the one learned longest ago goes.
 *
 * A triple is an entry: a number, which is in three lists by when it was last learned: of all entries, of those of its
 * client and address, and of those of its client and name. No answer depends on the seed.
 */
export class DnsMemory {
  readonly #capacity: number
  readonly #names: NameTable
  readonly #all: Groups
  readonly #byAddress: Groups
  readonly #byName: Groups
  #entries = new Float64Array(64 * STRIDE)
  /** Numbers of entries that are free, and the first one never used. */
  readonly #free: number[] = []
  #fresh = 0
  #evicted = 0
  readonly #asked = new NameText()

  /**
   * @param seed four secret words for the hashes, so that nobody outside can choose keys that collide
   * @param capacity triples at most, about 300 bytes each, taken as they come
   */
  constructor(seed: Int32Array, capacity = 65_536) {
    this.#capacity = Math.max(1, capacity)
    this.#names = new NameTable(seed)
    this.#all = new Groups(seed, 0)
    this.#all.make()
    this.#byAddress = new Groups(seed, ADDRESS + 4)
    // The time of a group: until then an entry that was given up would have been good, so that none is found proves
    // nothing.
    this.#byName = new Groups(seed, NAME + 1)
  }

  /** Triples held. */
  get size(): number {
    return this.#all.count(0)
  }

  /** Triples that were given up for want of room while they were still good. */
  get evicted(): number {
    return this.#evicted
  }

  /**
   * `client` was given `count` addresses for `name`, in this order.
   * @param client 16 bytes at `clientAt`
   * @param name in the form of `hostName`
   * @param addresses 16 bytes each, from 0
   * @param ttls seconds, one for each address
   * @param timeMicros time of the answer
   */
  learn(
    client: Uint8Array,
    clientAt: number,
    name: NameText,
    addresses: Uint8Array,
    ttls: Uint32Array,
    count: number,
    timeMicros: number,
  ): void {
    if (count === 0) return
    const number = this.#names.hold(name)
    this.#aimAtName(client, clientAt, number)
    for (let i = 0; i < count; i++) {
      const ttl = Math.min(ttls[i]!, MAX_TTL_SECONDS)
      const expires = timeMicros + (ttl + SLACK_SECONDS) * 1e6
      this.#aimAtAddress(client, clientAt, addresses, 16 * i)
      const known = this.#meeting(this.#byAddress.find(), this.#byName.find())
      if (known < 0) this.#insert(number, timeMicros, expires)
      else this.#renew(known, timeMicros, expires)
    }
    this.#names.release(number)
  }

  /** Names that the client had been given for the address and that are still good, newest first, at most MAX_NAMES. */
  names(
    client: Uint8Array,
    clientAt: number,
    address: Uint8Array,
    addressAt: number,
    timeMicros: number,
  ): readonly string[] {
    this.#aimAtAddress(client, clientAt, address, addressAt)
    const group = this.#byAddress.find()
    if (group < 0) return NO_NAMES
    const names: string[] = []
    let entry = this.#byAddress.newest(group)
    for (; entry >= 0 && names.length < MAX_NAMES; entry = this.#byAddress.older(entry))
      if (this.#isGood(entry, timeMicros))
        names.push(this.#names.text(this.#entries[entry * STRIDE + NAME_NUMBER]!))
    return names
  }

  /**
   * `confirmed` the client was given this address for this name · `contradicted` it was given others and never this
   * one · `unconfirmed` nothing good is known of the name, or what was known had to be given up.
   */
  proof(
    client: Uint8Array,
    clientAt: number,
    name: string,
    address: Uint8Array,
    addressAt: number,
    timeMicros: number,
  ): NameProof {
    const number = this.#asked.take(name) ? this.#names.find(this.#asked) : -1
    if (number < 0) return 'unconfirmed'
    this.#aimAtName(client, clientAt, number)
    const group = this.#byName.find()
    if (group < 0) return 'unconfirmed'
    this.#aimAtAddress(client, clientAt, address, addressAt)
    const here = this.#meeting(this.#byAddress.find(), group)
    if (here >= 0) return this.#isGood(here, timeMicros) ? 'confirmed' : 'unconfirmed'
    if (this.#byName.times[group]! >= timeMicros) return 'unconfirmed'
    for (let entry = this.#byName.newest(group); entry >= 0; entry = this.#byName.older(entry))
      if (this.#isGood(entry, timeMicros)) return 'contradicted'
    return 'unconfirmed'
  }

  #insert(name: number, first: number, expires: number): void {
    if (this.size === this.#capacity) this.#forget(this.#all.oldest(0), first)
    const entry = this.#free.pop() ?? this.#fresh++
    const at = entry * STRIDE
    if (at >= this.#entries.length)
      this.#entries = doubled(this.#entries, new Float64Array(this.#entries.length * 2))
    this.#entries[at + FIRST] = first
    this.#entries[at + EXPIRES] = expires
    this.#entries[at + NAME_NUMBER] = name
    this.#all.append(0, entry)
    this.#names.holdAgain(name)
    // Looked for again, because what is forgotten may take its groups with it.
    this.#join(this.#byAddress, entry, first)
    this.#join(this.#byName, entry, first)
  }

  /** Puts a new entry into the group of the key in hand. */
  #join(groups: Groups, entry: number, timeMicros: number): void {
    const known = groups.find()
    const group = known < 0 ? groups.make() : known
    groups.append(group, entry)
    if (groups.count(group) > MAX_GROUP) this.#forget(groups.oldest(group), timeMicros)
  }

  #renew(entry: number, timeMicros: number, expires: number): void {
    const entries = this.#entries
    const at = entry * STRIDE
    const first = entries[at + FIRST]!
    const until = entries[at + EXPIRES]!
    // An answer that had run out is learned anew; a good one stays good since it was first given.
    entries[at + FIRST] = timeMicros > until ? timeMicros : Math.min(first, timeMicros)
    entries[at + EXPIRES] = Math.max(until, expires)
    this.#all.renew(entry)
    this.#byAddress.renew(entry)
    this.#byName.renew(entry)
  }

  #forget(entry: number, timeMicros: number): void {
    const expires = this.#entries[entry * STRIDE + EXPIRES]!
    if (expires >= timeMicros) this.#evicted++
    this.#names.release(this.#entries[entry * STRIDE + NAME_NUMBER]!)
    this.#all.take(entry)
    this.#leave(this.#byAddress, entry, expires)
    this.#leave(this.#byName, entry, expires)
    this.#free.push(entry)
  }

  #leave(groups: Groups, entry: number, expires: number): void {
    const group = groups.groupOf(entry)
    groups.take(entry)
    if (expires > groups.times[group]!) groups.times[group] = expires
    if (groups.count(group) === 0) groups.remove(group)
  }

  /** The entry that is in both groups, or -1; a group that is not there has the number -1. */
  #meeting(withAddress: number, withName: number): number {
    if (withAddress < 0 || withName < 0) return -1
    const byAddress = this.#byAddress
    const byName = this.#byName
    if (byName.count(withName) <= byAddress.count(withAddress)) {
      for (let entry = byName.newest(withName); entry >= 0; entry = byName.older(entry))
        if (byAddress.groupOf(entry) === withAddress) return entry
    } else {
      for (let entry = byAddress.newest(withAddress); entry >= 0; entry = byAddress.older(entry))
        if (byName.groupOf(entry) === withName) return entry
    }
    return -1
  }

  #isGood(entry: number, timeMicros: number): boolean {
    const at = entry * STRIDE
    return this.#entries[at + FIRST]! <= timeMicros && timeMicros <= this.#entries[at + EXPIRES]!
  }

  #aimAtAddress(client: Uint8Array, clientAt: number, address: Uint8Array, addressAt: number) {
    const { key } = this.#byAddress
    readWords(client, clientAt, key, CLIENT)
    readWords(address, addressAt, key, ADDRESS)
    this.#byAddress.aim()
  }

  #aimAtName(client: Uint8Array, clientAt: number, name: number): void {
    const { key } = this.#byName
    readWords(client, clientAt, key, CLIENT)
    key[NAME] = name
    this.#byName.aim()
  }
}

/** 16 bytes as four words. */
function readWords(bytes: Uint8Array, at: number, to: Int32Array, toAt: number): void {
  for (let i = 0; i < 4; i++) {
    const b = at + 4 * i
    to[toAt + i] = (bytes[b]! << 24) | (bytes[b + 1]! << 16) | (bytes[b + 2]! << 8) | bytes[b + 3]!
  }
}
