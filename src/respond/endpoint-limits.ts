// How much one endpoint is sent at once, how often, and for how long it is tried. The figures of docs/webhooks.md.

import { AGE_MAX, RETRY_SCHEDULE } from './retry.ts'
import type { SenderLimits } from './sender.ts'

export interface EndpointLimits extends SenderLimits {
  /** Pauses before the tries, milliseconds. */
  schedule: readonly number[]
  /** Messages that may go at once, and each second; what comes beyond is grouped. */
  burst: number
  perSecond: number
  /** Messages that wait. */
  queueMax: number
  /** Tries again for each first one, and that may come on top: at once, and each second. */
  retryShare: number
  retryBurst: number
  retriesPerSecond: number
  ageMax: number
  /** How long what is under way may take when the endpoint is closed. */
  closeMillis: number
}

export const ENDPOINT_LIMITS: EndpointLimits = {
  schedule: RETRY_SCHEDULE,
  timeoutMillis: 15_000,
  concurrency: 4,
  burst: 10,
  perSecond: 1,
  breakAfter: 5,
  breakMillis: [10_000, 30_000, 60_000, 300_000],
  throttleMillis: 5000,
  queueMax: 20_000,
  retryShare: 0.1,
  retryBurst: 10,
  retriesPerSecond: 1,
  ageMax: AGE_MAX,
  closeMillis: 3000,
}
