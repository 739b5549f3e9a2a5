// Which record of a flow is judged. A chunk may hold several records of one flow, and the two halves of a cloud
// flow log's conversation; each flow is judged once, by the record with the lowest number.

import type { Block } from './block.ts'
import { FLOW_COLUMNS, HANDSHAKES, type Handshake } from './flow.ts'
import { BLOCK_ROWS_MAX } from './native-read.ts'

/** The columns that judgement rests on; the others are passed over. */
export const EVIDENCE_COLUMNS = {
  flow_id: FLOW_COLUMNS.flow_id,
  rec_no: FLOW_COLUMNS.rec_no,
  ts: FLOW_COLUMNS.ts,
  orig_h: FLOW_COLUMNS.orig_h,
  orig_p: FLOW_COLUMNS.orig_p,
  resp_h: FLOW_COLUMNS.resp_h,
  resp_p: FLOW_COLUMNS.resp_p,
  ip_proto: FLOW_COLUMNS.ip_proto,
  direction_sure: FLOW_COLUMNS.direction_sure,
  handshake: FLOW_COLUMNS.handshake,
  decided_at: FLOW_COLUMNS.decided_at,
  server_name: FLOW_COLUMNS.server_name,
  name_source: FLOW_COLUMNS.name_source,
  name_proof: FLOW_COLUMNS.name_proof,
  dns_names: FLOW_COLUMNS.dns_names,
  proxy_user: FLOW_COLUMNS.proxy_user,
  interface_id: FLOW_COLUMNS.interface_id,
  interface_side: FLOW_COLUMNS.interface_side,
  // Nothing is decided by these: they are added up for what is judged.
  orig_bytes: FLOW_COLUMNS.orig_bytes,
  resp_bytes: FLOW_COLUMNS.resp_bytes,
  orig_ip_bytes: FLOW_COLUMNS.orig_ip_bytes,
  resp_ip_bytes: FLOW_COLUMNS.resp_ip_bytes,
} as const
export type EvidenceColumns = typeof EVIDENCE_COLUMNS

/**
 * One row for each distinct flow, ascending. Sorting instead of hashing: whoever chooses flow ids cannot make it
 * slow. A row and 33 bits of its id are packed into one float64, so that they are sorted without a callback.
 * @param totals receives the sums of each flow's records, under its deciding row
 */
export function decidingRows(flows: Block<EvidenceColumns>, totals?: FlowTotals): Uint32Array {
  const { flow_id } = flows.columns
  const packed = new Float64Array(flows.rows)
  for (let row = 0; row < flows.rows; row++) {
    const at = row * 16
    const high =
      flow_id[at]! * 2 ** 25 +
      ((flow_id[at + 1]! << 17) |
        (flow_id[at + 2]! << 9) |
        (flow_id[at + 3]! << 1) |
        (flow_id[at + 4]! >> 7))
    packed[row] = high * BLOCK_ROWS_MAX + row
  }
  packed.sort()
  const chosen = new Uint32Array(flows.rows)
  let count = 0
  // Runs of rows that agree in those 33 bits: almost always one row.
  for (let first = 0; first < packed.length; ) {
    const bits = Math.floor(packed[first]! / BLOCK_ROWS_MAX)
    let end = first + 1
    while (end < packed.length && packed[end]! < (bits + 1) * BLOCK_ROWS_MAX) end++
    const base = bits * BLOCK_ROWS_MAX
    if (end === first + 1) chosen[count++] = packed[first]! - base
    else {
      const rows = Array.from(packed.subarray(first, end), (value) => value - base)
      for (const row of representatives(flows, rows, totals)) chosen[count++] = row
    }
    first = end
  }
  return chosen.subarray(0, count).sort()
}

/** One of these rows for each distinct flow. */
function representatives(
  flows: Block<EvidenceColumns>,
  rows: readonly number[],
  totals: FlowTotals | undefined,
): number[] {
  const chosen: number[] = []
  for (const row of rows) {
    const i = chosen.findIndex((other) => sameFlow(flows.columns.flow_id, row, other))
    if (i < 0) chosen.push(row)
    else if (precedes(flows, row, chosen[i]!)) {
      totals?.add(row, chosen[i]!)
      chosen[i] = row
    } else totals?.add(chosen[i]!, row)
  }
  return chosen
}

/** Records and bytes of the flows of a block: begun with those of each row, and added up as rows meet. */
export class FlowTotals {
  readonly records: Uint32Array
  /** On the wire where that is known, else payload; NaN if neither is. */
  readonly origBytes: Float64Array
  readonly respBytes: Float64Array

  constructor({ rows, columns: c }: Block<EvidenceColumns>) {
    this.records = new Uint32Array(rows).fill(1)
    this.origBytes = new Float64Array(rows)
    this.respBytes = new Float64Array(rows)
    for (let row = 0; row < rows; row++) {
      this.origBytes[row] = known(c.orig_ip_bytes[row]!, c.orig_bytes[row]!)
      this.respBytes[row] = known(c.resp_ip_bytes[row]!, c.resp_bytes[row]!)
    }
  }

  /** Adds what was gathered under row `from` to row `to`. */
  add(to: number, from: number): void {
    this.records[to]! += this.records[from]!
    this.origBytes[to] = sum(this.origBytes[to]!, this.origBytes[from]!)
    this.respBytes[to] = sum(this.respBytes[to]!, this.respBytes[from]!)
  }
}

function known(first: number, second: number): number {
  return Number.isNaN(first) ? second : first
}

/** NaN only if both are. */
function sum(a: number, b: number): number {
  if (Number.isNaN(a)) return b
  return Number.isNaN(b) ? a : a + b
}

function sameFlow(ids: Uint8Array, a: number, b: number): boolean {
  for (let i = 0; i < 16; i++) if (ids[a * 16 + i] !== ids[b * 16 + i]) return false
  return true
}

/**
 * True if the flow is judged by row `a` rather than `b`: the lower record number; among equals the one with a
 * name, then the one that saw more of the handshake, then the earlier; at last any fixed order, so that the
 * order of the rows decides nothing.
 */
function precedes(flows: Block<EvidenceColumns>, a: number, b: number): boolean {
  const c = flows.columns
  const rank = (row: number): number => HANDSHAKES.indexOf(c.handshake.get(row) as Handshake)
  const nameless = (row: number): number => (c.server_name.get(row) === '' ? 1 : 0)
  const difference =
    c.rec_no[a]! - c.rec_no[b]! ||
    nameless(a) - nameless(b) ||
    rank(a) - rank(b) ||
    c.ts[a]! - c.ts[b]! ||
    c.decided_at[a]! - c.decided_at[b]!
  if (difference !== 0) return difference < 0
  return rowText(flows, a) < rowText(flows, b)
}

/** All evidence of a row as text, to order rows that agree in what matters. */
function rowText({ columns: c }: Block<EvidenceColumns>, row: number): string {
  const at = row * 16
  return JSON.stringify([
    [...c.orig_h.subarray(at, at + 16), ...c.resp_h.subarray(at, at + 16)],
    [c.orig_p[row], c.resp_p[row], c.ip_proto[row], c.direction_sure[row]],
    [c.server_name, c.name_source, c.name_proof].map((held) => held.get(row)),
    c.dns_names.get(row),
    [c.proxy_user, c.interface_id, c.interface_side].map((held) => held.get(row)),
  ])
}

/** Logs that tell of a flow afterwards may not know the moment: then it is the flow's beginning. */
export function decidedAt(
  { decided_at, ts }: Pick<Block<EvidenceColumns>['columns'], 'decided_at' | 'ts'>,
  row: number,
): number {
  const decided = decided_at[row]!
  return decided === 0 ? ts[row]! : decided
}
