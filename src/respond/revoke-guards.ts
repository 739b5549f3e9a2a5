// May this finding take an agent's access away? A revocation is a weapon for whoever can forge traffic, so it takes
// evidence that cannot be forged from outside: an owner that is certain, a connection that the agent itself completed.
// Pure: time comes in.

import type { FindingEvent } from './finding.ts'
import { matchesAgent, type RevocationPart } from './revoke-settings.ts'

/** Which guard withheld it; stable words, for counters. */
export const REVOCATION_GUARDS = [
  'kind',
  'endpoint',
  'protected',
  'grade',
  'direction',
  'handshake',
  'score',
] as const
export type RevocationGuard = (typeof REVOCATION_GUARDS)[number]

/** Which endpoint takes an agent's access away: the first that is told to. */
export function endpointFor(settings: RevocationPart, agent: string) {
  return settings.endpoints.find(({ agents }) => matchesAgent(agents, agent))
}

/** The guard that withholds the revocation, or undefined if the evidence is strong enough. */
export function withheldBy(
  finding: FindingEvent,
  settings: RevocationPart,
): RevocationGuard | undefined {
  if (finding.kind !== 'out_of_scope' || finding.agent === '') return 'kind'
  if (matchesAgent(settings.protected, finding.agent)) return 'protected'
  if (endpointFor(settings, finding.agent) === undefined) return 'endpoint'
  if (finding.grade !== 'certain') return 'grade'
  if (!finding.directionSure) return 'direction'
  // Who connects to an agent must not be able to have it revoked.
  if (finding.side !== 'orig' || finding.direction !== 'egress') return 'direction'
  if (finding.handshake !== 'completed' && !settings.attempt_rules.includes(finding.rule))
    return 'handshake'
  // Anything that is no number is no score.
  return finding.score >= settings.min_score ? undefined : 'score'
}

/** True if the deciding packet is old enough (or so far ahead of our clock) that a person has to look. */
export function isLate(finding: FindingEvent, settings: RevocationPart, now: number): boolean {
  const age = now - finding.decidedAt / 1000
  return !(age <= settings.deadline_seconds * 1000 && age >= -60_000)
}

const HOUR = 3_600_000

/** True if one more call would pass the cap. Calls in the future of a clock that was set back count, too. */
export function capReached(
  calledAt: readonly number[],
  settings: RevocationPart,
  now: number,
): boolean {
  return calledAt.filter((at) => at > now - HOUR).length >= settings.per_hour
}
