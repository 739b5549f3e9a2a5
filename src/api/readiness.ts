// Whether a process gets on with its work: it does if all its parts do.

import type { Observed, Readiness } from '../telemetry.ts'

/** The reasons of the parts that do not get on, joined. */
export function readinessOf(observed: Iterable<Observed>): Readiness {
  const reasons: string[] = []
  for (const part of observed) {
    const { ready, reason } = part.readiness()
    if (!ready) reasons.push(reason)
  }
  return { ready: reasons.length === 0, reason: reasons.join('; ') }
}
