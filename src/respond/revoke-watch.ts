// Is the agent silent after a call? That an API answered 200 says little, and that nobody looked is no silence. Pure.

import type { Revocation } from './revoke-book.ts'
import type { RevocationState } from './revoke-desk.ts'
import type { RevocationPart } from './revoke-settings.ts'

/** What is known of whether an agent still talks. */
export interface Activity {
  /** The latest end of a flow that is judged as the agent's, microseconds; undefined if there was none since. */
  lastSeen: number | undefined
  /** Up to when sensors have told anything at all, microseconds. */
  watchedUntil: number
}

/** Sensors without traffic tell every minute, and what they told is stored some time later. */
const LATE_MILLIS = 300_000

/** From when on the agent must be silent, milliseconds. */
export function silentFrom({ calledAt }: Revocation, settings: RevocationPart): number {
  return (calledAt ?? 0) + settings.grace_seconds * 1000
}

/** How it ended, with words for people; undefined while that is open. */
export function watchVerdict(
  revocation: Revocation,
  settings: RevocationPart,
  { lastSeen, watchedUntil }: Activity,
  now: number,
): { state: RevocationState; detail: string } | undefined {
  const from = silentFrom(revocation, settings)
  const { watch_seconds: seconds } = settings
  if (lastSeen !== undefined && lastSeen > from * 1000) {
    const at = new Date(lastSeen / 1000).toISOString()
    return {
      state: 'failed',
      detail: `the API said yes, and the agent still talks: last at ${at}`,
    }
  }
  const until = from + seconds * 1000
  if (watchedUntil >= until * 1000) return { state: 'verified', detail: `silent for ${seconds} s` }
  // Sensors are late, or gone.
  if (now > until + Math.max(seconds * 3000, LATE_MILLIS))
    return {
      state: 'failed',
      detail: 'no sensor has told anything since: nobody knows whether the agent is silent',
    }
  return undefined
}
