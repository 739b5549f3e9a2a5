// When a message is tried again. The schedule is the one that Standard Webhooks publishes; jitter keeps many messages
// from coming back at the same moment; a budget keeps what is tried again from outweighing what is new.

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** Pauses before the first try, the second, and so on: ten tries in 75 hours and a half. */
export const RETRY_SCHEDULE: readonly number[] = [
  0,
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
]
/** Added to a pause, at most, as a share of it. */
const JITTER = 0.2
/** The longest pause that a receiver may ask for. */
export const RETRY_AFTER_MAX = 24 * HOUR
/** A message that is older is given up, even where its endpoint was held back for most of that time. */
export const AGE_MAX = 7 * 24 * HOUR

/**
 * The pause before the next try, in milliseconds, or undefined if there is none.
 * @param attempts tries so far @param asked what the receiver asked for @param random from 0 to 1
 */
export function retryPause(
  schedule: readonly number[],
  attempts: number,
  asked: number | undefined,
  random: number,
): number | undefined {
  const pause = schedule[attempts]
  if (pause === undefined) return undefined
  const jittered = pause * (1 + JITTER * random)
  return Math.max(jittered, Math.min(asked ?? 0, RETRY_AFTER_MAX))
}

/**
 * The pause that a Retry-After header asks for (RFC 9110, 10.2.3: seconds, or a date), in milliseconds and bounded;
 * undefined if it says nothing that can be read.
 */
export function retryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined || header.length > 64) return undefined
  if (/^\s*\d{1,9}\s*$/.test(header)) return Math.min(Number(header) * SECOND, RETRY_AFTER_MAX)
  const at = /^\s*[A-Z][a-z]{2}, /.test(header) ? Date.parse(header) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.min(Math.max(0, at - now), RETRY_AFTER_MAX)
}

/** Something that is used up and comes back with time: at most `most`, `perSecond` more each second. */
export class Allowance {
  readonly #most: number
  readonly #perMilli: number
  #left: number
  #at: number

  constructor(most: number, perSecond: number, now: number) {
    this.#most = most
    this.#perMilli = perSecond / 1000
    this.#left = most
    this.#at = now
  }

  /** Takes one, if there is one. */
  take(now: number): boolean {
    if (this.wait(now) > 0) return false
    this.#left--
    return true
  }

  give(amount: number): void {
    this.#left = Math.min(this.#most, this.#left + amount)
  }

  /** Milliseconds until there is one. */
  wait(now: number): number {
    this.#left = Math.min(this.#most, this.#left + Math.max(0, now - this.#at) * this.#perMilli)
    this.#at = now
    // A hair less than one, left by rounding, is one.
    return this.#left >= 1 - 1e-9 ? 0 : Math.ceil((1 - this.#left) / this.#perMilli)
  }
}
