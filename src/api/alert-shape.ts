// An alert as the API shows it, whether it comes from whoever raised it or from the store.

import { z } from 'zod'
import { serviceText } from '../identity/agent.ts'
import { isoTime } from '../report.ts'
import type { AlertView, DeliveryView } from '../respond/alert-view.ts'
import { type Alert, alertOfRow } from '../respond/alerts.ts'
import { DELIVERY_STATES } from '../respond/mail.ts'
import type { RevocationDesk } from '../respond/revoke-desk.ts'
import type { AlertRow } from '../store/queries.ts'
import type { AgentsView } from './parts.ts'

export const DeliveryShown = z
  .object({
    endpoint: z.string(),
    state: z.enum(DELIVERY_STATES),
    attempts: z.int(),
    next_at: z.string().nullable(),
    last_error: z.string().nullable(),
  })
  .meta({ id: 'Delivery' })

export const AlertShown = z
  .object({
    id: z.string(),
    kind: z.string(),
    rule: z.string(),
    /** '' for a host that belongs to no agent; `subject` is its address then. */
    agent: z.string(),
    /** Of the agent as it is registered now; '' if it is not. */
    owner: z.string(),
    subject: z.string(),
    destination: z.string(),
    port: z.int(),
    ip_proto: z.int(),
    /** `tcp/443` */
    service: z.string(),
    first: z.string(),
    last: z.string(),
    flows: z.int(),
    score: z.int(),
    grade: z.string(),
    sentence: z.string(),
    /** When this process raised it; null for one that is known from the store alone. */
    raised_at: z.string().nullable(),
    deliveries: z.array(DeliveryShown),
    revocations: z.array(z.object({ id: z.string(), state: z.string() })),
  })
  .meta({ id: 'Alert' })
export type AlertShown = z.infer<typeof AlertShown>

/** The evidence of the worst finding. */
export const EvidenceShown = z
  .object({
    flow_id: z.string(),
    sensor: z.string(),
    began: z.string(),
    decided_at: z.string(),
    peer: z.string(),
    peer_name: z.string(),
    handshake: z.string(),
    direction: z.string(),
    direction_sure: z.boolean(),
    method: z.string(),
  })
  .meta({ id: 'Evidence' })

/** What stands beside an alert, by its id and by its agent. */
export interface Beside {
  agents: () => AgentsView
  revocations?: Pick<RevocationDesk, 'list'> | undefined
}

/** Turns alerts into what is shown; what they are joined with is looked up once for all of them. */
export class AlertShaper {
  readonly #owners: ReadonlyMap<string, string>
  readonly #revocations = new Map<string, { id: string; state: string }[]>()

  constructor({ agents, revocations }: Beside) {
    this.#owners = ownersOf(agents())
    for (const { id, alertId, state } of revocations?.list() ?? [])
      this.#revocations.set(alertId, [...(this.#revocations.get(alertId) ?? []), { id, state }])
  }

  ofDesk(alert: AlertView): AlertShown {
    return {
      ...this.#common(alert),
      raised_at: isoTime(alert.raisedAt * 1000),
      deliveries: alert.deliveries.map(deliveryShown),
    }
  }

  ofStore(row: AlertRow): AlertShown {
    return { ...this.#common(alertOfRow(row)), raised_at: null, deliveries: [] }
  }

  #common(alert: Alert) {
    const { id, kind, rule, agent, subject, destination, port, ipProto, flows, score } = alert
    return {
      ...{ id, kind, rule, agent, subject, destination, port, flows, score },
      owner: this.#owners.get(agent) ?? '',
      ip_proto: ipProto,
      service: serviceText(ipProto, port),
      first: isoTime(alert.first),
      last: isoTime(alert.last),
      grade: alert.grade,
      sentence: alert.sentence,
      revocations: this.#revocations.get(id) ?? [],
    }
  }
}

export function deliveryShown(view: DeliveryView): z.infer<typeof DeliveryShown> {
  const { endpoint, state, attempts, nextAt, lastError } = view
  return {
    ...{ endpoint, state, attempts },
    next_at: nextAt === undefined ? null : isoTime(nextAt * 1000),
    last_error: lastError ?? null,
  }
}

export function evidenceOf({ evidence }: AlertView): z.infer<typeof EvidenceShown> {
  return {
    flow_id: evidence.flowId,
    sensor: evidence.sensor,
    began: isoTime(evidence.ts),
    decided_at: isoTime(evidence.decidedAt),
    peer: evidence.peer,
    peer_name: evidence.peerName,
    handshake: evidence.handshake,
    direction: evidence.direction,
    direction_sure: evidence.directionSure,
    method: evidence.method,
  }
}

const owners = new WeakMap<AgentsView, ReadonlyMap<string, string>>()

function ownersOf(view: AgentsView): ReadonlyMap<string, string> {
  let known = owners.get(view)
  if (known === undefined) {
    known = new Map(view.agents.map(({ id, owner }) => [id, owner]))
    owners.set(view, known)
  }
  return known
}
