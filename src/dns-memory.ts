// What a client's own DNS told it: which names it was given for an address, and which addresses for a name. This is the
// evidence that joins a name to a flow without one, and that proves or contradicts a name that a flow claims.

import type { NameProof } from './flow.ts'

/** An answer is good for its TTL and this much longer: resolvers, runtimes and connection pools hold on to it. */
export const SLACK_SECONDS = 3_600
/** A longer TTL counts as this (RFC 8767 section 4 lets resolvers cap it at seven days). */
export const MAX_TTL_SECONDS = 7 * 86_400
/** Names told of one address at most. */
export const MAX_NAMES = 8
/** Entries kept of one (client, address) and of one (client, name); one more pushes out the oldest of them. */
export const MAX_GROUP = 64

interface Entry {
  readonly client: string
  readonly address: string
  readonly name: string
  /** Microseconds: when it was first learned, and until when it is good. */
  first: number
  expires: number
  /** Neighbours in the list of all entries, by when they were last learned. */
  older: Entry | undefined
  newer: Entry | undefined
}

/** Entries of one (client, address) or (client, name), the one learned last at the end. */
interface Group {
  readonly entries: Entry[]
  /** Until then an entry that was given up would have been good, so that none is found proves nothing. */
  forgotUntil: number
}

/**
 * A bounded memory of (client, name, address) triples. When it is full, the one learned longest ago goes.
 *
 * Addresses and names are used as Map keys in the form of strings only: V8 hashes those with a secret of the
 * process, so nobody outside can choose colliding ones, and no answer depends on it.
 */
export class DnsMemory {
  readonly #capacity: number
  readonly #byAddress = new Map<string, Group>()
  readonly #byName = new Map<string, Group>()
  #oldest: Entry | undefined
  #newest: Entry | undefined
  #size = 0
  #evicted = 0

  /** @param capacity triples at most, about 300 bytes each */
  constructor(capacity = 65_536) {
    this.#capacity = Math.max(1, capacity)
  }

  /** Triples held. */
  get size(): number {
    return this.#size
  }

  /** Triples that were given up for want of room while they were still good. */
  get evicted(): number {
    return this.#evicted
  }

  /**
   * `client` was given `address` for `name`.
   * @param client 16 bytes at `clientAt`, and so `address`
   * @param name in the form of `hostName`
   * @param timeMicros time of the answer
   */
  learn(
    client: Uint8Array,
    clientAt: number,
    name: string,
    address: Uint8Array,
    addressAt: number,
    timeMicros: number,
    ttlSeconds: number,
  ): void {
    const who = textOf16(client, clientAt)
    const where = textOf16(address, addressAt)
    const expires = timeMicros + (Math.min(ttlSeconds, MAX_TTL_SECONDS) + SLACK_SECONDS) * 1e6
    const known = this.#byName.get(who + name)?.entries.find((entry) => entry.address === where)
    if (known === undefined) return this.#insert(who, name, where, timeMicros, expires)
    // An answer that had run out is learned anew; a good one stays good since it was first given.
    known.first = timeMicros > known.expires ? timeMicros : Math.min(known.first, timeMicros)
    known.expires = Math.max(known.expires, expires)
    this.#unlink(known)
    this.#link(known)
    toEnd(this.#byAddress.get(who + where)!.entries, known)
    toEnd(this.#byName.get(who + name)!.entries, known)
  }

  /** Names that the client had been given for the address and that are still good, newest first, at most MAX_NAMES. */
  names(
    client: Uint8Array,
    clientAt: number,
    address: Uint8Array,
    addressAt: number,
    timeMicros: number,
  ): readonly string[] {
    const key = textOf16(client, clientAt) + textOf16(address, addressAt)
    const entries = this.#byAddress.get(key)?.entries
    if (entries === undefined) return []
    const names: string[] = []
    for (let i = entries.length - 1; i >= 0 && names.length < MAX_NAMES; i--) {
      const entry = entries[i]!
      if (isGood(entry, timeMicros)) names.push(entry.name)
    }
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
    const group = this.#byName.get(textOf16(client, clientAt) + name)
    if (group === undefined) return 'unconfirmed'
    const where = textOf16(address, addressAt)
    let others = false
    for (const entry of group.entries) {
      if (entry.address === where) return isGood(entry, timeMicros) ? 'confirmed' : 'unconfirmed'
      if (isGood(entry, timeMicros)) others = true
    }
    return others && group.forgotUntil < timeMicros ? 'contradicted' : 'unconfirmed'
  }

  #insert(who: string, name: string, where: string, first: number, expires: number): void {
    if (this.#size === this.#capacity) this.#forget(this.#oldest!, first)
    const entry: Entry = {
      client: who,
      address: where,
      name,
      first,
      expires,
      older: undefined,
      newer: undefined,
    }
    this.#link(entry)
    this.#size++
    for (const [groups, key] of [
      [this.#byAddress, who + where],
      [this.#byName, who + name],
    ] as const) {
      const group = groups.get(key)
      if (group === undefined) groups.set(key, { entries: [entry], forgotUntil: 0 })
      else {
        group.entries.push(entry)
        if (group.entries.length > MAX_GROUP) this.#forget(group.entries[0]!, first)
      }
    }
  }

  #forget(entry: Entry, timeMicros: number): void {
    this.#unlink(entry)
    this.#size--
    if (entry.expires >= timeMicros) this.#evicted++
    for (const [groups, key] of [
      [this.#byAddress, entry.client + entry.address],
      [this.#byName, entry.client + entry.name],
    ] as const) {
      const group = groups.get(key)!
      const at = group.entries.indexOf(entry)
      // It may have to leave one group for the sake of the other, which it had not entered yet.
      if (at >= 0) group.entries.splice(at, 1)
      group.forgotUntil = Math.max(group.forgotUntil, entry.expires)
      if (group.entries.length === 0) groups.delete(key)
    }
  }

  /** Appends the entry to the list as the one learned last. */
  #link(entry: Entry): void {
    entry.older = this.#newest
    entry.newer = undefined
    if (this.#newest === undefined) this.#oldest = entry
    else this.#newest.newer = entry
    this.#newest = entry
  }

  #unlink(entry: Entry): void {
    if (entry.older === undefined) this.#oldest = entry.newer
    else entry.older.newer = entry.newer
    if (entry.newer === undefined) this.#newest = entry.older
    else entry.newer.older = entry.older
  }
}

function isGood(entry: Entry, timeMicros: number): boolean {
  return entry.first <= timeMicros && timeMicros <= entry.expires
}

function toEnd(entries: Entry[], entry: Entry): void {
  if (entries[entries.length - 1] === entry) return
  entries.splice(entries.indexOf(entry), 1)
  entries.push(entry)
}

/** 16 bytes as a string of 16 characters, made in one piece because Map keys of joined pieces are slow. */
function textOf16(b: Uint8Array, at: number): string {
  return String.fromCharCode(
    b[at]!,
    b[at + 1]!,
    b[at + 2]!,
    b[at + 3]!,
    b[at + 4]!,
    b[at + 5]!,
    b[at + 6]!,
    b[at + 7]!,
    b[at + 8]!,
    b[at + 9]!,
    b[at + 10]!,
    b[at + 11]!,
    b[at + 12]!,
    b[at + 13]!,
    b[at + 14]!,
    b[at + 15]!,
  )
}
