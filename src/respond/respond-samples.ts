// What responding counts, as metrics.

import type { Sample } from '../telemetry.ts'
import type { Endpoint, EndpointState } from './endpoint.ts'
import type { Outbox } from './outbox.ts'

const STATES: readonly EndpointState[] = ['working', 'throttled', 'held', 'disabled']

export function respondSamples(
  outbox: Outbox,
  endpoints: Iterable<Endpoint>,
  { dead, dropped, now }: { dead: number; dropped: number; now: number },
): Sample[] {
  const { raised, findings, repeated, late } = outbox.book.counters
  const counter = (name: string, help: string, value: number): Sample => ({
    name,
    help,
    kind: 'counter',
    value,
  })
  const gauge = (name: string, help: string, value: number): Sample => ({
    name,
    help,
    kind: 'gauge',
    value,
  })
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
  return [
    {
      name: 'webhook_requests_total',
      help: 'Requests by how they went',
      kind: 'counter',
      labels: { ...labels, outcome: 'delivered' },
      value: counters.delivered,
    },
    {
      name: 'webhook_requests_total',
      help: 'Requests by how they went',
      kind: 'counter',
      labels: { ...labels, outcome: 'failed' },
      value: counters.failed,
    },
    {
      name: 'webhook_messages_total',
      help: 'Messages that were made',
      kind: 'counter',
      labels,
      value: counters.messages,
    },
    {
      name: 'webhook_alerts_total',
      help: 'Alerts in these messages',
      kind: 'counter',
      labels,
      value: counters.alerts,
    },
    {
      name: 'webhook_died_total',
      help: 'Messages that were given up',
      kind: 'counter',
      labels,
      value: counters.died,
    },
    {
      name: 'webhook_breaker_opened_total',
      help: 'Times that an endpoint failed so often that it was left alone',
      kind: 'counter',
      labels,
      value: endpoint.opened,
    },
    {
      name: 'webhook_queued',
      help: 'Messages and alerts that wait or are under way',
      kind: 'gauge',
      labels,
      value: queued,
    },
    {
      name: 'outbox_oldest_seconds',
      help: 'Age of what is to be sent next',
      kind: 'gauge',
      labels,
      value: oldest,
    },
    ...STATES.map(
      (one): Sample => ({
        name: 'webhook_state',
        help: 'How an endpoint does: 1 for the state it is in',
        kind: 'gauge',
        labels: { ...labels, state: one },
        value: state === one ? 1 : 0,
      }),
    ),
  ]
}
