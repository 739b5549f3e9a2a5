// The flows in the table as they come and go: finds the flow of a key, makes it, keeps its time, and writes it when it
// is over. What a packet of some protocol means for its flow is flow-tracker.ts.

import type { ChunkWriter } from '../chunk.ts'
import type { EndReason } from '../flow.ts'
import * as ANOMALY from './anomalies.ts'
import { FlowExtra } from './flow-extra.ts'
import * as F from './flow-fields.ts'
import { KeyMaker } from './flow-key.ts'
import { type FlowPlace, FlowRecords } from './flow-record.ts'
import { Names } from './names.ts'
import type { Packet } from './packet.ts'
import { Payloads } from './payload.ts'
import { RunningReports } from './running-reports.ts'
import { FlowTable, type Page } from './table.ts'
import { ATTEMPT_DELAY, TcpMachine } from './tcp.ts'

/** Zeek's tcp_inactivity_timeout, and its udp_, icmp_ and unknown_ip_ ones. Microseconds. */
const LONG_SILENCE = 300e6
const SHORT_SILENCE = 60e6
/** Flows looked at to find one to evict. */
const EVICTION_CANDIDATES = 32
/** Flows of one moment that are remembered, to tell the next with the same key from them. */
const REBORN_MAX = 65_536

export interface BookSettings {
  sensor: string
  hashSeed: Int32Array
  flowsMax: number
  /** Flows are told of while they go on, this often (microseconds); else once, when they are over. */
  activeTimeout?: number
}

export class FlowBook implements FlowPlace {
  // The flow in hand.
  flow = -1
  page: Page
  at = 0
  dat = 0
  /** True if the packet last taken was sent by the originator of its flow. */
  fromOrig = true

  /** Decoder time: follows packet time, but never goes back. Microseconds. */
  clock = 0
  readonly records: FlowRecords
  readonly names: Names
  protected readonly table: FlowTable
  protected readonly tcp = new TcpMachine()
  protected readonly keys = new KeyMaker()
  protected readonly payloads: Payloads
  /** Time of the packet in hand. */
  protected moment = Number.NaN
  /** Set if flows are told of while they go on. */
  protected readonly reports: RunningReports | undefined
  readonly #extras: (FlowExtra | undefined)[] = []
  readonly #count: (metric: string, by: number) => void
  readonly #visit = (flow: number): void => this.#visited(flow)
  /** Keys of flows that ended in the very moment they began, and how many. */
  readonly #reborn = new Map<string, number>()
  #rebornAt = Number.NaN

  /** @param count takes coverage metrics */
  constructor(
    settings: BookSettings,
    chunks: ChunkWriter,
    count: (metric: string, by: number) => void,
  ) {
    this.names = new Names(settings.hashSeed)
    this.table = new FlowTable(settings.hashSeed, settings.flowsMax)
    this.#count = count
    this.page = { words: new Int32Array(0), bytes: new Uint8Array(0), doubles: new Float64Array(0) }
    this.records = new FlowRecords(chunks, settings.sensor)
    this.payloads = new Payloads(this)
    if (settings.activeTimeout !== undefined)
      this.reports = new RunningReports(settings.activeTimeout, (reason, told) =>
        this.records.write(this, this.extraIfAny, this.service, reason, told),
      )
  }

  /** What hangs beside the flow in hand; made if it has nothing yet. */
  readonly extra = (): FlowExtra => {
    const { words } = this.page
    if ((words[this.at + F.FLAGS]! & F.HAS_EXTRA) === 0) {
      words[this.at + F.FLAGS]! |= F.HAS_EXTRA
      this.#extras[this.flow] = new FlowExtra()
    }
    return this.#extras[this.flow]!
  }

  get service(): string {
    return this.payloads.serviceOf(this.page.words[this.at + F.SERVICE]!)
  }

  addService(name: string): void {
    this.payloads.addService(name)
  }

  /** Lets go of all flows whose time is over at `clock`. */
  advance(clock: number): void {
    this.clock = clock
    this.table.advance(clock, this.#visit)
  }

  /** The input is over. */
  end(): void {
    for (const flow of this.table.inOrder()) {
      this.select(flow)
      // The wheel turns in whole seconds: some are over, and nobody has looked yet.
      if (this.deadline() <= this.clock) this.#expire()
      else this.finish('input_end')
    }
  }

  #portOf(orig: boolean): number {
    const { words } = this.page
    const ports = words[this.at + F.PORTS]!
    const isB = ((words[this.at + F.FLAGS]! & F.ORIG_IS_B) !== 0) === orig
    return isB ? ports & 0xffff : ports >>> 16
  }

  get origPort(): number {
    return this.#portOf(true)
  }

  get respPort(): number {
    return this.#portOf(false)
  }

  /** Freezes the evidence of the flow in hand, if it is not decided yet. */
  decide(by: 'no_name' | 'refused' | 'unanswered' | 'silent' | 'end', when: number): void {
    if (this.page.words[this.at + F.DECIDED] === 0)
      this.names.decide(this.page, this.at, this.dat, by, when, this.extra)
  }

  protected isFromOrig(): boolean {
    const origIsB = (this.page.words[this.at + F.FLAGS]! & F.ORIG_IS_B) !== 0
    return this.keys.senderIsA !== origIsB
  }

  protected select(flow: number): void {
    this.flow = flow
    if (flow < 0) return
    this.page = this.table.page(flow)
    this.at = this.table.words(flow)
    this.dat = this.table.doubles(flow)
  }

  /** Takes the flow of the key in hand, unless there is none or its time is over. */
  protected find(key: Int32Array, hash: number): boolean {
    const flow = this.table.find(key, hash)
    if (flow < 0) return false
    this.select(flow)
    if (this.deadline() > this.clock) return true
    this.#expire()
    return false
  }

  protected begin(packet: Packet, hash: number, parents: readonly string[]): void {
    if (this.table.active >= this.table.max) this.#evict()
    const { key } = this.keys
    this.select(this.table.add(key, hash))
    const { words, doubles } = this.page
    const { at, dat } = this
    words[at + F.FLAGS]! |=
      (this.keys.senderIsA ? 0 : F.ORIG_IS_B) | (packet.version === 4 ? F.IPV4 : 0)
    words[at + F.VLANS] = packet.vlan | (packet.innerVlan << 16)
    doubles[dat + F.FIRST] = packet.time
    doubles[dat + F.LAST] = packet.time
    doubles[dat + F.LAST_SEEN] = packet.time
    doubles[dat + F.LAST_CLOCK] = this.clock
    if (parents.length > 0) {
      words[at + F.TUNNEL] = 1
      this.extra().parents = parents
    }
    if (this.#reborn.size > 0) {
      if (this.#rebornAt === packet.time)
        words[at + F.OCCURRENCE] = this.#reborn.get(keyText(words, at)) ?? 0
      else this.#reborn.clear()
    }
  }

  /** A further packet of the flow in hand. */
  protected touch(packet: Packet, parents: readonly string[]): void {
    const { words, doubles } = this.page
    const { at, dat } = this
    if (packet.time < doubles[dat + F.LAST_SEEN]!) {
      if (packet.time < doubles[dat + F.FIRST]!) words[at + F.ANOMALIES]! |= ANOMALY.TIME_WENT_BACK
    } else doubles[dat + F.LAST_SEEN] = packet.time
    doubles[dat + F.LAST_CLOCK] = this.clock
    if (words[at + F.VLANS] !== (packet.vlan | (packet.innerVlan << 16)))
      words[at + F.ANOMALIES]! |= ANOMALY.VLAN_CHANGED
    if (words[at + F.TUNNEL] !== 0 || parents.length > 0) {
      if (words[at + F.TUNNEL] === 0 || parents.length === 0)
        words[at + F.ANOMALIES]! |= ANOMALY.TUNNEL_CHANGED
      else this.extra().addParent(parents.at(-1)!)
    }
  }

  protected flipNew(): void {
    const { words } = this.page
    words[this.at + F.FLAGS] = (words[this.at + F.FLAGS]! | F.FLIPPED) ^ F.ORIG_IS_B
    this.tcp.bind(this.flow, this.page, this.at, this.dat)
    this.tcp.letter(0x5e)
  }

  protected add(packet: Packet, fromOrig: boolean): void {
    const { words, doubles } = this.page
    const c = this.dat + (fromOrig ? F.ORIG_COUNTS : F.RESP_COUNTS)
    doubles[c + F.PACKETS]!++
    doubles[c + F.IP_BYTES]! += packet.ipLength
    if (packet.payloadCaptured < packet.payloadLength)
      words[this.at + F.ANOMALIES]! |= ANOMALY.PACKETS_CUT
    if (packet.reassembled) words[this.at + F.ANOMALIES]! |= ANOMALY.FRAGMENTED
  }

  /** When the flow in hand is over if nothing more comes. */
  protected deadline(): number {
    const { words, doubles } = this.page
    const { at, dat } = this
    const flags = words[at + F.FLAGS]!
    const silence = (flags & F.LONG_TIMEOUT) !== 0 ? LONG_SILENCE : SHORT_SILENCE
    const idle = doubles[dat + F.LAST_CLOCK]! + silence
    if ((flags & F.ANY_TIMER) === 0) return idle
    const timer = doubles[dat + F.TIMER]!
    return timer < idle && this.#timerHolds(flags) ? timer : idle
  }

  /** To be visited when the flow in hand is over, or there is something to tell. */
  protected arm(): void {
    const due = this.reports?.due(this.flow) ?? Number.POSITIVE_INFINITY
    this.table.arm(this.flow, Math.min(this.deadline(), due))
  }

  /** Tells of the flow in hand, if it is decided and nobody was told. */
  protected tell(): void {
    if (this.flow >= 0 && this.reports?.open(this, this.clock) === true) this.arm()
  }

  #timerHolds(flags: number): boolean {
    if ((flags & F.CLOSE_TIMER) !== 0) return true
    const { words } = this.page
    const orig = words[this.at + F.ORIG + F.STATE]!
    const resp = words[this.at + F.RESP + F.STATE]!
    if ((flags & F.ATTEMPT_TIMER) !== 0)
      return (orig === F.SYN_SENT || orig === F.SYN_ACK_SENT) && resp === F.INACTIVE
    return orig !== F.INACTIVE && resp !== F.INACTIVE && orig !== F.RESET && resp !== F.RESET
  }

  #visited(flow: number): void {
    this.select(flow)
    if (this.deadline() <= this.clock) {
      this.#expire()
      return
    }
    this.reports?.update(this, this.clock)
    this.arm()
  }

  #expire(): void {
    const flags = this.page.words[this.at + F.FLAGS]!
    const held = (flags & F.ANY_TIMER) !== 0 && this.#timerHolds(flags)
    if (held && (flags & F.ATTEMPT_TIMER) !== 0) {
      this.decide('unanswered', this.page.doubles[this.dat + F.FIRST]! + ATTEMPT_DELAY)
      this.finish('attempt')
    } else this.finish(held ? 'end' : 'timeout')
  }

  /** Writes the flow in hand and takes it out of the table. */
  protected finish(reason: EndReason): void {
    const { words, doubles } = this.page
    const { at, dat, flow } = this
    this.payloads.finish()
    this.decide('end', Math.max(doubles[dat + F.FIRST]!, doubles[dat + F.LAST_SEEN]!))
    const extra = this.extraIfAny
    this.records.write(this, extra, this.service, reason, this.reports?.close(flow))
    if (doubles[dat + F.FIRST] === this.moment) this.#rememberMoment()
    if (((words[at + F.ORIG + F.SEEN]! | words[at + F.RESP + F.SEEN]!) & F.HAS_HOLES) !== 0)
      this.tcp.gaps.release(flow)
    if (extra !== undefined) this.#extras[flow] = undefined
    this.table.remove(flow)
  }

  /** A flow of one moment has ended: the next with its key might begin in the same moment. */
  #rememberMoment(): void {
    const { words, doubles } = this.page
    const moment = doubles[this.dat + F.FIRST]!
    if (moment !== this.#rebornAt || this.#reborn.size >= REBORN_MAX) this.#reborn.clear()
    this.#rebornAt = moment
    this.#reborn.set(keyText(words, this.at), words[this.at + F.OCCURRENCE]! + 1)
  }

  /** The table is full: one goes, of those never answered if there is one among the next few. */
  #evict(): void {
    let victim = -1
    let rank = Number.POSITIVE_INFINITY
    this.table.sweep(EVICTION_CANDIDATES, (flow) => {
      this.select(flow)
      const { words, doubles } = this.page
      const answered = words[this.at + F.RESP + F.STATE] !== F.INACTIVE
      const age = doubles[this.dat + F.LAST_CLOCK]! + (answered ? 1e18 : 0)
      if (age >= rank) return
      rank = age
      victim = flow
    })
    this.select(victim)
    this.#count(rank >= 1e18 ? 'evicted.established' : 'evicted.unestablished', 1)
    this.finish('evicted')
  }

  /** Flows told of for the first time so far; 0 where they are told of only once. */
  get decided(): number {
    return this.reports?.decided ?? 0
  }

  get active(): number {
    return this.table.active
  }

  /** The same, if it has something. */
  get extraIfAny(): FlowExtra | undefined {
    return (this.page.words[this.at + F.FLAGS]! & F.HAS_EXTRA) === 0
      ? undefined
      : this.#extras[this.flow]
  }
}

function keyText(words: Int32Array, at: number): string {
  return words.subarray(at, at + F.KEY_WORDS).join(' ')
}
