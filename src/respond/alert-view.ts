// Alerts and deliveries as others see them.

import type { BookedAlert } from './alert-book.ts'
import type { Alert } from './alerts.ts'
import type { EndpointState } from './endpoint.ts'
import type { FindingEvent } from './finding.ts'
import type { DeliveryState, Mail } from './mail.ts'

export interface DeliveryView {
  endpoint: string
  state: DeliveryState
  attempts: number
  /** Milliseconds since 1970, while it is to be tried again. */
  nextAt?: number
  /** Printable, without secrets. */
  lastError?: string
}

/** An alert that is held in memory. Of its flows, FLOWS_MAX stands for more. */
export interface AlertView extends Alert {
  /** The worst finding. */
  evidence: FindingEvent
  /** Milliseconds since 1970 of the wall clock. */
  raisedAt: number
  deliveries: DeliveryView[]
}

/** How far a message has come, as it is told when that changes. */
export interface DeliveryStep extends DeliveryView {
  /** Of the message, and of the alerts that it tells of. */
  id: string
  alerts: readonly string[]
  /** What the endpoint answered, where it took it. */
  status?: number
}

/** A message that is tried no more. */
export interface DeadDelivery {
  id: string
  endpoint: string
  /** The first alert that it tells of, and all of them. */
  alertId: string
  alerts: readonly string[]
  attempts: number
  lastError: string
  createdAt: number
  diedAt: number
}

export interface EndpointView {
  name: string
  /** Without path and query. */
  target: string
  state: EndpointState
  /** Messages and alerts that wait or are under way. */
  queued: number
  dead: number
  /** By this process. */
  delivered: number
  lastDeliveredAt?: number
  lastError?: string
}

export function alertView(
  alert: BookedAlert,
  stateOf: (endpoint: string, mail: Mail | undefined) => DeliveryState,
): AlertView {
  const { id, first, last, evidence, raisedAt } = alert
  const { kind, rule, agent, subject, destination, port, ipProto, score, grade } = evidence
  return {
    id,
    kind,
    rule,
    agent,
    subject,
    destination,
    port,
    ipProto,
    first,
    last,
    flows: alert.flows.size,
    score,
    grade,
    sentence: evidence.sentence,
    evidence,
    raisedAt,
    deliveries: [...alert.deliveries].map(([endpoint, mail]) => {
      const state = stateOf(endpoint, mail)
      const again = mail !== undefined && mail.attempts > 0 && ['queued', 'held'].includes(state)
      return {
        endpoint,
        state,
        attempts: mail?.attempts ?? 0,
        ...(again ? { nextAt: mail.nextAt } : {}),
        ...(mail?.lastError === undefined ? {} : { lastError: mail.lastError }),
      }
    }),
  }
}

export function deadView(mail: Mail): DeadDelivery {
  return {
    id: mail.id,
    endpoint: mail.endpoint,
    alertId: mail.alerts[0] ?? '',
    alerts: mail.alerts,
    attempts: mail.attempts,
    lastError: mail.lastError ?? '',
    createdAt: mail.createdAt,
    diedAt: mail.diedAt ?? 0,
  }
}
