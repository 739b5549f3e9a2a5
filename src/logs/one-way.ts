// Flow records from logs that write one line for each direction of a conversation (AWS, GCP).
//
// Both directions get one flow_id (vantage, 5-tuple, start of the interval). rec_no tells them apart: bit 0 is set on
// the half that the responder sent, bit 1 on rejected traffic, so that an accepted and a rejected half of one interval
// are two records. The same line twice gives the same (flow_id, rec_no) and is kept once by the store.
//
// conn_state stays empty: no field tells how a connection ended. A rejected attempt says so in `action` and
// `handshake`. Bytes are IP bytes for AWS (which does not document the layer) and payload for GCP.

import { contains, type Network } from '../address.ts'
import type { ChunkWriter } from '../chunk.ts'
import { HANDSHAKES } from '../flow.ts'
import { type FlowKey, flowId } from '../flow-id.ts'
import { type Half, Halves } from './halves.ts'
import { isPrivate, listening } from './ports.ts'
import { type FlowRow, FlowRows } from './rows.ts'
import { ColumnCodes, TokenCache } from './tokens.ts'

/** Where the addresses stand in `OneWay.ends`, 16 bytes each. */
export const ENDS = { sender: 0, receiver: 16, interfaceSender: 32, interfaceReceiver: 48 } as const

/** One line: what one end sent to the other. One object is filled again and again. */
export interface OneWay {
  /** Addresses in the packets, then as the interface saw them (the same but for gateways, nodes and pods). */
  ends: Uint8Array
  srcPort: number
  dstPort: number
  protocol: number
  /** NaN if unset. */
  packets: number
  bytes: number
  /** True if `bytes` is payload, not IP bytes. */
  payload: boolean
  /** Interval, microseconds. */
  start: number
  end: number
  /** TCP flags of the interval OR-ed; 0 if the log has none. */
  flags: number
  action: 'ACCEPT' | 'REJECT' | ''
  /** Seen from the interface; says nothing about who began. */
  direction: 'egress' | 'ingress' | ''
  /** The vantage, as a place in the bytes of the line. */
  vantageStart: number
  vantageStop: number
  /** False if the vantage is no network interface (a gateway's attachment). */
  isInterface: boolean
  /** A counter did not fit. */
  tooLarge: boolean
}

export function newOneWay(): OneWay {
  return {
    ends: new Uint8Array(64),
    srcPort: 0,
    dstPort: 0,
    protocol: 0,
    packets: Number.NaN,
    bytes: Number.NaN,
    payload: false,
    start: 0,
    end: 0,
    flags: 0,
    action: '',
    direction: '',
    vantageStart: 0,
    vantageStop: 0,
    isInterface: true,
    tooLarge: false,
  }
}

/** Vantages that are held at hand: a large account has some thousand interfaces. */
const VANTAGE_SLOTS = 1 << 14
const ACTIONS = ['ACCEPT', 'REJECT'] as const
const SIDES = ['orig', 'resp'] as const
const COMPLETED = HANDSHAKES.indexOf('completed')
const ANSWERED = HANDSHAKES.indexOf('answered')
const REFUSED = HANDSHAKES.indexOf('refused')
const UNSEEN = HANDSHAKES.indexOf('unseen')

const TCP = 6
const FIN = 1
const SYN = 2
const ACK = 16
/** A SYN-ACK is at most an IPv6 header and 60 bytes of TCP: a mean above that carries data. */
const BARE_PACKET_BYTES = 100

export class OneWayWriter {
  readonly #chunks: ChunkWriter
  readonly #rows: FlowRows
  readonly #halves: Halves
  readonly #localNets: readonly Network[]
  readonly #vantages: TokenCache
  readonly #vantageCodes: ColumnCodes
  readonly #interfaceCodes: ColumnCodes
  readonly #handshakes = new ColumnCodes(HANDSHAKES)
  readonly #actions = new ColumnCodes(ACTIONS)
  readonly #sides = new ColumnCodes(SIDES)
  readonly #half: Half = { origIsLow: false, sure: false, completed: false, conflict: false }
  readonly #key: FlowKey

  /** @param context what a vantage's text adds to the flow id (`contextHash`) */
  constructor(
    chunks: ChunkWriter,
    kind: string,
    sensor: string,
    localNets: readonly Network[],
    context: (vantage: string) => number,
  ) {
    this.#chunks = chunks
    this.#rows = new FlowRows(chunks, kind, sensor)
    this.#halves = new Halves(chunks)
    this.#localNets = localNets
    this.#vantages = new TokenCache('none', VANTAGE_SLOTS, context)
    this.#vantageCodes = new ColumnCodes(this.#vantages.texts)
    this.#interfaceCodes = new ColumnCodes(this.#vantages.texts)
    this.#vantages.changed = (slot) => {
      this.#vantageCodes.forget(slot)
      this.#interfaceCodes.forget(slot)
    }
    const ends = new Uint8Array(0)
    this.#key = {
      context: 0,
      addressA: ends,
      atA: ENDS.sender,
      portA: 0,
      addressB: ends,
      atB: ENDS.receiver,
      portB: 0,
      protocol: 0,
      time: 0,
      occurrence: 0,
    }
  }

  /** The vantage of a record in words. */
  vantage(record: OneWay, bytes: Uint8Array): string {
    return this.#vantages.texts[
      this.#vantages.find(bytes, record.vantageStart, record.vantageStop)
    ]!
  }

  write(record: OneWay, bytes: Uint8Array): void {
    const row = this.#rows.add()
    const { block } = this.#rows
    const columns = this.#chunks.flows.columns
    const slot = this.#vantages.find(bytes, record.vantageStart, record.vantageStop)
    this.#vantageCodes.set(columns.vantage, row, block, slot)
    if (record.isInterface) this.#interfaceCodes.set(columns.interface_id, row, block, slot)
    this.#identify(record, this.#vantages.number(slot), columns, row)
    const low = isLow(record)
    const half = this.#half
    decide(record, low, half)
    this.#halves.meet(row, half)
    const senderIsOrig = half.origIsLow === low
    this.#endpoints(record, senderIsOrig, columns, row)
    columns.rec_no[row] = (senderIsOrig ? 0 : 1) | (record.action === 'REJECT' ? 2 : 0)
    columns.direction_sure[row] = half.sure ? 1 : 0
    const handshake = handshakeOf(record, senderIsOrig, half.completed)
    this.#handshakes.set(columns.handshake, row, block, handshake)
    if (record.action !== '')
      this.#actions.set(columns.action, row, block, record.action === 'ACCEPT' ? 0 : 1)
    const side = record.isInterface ? this.#sideOfInterface(record) : ''
    if (side !== '')
      this.#sides.set(
        columns.interface_side,
        row,
        block,
        (side === 'sender') === senderIsOrig ? 0 : 1,
      )
    const backwards = record.end < record.start
    if (backwards || record.tooLarge || half.conflict)
      columns.anomalies.set(row, oddities(backwards, record.tooLarge, half.conflict))
  }

  #identify(record: OneWay, context: number, columns: FlowRow, row: number): void {
    const key = this.#key
    const { ends, srcPort, dstPort, protocol, start, end } = record
    key.context = context
    key.addressA = ends
    key.addressB = ends
    key.portA = srcPort
    key.portB = dstPort
    key.protocol = protocol
    key.time = start
    flowId(key, columns.flow_id, row * 16)
    columns.ip_proto[row] = protocol
    columns.ts[row] = start
    columns.decided_at[row] = start
    columns.end[row] = Math.max(start, end)
    columns.duration[row] = Math.max(0, end - start) / 1e6
  }

  #endpoints(record: OneWay, senderIsOrig: boolean, columns: FlowRow, row: number): void {
    const { ends, srcPort, dstPort, packets, bytes } = record
    const { orig_h, resp_h } = columns
    const from = senderIsOrig ? ENDS.sender : ENDS.receiver
    const to = ENDS.receiver - from
    const at = row * 16
    for (let i = 0; i < 16; i++) {
      orig_h[at + i] = ends[from + i]!
      resp_h[at + i] = ends[to + i]!
    }
    columns.orig_p[row] = senderIsOrig ? srcPort : dstPort
    columns.resp_p[row] = senderIsOrig ? dstPort : srcPort
    const pkts = senderIsOrig ? columns.orig_pkts : columns.resp_pkts
    pkts[row] = packets
    if (record.payload) (senderIsOrig ? columns.orig_bytes : columns.resp_bytes)[row] = bytes
    else (senderIsOrig ? columns.orig_ip_bytes : columns.resp_ip_bytes)[row] = bytes
  }

  /**
   * Which end the interface sits at. `flow-direction` says it; without it, the end that alone is local. Unknown
   * ('') where the interface's address is not the packet's: a gateway, or a node with many pods.
   */
  #sideOfInterface(record: OneWay): 'sender' | 'receiver' | '' {
    const { ends, direction } = record
    let side: 'sender' | 'receiver' | '' = ''
    if (direction !== '') side = direction === 'egress' ? 'sender' : 'receiver'
    else {
      const sender = this.#isLocal(ends, ENDS.interfaceSender)
      if (sender !== this.#isLocal(ends, ENDS.interfaceReceiver))
        side = sender ? 'sender' : 'receiver'
    }
    if (side === '') return ''
    const at = side === 'sender' ? ENDS.sender : ENDS.receiver
    for (let i = at; i < at + 16; i++) if (ends[i] !== ends[i + 32]) return ''
    return side
  }

  #isLocal(ends: Uint8Array, at: number): boolean {
    for (const network of this.#localNets) if (contains(network, ends, at)) return true
    return this.#localNets.length === 0 && isPrivate(ends, at)
  }
}

/** True if the sender is the lower endpoint, in byte order of address, then port. */
function isLow(record: OneWay): boolean {
  const { ends } = record
  for (let i = 0; i < 16; i++) {
    const difference = ends[i]! - ends[ENDS.receiver + i]!
    if (difference !== 0) return difference < 0
  }
  return record.srcPort <= record.dstPort
}

/**
 * Who began. A SYN without ACK is sent by the originator, a SYN-ACK by the responder; without flags the ports are
 * asked, then which end is private, then the byte order: a guess, but the same for both halves.
 */
function decide(record: OneWay, low: boolean, half: Half): void {
  const { flags, ends } = record
  half.conflict = false
  half.sure = record.protocol === TCP && (flags & SYN) !== 0
  const answered = half.sure && (flags & ACK) !== 0
  const data = (flags & FIN) !== 0 || record.bytes > record.packets * BARE_PACKET_BYTES
  // The responder sends data and FIN only after the third packet of the handshake has reached it.
  half.completed = answered && data && record.action !== 'REJECT'
  if (half.sure) {
    half.origIsLow = answered ? !low : low
    return
  }
  const order = listening(record.srcPort, record.dstPort)
  if (order !== 0) half.origIsLow = order > 0 ? low : !low
  else {
    const sender = isPrivate(ends, ENDS.sender)
    const apart = sender !== isPrivate(ends, ENDS.receiver)
    half.origIsLow = apart ? sender === low : true
  }
}

/** The place in HANDSHAKES of flow.ts. */
function handshakeOf(record: OneWay, senderIsOrig: boolean, completed: boolean): number {
  if (record.action === 'REJECT') return senderIsOrig ? REFUSED : UNSEEN
  if (completed) return COMPLETED
  const answer = record.protocol === TCP && (record.flags & (SYN | ACK)) === (SYN | ACK)
  return answer ? ANSWERED : UNSEEN
}

function oddities(backwards: boolean, tooLarge: boolean, conflict: boolean): string[] {
  const found: string[] = []
  if (backwards) found.push('negative_duration')
  if (tooLarge) found.push('count_too_large')
  if (conflict) found.push('direction_conflict')
  return found
}
