// Packets to flows: finds or makes the flow of a packet, counts it, and lets flows go when their time has come.
// What the payload says is payload.ts; what TCP says is tcp.ts.

import type { ChunkWriter } from '../chunk.ts'
import type { EndReason } from '../flow.ts'
import * as ANOMALY from './anomalies.ts'
import { payloadSumIsRight } from './checksum.ts'
import { FlowExtra } from './flow-extra.ts'
import * as F from './flow-fields.ts'
import { icmpCounterpart, KeyMaker } from './flow-key.ts'
import { type FlowPlace, FlowRecords } from './flow-record.ts'
import { Names } from './names.ts'
import type { Packet, Skipped } from './packet.ts'
import { Payloads } from './payload.ts'
import { isLikelyServerPort } from './server-ports.ts'
import { FlowTable, type Page } from './table.ts'
import { ACK, ATTEMPT_DELAY, RST, SYN, TcpMachine } from './tcp.ts'

/** Zeek's tcp_inactivity_timeout, and its udp_, icmp_ and unknown_ip_ ones. Microseconds. */
const LONG_SILENCE = 300e6
const SHORT_SILENCE = 60e6
/** Packets without payload after the handshake that decide a flow. */
const SILENT_PACKETS = 3
/** Flows looked at to find one to evict. */
const EVICTION_CANDIDATES = 32
/** Flows of one moment that are remembered, to tell the next with the same key from them. */
const REBORN_MAX = 65_536

export interface TrackerSettings {
  sensor: string
  verifyChecksums: boolean
  hashSeed: Int32Array
  flowsMax: number
}

export class FlowTracker implements FlowPlace {
  // The flow in hand.
  flow = -1
  page: Page
  at = 0
  dat = 0

  /** Decoder time: follows packet time, but never goes back. Microseconds. */
  clock = 0
  readonly records: FlowRecords
  readonly names = new Names()
  readonly #verify: boolean
  readonly #table: FlowTable
  readonly #tcp = new TcpMachine()
  readonly #keys = new KeyMaker()
  readonly #payloads: Payloads
  readonly #extras: (FlowExtra | undefined)[] = []
  readonly #count: (metric: string, by: number) => void
  readonly #visit = (flow: number): void => this.#visited(flow)
  /** Keys of flows that ended in the very moment they began, and how many. */
  readonly #reborn = new Map<string, number>()
  #rebornAt = Number.NaN
  /** Time of the packet in hand. */
  #moment = Number.NaN

  /** @param count takes coverage metrics */
  constructor(
    settings: TrackerSettings,
    chunks: ChunkWriter,
    count: (metric: string, by: number) => void,
  ) {
    this.#verify = settings.verifyChecksums
    this.#table = new FlowTable(settings.hashSeed, settings.flowsMax)
    this.#count = count
    this.page = { words: new Int32Array(0), bytes: new Uint8Array(0), doubles: new Float64Array(0) }
    this.records = new FlowRecords(chunks, settings.sensor, this.#tcp)
    this.#payloads = new Payloads(this)
  }

  get active(): number {
    return this.#table.active
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

  /** The same, if it has something. */
  get extraIfAny(): FlowExtra | undefined {
    return (this.page.words[this.at + F.FLAGS]! & F.HAS_EXTRA) === 0
      ? undefined
      : this.#extras[this.flow]
  }

  get service(): string {
    return this.#payloads.serviceOf(this.page.words[this.at + F.SERVICE]!)
  }

  addService(name: string): void {
    this.#payloads.addService(name)
  }

  /** Lets go of all flows whose time is over at `clock`. */
  advance(clock: number): void {
    this.clock = clock
    this.#table.advance(clock, this.#visit)
  }

  /** The input is over. */
  end(): void {
    for (const flow of this.#table.inOrder()) {
      this.#select(flow)
      this.#finish('input_end')
    }
  }

  /**
   * Counts a packet in its flow, which is then the flow in hand; '' if it could, else why not.
   * @param parents uids of the tunnels that the packet came through
   */
  take(packet: Packet, parents: readonly string[]): Skipped {
    this.#moment = packet.time
    switch (packet.protocol) {
      case 6:
        return this.#takeTcp(packet, parents)
      case 17:
        return this.#takeUdp(packet, parents)
      case 1:
      case 58:
        return this.#takeIcmp(packet, parents)
      default:
        return this.#takeOther(packet, parents)
    }
  }

  /** True if the packet last taken was sent by the originator of its flow. */
  fromOrig = true

  #takeTcp(packet: Packet, parents: readonly string[]): Skipped {
    const { view, payload } = packet
    if (packet.payloadLength < 20) return 'tcp_header'
    if (packet.payloadCaptured < 20) return 'tcp_cut'
    const tcp = this.#tcp
    const sourcePort = view.getUint16(payload)
    const destinationPort = view.getUint16(payload + 2)
    const headerLength = (view.getUint8(payload + 12) >> 4) * 4
    tcp.seq = view.getInt32(payload + 4)
    tcp.ack = view.getInt32(payload + 8)
    tcp.flags = view.getUint8(payload + 13) & 0x3f
    tcp.window = view.getUint16(payload + 14)
    tcp.length = packet.payloadLength - headerLength
    tcp.captured = packet.payloadCaptured - headerLength
    tcp.time = packet.time
    tcp.clock = this.clock
    const { key } = this.#keys
    this.#keys.make(packet, sourcePort, destinationPort, false)
    const hash = this.#table.hash(key)
    let fresh = !this.#find(key, hash)
    if (!fresh) {
      tcp.bind(this.flow, this.page, this.at, this.dat)
      if ((tcp.flags & SYN) !== 0 && tcp.isReuse()) {
        this.#finish('end')
        fresh = true
      }
    }
    if (fresh) {
      this.#begin(packet, hash, parents)
      this.#guessTcp(packet, sourcePort, destinationPort)
      tcp.bind(this.flow, this.page, this.at, this.dat)
    } else this.#touch(packet, parents)
    this.fromOrig = this.#isFromOrig()
    const { words } = this.page
    if (headerLength < 20 || headerLength > packet.payloadLength) {
      words[this.at + F.ANOMALIES]! |= ANOMALY.BAD_TCP_HEADER
      return 'tcp_header_length'
    }
    if (headerLength > packet.payloadCaptured) return 'tcp_cut'
    if (this.#isDamaged(packet, packet.payloadLength)) {
      const e = this.at + (this.fromOrig ? F.ORIG : F.RESP)
      tcp.scaledLetter(e, F.BAD_SUMS, this.fromOrig ? 0x43 : 0x63)
      words[this.at + F.ANOMALIES]! |= ANOMALY.BAD_CHECKSUM
      return 'tcp_checksum'
    }
    const timers = words[this.at + F.FLAGS]! & F.ANY_TIMER
    tcp.take(this.fromOrig)
    if (tcp.flipped) this.fromOrig = !this.fromOrig
    this.#add(packet, this.fromOrig)
    this.#followTcp(packet, headerLength)
    if (fresh || (words[this.at + F.FLAGS]! & F.ANY_TIMER) !== timers)
      this.#table.arm(this.flow, this.#deadline())
    return ''
  }

  /** What the state of a connection decides, and what its payload says. */
  #followTcp(packet: Packet, headerLength: number): void {
    const tcp = this.#tcp
    const { words } = this.page
    const { at } = this
    const flags = words[at + F.FLAGS]!
    if ((flags & F.HANDSHAKE_DONE) === 0) {
      if (
        this.fromOrig &&
        (tcp.flags & (SYN | RST | ACK)) === ACK &&
        (words[at + F.RESP + F.SEEN]! & F.SAW_SYN) !== 0 &&
        words[at + F.RESP + F.STATE]! >= F.ESTABLISHED
      )
        words[at + F.FLAGS]! |= F.HANDSHAKE_DONE
      else if (!this.fromOrig && (tcp.flags & RST) !== 0) {
        words[at + F.FLAGS]! |= F.REFUSED
        this.decide('refused', packet.time)
      }
    } else if (words[at + F.DECIDED] === 0 && tcp.length === 0) {
      if (++words[at + F.SILENT]! >= SILENT_PACKETS) this.decide('silent', packet.time)
    }
    if (tcp.length > 0 && (tcp.flags & RST) === 0)
      this.#payloads.segment(packet, packet.payload + headerLength, tcp)
  }

  #guessTcp(packet: Packet, sourcePort: number, destinationPort: number): void {
    const { flags } = this.#tcp
    const { words } = this.page
    if ((flags & (SYN | ACK)) === SYN) {
      words[this.at + F.FLAGS]! |= F.DIRECTION_SURE
      return
    }
    if (!isLikelyServerPort(6, sourcePort) || isBroadcast(packet)) return
    if (isLikelyServerPort(6, destinationPort)) {
      if ((flags & SYN) !== 0 || sourcePort >= destinationPort) return
    }
    this.#flipNew()
  }

  #takeUdp(packet: Packet, parents: readonly string[]): Skipped {
    const { view, payload } = packet
    if (packet.payloadLength < 8) return 'udp_header'
    if (packet.payloadCaptured < 8) return 'udp_cut'
    const sourcePort = view.getUint16(payload)
    const destinationPort = view.getUint16(payload + 2)
    const { key } = this.#keys
    this.#keys.make(packet, sourcePort, destinationPort, false)
    const hash = this.#table.hash(key)
    if (this.#find(key, hash)) this.#touch(packet, parents)
    else {
      this.#begin(packet, hash, parents)
      if (isLikelyServerPort(17, sourcePort)) {
        if (!isLikelyServerPort(17, destinationPort) && !isBroadcast(packet)) this.#flipNew()
      } else this.page.words[this.at + F.FLAGS]! |= F.DIRECTION_SURE
      this.#table.arm(this.flow, this.#deadline())
    }
    this.fromOrig = this.#isFromOrig()
    const { words, doubles } = this.page
    const { fromOrig } = this
    const e = this.at + (fromOrig ? F.ORIG : F.RESP)
    // A checksum of 0 over IPv4 means that there is none.
    const unsummed = packet.version === 4 && view.getUint16(payload + 6) === 0
    if (!unsummed && this.#isDamaged(packet, packet.payloadLength)) {
      this.#once(e, F.SAW_BAD_SUM, fromOrig ? 0x43 : 0x63)
      words[this.at + F.ANOMALIES]! |= ANOMALY.BAD_CHECKSUM
      return 'udp_checksum'
    }
    let length = view.getUint16(payload + 4) - 8
    if (length < 0) {
      words[this.at + F.ANOMALIES]! |= ANOMALY.SHORT_UDP
      length = packet.payloadLength - 8
    }
    doubles[this.dat + F.LAST] = packet.time
    words[e + F.STATE] = F.ESTABLISHED
    this.#once(e, F.SAW_DATA, fromOrig ? 0x44 : 0x64)
    doubles[this.dat + (fromOrig ? F.ORIG_COUNTS : F.RESP_COUNTS) + F.PAYLOAD]! += length
    this.#add(packet, fromOrig)
    this.#payloads.datagram(packet, Math.min(length, packet.payloadLength - 8))
    return ''
  }

  #takeIcmp(packet: Packet, parents: readonly string[]): Skipped {
    const { view, payload, protocol } = packet
    if (packet.payloadLength < 8) return 'icmp_header'
    if (packet.payloadCaptured < 8) return 'icmp_cut'
    const type = view.getUint8(payload)
    const answer = icmpCounterpart(protocol, type)
    const oneWay = answer < 0
    this.#keys.make(packet, type, oneWay ? view.getUint8(payload + 1) : answer, oneWay)
    this.#join(packet, parents)
    const { doubles } = this.page
    if (this.#verify && packet.payloadCaptured >= packet.payloadLength) {
      if (!payloadSumIsRight(packet, packet.payloadLength)) {
        this.page.words[this.at + F.ANOMALIES]! |= ANOMALY.BAD_CHECKSUM
        return 'icmp_checksum'
      }
    }
    doubles[this.dat + F.LAST] = packet.time
    doubles[this.dat + (this.fromOrig ? F.ORIG_COUNTS : F.RESP_COUNTS) + F.PAYLOAD]! +=
      packet.payloadLength - 8
    this.#add(packet, this.fromOrig)
    this.decide('no_name', packet.time)
    if (type === (protocol === 1 ? 3 : 1)) this.#unreachable(packet)
    return ''
  }

  /** Destination unreachable: the packet that it speaks of was refused. */
  #unreachable(packet: Packet): void {
    const { view } = packet
    const inner = packet.payload + 8
    const end = packet.payload + packet.payloadCaptured
    const four = packet.version === 4
    const headerLength = four && inner < end ? (view.getUint8(inner) & 15) * 4 : 40
    const ports = inner + headerLength
    if (ports + 4 > end || headerLength < 20) return
    const protocol = view.getUint8(inner + (four ? 9 : 6))
    if (protocol !== 6 && protocol !== 17) return
    const { key } = this.#keys
    const own = packet.protocol
    packet.protocol = protocol
    const source = inner + (four ? 12 : 8)
    const destination = inner + (four ? 16 : 24)
    const sourcePort = view.getUint16(ports)
    this.#keys.fill(packet, source, destination, sourcePort, view.getUint16(ports + 2), false)
    packet.protocol = own
    const before = this.flow
    if (this.#find(key, this.#table.hash(key))) {
      const { words } = this.page
      if (this.#isFromOrig() && (words[this.at + F.RESP + F.STATE] ?? 0) === F.INACTIVE) {
        words[this.at + F.FLAGS]! |= F.REFUSED
        this.decide('refused', packet.time)
      }
    }
    this.#select(before)
  }

  #takeOther(packet: Packet, parents: readonly string[]): Skipped {
    if (packet.protocol === 59) return 'ip_no_next'
    let sourcePort = 0
    let destinationPort = 0
    if (packet.protocol === 132 && packet.payloadCaptured >= 4) {
      sourcePort = packet.view.getUint16(packet.payload)
      destinationPort = packet.view.getUint16(packet.payload + 2)
    }
    this.#keys.make(packet, sourcePort, destinationPort, false)
    this.#join(packet, parents)
    const { doubles } = this.page
    doubles[this.dat + F.LAST] = packet.time
    this.#add(packet, this.fromOrig)
    this.decide('no_name', packet.time)
    return ''
  }

  /** The flow of the key in hand, for protocols without states. */
  #join(packet: Packet, parents: readonly string[]): void {
    const { key } = this.#keys
    const hash = this.#table.hash(key)
    if (this.#find(key, hash)) this.#touch(packet, parents)
    else {
      this.#begin(packet, hash, parents)
      const answer = packet.protocol === 1 ? 0 : 129
      const isAnswer = (key[F.KEY_REST]! & F.ONE_WAY) === 0 && this.#portOf(true) === answer
      if (!isAnswer) this.page.words[this.at + F.FLAGS]! |= F.DIRECTION_SURE
      this.#table.arm(this.flow, this.#deadline())
    }
    this.fromOrig = this.#isFromOrig()
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

  #isDamaged(packet: Packet, length: number): boolean {
    return this.#verify && packet.payloadCaptured >= length && !payloadSumIsRight(packet, length)
  }

  #once(e: number, seen: number, letter: number): void {
    const { words } = this.page
    if ((words[e + F.SEEN]! & seen) !== 0) return
    words[e + F.SEEN]! |= seen
    this.#tcp.bind(this.flow, this.page, this.at, this.dat)
    this.#tcp.letter(letter)
  }

  #isFromOrig(): boolean {
    const origIsB = (this.page.words[this.at + F.FLAGS]! & F.ORIG_IS_B) !== 0
    return this.#keys.senderIsA !== origIsB
  }

  #select(flow: number): void {
    this.flow = flow
    if (flow < 0) return
    this.page = this.#table.page(flow)
    this.at = this.#table.words(flow)
    this.dat = this.#table.doubles(flow)
  }

  /** Takes the flow of the key in hand, unless there is none or its time is over. */
  #find(key: Int32Array, hash: number): boolean {
    const flow = this.#table.find(key, hash)
    if (flow < 0) return false
    this.#select(flow)
    if (this.#deadline() > this.clock) return true
    this.#expire()
    return false
  }

  #begin(packet: Packet, hash: number, parents: readonly string[]): void {
    if (this.#table.active >= this.#table.max) this.#evict()
    const { key } = this.#keys
    this.#select(this.#table.add(key, hash))
    const { words, doubles } = this.page
    const { at, dat } = this
    words[at + F.FLAGS]! |=
      (this.#keys.senderIsA ? 0 : F.ORIG_IS_B) | (packet.version === 4 ? F.IPV4 : 0)
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
  #touch(packet: Packet, parents: readonly string[]): void {
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

  #flipNew(): void {
    const { words } = this.page
    words[this.at + F.FLAGS] = (words[this.at + F.FLAGS]! | F.FLIPPED) ^ F.ORIG_IS_B
    this.#tcp.bind(this.flow, this.page, this.at, this.dat)
    this.#tcp.letter(0x5e)
  }

  #add(packet: Packet, fromOrig: boolean): void {
    const { words, doubles } = this.page
    const c = this.dat + (fromOrig ? F.ORIG_COUNTS : F.RESP_COUNTS)
    doubles[c + F.PACKETS]!++
    doubles[c + F.IP_BYTES]! += packet.ipLength
    if (packet.payloadCaptured < packet.payloadLength)
      words[this.at + F.ANOMALIES]! |= ANOMALY.PACKETS_CUT
    if (packet.reassembled) words[this.at + F.ANOMALIES]! |= ANOMALY.FRAGMENTED
  }

  /** When the flow in hand is over if nothing more comes. */
  #deadline(): number {
    const { words, doubles } = this.page
    const { at, dat } = this
    const flags = words[at + F.FLAGS]!
    const silence = (flags & F.LONG_TIMEOUT) !== 0 ? LONG_SILENCE : SHORT_SILENCE
    const idle = doubles[dat + F.LAST_CLOCK]! + silence
    if ((flags & F.ANY_TIMER) === 0) return idle
    const timer = doubles[dat + F.TIMER]!
    return timer < idle && this.#timerHolds(flags) ? timer : idle
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
    this.#select(flow)
    const deadline = this.#deadline()
    if (deadline > this.clock) this.#table.arm(flow, deadline)
    else this.#expire()
  }

  #expire(): void {
    const flags = this.page.words[this.at + F.FLAGS]!
    const held = (flags & F.ANY_TIMER) !== 0 && this.#timerHolds(flags)
    if (held && (flags & F.ATTEMPT_TIMER) !== 0) {
      this.decide('unanswered', this.page.doubles[this.dat + F.FIRST]! + ATTEMPT_DELAY)
      this.#finish('attempt')
    } else this.#finish(held ? 'end' : 'timeout')
  }

  /** Writes the flow in hand and takes it out of the table. */
  #finish(reason: EndReason): void {
    const { words, doubles } = this.page
    const { at, dat, flow } = this
    this.#payloads.finish()
    this.decide('end', Math.max(doubles[dat + F.FIRST]!, doubles[dat + F.LAST_SEEN]!))
    const extra = this.extraIfAny
    this.records.write(this, extra, this.service, reason)
    if (doubles[dat + F.FIRST] === this.#moment) this.#rememberMoment()
    if (((words[at + F.ORIG + F.SEEN]! | words[at + F.RESP + F.SEEN]!) & F.HAS_HOLES) !== 0)
      this.#tcp.gaps.release(flow)
    if (extra !== undefined) this.#extras[flow] = undefined
    this.#table.remove(flow)
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
    this.#table.sweep(EVICTION_CANDIDATES, (flow) => {
      this.#select(flow)
      const { words, doubles } = this.page
      const answered = words[this.at + F.RESP + F.STATE] !== F.INACTIVE
      const age = doubles[this.dat + F.LAST_CLOCK]! + (answered ? 1e18 : 0)
      if (age >= rank) return
      rank = age
      victim = flow
    })
    this.#select(victim)
    this.#count(rank >= 1e18 ? 'evicted.established' : 'evicted.unestablished', 1)
    this.#finish('evicted')
  }
}

function keyText(words: Int32Array, at: number): string {
  return words.subarray(at, at + F.KEY_WORDS).join(' ')
}

function isBroadcast(packet: Packet): boolean {
  return packet.version === 4 && packet.view.getInt32(packet.destination) === -1
}
