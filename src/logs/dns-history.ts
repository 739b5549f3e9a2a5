// Which names a client had been given for an address at any moment of the past. A dns.log is read before the
// connections it explains, so unlike the memory of a live capture this one is asked about moments in the middle of
// what it knows: every answer is kept with its time.

import { MAX_NAMES, MAX_TTL_SECONDS, SLACK_SECONDS } from '../dns-memory.ts'
import type { NameProof } from '../flow.ts'

/** Answers held in all; the oldest group goes first. */
export const HISTORY_MAX = 1 << 20
/** Answers held of one (client, address) and of one (client, name). */
export const HISTORY_GROUP_MAX = 512

interface Answer {
  /** The name, or in a group by name the address. */
  readonly what: string
  /** Microseconds. */
  readonly from: number
  until: number
}

/** One direction of the history: answers by (client, key). */
class Groups {
  readonly #groups = new Map<string, Answer[]>()
  readonly #max: number
  #size = 0
  evicted = 0

  constructor(max: number) {
    this.#max = max
  }

  add(key: string, what: string, from: number, until: number): void {
    let group = this.#groups.get(key)
    if (group === undefined) {
      group = []
      this.#groups.set(key, group)
    }
    const last = group.at(-1)
    // The same answer again while it is good, with nothing in between, only lasts longer.
    if (last !== undefined && last.what === what && last.from <= from && from <= last.until) {
      last.until = Math.max(last.until, until)
      return
    }
    group.push({ what, from, until })
    this.#size++
    if (group.length > HISTORY_GROUP_MAX) {
      group.shift()
      this.#size--
      this.evicted++
    }
    while (this.#size > this.#max) this.#evictOldest()
  }

  get(key: string): readonly Answer[] {
    return this.#groups.get(key) ?? []
  }

  #evictOldest(): void {
    const [key, group] = this.#groups.entries().next().value!
    this.#size -= group.length
    this.evicted += group.length
    this.#groups.delete(key)
  }
}

export class DnsHistory {
  readonly #byAddress: Groups
  readonly #byName: Groups

  constructor(max = HISTORY_MAX) {
    this.#byAddress = new Groups(max)
    this.#byName = new Groups(max)
  }

  /** Answers that had to be given up. */
  get evicted(): number {
    return this.#byAddress.evicted + this.#byName.evicted
  }

  /** `client` was given `address` (16 bytes each) for `name` at this time, microseconds. */
  learn(
    client: Uint8Array,
    clientAt: number,
    name: string,
    address: Uint8Array,
    addressAt: number,
    time: number,
    ttlSeconds: number,
  ): void {
    const who = textOf(client, clientAt)
    const where = textOf(address, addressAt)
    const until = time + (Math.min(Math.max(0, ttlSeconds), MAX_TTL_SECONDS) + SLACK_SECONDS) * 1e6
    this.#byAddress.add(who + where, name, time, until)
    this.#byName.add(who + name, where, time, until)
  }

  /** Names good at `time` that the client had been given for the address by then, newest first, at most MAX_NAMES. */
  names(
    client: Uint8Array,
    clientAt: number,
    address: Uint8Array,
    addressAt: number,
    time: number,
  ): string[] {
    const answers = this.#byAddress.get(textOf(client, clientAt) + textOf(address, addressAt))
    if (answers.length === 0) return []
    const good = answers.filter((answer) => isGood(answer, time))
    // Stable: of answers of one moment, the one written last is the newer.
    good.reverse().sort((a, b) => b.from - a.from)
    return [...new Set(good.map((answer) => answer.what))].slice(0, MAX_NAMES)
  }

  /** See NAME_PROOFS: what this client's DNS said by `time` of this name and address. */
  proof(
    client: Uint8Array,
    clientAt: number,
    name: string,
    address: Uint8Array,
    addressAt: number,
    time: number,
  ): NameProof {
    const where = textOf(address, addressAt)
    let given = false
    let others = false
    for (const answer of this.#byName.get(textOf(client, clientAt) + name)) {
      if (answer.what === where) {
        if (isGood(answer, time)) return 'confirmed'
        given = true
      } else if (isGood(answer, time)) others = true
    }
    // Full groups have forgotten, so that nothing is found in them proves nothing.
    return others && !given && this.#byName.evicted === 0 ? 'contradicted' : 'unconfirmed'
  }
}

function isGood(answer: Answer, time: number): boolean {
  return answer.from <= time && time <= answer.until
}

/** 16 bytes as a string of 16 characters: V8 hashes strings, unlike integers, with a secret of the process. */
function textOf(bytes: Uint8Array, at: number): string {
  let text = ''
  for (let i = 0; i < 16; i++) text += String.fromCharCode(bytes[at + i]!)
  return text
}
