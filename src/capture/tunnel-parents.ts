// The uids of the tunnels that a packet came through. The lists are shared by all flows inside one tunnel.

import type { FlowBook } from './flow-book.ts'
import * as F from './flow-fields.ts'
import { KeyMaker } from './flow-key.ts'
import type { Packet } from './packet.ts'

/** Tunnels without a row of their own whose lists are kept; a forgotten one is made again alike. */
const PAIRS_MAX = 4096

export class TunnelParents {
  readonly #flows: FlowBook
  readonly #keys = new KeyMaker()
  readonly #words = new Int32Array(F.WORDS)
  readonly #pairs = new Map<string, readonly string[]>()

  constructor(flows: FlowBook) {
    this.#flows = flows
  }

  /** For what is inside the flow in hand, which came through `outer` itself. */
  flow(outer: readonly string[]): readonly string[] {
    const extra = this.#flows.extra()
    if (extra.asParents === undefined)
      extra.asParents = [...extra.parents, this.#flows.records.uid(this.#flows, extra.parents)]
    return extra.asParents.length === outer.length + 1
      ? extra.asParents
      : [...outer, extra.asParents.at(-1)!]
  }

  /** For what is inside GRE or IP-in-IP between the two hosts of the packet in hand. */
  pair(packet: Packet, outer: readonly string[]): readonly string[] {
    this.#keys.make(packet, 0, 0, false)
    this.#words.set(this.#keys.key)
    const text = `${this.#keys.key.join(' ')} ${outer.join(' ')}`
    let parents = this.#pairs.get(text)
    if (parents === undefined) {
      parents = [...outer, this.#flows.records.pairUid(this.#words, packet.protocol, outer)]
      if (this.#pairs.size >= PAIRS_MAX) this.#pairs.delete(this.#pairs.keys().next().value!)
      this.#pairs.set(text, parents)
    }
    return parents
  }
}
