// Whether a process gets on with its work: it does if all its parts do.

import type { Observed, Readiness } from '../telemetry.ts'

/** The reasons of the parts that do not get on, joined; and what those that do have to say, if anything. */
export function readinessOf(observed: Iterable<Observed>): Readiness {
  const reasons: string[] = []
  const warnings: string[] = []
  for (const part of observed) {
    const { ready, reason, warning } = part.readiness()
    if (!ready) reasons.push(reason)
    if (warning !== undefined) warnings.push(warning)
  }
  const told = { ready: reasons.length === 0, reason: reasons.join('; ') }
  return warnings.length === 0 ? told : { ...told, warning: warnings.join('; ') }
}
