// A mail: one message to one endpoint, about one alert or several. Its id, its text and its list of alerts never
// change; how far it has come does.

import { contentUuid, formatUuid } from '../hash.ts'

/** held: the endpoint takes nothing now (it fails, or said that it is gone). dead: tried no more, until asked for. */
export const DELIVERY_STATES = ['queued', 'sending', 'delivered', 'dead', 'held'] as const
export type DeliveryState = (typeof DELIVERY_STATES)[number]

export interface Mail {
  /** Stands in `webhook-id`: the same on every try and in every process. */
  readonly id: string
  readonly endpoint: string
  /** Ids of the alerts it tells of. */
  readonly alerts: readonly string[]
  /** Milliseconds since 1970, as are all times here. */
  readonly createdAt: number
  state: Exclude<DeliveryState, 'held'>
  /** Requests that were sent. */
  attempts: number
  /** Not to be sent before. */
  nextAt: number
  /** What went wrong at last; for people, without secrets. */
  lastError?: string
  diedAt?: number
  /** Since when it is tried, where that is not since it was made: somebody asked for it again. */
  since?: number
  /** The text that is sent. Undefined where it lies on the disk alone. */
  body: string | undefined
  /** Where it lies in the journal. */
  place: bigint
}

/** How far a mail has come, as it is noted. */
export type MailProgress = Pick<
  Mail,
  'id' | 'state' | 'attempts' | 'nextAt' | 'lastError' | 'diedAt' | 'since'
>

/** A function of what it is about, so that whoever lost his notes sends it under the same id. */
export function mailId(endpoint: string, alerts: readonly string[]): string {
  return `msg_${formatUuid(contentUuid([endpoint, ...alerts])).replaceAll('-', '')}`
}

/** Makes a dead mail as if it were new; its id stays. */
export function revive(mail: Mail, now: number): void {
  mail.state = 'queued'
  mail.attempts = 0
  mail.nextAt = mail.since = now
  delete mail.diedAt
}

export function progressOf(mail: Mail): MailProgress {
  const { id, state, attempts, nextAt, lastError, diedAt, since } = mail
  return {
    id,
    // Whether one under way arrives is not known to whoever reads this later: it is sent again.
    state: state === 'sending' ? 'queued' : state,
    attempts,
    nextAt,
    ...(lastError === undefined ? {} : { lastError }),
    ...(diedAt === undefined ? {} : { diedAt }),
    ...(since === undefined ? {} : { since }),
  }
}
