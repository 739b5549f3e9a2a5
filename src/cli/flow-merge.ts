// Records of one flow become one flow again: the two halves of a cloud log's conversation, the repeated reports
// of an open connection. Memory is bounded: flows that have waited longest are let go first.

import { FLOW_COUNTERS } from '../flow.ts'
import type { FlowBlock, RowWriter } from './flow-writer.ts'

/** Flows of one generation: how far apart the records of one flow may lie, twice. */
export const GENERATION_FLOWS = 65_536
/** Records of one flow that wait; more are merged at once. */
const RECORDS_MAX = 1024

/** A block whose rows are to be merged and written. */
export interface BoundBlock {
  block: FlowBlock
  write: RowWriter
}

interface Waiting {
  bound: BoundBlock
  row: number
  recNo: number
}

type CounterName = (typeof FLOW_COUNTERS)[number]

/** Text whose last set value holds: state, and what was learned of the flow by its end. */
const LAST_SET = [
  'uid',
  'service',
  'conn_state',
  'history',
  'community_id',
  'handshake',
  'decided_by',
  'server_name',
  'name_source',
  'name_proof',
  'ja3',
  'ja4',
  'alpn',
  'user_agent',
  'proxy_user',
  'interface_id',
  'interface_side',
  'end_reason',
] as const

/** Records that others of the flow follow. */
const GOES_ON: ReadonlySet<string> = new Set(['open', 'active'])

type Generation = Map<string, Waiting[]>

/**
 * Takes records, gives flows. Two generations of flows wait: while the young one fills, the old one is written
 * out, two flows for each that comes. So a record finds its flow if at most half a generation lies between them.
 */
export class FlowMerger {
  readonly #generationFlows: number
  #young: Generation = new Map()
  #old: Generation = new Map()
  /** Stands in `#old` where writing goes on. Looking for a Map's first key anew each time is slow. */
  #leaving = this.#old.entries()

  /** @param generationFlows flows that a generation holds. */
  constructor(generationFlows = GENERATION_FLOWS) {
    this.#generationFlows = generationFlows
  }

  /**
   * Takes one record. A captured flow that is over is written at once, all others wait for their fellows.
   * @returns true if it waits: its block is needed further.
   */
  push(bound: BoundBlock, row: number): boolean {
    const c = bound.block.columns
    const recNo = c.rec_no[row]!
    if (recNo === 0 && c.source_kind.get(row) === 'pcap' && !GOES_ON.has(c.end_reason.get(row))) {
      bound.write(row)
      return false
    }
    const key = idKey(c.flow_id, row * 16)
    const records = this.#young.get(key) ?? this.#old.get(key)
    const record = { bound, row, recNo }
    if (records !== undefined) {
      addRecord(records, record)
      return true
    }
    this.#young.set(key, [record])
    if (this.#writeOld() && this.#writeOld()) return true
    if (this.#young.size < this.#generationFlows) return true
    this.#old = this.#young
    this.#leaving = this.#old.entries()
    this.#young = new Map()
    return true
  }

  /** The input is over: writes every flow that waits, oldest first; pauses after each. */
  *flush(): Generator<void, void, void> {
    while (this.#writeOld()) yield
    for (const records of this.#young.values()) {
      write(records)
      yield
    }
    this.#young = new Map()
  }

  /** Writes the oldest flow of the old generation; false if there is none. */
  #writeOld(): boolean {
    const next = this.#leaving.next()
    if (next.done === true) return false
    const [key, records] = next.value
    this.#old.delete(key)
    write(records)
    return true
  }
}

function idKey(id: Uint8Array, at: number): string {
  return Buffer.from(id.buffer, id.byteOffset + at, 16).toString('latin1')
}

/** A record that was delivered twice counts once: the one that saw more packets stays. */
function addRecord(records: Waiting[], record: Waiting): void {
  const twin = records.findIndex((one) => one.recNo === record.recNo)
  if (twin >= 0) {
    if (heavier(record, records[twin]!)) records[twin] = record
    return
  }
  if (records.length < RECORDS_MAX) {
    records.push(record)
    return
  }
  // So many records of one flow that they are folded early; a twin of these is no longer recognised.
  const merged = mergeRecords(records)
  records.length = 0
  records.push(merged, record)
}

/** True if `a` saw more packets than `b`, or as many and more bytes. Unset counters saw nothing. */
function heavier(a: Waiting, b: Waiting): boolean {
  const sum = ({ bound, row }: Waiting, orig: CounterName, resp: CounterName) =>
    (bound.block.columns[orig][row]! || 0) + (bound.block.columns[resp][row]! || 0)
  const packets = sum(a, 'orig_pkts', 'resp_pkts') - sum(b, 'orig_pkts', 'resp_pkts')
  return packets !== 0
    ? packets > 0
    : sum(a, 'orig_bytes', 'resp_bytes') > sum(b, 'orig_bytes', 'resp_bytes')
}

function write(records: Waiting[]): void {
  const { bound, row } = records.length === 1 ? records[0]! : mergeRecords(records)
  bound.write(row)
}

/** Folds the records into the row of the first one, in its block, which is ours alone. */
function mergeRecords(records: Waiting[]): Waiting {
  records.sort((a, b) => a.recNo - b.recNo)
  const [first, ...later] = records as [Waiting, ...Waiting[]]
  for (const record of later)
    mergeInto(first.bound.block, first.row, record.bound.block, record.row)
  return first
}

/** Adds the record at (from, at) to the one at (to, row), which came before it. */
function mergeInto(to: FlowBlock, row: number, from: FlowBlock, at: number): void {
  const a = to.columns
  const b = from.columns
  for (const name of FLOW_COUNTERS) {
    const more = b[name][at]!
    if (Number.isNaN(more)) continue
    a[name][row] = Number.isNaN(a[name][row]!) ? more : a[name][row]! + more
  }
  a.ts[row] = Math.min(a.ts[row]!, b.ts[at]!)
  a.end[row] = Math.max(a.end[row]!, b.end[at]!)
  // Each record tells the duration up to its own end.
  if (!(a.duration[row]! >= b.duration[at]!) && !Number.isNaN(b.duration[at]!))
    a.duration[row] = b.duration[at]!
  for (const name of LAST_SET) {
    const value = b[name].get(at)
    if (value !== '') a[name].set(row, value)
  }
  for (const name of ['tunnel_parents', 'dns_names'] as const)
    if (a[name].get(row).length === 0) a[name].set(row, b[name].get(at))
  const odd = new Set([...a.anomalies.get(row), ...b.anomalies.get(at)])
  if (odd.size > a.anomalies.get(row).length) a.anomalies.set(row, [...odd])
  // What was refused on one side was not allowed.
  if (a.action.get(row) !== 'REJECT' && b.action.get(at) !== '') a.action.set(row, b.action.get(at))
  if (a.vlan[row] === 0) a.vlan[row] = b.vlan[at]!
  if (a.inner_vlan[row] === 0) a.inner_vlan[row] = b.inner_vlan[at]!
}
