// What the parts of a long-running process are given, and how they wait for what is not there yet.

import { setTimeout as sleep } from 'node:timers/promises'
import { BusError } from '../bus/bus.ts'
import { StoreError } from '../store/store-error.ts'
import type { Log, Observed, Readiness } from '../telemetry.ts'

/** What the work of a long-running process is given. */
export interface Running {
  log: Log
  /** Aborted by the first SIGTERM or Ctrl-C: finish what was begun, hand back what was not, and return. */
  signal: AbortSignal
  /** Shows a part's samples and readiness. @returns takes it away again */
  observe(part: Observed): () => void
  /** The parts that are shown now; it changes as they come and go. */
  observed: ReadonlySet<Observed>
}

/** Longest pause between two tries to reach what is not there: what arrives meanwhile piles up. */
const REACH_MILLIS = 2000
/** How often the reason of not being ready is said again. */
const STILL_MILLIS = 60_000

/**
 * Opens something that may not be there yet: machines boot in any order. Tries until it is reached, not ready
 * meanwhile, saying why. What will not mend itself (a wrong password, a missing topic) is thrown.
 * @returns what was opened; undefined if the process was told to end first
 */
export async function untilReached<T>(
  running: Running,
  open: () => Promise<T>,
): Promise<T | undefined> {
  const { log, signal } = running
  let readiness: Readiness = { ready: false, reason: 'not yet connected' }
  const forget = running.observe({ samples: () => [], readiness: () => readiness })
  let said = Number.NEGATIVE_INFINITY
  try {
    for (let pause = 500; !signal.aborted; pause = Math.min(REACH_MILLIS, pause * 2)) {
      try {
        return await open()
      } catch (error) {
        const passes =
          (error instanceof BusError && error.kind === 'unreachable') ||
          (error instanceof StoreError && error.retriable)
        if (!passes) throw error
        readiness = { ready: false, reason: error.message }
        if (performance.now() - said >= STILL_MILLIS) {
          said = performance.now()
          log('warn', 'not reachable; trying until it is', { reason: error.message })
        }
      }
      await sleep(pause, undefined, { signal }).catch(() => {})
    }
    return undefined
  } finally {
    forget()
  }
}
