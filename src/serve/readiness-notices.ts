// Tells those who look on, and the log, when a process no longer gets on, when something is the matter, and when that
// has passed: an interface that went away, a full disk, agent files that cannot be used.

import { readinessOf } from '../api/readiness.ts'
import type { Log, Observed, Readiness } from '../telemetry.ts'

/** Told to whoever looks on (`notice` of the live stream). A type, because it travels as a record. */
export type ReadinessNotice = {
  what: 'readiness'
  ready: boolean
  reason: string
  warning?: string
}

/** What passes within so long is not worth a word. */
const SETTLED_LOOKS = 2
const LOOK_MILLIS = 1000

export class ReadinessNotices {
  readonly #observed: Iterable<Observed>
  readonly #tell: (notice: ReadinessNotice) => void
  readonly #log: Log
  readonly #timer: NodeJS.Timeout
  /** Kind of what was told last, and of what is seen now, for how many looks. */
  #told = kindOf({ ready: true, reason: '' })
  #seen = this.#told
  #looks = 0

  /** @param observed may change while it looks */
  constructor(
    observed: Iterable<Observed>,
    tell: (notice: ReadinessNotice) => void,
    log: Log,
    lookMillis = LOOK_MILLIS,
  ) {
    this.#observed = observed
    this.#tell = tell
    this.#log = log
    this.#timer = setInterval(() => this.#look(), lookMillis)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const now = readinessOf(this.#observed)
    const kind = kindOf(now)
    this.#looks = kind === this.#seen ? this.#looks + 1 : 1
    this.#seen = kind
    if (kind === this.#told || this.#looks < SETTLED_LOOKS) return
    this.#told = kind
    const { ready, reason, warning } = now
    this.#tell({ what: 'readiness', ready, reason, ...(warning !== undefined && { warning }) })
    if (!ready) this.#log('warn', 'does not get on', { reason })
    else if (warning !== undefined) this.#log('warn', 'gets on, but', { reason: warning })
    else this.#log('info', 'all is well')
  }
}

/** The same for as long as the same is the matter: numbers in words count up, and one that gets on is fine however. */
function kindOf({ ready, reason, warning = '' }: Readiness): string {
  const words = ready ? warning : `${reason}\n${warning}`
  return `${ready}\n${words.replace(/\d+(?:[.,]\d+)*/g, '0')}`
}
