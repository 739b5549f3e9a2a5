// How much of what comes cannot be worked on. A few bad messages are bad data. Many are a bad deployment, of sensors
// or of this worker: then it must not run on and fill the dead letters, but be seen, and try slowly.

/** Messages that are looked at. */
const WINDOW = 1000
/** Bad ones among them that are too many: 5 %. */
const BAD_MAX = 50
/** Good ones in a row after which all is well again. */
const GOOD_AGAIN = 20

export class PoisonRate {
  readonly #window = new Uint8Array(WINDOW)
  #at = 0
  #bad = 0
  #goodInRow = 0
  #slow = false

  /** True while too much is bad. */
  get slow(): boolean {
    return this.#slow
  }
  /** Bad ones among the last 1,000. */
  get bad(): number {
    return this.#bad
  }

  note(good: boolean): void {
    this.#bad += (good ? 0 : 1) - this.#window[this.#at]!
    this.#window[this.#at] = good ? 0 : 1
    this.#at = (this.#at + 1) % WINDOW
    this.#goodInRow = good ? this.#goodInRow + 1 : 0
    if (this.#bad > BAD_MAX) this.#slow = true
    if (this.#slow && this.#goodInRow >= GOOD_AGAIN) {
      this.#slow = false
      this.#window.fill(0)
      this.#bad = 0
    }
  }
}
