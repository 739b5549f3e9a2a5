// Whether an agent still talks, as the store knows it: asked after its access was taken away.

import type { Activity } from '../respond/revoking.ts'
import type { Store } from '../store/store.ts'

/** The store's clock, the sensors' and ours may differ by so much. */
const CLOCKS_MICROS = 600_000_000

/**
 * @param activeTimeoutSeconds a flow that goes on is reported again by sensors after so long: until then its silence is
 * not known
 * @returns what `Revoking` asks. @throws StoreError
 */
export function agentActivity(
  store: Pick<Store, 'query'>,
  activeTimeoutSeconds: number,
): (agent: string, sinceMicros: number, sensor: string) => Promise<Activity> {
  return async (agent, since, sensor) => {
    const recent = since - CLOCKS_MICROS
    const [row] = await store.query('agent_last_seen', { agent, sensor, since, recent })
    if (row === undefined) return { lastSeen: undefined, watchedUntil: 0 }
    const { seen, told, blind } = row
    // While nobody captured, nobody watched; what comes after a gap says nothing of it.
    const until = Math.min(
      told - activeTimeoutSeconds * 1e6,
      blind < 0 ? Number.POSITIVE_INFINITY : blind,
    )
    return { lastSeen: seen < 0 ? undefined : seen, watchedUntil: Math.max(0, until) }
  }
}
