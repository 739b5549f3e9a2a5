// How a part ends that cannot go on without its disk.

export class Ending {
  /** Rejects when the disk failed: the process must end with 70. Resolves when the part is closed. */
  readonly over: Promise<void>
  #resolve: () => void = () => {}
  #reject: (error: unknown) => void = () => {}

  constructor() {
    this.over = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Whoever waits for it hears of it; where nobody does, what is asked of the part next says it.
    this.over.catch(() => {})
  }

  closed(): void {
    this.#resolve()
  }

  failed(error: unknown): void {
    this.#reject(error)
  }
}
