// Azure flow logs: network security groups (version 2) and virtual networks (version 4). A tuple tells both directions
// of a flow from its initiator's side; B begins it, C tells what came since, E ends it, D is a refused attempt.

import type { ChunkWriter } from '../chunk.ts'
import { contextHash, type FlowKey, flowId } from '../flow-id.ts'
import { printable } from '../wire-text.ts'
import { countOfJson, type ElementParser, listOf, member, textOf } from './element-decoder.ts'
import type { LogReport } from './log-report.ts'
import { FlowRows } from './rows.ts'
import { readAddress } from './scan.ts'

/** Flows whose beginning is remembered; the oldest goes first, and its rest becomes a flow of its own. */
export const OPEN_MAX = 100_000
const MILLIS_FROM = 1e11
const BARE_PACKET_BYTES = 100

/** One tuple, its columns named. */
interface Tuple {
  /** Microseconds. */
  time: number
  protocol: number
  srcPort: number
  dstPort: number
  outbound: boolean
  state: string
  denied: boolean
  counters: readonly number[]
}

export class AzureParser implements ElementParser {
  readonly #report: LogReport
  readonly #chunks: ChunkWriter
  readonly #rows: FlowRows
  readonly #ends = new Uint8Array(32)
  readonly #open = new Map<string, { start: number; records: number }>()
  readonly #key: FlowKey

  constructor(report: LogReport, sensor: string) {
    this.#report = report
    this.#chunks = report.chunks
    this.#rows = new FlowRows(report.chunks, report.kind, sensor)
    const ends = this.#ends
    this.#key = {
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
  }

  element(value: unknown, bytes: Uint8Array, line: number): void {
    let tuples = 0
    for (const rule of listOf(member(value, 'properties', 'flows')))
      for (const flow of listOf(member(rule, 'flows')))
        tuples += this.#tuples(member(flow, 'flowTuples'), textOf(member(flow, 'mac')), 2, line)
    const mac = textOf(member(value, 'macAddress'))
    for (const flow of listOf(member(value, 'flowRecords', 'flows')))
      for (const group of listOf(member(flow, 'flowGroups')))
        tuples += this.#tuples(member(group, 'flowTuples'), mac, 4, line)
    if (tuples > 0) return
    const isFlowLog = member(value, 'flowRecords') ?? member(value, 'properties', 'flows')
    if (isFlowLog !== undefined) return this.#report.skip()
    const detail = 'a record without flows'
    this.#report.reject('bad_message', detail, bytes, 0, bytes.length, line)
  }

  #tuples(value: unknown, mac: string, version: 2 | 4, line: number): number {
    const tuples = listOf(value)
    const vantage = printable(mac)
    for (const text of tuples) {
      const parts = textOf(text).split(',', 16)
      const tuple = this.#read(parts, version)
      if (typeof tuple !== 'string') this.#write(tuple, vantage)
      else {
        const sample = Buffer.from(textOf(text))
        this.#report.reject('bad_field', tuple, sample, 0, sample.length, line)
      }
    }
    return tuples.length
  }

  /** The tuple, with its addresses in `#ends`; in words what is wrong with it. */
  #read(parts: readonly string[], version: 2 | 4): Tuple | string {
    if (parts.length < 8) return `${parts.length} columns, expected 8 or more`
    const ticks = countOfJson(parts[0])
    if (!(ticks > 0)) return 'the time is no number'
    if (!this.#address(parts[1]!, 0) || !this.#address(parts[2]!, 16)) return 'not an address'
    const srcPort = countOfJson(parts[3] || '0')
    const dstPort = countOfJson(parts[4] || '0')
    if (srcPort < 0 || dstPort < 0 || srcPort > 0xffff || dstPort > 0xffff) return 'not a port'
    const protocol = parts[5] === 'T' ? 6 : parts[5] === 'U' ? 17 : countOfJson(parts[5])
    if (!(protocol >= 0 && protocol <= 255)) return 'not a protocol'
    // Version 1 has no state and no counters: what passed is told at its end.
    const state = (version === 2 ? parts[8] : parts[7]) ?? 'E'
    const counters = parts.slice(9, 13).map(countOfJson)
    if (counters.some((count) => count < 0)) return 'not a count'
    const denied = version === 2 ? parts[7] === 'D' : state === 'D'
    const time = ticks >= MILLIS_FROM ? ticks * 1000 : ticks * 1_000_000
    return { time, protocol, srcPort, dstPort, outbound: parts[6] === 'O', state, denied, counters }
  }

  #address(text: string, at: number): boolean {
    const bytes = Buffer.from(text)
    return readAddress(bytes, 0, bytes.length, this.#ends, at)
  }

  /** When this flow began, and which of its records this is. */
  #place(tuple: Tuple, vantage: string): { start: number; records: number } {
    const { srcPort, dstPort, protocol, state, denied, time } = tuple
    const ends = Buffer.from(this.#ends).toString('latin1')
    const key = `${vantage} ${ends} ${srcPort} ${dstPort} ${protocol}`
    const known = state === 'B' || denied ? undefined : this.#open.get(key)
    const place = known ?? { start: time, records: 0 }
    const here = { ...place }
    if (denied || state === 'E') this.#open.delete(key)
    else {
      if (known === undefined && this.#open.size >= OPEN_MAX) {
        this.#open.delete(this.#open.keys().next().value!)
        this.#report.count('evicted.azure_flow')
      }
      this.#open.set(key, { start: place.start, records: place.records + 1 })
    }
    return here
  }

  #write(tuple: Tuple, vantage: string): void {
    const { start, records } = this.#place(tuple, vantage)
    const row = this.#rows.add()
    const columns = this.#chunks.flows.columns
    const ends = this.#ends
    const key = this.#key
    const { time, protocol, srcPort, dstPort } = tuple
    key.context = contextHash(`azure ${vantage}`)
    key.portA = srcPort
    key.portB = dstPort
    key.protocol = protocol
    key.time = start
    flowId(key, columns.flow_id, row * 16)
    columns.rec_no[row] = records
    columns.vantage.set(row, vantage)
    columns.interface_id.set(row, vantage)
    columns.interface_side.set(row, tuple.outbound ? 'orig' : 'resp')
    columns.orig_h.set(ends.subarray(0, 16), row * 16)
    columns.resp_h.set(ends.subarray(16, 32), row * 16)
    columns.orig_p[row] = srcPort
    columns.resp_p[row] = dstPort
    columns.ip_proto[row] = protocol
    columns.ts[row] = start
    columns.decided_at[row] = start
    columns.end[row] = Math.max(start, time)
    columns.duration[row] = Math.max(0, time - start) / 1e6
    const [origPkts, origBytes, respPkts, respBytes] = tuple.counters
    columns.orig_pkts[row] = origPkts ?? Number.NaN
    columns.orig_ip_bytes[row] = origBytes ?? Number.NaN
    columns.resp_pkts[row] = respPkts ?? Number.NaN
    columns.resp_ip_bytes[row] = respBytes ?? Number.NaN
    columns.direction_sure[row] = 1
    columns.action.set(row, tuple.denied ? 'REJECT' : 'ACCEPT')
    columns.handshake.set(row, handshakeOf(tuple))
    this.#report.accept(start, Math.max(start, time))
  }
}

function handshakeOf(tuple: Tuple): string {
  if (tuple.denied) return 'refused'
  const answers = tuple.counters[2] ?? 0
  if (!(answers > 0)) return 'unseen'
  // An answer may be a refusal; one with data is not.
  if (tuple.protocol === 6 && !((tuple.counters[3] ?? 0) > answers * BARE_PACKET_BYTES))
    return 'answered'
  return 'completed'
}
