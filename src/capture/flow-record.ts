// Writes a flow that leaves the table as a row of FLOW_COLUMNS.

import type { ChunkWriter } from '../chunk.ts'
import { DECIDERS, type EndReason, HANDSHAKES } from '../flow.ts'
import { contextHash, type FlowKey, flowId, uidOf } from '../flow-id.ts'
import { anomalyCodes, HISTORY_CUT } from './anomalies.ts'
import type { FlowExtra } from './flow-extra.ts'
import * as F from './flow-fields.ts'
import { ends, readEnds } from './names.ts'
import * as TOLD from './running-reports.ts'
import type { Page } from './table.ts'
import { historyText, payloadSize, tcpState } from './tcp-summary.ts'

const CONTEXTS_MAX = 10_000
const NONE: readonly string[] = []

/** Where a flow is in the table. */
export interface FlowPlace {
  flow: number
  page: Page
  at: number
  dat: number
}

export class FlowRecords {
  readonly #chunks: ChunkWriter
  readonly #sensor: string
  readonly #contexts = new Map<string, number>()
  // The observation point that was asked for last, which is nearly always the next one, too.
  #lastInterface = -1
  #lastVlans = -1
  #lastParents: readonly string[] = NONE
  #lastContext = 0
  readonly #key: FlowKey = {
    context: 0,
    addressA: ends,
    atA: 0,
    portA: 0,
    addressB: ends,
    atB: 16,
    portB: 0,
    protocol: 0,
    time: 0,
    occurrence: 0,
  }
  readonly #id = new Uint8Array(16)
  /** Names of capture interfaces; a vantage is told only if there is more than one. */
  readonly interfaces: string[] = []

  constructor(chunks: ChunkWriter, sensor: string) {
    this.#chunks = chunks
    this.#sensor = sensor
  }

  /** The uid of a flow that is in the table, for those it carries. */
  uid(place: FlowPlace, parents: readonly string[]): string {
    this.#identify(place, parents, this.#id, 0)
    return uidOf(this.#id)
  }

  /** A uid for a tunnel that is no flow of its own: all GRE or IP-in-IP packets between two hosts. */
  pairUid(words: Int32Array, protocol: number, parents: readonly string[]): string {
    readEnds(words, 0)
    const key = this.#key
    key.context = this.#context(`${this.#sensor}\ntunnel\n${parents.join(' ')}`)
    key.portA = 0
    key.portB = 0
    key.protocol = protocol
    key.time = 0
    key.occurrence = 0
    flowId(key, this.#id, 0)
    return uidOf(this.#id)
  }

  /** @param told what was told of it before, where flows are told of while they go on; it is brought up to date */
  write(
    place: FlowPlace,
    extra: FlowExtra | undefined,
    service: string,
    reason: EndReason,
    told?: TOLD.FlowTold,
  ): void {
    const { page, at, dat } = place
    const { words, doubles } = page
    const row = this.#chunks.flow()
    const c = this.#chunks.flows.columns
    const parents = extra === undefined || extra.parents.length === 0 ? NONE : extra.parents
    this.#identify(place, parents, c.flow_id, row * 16)
    c.rec_no[row] = words[at + F.RECORDS]!++
    c.sensor.set(row, this.#sensor)
    c.source_kind.set(row, 'pcap')
    c.vantage.set(row, this.#vantage(words[at + F.KEY_REST]! >>> 16))
    c.ts[row] = doubles[dat + F.FIRST]!
    c.end[row] = Math.max(doubles[dat + F.FIRST]!, doubles[dat + F.LAST_SEEN]!)
    const { orig_h, resp_h } = c
    for (let i = 0; i < 16; i++) {
      orig_h[row * 16 + i] = ends[i]!
      resp_h[row * 16 + i] = ends[16 + i]!
    }
    const { portA, portB, protocol } = this.#key
    c.orig_p[row] = portA
    c.resp_p[row] = portB
    c.ip_proto[row] = protocol
    c.service.set(row, service)
    this.#counters(place, row)
    if (told !== undefined) this.#differences(row, reason, told)
    c.vlan[row] = words[at + F.VLANS]! & 0xffff
    c.inner_vlan[row] = words[at + F.VLANS]! >>> 16
    c.tunnel_parents.set(
      row,
      extra?.laterParents === undefined ? parents : [...parents, ...extra.laterParents],
    )
    const flags = words[at + F.FLAGS]!
    c.direction_sure[row] = (flags & F.DIRECTION_SURE) !== 0 && (flags & F.FLIPPED) === 0 ? 1 : 0
    const decided = words[at + F.DECIDED]!
    c.decided_by.set(row, DECIDERS[(decided & 0xff) - 1] ?? '')
    c.handshake.set(row, HANDSHAKES[decided >> 8] ?? '')
    c.decided_at[row] = doubles[dat + F.DECIDED_AT]!
    c.end_reason.set(row, reason)
    let bits = words[at + F.ANOMALIES]!
    if (page.bytes[(at + F.HISTORY) * 4]! >= F.HISTORY_MAX) bits |= HISTORY_CUT
    const odd = anomalyCodes(bits)
    if (extra === undefined) {
      c.anomalies.set(row, odd)
      return
    }
    c.anomalies.set(row, extra.anomalies.length === 0 ? odd : [...odd, ...extra.anomalies])
    c.server_name.set(row, extra.serverName)
    c.name_source.set(row, extra.nameSource)
    c.name_proof.set(row, extra.nameProof)
    c.dns_names.set(row, extra.dnsNames)
    c.ja3.set(row, extra.ja3)
    c.ja4.set(row, extra.ja4)
    c.alpn.set(row, extra.alpn)
    c.user_agent.set(row, extra.userAgent)
    c.proxy_user.set(row, extra.proxyUser)
  }

  #counters(place: FlowPlace, row: number): void {
    const { page, at, dat } = place
    const { words, doubles } = page
    const c = this.#chunks.flows.columns
    const protocol = words[at + F.KEY_REST]! & 0xff
    const orig = dat + F.ORIG_COUNTS
    const resp = dat + F.RESP_COUNTS
    c.orig_pkts[row] = doubles[orig + F.PACKETS]!
    c.orig_ip_bytes[row] = doubles[orig + F.IP_BYTES]!
    c.resp_pkts[row] = doubles[resp + F.PACKETS]!
    c.resp_ip_bytes[row] = doubles[resp + F.IP_BYTES]!
    c.missed_bytes[row] = doubles[dat + F.MISSED]!
    c.history.set(row, historyText(page, at))
    c.conn_state.set(row, protocol === 6 ? tcpState(page, at) : datagramState(words, at, protocol))
    // As Zeek: a flow of one moment has no duration, and then no payload counters either.
    const duration = doubles[dat + F.LAST]! - doubles[dat + F.FIRST]!
    if (!(duration > 0)) return
    c.duration[row] = duration / 1e6
    c.orig_bytes[row] =
      protocol === 6 ? payloadSize(words, at + F.ORIG, at + F.RESP) : doubles[orig + F.PAYLOAD]!
    c.resp_bytes[row] =
      protocol === 6 ? payloadSize(words, at + F.RESP, at + F.ORIG) : doubles[resp + F.PAYLOAD]!
  }

  /** Totals become what came since the record before. */
  #differences(row: number, reason: EndReason, told: TOLD.FlowTold): void {
    const c = this.#chunks.flows.columns
    c.orig_pkts[row] = told.grown(TOLD.ORIG_PKTS, c.orig_pkts[row]!)
    c.orig_ip_bytes[row] = told.grown(TOLD.ORIG_IP_BYTES, c.orig_ip_bytes[row]!)
    c.resp_pkts[row] = told.grown(TOLD.RESP_PKTS, c.resp_pkts[row]!)
    c.resp_ip_bytes[row] = told.grown(TOLD.RESP_IP_BYTES, c.resp_ip_bytes[row]!)
    c.missed_bytes[row] = told.grown(TOLD.MISSED_BYTES, c.missed_bytes[row]!)
    if (Number.isNaN(c.orig_bytes[row]!)) return
    // A handshake that is not over yet counts otherwise in the end.
    const early = reason === 'open'
    c.orig_bytes[row] = early ? Number.NaN : told.grown(TOLD.ORIG_BYTES, c.orig_bytes[row]!)
    c.resp_bytes[row] = early ? Number.NaN : told.grown(TOLD.RESP_BYTES, c.resp_bytes[row]!)
  }

  /** Fills the key and `ends` too. */
  #identify(place: FlowPlace, parents: readonly string[], to: Uint8Array, toAt: number): void {
    const { page, at, dat } = place
    const { words, doubles } = page
    readEnds(words, at)
    const key = this.#key
    const ports = words[at + F.PORTS]!
    const reversed = (words[at + F.FLAGS]! & F.ORIG_IS_B) !== 0
    key.portA = reversed ? ports & 0xffff : ports >>> 16
    key.portB = reversed ? ports >>> 16 : ports & 0xffff
    key.protocol = words[at + F.KEY_REST]! & 0xff
    key.time = doubles[dat + F.FIRST]!
    key.occurrence = words[at + F.OCCURRENCE]!
    const interfaceIndex = words[at + F.KEY_REST]! >>> 16
    const vlans = words[at + F.VLANS]!
    if (
      interfaceIndex !== this.#lastInterface ||
      vlans !== this.#lastVlans ||
      parents !== this.#lastParents
    ) {
      this.#lastContext = this.#context(
        `${this.#sensor}\n${interfaceIndex}\n${vlans}\n${parents.join(' ')}`,
      )
      this.#lastInterface = interfaceIndex
      this.#lastVlans = vlans
      this.#lastParents = parents
    }
    key.context = this.#lastContext
    flowId(key, to, toAt)
  }

  #vantage(index: number): string {
    if (this.interfaces.length < 2) return ''
    return this.interfaces[index] || String(index)
  }

  #context(text: string): number {
    let context = this.#contexts.get(text)
    if (context === undefined) {
      context = contextHash(text)
      if (this.#contexts.size >= CONTEXTS_MAX) this.#contexts.clear()
      this.#contexts.set(text, context)
    }
    return context
  }
}

function datagramState(words: Int32Array, at: number, protocol: number): string {
  if (protocol !== 17) return 'OTH'
  const orig = words[at + F.ORIG + F.STATE] === F.ESTABLISHED
  const resp = words[at + F.RESP + F.STATE] === F.ESTABLISHED
  return orig ? (resp ? 'SF' : 'S0') : resp ? 'SHR' : 'OTH'
}
