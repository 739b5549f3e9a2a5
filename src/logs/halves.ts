// Two records, one conversation: cloud logs write each direction on a line of its own. Both lines must agree on who
// began and on how far the handshake came, though often only one of them can know. This memory of recent flows lets
// the second line follow the first, or mend the first while its row is still at hand.

import type { ChunkWriter } from '../chunk.ts'
import type { FlowRow } from './rows.ts'

/** Slots of the memory. Halves lie close together in a log: one interface's interval is written at once. */
const SLOTS = 1 << 15

/** What a line says of its flow. `origIsLow`: the originator is the lower endpoint in byte order. */
export interface Half {
  origIsLow: boolean
  sure: boolean
  completed: boolean
  /** Two lines contradict each other about who began. */
  conflict: boolean
}

export class Halves {
  /**
   * Four words a slot, in one place because each line asks for another one: 64 bits of the flow id; the number of the
   * flow record, counted over all chunks (modulo 2^32, the first is 1); bits 1 origIsLow, 2 sure, 4 completed, 8 held.
   */
  readonly #slots = new Int32Array(SLOTS * 4)
  readonly #chunks: ChunkWriter

  constructor(chunks: ChunkWriter) {
    this.#chunks = chunks
  }

  /**
   * Brings `half` in line with the other line of the same flow, if that was seen lately. Call it when the row has
   * its flow_id and before its endpoints are written.
   */
  meet(row: number, half: Half): void {
    const { columns } = this.#chunks.flows
    const id = columns.flow_id
    const at = row * 16
    const low = id[at]! | (id[at + 1]! << 8) | (id[at + 2]! << 16) | (id[at + 3]! << 24)
    const high = id[at + 9]! | (id[at + 10]! << 8) | (id[at + 11]! << 16) | (id[at + 12]! << 24)
    const slots = this.#slots
    const slot = (low & (SLOTS - 1)) * 4
    if (slots[slot] === low && slots[slot + 1] === high && slots[slot + 3] !== 0)
      this.#agree(slots[slot + 2]!, slots[slot + 3]!, half)
    slots[slot] = low
    slots[slot + 1] = high
    slots[slot + 2] = this.#chunks.flowCount
    slots[slot + 3] = 8 | (half.origIsLow ? 1 : 0) | (half.sure ? 2 : 0) | (half.completed ? 4 : 0)
  }

  #agree(number: number, flags: number, half: Half): void {
    const { flows, flowCount } = this.#chunks
    const wasLow = (flags & 1) !== 0
    const wasSure = (flags & 2) !== 0
    const wasCompleted = (flags & 4) !== 0
    const before = flows.rows - 1 - ((flowCount - number) >>> 0)
    const held = before >= 0
    if (wasLow !== half.origIsLow) {
      if (half.sure && !wasSure && held) turnRound(flows.columns, before)
      else {
        half.conflict = half.sure
        half.sure = half.sure ? false : wasSure
        half.origIsLow = wasLow
      }
    } else half.sure ||= wasSure
    if (half.sure && !wasSure && held) flows.columns.direction_sure[before] = 1
    if (half.completed && !wasCompleted && held) {
      if (flows.columns.action.get(before) !== 'REJECT')
        flows.columns.handshake.set(before, 'completed')
    }
    half.completed ||= wasCompleted
  }
}

/** Swaps originator and responder of a row that was written the wrong way round. */
export function turnRound(columns: FlowRow, row: number): void {
  for (let i = row * 16; i < row * 16 + 16; i++) {
    const byte = columns.orig_h[i]!
    columns.orig_h[i] = columns.resp_h[i]!
    columns.resp_h[i] = byte
  }
  swap(columns.orig_p, columns.resp_p, row)
  swap(columns.orig_bytes, columns.resp_bytes, row)
  swap(columns.orig_pkts, columns.resp_pkts, row)
  swap(columns.orig_ip_bytes, columns.resp_ip_bytes, row)
  columns.rec_no[row]! ^= 1
  const side = columns.interface_side.get(row)
  if (side !== '') columns.interface_side.set(row, side === 'orig' ? 'resp' : 'orig')
  if (columns.action.get(row) === 'REJECT')
    columns.handshake.set(row, (columns.rec_no[row]! & 1) === 0 ? 'refused' : 'unseen')
}

function swap(a: Uint16Array | Float64Array, b: Uint16Array | Float64Array, row: number): void {
  const kept = a[row]!
  a[row] = b[row]!
  b[row] = kept
}
