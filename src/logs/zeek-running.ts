// Running totals of connections that had not ended (open_conn, conn_long) as deltas: a flow record tells what
// happened since the record before it, so that the records of a flow add up.

import { FLOW_COUNTERS } from '../flow.ts'

/** The counters of a row are passed in the order of FLOW_COUNTERS. */
const COUNT = FLOW_COUNTERS.length

/** Connections that are remembered before the oldest is given up. */
export const RUNNING_MAX = 1 << 19

/** One for all connection logs of a directory, in this order: open_conn, conn_long, conn. */
export class RunningTotals {
  /** Connections forgotten because there were too many: their next row counts from zero again. */
  evicted = 0
  /** Rows with a total smaller than before; the difference is taken as 0. */
  wentBack = 0
  readonly #max: number
  /** Slot of a uid, oldest first. */
  readonly #slots = new Map<string, number>()
  readonly #free: number[] = []
  #totals = new Float64Array(64 * COUNT)
  #records = new Uint32Array(64)

  constructor(max = RUNNING_MAX) {
    this.#max = max
  }

  get size(): number {
    return this.#slots.size
  }

  /** Replaces totals by what came since the last row of this uid; the number of this record. NaN stays NaN. */
  deltas(uid: string, totals: Float64Array): number {
    const slot = this.#slots.get(uid)
    if (slot === undefined) {
      this.#insert(uid, totals)
      return 0
    }
    this.#difference(slot, totals, true)
    this.#records[slot]!++
    return this.#records[slot]!
  }

  /** The same for the row that ends a connection: nothing is remembered after it. */
  last(uid: string, totals: Float64Array): number {
    if (this.#slots.size === 0) return 0
    const slot = this.#slots.get(uid)
    if (slot === undefined) return 0
    this.#difference(slot, totals, false)
    this.#slots.delete(uid)
    this.#free.push(slot)
    return this.#records[slot]! + 1
  }

  #difference(slot: number, totals: Float64Array, keep: boolean): void {
    for (let i = 0; i < COUNT; i++) {
      const total = totals[i]!
      const before = this.#totals[slot * COUNT + i]!
      if (Number.isNaN(total)) continue
      if (total < before) {
        this.wentBack++
        totals[i] = 0
        continue
      }
      if (keep) this.#totals[slot * COUNT + i] = total
      if (!Number.isNaN(before)) totals[i] = total - before
    }
  }

  #insert(uid: string, totals: Float64Array): void {
    if (this.#slots.size >= this.#max) {
      const oldest = this.#slots.keys().next().value!
      this.#free.push(this.#slots.get(oldest)!)
      this.#slots.delete(oldest)
      this.evicted++
    }
    const slot = this.#free.pop() ?? this.#slots.size
    if (slot >= this.#records.length) this.#grow()
    this.#slots.set(uid, slot)
    this.#totals.set(totals, slot * COUNT)
    this.#records[slot] = 0
  }

  #grow(): void {
    const records = new Uint32Array(this.#records.length * 4)
    records.set(this.#records)
    this.#records = records
    const totals = new Float64Array(this.#totals.length * 4)
    totals.set(this.#totals)
    this.#totals = totals
  }
}
