// What a sensor shows of itself: its spool, what was sent, and whether it gets on.

import type { Sink } from '../bus/bus.ts'
import { KafkaSink } from '../bus/kafka-sink.ts'
import { counter, type Observed, type Readiness, type Sample } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import type { Forwarder } from './forwarder.ts'
import type { Shipper } from './shipper.ts'
import type { Spool } from './spool.ts'
import { SpoolStatus } from './spool-status.ts'

/** The stream takes nothing for so long while there is something to send: then it is said. Milliseconds. */
const STALLED_MILLIS = 10_000

export class ShipStatus implements Observed {
  readonly #spool: SpoolStatus
  readonly #forwarder: Forwarder
  readonly #sink: Sink

  constructor(spool: Spool, shipper: Shipper, forwarder: Forwarder, sink: Sink) {
    this.#spool = new SpoolStatus(spool, shipper, forwarder)
    this.#forwarder = forwarder
    this.#sink = sink
  }

  samples(): Sample[] {
    const { sent, sentBytes, split, refused } = this.#forwarder.counters
    const retries = this.#sink instanceof KafkaSink ? this.#sink.counters.retries : 0
    return [
      ...this.#spool.samples(),
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
    const { age } = this.#spool
    if (refusal !== undefined) reasons.push(printable(refusal))
    else if (age > STALLED_MILLIS)
      reasons.push(`Kafka has acknowledged nothing for ${Math.round(age / 1000)} s`)
    const { ready, reason } = this.#spool.readiness()
    if (!ready) reasons.push(reason)
    return { ready: reasons.length === 0, reason: reasons.join('; ') }
  }
}
