// Alerts as one sees them who neither sends nor decides: findings of the stream of alerts, put together in memory and
// told to the hub. Nothing here is durable and nothing needs to be: the store has it all.

import type { AlertBoard } from '../api/parts.ts'
import type { Delivery } from '../bus/bus.ts'
import { AlertBook, type BookedAlert } from '../respond/alert-book.ts'
import { type AlertView, alertView } from '../respond/alert-view.ts'
import { decodeFindings, FindingMessageError } from '../respond/finding.ts'
import type { Hub } from '../respond/hub.ts'
import { counter, type Log, type Observed, type Readiness, type Sample } from '../telemetry.ts'

export interface LiveAlertsParts {
  hub: Hub
  log: Log
  /** What is the matter with the stream, '' if nothing. */
  trouble: () => string
}

export class LiveAlerts implements AlertBoard, Observed {
  readonly #parts: LiveAlertsParts
  readonly #book = new AlertBook()
  #messages = 0
  #unreadable = 0

  constructor(parts: LiveAlertsParts) {
    this.#parts = parts
  }

  /** Takes a message of the stream; the same one again changes nothing. One that cannot be read is passed over. */
  take(delivery: Delivery): void {
    this.#messages++
    try {
      if (delivery.unreadable !== undefined) throw new FindingMessageError(delivery.unreadable)
      const changes = this.#book.absorb(decodeFindings(delivery.bytes), delivery.acceptedAt)
      for (const { id } of changes) {
        const alert = this.#book.get(id)
        if (alert !== undefined) this.#parts.hub.publish('alert', view(alert))
      }
    } catch (error) {
      if (!(error instanceof FindingMessageError)) throw error
      this.#unreadable++
      const { stream, partition, offset } = delivery
      this.#parts.log('warn', 'a message of findings cannot be read and is not shown', {
        where: `${stream} ${partition}:${offset}`,
        reason: error.message,
      })
    }
  }

  alerts(options: { limit: number; before?: string }): AlertView[] {
    return this.#book.newest(options).map(view)
  }

  alert(id: string): AlertView | undefined {
    const alert = this.#book.get(id)
    return alert === undefined ? undefined : view(alert)
  }

  samples(): Sample[] {
    const { raised, findings } = this.#book.counters
    return [
      counter('live_findings_total', 'Findings that came by the stream of alerts', findings),
      counter('live_messages_total', 'Messages of the stream of alerts', this.#messages),
      counter('live_unreadable_total', 'Messages of it that could not be read', this.#unreadable),
      counter('live_alerts_total', 'Alerts that were put together of them', raised),
    ]
  }

  /** Without the stream what is stored is shown all the same, and it is said. */
  readiness(): Readiness {
    const trouble = this.#parts.trouble()
    const warning = `new alerts are not shown as they happen: ${trouble}`
    return trouble === '' ? { ready: true, reason: '' } : { ready: true, reason: '', warning }
  }
}

/** Who sends it is another process. */
function view(alert: BookedAlert): AlertView {
  return alertView(alert, () => 'queued')
}
