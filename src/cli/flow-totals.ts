// What records of a live capture add up to: each tells what came since the record before, a person wants the whole.

import { FLOW_COUNTERS } from '../flow.ts'
import { uidOf } from '../flow-id.ts'
import type { FlowBlock } from './flow-writer.ts'

/** Flows that are remembered; of those that are forgotten the rest is shown without the beginning. */
const FLOWS_MAX = 262_144

export class FlowTotals {
  readonly #flows = new Map<string, Float64Array>()
  readonly #max: number
  /** Flows whose beginning was forgotten. */
  forgotten = 0

  constructor(max = FLOWS_MAX) {
    this.#max = max
  }

  /** Turns the counters of a row, which are what came since the record before, into those of the whole flow so far. */
  add(block: FlowBlock, row: number): void {
    const c = block.columns
    const reason = c.end_reason.get(row)
    const goesOn = reason === 'open' || reason === 'active'
    if (c.rec_no[row] === 0 && !goesOn) return
    const key = uidOf(c.flow_id, row * 16)
    let sums = this.#flows.get(key)
    if (sums !== undefined)
      for (const [at, name] of FLOW_COUNTERS.entries()) {
        const before = sums[at]!
        if (Number.isNaN(before)) continue
        const more = c[name][row]!
        c[name][row] = Number.isNaN(more) ? before : before + more
      }
    if (!goesOn) {
      this.#flows.delete(key)
      return
    }
    if (sums === undefined) {
      this.#makeRoom()
      sums = new Float64Array(FLOW_COUNTERS.length)
      this.#flows.set(key, sums)
    }
    for (const [at, name] of FLOW_COUNTERS.entries()) sums[at] = c[name][row]!
  }

  #makeRoom(): void {
    if (this.#flows.size < this.#max) return
    this.forgotten++
    this.#flows.delete(this.#flows.keys().next().value!)
  }
}
