// Asks the store until it answers: a store that is away, full or slow is waited for, however long it takes, and the
// worker says meanwhile that it is not ready and why. Only what waiting cannot mend is thrown.

import { setTimeout as sleep } from 'node:timers/promises'
import { StoreUnreachableError } from '../store/store-error.ts'
import { printable } from '../wire-text.ts'
import { storeTroubleOf } from './store-trouble.ts'

/** Pauses between tries, in milliseconds; the last one again and again. */
const PAUSES = [250, 500, 1000, 2000, 5000, 10_000]
/** Where nobody answers at all: to ask costs nothing, and arrivals pile up. */
const NOBODY_PAUSES = [250, 500, 1000]
/** Where the store says that it has too many parts: merges need time. */
const SLOWER_PAUSES = [1000, 2000, 5000, 10_000, 20_000, 30_000]
/** How long slices stay larger after that. */
const SLOW_MILLIS = 120_000

export interface PatienceParts {
  /** Milliseconds of a clock that does not go back. */
  clock: () => number
  /** Told of every failure that is waited for, and of the first success after one. */
  tell: (trouble: string | undefined) => void
  /** Resolves after so many milliseconds. @throws the signal's reason */
  pause?: (millis: number, signal: AbortSignal) => Promise<void>
}

export class Patience {
  /** What the store said last, while it is waited for. */
  trouble: string | undefined
  /** When it last answered; undefined before the first time. */
  answeredAt: number | undefined
  retries = 0
  readonly #parts: PatienceParts
  readonly #pause: NonNullable<PatienceParts['pause']>
  #slowUntil = Number.NEGATIVE_INFINITY
  /** Those who wait for a store that did not answer: whoever is answered first ends their pauses. */
  readonly #waiting = new Set<AbortController>()

  constructor(parts: PatienceParts) {
    this.#parts = parts
    this.#pause = parts.pause ?? pause
  }

  /** The store asked for fewer and larger inserts not long ago. */
  get slow(): boolean {
    return this.#parts.clock() < this.#slowUntil
  }

  /**
   * `work`, until it succeeds.
   * @param signal ends the waiting: its reason is thrown
   * @throws what waiting cannot mend
   */
  async ask<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let tries = 0; ; tries++) {
      signal.throwIfAborted()
      try {
        const answer = await work()
        this.answeredAt = this.#parts.clock()
        this.#say(undefined)
        for (const waiting of this.#waiting) waiting.abort()
        return answer
      } catch (error) {
        const trouble = storeTroubleOf(error)
        if (trouble !== 'wait' && trouble !== 'slower') throw error
        this.retries++
        this.#say(printable((error as Error).message))
        if (trouble === 'slower') {
          this.#slowUntil = this.#parts.clock() + SLOW_MILLIS
          await this.#pause(nth(SLOWER_PAUSES, tries), signal)
        } else {
          const nobody = error instanceof StoreUnreachableError
          await this.#untilAnswered(nth(nobody ? NOBODY_PAUSES : PAUSES, tries), signal)
        }
      }
    }
  }

  /** A pause that ends when somebody else is answered. @throws the signal's reason */
  async #untilAnswered(millis: number, signal: AbortSignal): Promise<void> {
    const answered = new AbortController()
    this.#waiting.add(answered)
    try {
      await this.#pause(millis, AbortSignal.any([signal, answered.signal]))
    } catch {
      signal.throwIfAborted()
    } finally {
      this.#waiting.delete(answered)
    }
  }

  #say(trouble: string | undefined): void {
    if (trouble === this.trouble) return
    this.trouble = trouble
    this.#parts.tell(trouble)
  }
}

const nth = (pauses: readonly number[], tries: number) =>
  pauses[Math.min(tries, pauses.length - 1)]!

/** @throws the signal's reason when it is aborted */
export async function pause(millis: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(millis, undefined, { signal })
  } catch {
    signal.throwIfAborted()
  }
}
