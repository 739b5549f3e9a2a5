// Records of flows that go on, for captures that do not end: one when a flow is decided, one whenever the active timeout
// has passed, the last when it is over. Counters are what came since the record before, so that they add up.

import type { EndReason } from '../flow.ts'
import * as F from './flow-fields.ts'
import type { FlowPlace } from './flow-record.ts'

/** Counters of a flow that are told as differences, by their place in `FlowTold.counters`. */
export const ORIG_PKTS = 0
export const ORIG_IP_BYTES = 1
export const RESP_PKTS = 2
export const RESP_IP_BYTES = 3
export const MISSED_BYTES = 4
export const ORIG_BYTES = 5
export const RESP_BYTES = 6

/** What was told of a flow so far. */
export class FlowTold {
  readonly counters = new Float64Array(7)
  /** The next record is due at this time of the decoder's clock, microseconds. */
  due = Number.POSITIVE_INFINITY

  /**
   * What a counter has grown by since it was told last; it is told now. Never negative: a total that turns out smaller
   * later (payload of a reset connection) cannot be taken back.
   */
  grown(counter: number, total: number): number {
    const before = this.counters[counter]!
    if (!(total > before)) return 0
    this.counters[counter] = total
    return total - before
  }
}

/** Writes a record of the flow in hand. */
type Write = (reason: EndReason, told: FlowTold) => void

export class RunningReports {
  /** Flows told of for the first time so far: each is decided now, and somebody waits for it. */
  decided = 0
  readonly #activeTimeout: number
  readonly #write: Write
  readonly #told: (FlowTold | undefined)[] = []

  /** @param activeTimeout microseconds between two records of a flow that goes on */
  constructor(activeTimeout: number, write: Write) {
    this.#activeTimeout = activeTimeout
    this.#write = write
  }

  /**
   * Tells of a flow that was decided by the packet in hand.
   * @param clock of the decoder
   * @returns true if it was told: its next record is due later
   */
  open({ flow, page, at }: FlowPlace, clock: number): boolean {
    if ((page.words[at + F.FLAGS]! & F.IN_USE) === 0 || page.words[at + F.DECIDED] === 0)
      return false
    if (this.#told[flow] !== undefined) return false
    const told = new FlowTold()
    told.due = clock + this.#activeTimeout
    this.#told[flow] = told
    this.decided++
    this.#write('open', told)
    return true
  }

  /** When the next record of a flow is due; Infinity if it was not told of yet. */
  due(flow: number): number {
    return this.#told[flow]?.due ?? Number.POSITIVE_INFINITY
  }

  /** Tells what came since, if anything did. */
  update({ flow, page, dat }: FlowPlace, clock: number): void {
    const told = this.#told[flow]
    if (told === undefined || told.due > clock) return
    told.due = clock + this.#activeTimeout
    const { doubles } = page
    const packets =
      doubles[dat + F.ORIG_COUNTS + F.PACKETS]! + doubles[dat + F.RESP_COUNTS + F.PACKETS]!
    if (packets > told.counters[ORIG_PKTS]! + told.counters[RESP_PKTS]!) this.#write('active', told)
  }

  /** The flow is over: what was told of it, for its last record. */
  close(flow: number): FlowTold {
    const told = this.#told[flow]
    this.#told[flow] = undefined
    if (told === undefined) this.decided++
    return told ?? new FlowTold()
  }
}
