// Which alerts somebody wants to see: what the flags say, as a question to the API.

import { printable } from '../wire-text.ts'
import { wholeNumber } from './dlq.ts'
import { usageError } from './exit.ts'

export interface AlertWishes {
  agent?: string
  kind?: string
  destination?: string
  min_score?: number
  from?: string
}

export interface WishFlags {
  agent?: string
  kind?: string
  destination?: string
  minScore?: string
  since?: string
}

/** A question for alerts, as a query string has it. */
export function queryOf(wishes: AlertWishes, limit: number, cursor?: string): URLSearchParams {
  const query = new URLSearchParams({ limit: String(limit) })
  for (const [name, value] of Object.entries(wishes)) query.set(name, String(value))
  if (cursor !== undefined) query.set('cursor', cursor)
  return query
}

/** What the flags ask for. @throws CommandError */
export function wishesOf({ agent, kind, destination, minScore, since }: WishFlags): AlertWishes {
  return {
    ...(agent === undefined ? {} : { agent }),
    ...(kind === undefined ? {} : { kind }),
    ...(destination === undefined ? {} : { destination }),
    ...(minScore === undefined ? {} : { min_score: wholeNumber(minScore, '--min-score', 100) }),
    ...(since === undefined ? {} : { from: momentOf(since, Date.now()) }),
  }
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** `2h` as a moment so long before now, in milliseconds; a moment as it is. ISO 8601. @throws CommandError */
export function momentOf(text: string, now: number): string {
  const ago = /^(\d{1,6})([smhdw])$/.exec(text)
  const time = ago === null ? Date.parse(text) : now - Number(ago[1]) * UNITS[ago[2]!]! * 1000
  // A date alone is UTC, a date with a time and no zone would be this machine's.
  const whole = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/
  if (Number.isNaN(time) || (ago === null && !whole.test(text)))
    throw usageError(
      `--since ${printable(text)}: expected 30m, 2h, 7d, or a time such as 2026-01-05T09:00:00Z`,
    )
  return new Date(Math.max(0, time)).toISOString()
}
