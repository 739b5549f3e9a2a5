// Many work side by side, or one alone: whoever may have died of another one's memory is tried with nobody around.

export class Alone {
  #running = 0
  /** The exclusive ones, one after the other; everybody who comes later waits for them. */
  #exclusive: Promise<void> = Promise.resolve()
  #idle: (() => void) | undefined

  /** Runs together with others. */
  async together<T>(work: () => Promise<T>): Promise<T> {
    for (let seen: Promise<void> | undefined; seen !== this.#exclusive; ) {
      seen = this.#exclusive
      await seen
    }
    this.#running++
    try {
      return await work()
    } finally {
      if (--this.#running === 0) this.#idle?.()
    }
  }

  /** Runs when all others have ended, and holds up those that come meanwhile. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#exclusive
    let over = () => {}
    this.#exclusive = new Promise((resolve) => {
      over = resolve
    })
    try {
      await before
      if (this.#running > 0)
        await new Promise<void>((resolve) => {
          this.#idle = resolve
        })
      this.#idle = undefined
      return await work()
    } finally {
      over()
    }
  }
}
