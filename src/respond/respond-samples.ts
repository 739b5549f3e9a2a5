// What responding counts, as metrics.

import { counter, gauge, type Sample } from '../telemetry.ts'
import type { Endpoint, EndpointState } from './endpoint.ts'
import type { Outbox } from './outbox.ts'

const STATES: readonly EndpointState[] = ['working', 'throttled', 'held', 'disabled']
const STATE_HELP = 'How an endpoint does: 1 for the state it is in'

export function respondSamples(
  outbox: Outbox,
  endpoints: Iterable<Endpoint>,
  { dead, dropped, now }: { dead: number; dropped: number; now: number },
): Sample[] {
  const { raised, findings, repeated, late } = outbox.book.counters
  return [
    counter('alerts_raised_total', 'Alerts that were new', raised),
    counter('findings_taken_total', 'Findings that were taken', findings),
    counter('findings_repeated_total', 'Findings that changed nothing', repeated),
    counter('findings_late_total', 'Findings of alerts too old to be held', late),
    gauge('alerts_held', 'Alerts held in memory', outbox.book.size),
    gauge('outbox_bytes', 'Bytes of the outbox on disk', outbox.bytes),
    counter(
      'outbox_compactions_total',
      'Times that old notes were thrown away',
      outbox.compactions,
    ),
    counter('outbox_unread_total', 'Notes that could not be read', outbox.unread),
    counter('outbox_lost_total', 'Notes that were damaged on the disk', outbox.lost),
    gauge('webhook_dead', 'Messages that are tried no more', dead),
    counter('webhook_dead_dropped_total', 'Dead messages that were forgotten', dropped),
    ...[...endpoints].flatMap((endpoint) => ofEndpoint(endpoint, now)),
  ]
}

/** The names of endpoints are the operator's, and few. */
function ofEndpoint(endpoint: Endpoint, now: number): Sample[] {
  const { name, counters, queued, state, waitingSince } = endpoint
  const labels = { endpoint: name }
  const oldest = waitingSince === undefined ? 0 : Math.max(0, now - waitingSince) / 1000
  const requests = (outcome: string, value: number) => ({
    ...counter('webhook_requests_total', 'Requests by how they went', value),
    labels: { ...labels, outcome },
  })
  const of = (sample: Sample) => ({ ...sample, labels })
  const held = 'Times that an endpoint failed so often that it was left alone'
  return [
    requests('delivered', counters.delivered),
    requests('failed', counters.failed),
    of(counter('webhook_messages_total', 'Messages that were made', counters.messages)),
    of(counter('webhook_alerts_total', 'Alerts in these messages', counters.alerts)),
    of(counter('webhook_died_total', 'Messages that were given up', counters.died)),
    of(counter('webhook_breaker_opened_total', held, endpoint.opened)),
    of(gauge('webhook_queued', 'Messages and alerts that wait or are under way', queued)),
    of(gauge('outbox_oldest_seconds', 'Age of what is to be sent next', oldest)),
    ...STATES.map(
      (one): Sample => ({
        ...gauge('webhook_state', STATE_HELP, state === one ? 1 : 0),
        labels: { ...labels, state: one },
      }),
    ),
  ]
}
