// Alerts: findings that share an id, which is a function of rule, agent, destination and hour. They are not stored
// a second time: what the findings say now is what the alerts are.

import type { Grade } from '../flow.ts'
import type { AlertRow } from '../store/queries.ts'
import type { Store } from '../store/store.ts'

/** Alerts that one call gives at most. */
export const ALERTS_MAX = 10_000

export interface Alert {
  /** UUID. */
  id: string
  /** out_of_scope, unregistered, or a detector's name. */
  kind: string
  rule: string
  /** '' for a host that belongs to no agent; then `subject` is its address. */
  agent: string
  subject: string
  destination: string
  port: number
  /** IANA protocol number. */
  ipProto: number
  /** Microseconds since 1970, of the data. */
  first: number
  last: number
  /** Distinct flows. */
  flows: number
  /** Highest score, 0-100, with the grade and the sentence of the finding that has it. */
  score: number
  grade: Grade
  sentence: string
}

/**
 * Alerts that hold: of one run (worst first), or of the whole store (newest first).
 * @param run UUID that `Store.noteRun` was told
 */
export async function listAlerts(store: Store, run?: string, limit = ALERTS_MAX): Promise<Alert[]> {
  const rows =
    run === undefined
      ? await store.query('alerts', { limit })
      : await store.query('report_alerts', { run, limit })
  return rows.map(alertOfRow)
}

export function alertOfRow({ alert_id, peer_port, ip_proto, ...row }: AlertRow): Alert {
  return { id: alert_id, port: peer_port, ipProto: ip_proto, ...row }
}
