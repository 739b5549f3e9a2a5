// Revocations as others see them: people, and metrics.

import { counter, gauge, type Sample } from '../telemetry.ts'
import type { Revocation, RevocationBook } from './revoke-book.ts'
import type { RevocationState, RevocationView } from './revoke-desk.ts'
import { REVOCATION_GUARDS, type RevocationGuard } from './revoke-guards.ts'

export function viewOf(one: Revocation): RevocationView {
  return {
    id: one.id,
    agent: one.agent,
    alertId: one.finding.alertId,
    state: one.state,
    mode: one.mode,
    sentence: one.finding.sentence,
    askedAt: one.askedAt,
    ...(one.state === 'waiting' && { deadline: one.deadline }),
    ...(one.decidedBy !== undefined && { decidedBy: one.decidedBy }),
    ...(one.detail !== undefined && { detail: one.detail }),
  }
}

/** @param withheld how often each guard kept a finding from asking */
export function revocationSamples(
  book: RevocationBook,
  withheld: ReadonlyMap<RevocationGuard, number>,
): Sample[] {
  const counts = new Map<RevocationState, number>()
  for (const { state } of book.list()) counts.set(state, (counts.get(state) ?? 0) + 1)
  return [
    ...[...counts].map(([state, value]) => ({
      ...gauge('revocations', 'revocations remembered, by how they stand', value),
      labels: { state },
    })),
    ...REVOCATION_GUARDS.map((guard) => ({
      ...counter('revocations_withheld_total', KEPT, withheld.get(guard) ?? 0),
      labels: { guard },
    })),
  ]
}

const KEPT = 'findings that a guard kept from asking for a revocation'
