// Takes findings from the stream of alerts: what it took is durable before its position is. A message that cannot be
// read is put with the dead letters, byte for byte, and what comes behind it goes on.

import {
  ALERT_STREAM,
  type Claim,
  ClaimLost,
  type Delivery,
  LETTER_BYTES_MAX,
  type Sink,
  type Source,
} from '../bus/bus.ts'
import { deadLetterId, encodeDeadLetter } from '../bus/dead-letter.ts'
import { decodeFindings, type FindingEvent, FindingMessageError } from '../respond/finding.ts'
import {
  counter,
  gauge,
  type Log,
  type Observed,
  type Readiness,
  type Sample,
} from '../telemetry.ts'
import { printable } from '../wire-text.ts'

/** How long a claim waits for a message, and messages that are taken as one. */
const WAIT_MILLIS = 500
const BATCH_MAX = 64
/** Room for a letter's own header. */
const HEADER_BYTES = 64 << 10

export interface AlertConsumerParts {
  source: Source
  /** Of the stream of alerts, when it was opened. */
  partitions: number
  /** The stream of dead letters. */
  dead: Sink
  /** Resolves when the findings are durable. The same again must change nothing. */
  take: (events: readonly FindingEvent[]) => Promise<void>
  log: Log
  /** Of the program. */
  version: string
  signal: AbortSignal
  now?: () => number
}

export class AlertConsumer implements Observed {
  readonly #parts: AlertConsumerParts
  #messages = 0
  #findings = 0
  #unreadable = 0
  #lastError = ''

  constructor(parts: AlertConsumerParts) {
    this.#parts = parts
  }

  /**
   * Takes findings until the signal is aborted.
   * @throws BusError; whatever `take` throws: nothing that it did not take was committed
   */
  async run(): Promise<void> {
    const { source, signal } = this.#parts
    const failed = new AbortController()
    const onAbort = () => void source.close()
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    const working = new Set<Promise<void>>()
    try {
      for await (const claim of source.claims()) {
        const work = this.#work(claim)
          .catch((error: unknown) => {
            failed.abort(error)
            void source.close()
          })
          .finally(() => working.delete(work))
        working.add(work)
      }
      await Promise.all(working)
    } finally {
      signal.removeEventListener('abort', onAbort)
      await source.close()
    }
    if (failed.signal.aborted) throw failed.signal.reason
  }

  async #work(claim: Claim): Promise<void> {
    while (!claim.lost.aborted) {
      const batch = await nextOf(claim)
      if (batch.length === 0) continue
      try {
        await this.#take(batch)
        await claim.commit(batch.at(-1)!.offset + 1n)
      } catch (error) {
        // Whoever has the partition now takes them again, and that changes nothing.
        if (error instanceof ClaimLost || claim.lost.aborted || this.#parts.signal.aborted) return
        throw error
      }
    }
  }

  async #take(batch: readonly Delivery[]): Promise<void> {
    const events: FindingEvent[] = []
    for (const delivery of batch) {
      this.#messages++
      const read = readDelivery(delivery)
      if (typeof read === 'string') await this.#bury(delivery, read)
      else events.push(...read)
    }
    this.#findings += events.length
    if (events.length > 0) await this.#parts.take(events)
  }

  async #bury(delivery: Delivery, why: string): Promise<void> {
    const { dead, log, version, signal, now = Date.now } = this.#parts
    const { stream, partition, offset, key, acceptedAt, bytes } = delivery
    const detail = printable(why)
    this.#unreadable++
    this.#lastError = detail
    const at = { stream, partition, offset: String(offset) }
    log('error', 'a message of findings cannot be read: it is a dead letter now', { ...at, detail })
    const letter = { ...at, reason: 'garbage' as const, detail, key: printable(key), acceptedAt }
    const body = bytes.subarray(0, LETTER_BYTES_MAX - HEADER_BYTES)
    await dead.send(
      {
        key: key === '' ? 'dead' : key,
        bytes: encodeDeadLetter(
          { id: deadLetterId(delivery, ''), ...letter, diedAt: now(), version },
          body,
        ),
      },
      signal,
    )
  }

  readiness(): Readiness {
    const { partitions, source } = this.#parts
    const held = source.counters.claims - source.counters.claimsLost
    if (held >= partitions) return { ready: true, reason: '' }
    if (held <= 0)
      return { ready: false, reason: 'no partition of the stream of alerts is ours yet' }
    // Which would know nothing of this one's cap, ids and audit log (decisions/010-one-process-answers.md).
    const rest = 'another process of the group takes the rest, and there must be one'
    return {
      ready: false,
      reason: `holds ${held} of ${partitions} partitions of ${ALERT_STREAM}: ${rest}`,
    }
  }

  samples(): Sample[] {
    const behind = this.#parts.source
      .lag()
      .reduce((sum, { committed, end }) => sum + Number(end - committed), 0)
    return [
      counter('alert_messages_total', 'Messages of findings that were taken', this.#messages),
      counter('alert_findings_total', 'Findings in them', this.#findings),
      counter('alert_messages_unreadable_total', 'Messages that are dead now', this.#unreadable),
      gauge('alert_lag', 'Messages not yet taken', behind),
    ]
  }

  /** Why the last dead message is dead; '' if there is none. */
  get lastError(): string {
    return this.#lastError
  }
}

/** What is there, at most BATCH_MAX; waits a while for the first. */
async function nextOf(claim: Claim): Promise<Delivery[]> {
  const batch: Delivery[] = []
  for (let wait = WAIT_MILLIS; batch.length < BATCH_MAX; wait = 0) {
    const delivery = await claim.next(wait)
    if (delivery === undefined) break
    batch.push(delivery)
  }
  return batch
}

/** The findings of a message, or why it cannot be read. */
function readDelivery({ bytes, unreadable }: Delivery): FindingEvent[] | string {
  if (unreadable !== undefined) return unreadable
  try {
    return decodeFindings(bytes)
  } catch (error) {
    if (error instanceof FindingMessageError) return error.message
    throw error
  }
}
