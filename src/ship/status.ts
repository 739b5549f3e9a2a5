// What a sensor shows of itself: how full its spool is, how old what waits in it, what was sent, and whether it gets on.

import type { Sink } from '../bus/bus.ts'
import { KafkaSink } from '../bus/kafka-sink.ts'
import type { Observed, Readiness, Sample } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import type { Forwarder } from './forwarder.ts'
import type { Shipper } from './shipper.ts'
import type { Spool } from './spool.ts'

/** The stream takes nothing for so long while there is something to send: then it is said. Milliseconds. */
const STALLED_MILLIS = 10_000

export class ShipStatus implements Observed {
  readonly #spool: Spool
  readonly #shipper: Shipper
  readonly #forwarder: Forwarder
  readonly #sink: Sink

  constructor(spool: Spool, shipper: Shipper, forwarder: Forwarder, sink: Sink) {
    this.#spool = spool
    this.#shipper = shipper
    this.#forwarder = forwarder
    this.#sink = sink
  }

  samples(): Sample[] {
    const { bytes, waitedForRoom, waitedForDisk, fsyncs, tornBytes } = this.#spool.counters
    const { chunks, flowRecords, known } = this.#shipper.counters
    const { sent, sentBytes, split, refused } = this.#forwarder.counters
    const retries = this.#sink instanceof KafkaSink ? this.#sink.counters.retries : 0
    const gauge = (name: string, help: string, value: number): Sample => {
      return { name, help, kind: 'gauge', value }
    }
    const counter = (name: string, help: string, value: number): Sample => {
      return { name, help, kind: 'counter', value }
    }
    return [
      gauge('spool_bytes', 'Bytes that the spool takes on disk', bytes),
      gauge('spool_max_bytes', 'Most bytes that the spool may take', this.#spool.maxBytes),
      gauge('spool_messages', 'Messages in the spool that are not sent', this.#pending),
      gauge('spool_oldest_seconds', 'Age of the oldest message that is not sent', this.#age / 1000),
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
        'Chunks that no broker takes, kept as files',
        this.#spool.dead.count,
      ),
      gauge('ledger_origins', 'Inputs that the ledger knows', this.#spool.ledger.size),
      counter('sensor_chunks_total', 'Chunks that went into the spool', chunks),
      counter('sensor_flow_records_total', 'Flow records that went into the spool', flowRecords),
      counter('sensor_known_chunks_total', 'Chunks that were in the spool before', known),
      counter('produced_messages_total', 'Chunks that Kafka has acknowledged', sent),
      counter('produced_bytes_total', 'Their bytes, before compression', sentBytes),
      counter('produce_split_total', 'Chunks that went in pieces', split),
      counter('produce_refused_total', 'Times that Kafka refused us', refused),
      counter('produce_retry_total', 'Requests that were sent again', retries),
    ]
  }

  readiness(): Readiness {
    const reasons: string[] = []
    const { refusal } = this.#forwarder
    if (refusal !== undefined) reasons.push(printable(refusal))
    else if (this.#age > STALLED_MILLIS)
      reasons.push(`Kafka has acknowledged nothing for ${Math.round(this.#age / 1000)} s`)
    if (this.#isFull)
      reasons.push(
        `the spool is full (${this.#spool.counters.bytes} bytes): reading waits until Kafka takes chunks, or give it more by --spool-bytes`,
      )
    if (this.#spool.waitsFor === 'disk' || this.#spool.ledger.full)
      reasons.push('no space left on the disk of the spool: reading waits until there is')
    return { ready: reasons.length === 0, reason: reasons.join('; ') }
  }

  get #isFull(): boolean {
    return this.#spool.waitsFor === 'room'
  }

  get #pending(): number {
    const { committed } = this.#forwarder
    return committed < 0n ? 0 : Number(this.#spool.end - committed)
  }

  get #age(): number {
    const { oldestAt } = this.#forwarder
    return oldestAt === undefined ? 0 : Math.max(0, Date.now() - oldestAt)
  }
}
