// What a spool shows of itself: how full it is, how old what waits in it, what went into it.

import { counter, gauge, type Observed, type Readiness, type Sample } from '../telemetry.ts'
import type { Shipper } from './shipper.ts'
import type { Spool } from './spool.ts'

/** Whoever takes chunks out of the spool. */
export interface SpoolTaker {
  /** In words: what the spool waits for when it is full. */
  readonly name: string
  /** Everything before this place is done with; -1 before it began. */
  readonly committed: bigint
  /** When the oldest message that waits was spooled, milliseconds since 1970; undefined if none waits. */
  readonly oldestAt: number | undefined
}

export class SpoolStatus implements Observed {
  readonly #spool: Spool
  readonly #shipper: Shipper
  readonly #taker: SpoolTaker

  constructor(spool: Spool, shipper: Shipper, taker: SpoolTaker) {
    this.#spool = spool
    this.#shipper = shipper
    this.#taker = taker
  }

  /** Milliseconds that the oldest message waits. */
  get age(): number {
    const { oldestAt } = this.#taker
    return oldestAt === undefined ? 0 : Math.max(0, Date.now() - oldestAt)
  }

  samples(): Sample[] {
    const { bytes, waitedForRoom, waitedForDisk, fsyncs, tornBytes } = this.#spool.counters
    const { chunks, flowRecords, known } = this.#shipper.counters
    return [
      gauge('spool_bytes', 'Bytes that the spool takes on disk', bytes),
      gauge('spool_max_bytes', 'Most bytes that the spool may take', this.#spool.maxBytes),
      gauge('spool_messages', 'Messages in the spool that are not done with', this.#pending),
      gauge('spool_oldest_seconds', 'Age of the oldest of them', this.age / 1000),
      gauge('spool_full', '1 while reading waits for room in the spool', this.#isFull ? 1 : 0),
      counter('spool_full_total', 'Times that reading had to wait for room', waitedForRoom),
      counter('spool_disk_full_total', 'Times that the disk had no room', waitedForDisk),
      counter('spool_fsyncs_total', 'Flushes of the spool to the medium', fsyncs),
      counter(
        'spool_torn_bytes_total',
        'Bytes of unfinished writes cut off at the start',
        tornBytes,
      ),
      counter('spool_damaged_total', 'Damaged places in the spool', this.#spool.damages.length),
      counter(
        'spool_dead_total',
        'Chunks too large for any message, kept as files',
        this.#spool.dead.count,
      ),
      gauge('ledger_origins', 'Inputs that the ledger knows', this.#spool.ledger.size),
      counter('sensor_chunks_total', 'Chunks that went into the spool', chunks),
      counter('sensor_flow_records_total', 'Flow records that went into the spool', flowRecords),
      counter('sensor_known_chunks_total', 'Chunks that were in the spool before', known),
    ]
  }

  readiness(): Readiness {
    const reasons: string[] = []
    if (this.#isFull)
      reasons.push(
        `the spool is full (${this.#spool.counters.bytes} bytes): reading waits until ${this.#taker.name} takes chunks, or give it more by --spool-bytes`,
      )
    if (this.#spool.waitsFor === 'disk' || this.#spool.ledger.full)
      reasons.push('no space left on the disk of the spool: reading waits until there is')
    return { ready: reasons.length === 0, reason: reasons.join('; ') }
  }

  get #isFull(): boolean {
    return this.#spool.waitsFor === 'room'
  }

  get #pending(): number {
    const { committed } = this.#taker
    return committed < 0n ? 0 : Number(this.#spool.end - committed)
  }
}
