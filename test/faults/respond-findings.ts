// Findings by number, and what must come of them: which alerts, who is told, which agents may be revoked at all.

import type { FindingEvent } from '../../src/respond/finding.ts'
import { finding, uuid } from '../respond/made-findings.ts'

/** Flows of one alert. */
const FLOWS = 3
/** Of so many alerts one is of an agent whose evidence is strong. */
const STRONG = 5

export const alertOf = (number: number): string => uuid('alert', String(Math.floor(number / FLOWS)))

/** An agent whose access may be taken away. */
export const strongAgent = (alert: number) => `spiffe://kills/strong/${alert}`

/** The finding of a number; its deciding packet is of now. */
export function numberedFinding(number: number): FindingEvent {
  const alert = Math.floor(number / FLOWS)
  const kind = alert % STRONG
  const weak: Partial<FindingEvent>[] = [
    { agent: strongAgent(alert) },
    { agent: `spiffe://kills/protected/${alert}` },
    { agent: `spiffe://kills/shared/${alert}`, grade: 'shared' },
    { agent: `spiffe://kills/spoofed/${alert}`, handshake: 'unanswered' },
    { agent: `spiffe://kills/reached/${alert}`, side: 'resp', direction: 'ingress' },
  ]
  return finding(String(alert), number, {
    ...weak[kind],
    ts: Date.now() * 1000,
    decidedAt: Date.now() * 1000,
    score: alert % 2 === 0 ? 90 : 40,
  })
}

export const isBad = (number: number) => Math.floor(number / FLOWS) % 2 === 0
