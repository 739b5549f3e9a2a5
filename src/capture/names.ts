// The deciding moment of a flow: what was known of its name and its handshake when it came. The moment is defined
// in packets, so that live, replayed and re-read inputs give the same answer (ARCHITECTURE.md).

import { DnsMemory } from '../dns-memory.ts'
import { DECIDERS, type Decider, HANDSHAKES, type Handshake, type NameSource } from '../flow.ts'
import * as ANOMALY from './anomalies.ts'
import { DnsMessage, parseDns } from './dns.ts'
import type { Inspection } from './first-payload.ts'
import type { FlowExtra } from './flow-extra.ts'
import * as F from './flow-fields.ts'
import type { Page } from './table.ts'

/** The two ends of a flow as 16 bytes each: originator at 0, responder at 16. */
export const ends = new Uint8Array(32)
const endsView = new DataView(ends.buffer)

/** Fills `ends` from the key words of a flow. */
export function readEnds(words: Int32Array, at: number): void {
  const flipped = (words[at + F.FLAGS]! & F.ORIG_IS_B) !== 0
  const orig = at + (flipped ? F.ADDRESS_B : F.ADDRESS_A)
  const resp = at + (flipped ? F.ADDRESS_A : F.ADDRESS_B)
  for (let i = 0; i < 4; i++) {
    endsView.setInt32(4 * i, words[orig + i]!)
    endsView.setInt32(16 + 4 * i, words[resp + i]!)
  }
}

export class Names {
  readonly dns: DnsMemory
  readonly #message = new DnsMessage()

  /** @param seed four secret words for the hashes. No result depends on them. */
  constructor(seed: Int32Array) {
    this.dns = new DnsMemory(seed)
  }

  /**
   * Freezes the evidence. Nothing happens if the flow is decided already.
   * @param extra gives the place for names; only asked if there is something to keep
   * @param when packet time, microseconds
   */
  decide(
    page: Page,
    at: number,
    dat: number,
    by: Decider,
    when: number,
    extra: () => FlowExtra,
    name = '',
    source: NameSource | '' = '',
  ): void {
    const { words, doubles } = page
    if (words[at + F.DECIDED] !== 0) return
    const handshake = handshakeOf(words, at, dat, doubles)
    words[at + F.DECIDED] = (DECIDERS.indexOf(by) + 1) | (HANDSHAKES.indexOf(handshake) << 8)
    doubles[dat + F.DECIDED_AT] = when
    if (name === '' && this.dns.size === 0) return
    readEnds(words, at)
    const given = this.dns.size === 0 ? [] : this.dns.names(ends, 0, ends, 16, when)
    if (name === '' && given.length === 0) return
    const to = extra()
    to.dnsNames = given
    if (name !== '') {
      to.serverName = name
      to.nameSource = source
      to.nameProof = this.dns.proof(ends, 0, name, ends, 16, when)
    } else {
      to.serverName = given[0]!
      to.nameSource = 'dns'
      to.nameProof = 'confirmed'
    }
  }

  /** Takes over what the originator's first bytes said, and decides the flow by it. */
  learn(
    page: Page,
    at: number,
    dat: number,
    found: Exclude<Inspection, { status: 'more' }>,
    when: number,
    extra: () => FlowExtra,
  ): void {
    const { words } = page
    if (found.status === 'none') {
      this.decide(page, at, dat, 'no_name', when, extra)
      return
    }
    const to = extra()
    if (to.ja4 === '') to.ja4 = found.ja4
    if (to.ja3 === '') to.ja3 = found.ja3
    if (to.alpn === '') to.alpn = found.alpn
    if (to.userAgent === '') to.userAgent = found.userAgent
    // Whose flow it is was frozen with the evidence, too.
    if (words[at + F.DECIDED] === 0) to.proxyUser = found.proxyUser
    to.note(found.anomalies)
    if (words[at + F.DECIDED] === 0) {
      const by = found.status === 'name' ? 'name' : 'no_name'
      this.decide(page, at, dat, by, when, extra, found.serverName, found.nameSource)
      return
    }
    if (found.serverName === '' || found.serverName === to.serverName) return
    // Frozen is frozen: what comes later is only told of.
    const frozenByDns = to.nameSource === 'dns' || to.serverName === ''
    words[at + F.ANOMALIES]! |= frozenByDns ? ANOMALY.NAME_LATE : ANOMALY.NAME_CHANGED
  }

  /**
   * Learns from a DNS answer on its way from a server to a client.
   * @param client 16 bytes at `clientAt`
   */
  learnDns(
    bytes: Uint8Array,
    start: number,
    end: number,
    client: Uint8Array,
    clientAt: number,
    when: number,
  ): void {
    // Questions teach nothing, and half of all messages are questions.
    if (end - start < 12 || (bytes[start + 2]! & 0x80) === 0) return
    const message = this.#message
    if (!parseDns(bytes, start, end, message) || message.name.length === 0) return
    const { name, addresses, ttls, count } = message
    this.dns.learn(client, clientAt, name, addresses, ttls, count, when)
  }
}

/** How far the attempt has come now. */
function handshakeOf(words: Int32Array, at: number, dat: number, doubles: Float64Array): Handshake {
  const flags = words[at + F.FLAGS]!
  const answered = doubles[dat + F.RESP_COUNTS + F.PACKETS]! > 0
  if ((words[at + F.KEY_REST]! & 0xff) !== 6) {
    if (answered) return 'completed'
    return (flags & F.REFUSED) !== 0 ? 'refused' : 'unanswered'
  }
  if ((flags & F.HANDSHAKE_DONE) !== 0) return 'completed'
  if ((flags & F.REFUSED) !== 0) return 'refused'
  const opened = (words[at + F.ORIG + F.SEEN]! & F.SAW_SYN) !== 0
  const accepted = (words[at + F.RESP + F.SEEN]! & F.SAW_SYN) !== 0
  if (!opened && !accepted) return 'unseen'
  return answered ? 'answered' : 'unanswered'
}
