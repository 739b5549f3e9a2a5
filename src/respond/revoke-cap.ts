// How many calls there were within an hour, against the cap. The audit log knows them by the wall clock, over restarts;
// this process knows its own by a clock that nobody sets, so that a wall clock that jumps ahead makes no room. Calls that
// are about to be recorded count already: two that look at the same moment must not both find the last place.

import { capReached } from './revoke-guards.ts'
import type { RevocationPart } from './revoke-settings.ts'

export class CallCap {
  readonly #calledAt: readonly number[]
  readonly #steady: () => number
  /** Of this process, by its own clock. */
  readonly #own: number[] = []
  #claims = 0

  /**
   * @param calledAt times of calls by the wall clock, milliseconds; whoever gives it adds to it
   * @param steady milliseconds of a clock that only goes forward, at one pace
   */
  constructor(calledAt: readonly number[], steady: () => number) {
    this.#calledAt = calledAt
    this.#steady = steady
  }

  /** True if one more call would pass the cap. @param ahead calls that are sure to come before it */
  reached(settings: RevocationPart, now: number, ahead = 0): boolean {
    const pending = this.#claims + ahead
    const steady = this.#steady()
    const and = (calls: readonly number[], at: number) => [
      ...calls,
      ...Array.from({ length: pending }, () => at),
    ]
    return (
      capReached(and(this.#calledAt, now), settings, now) ||
      capReached(and(this.#own, steady), settings, steady)
    )
  }

  /** Takes a place, if there is one, while `record` writes the call down. @returns false if there is none */
  async claim(
    settings: RevocationPart,
    now: number,
    record: () => Promise<void>,
  ): Promise<boolean> {
    if (this.reached(settings, now)) return false
    this.#claims++
    try {
      await record()
    } finally {
      this.#claims--
    }
    this.#own.push(this.#steady())
    if (this.#own.length > 1000) this.#own.shift()
    return true
  }
}
