// When a live capture cuts a chunk: at once where a flow was just decided, as long as such cuts are not too many; else
// a second after the first row.

/** What nobody waits for is cut so long after the first of it. Milliseconds. */
export const CUT_MILLIS = 1000
/** Prompt cuts that may come in a burst, and how many a second in the long run. */
const CREDIT_MAX = 10
const CREDIT_PER_SECOND = 40

export class Cutter {
  #credit = CREDIT_MAX
  #creditAt: number
  /** When the first of what is pending came. */
  #since: number | undefined

  /** @param now milliseconds of a clock that never goes back, here and below */
  constructor(now: number) {
    this.#creditAt = now
  }

  /**
   * Whether to cut now.
   * @param pending rows that are not cut yet @param urgent those among them that somebody waits for
   */
  isDue(pending: number, urgent: number, now: number): boolean {
    if (pending === 0) {
      this.#since = undefined
      return false
    }
    this.#since ??= now
    if (now - this.#since >= CUT_MILLIS) return true
    if (urgent === 0) return false
    this.#credit = Math.min(
      CREDIT_MAX,
      this.#credit + ((now - this.#creditAt) / 1000) * CREDIT_PER_SECOND,
    )
    this.#creditAt = now
    return this.#credit >= 1
  }

  /** It was cut. @param urgent as told to `isDue` */
  cut(urgent: number): void {
    this.#since = undefined
    if (urgent > 0) this.#credit = Math.max(0, this.#credit - 1)
  }

  /** Milliseconds until it may be due; Infinity if nothing is pending. */
  wait(urgent: number, now: number): number {
    if (this.#since === undefined) return Number.POSITIVE_INFINITY
    const late = this.#since + CUT_MILLIS - now
    const credit = ((1 - this.#credit) / CREDIT_PER_SECOND) * 1000
    return Math.max(0, urgent > 0 ? Math.min(late, credit) : late)
  }
}
