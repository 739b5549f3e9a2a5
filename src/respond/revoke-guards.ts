// May this finding take an agent's access away? A revocation is a weapon for whoever can forge traffic, so it takes
// evidence that cannot be forged from outside: an owner that is certain, a connection that the agent itself completed.
// Pure: time comes in.

import type { FindingEvent } from './finding.ts'
import type { Revocation } from './revoke-book.ts'
import type { RevocationState } from './revoke-desk.ts'
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
  // No evidence lacks, but the record of it has no room.
  'audit_log',
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

/**
 * What keeps a revocation that was agreed to from being called now, though it might have been when it was: time went by,
 * settings changed, a process died in between. A person's yes holds until the deadline; where nobody was asked, the
 * evidence must be fresh.
 * @param begun the process before had noted that it calls, and died: whether it did is not known
 * @returns the state that it takes instead, with words for people; undefined if it may be called
 */
export function callWithheld(
  revocation: Revocation,
  settings: RevocationPart,
  now: number,
  begun = false,
): { state: RevocationState; detail: string } | undefined {
  const unknown = begun ? '; whether the API was called before is not known' : ''
  if (matchesAgent(settings.protected, revocation.agent))
    return { state: 'blocked', detail: `the agent is protected now${unknown}` }
  if (settings.mode === 'observe')
    return { state: 'blocked', detail: `nothing is called in mode observe${unknown}` }
  if (now > revocation.deadline)
    return begun
      ? { state: 'failed', detail: `its time is over${unknown}` }
      : { state: 'expired', detail: 'its time was over before the call' }
  if (revocation.decidedBy !== undefined) return undefined
  const late = isLate(revocation.finding, settings, now)
  if (!late && settings.mode === 'auto') return undefined
  const why = late
    ? 'the evidence is too old to act on it unasked'
    : 'a person is asked now before anything is called'
  return begun ? { state: 'failed', detail: `${why}${unknown}` } : { state: 'waiting', detail: why }
}
