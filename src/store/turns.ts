// Who may work at the same time: at most so many at once, and never two that have something in common. Those that
// have something in common work in the order in which they came.

interface Waiting {
  names: ReadonlySet<string>
  start: () => void
}

/** Bounded work that runs side by side unless it is about the same things. */
export class Turns {
  readonly #limit: number
  readonly #running = new Set<Waiting>()
  #waiting: Waiting[] = []

  /** @param limit how many work at once, at least 1 */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Runs `work` when it is its turn. @param names what it is about: no other work with one of them runs meanwhile */
  async run<T>(names: Iterable<string>, work: () => Promise<T>): Promise<T> {
    const mine: Waiting = { names: new Set(names), start: () => {} }
    const turn = new Promise<void>((resolve) => {
      mine.start = resolve
    })
    this.#waiting.push(mine)
    this.#startSome()
    await turn
    try {
      return await work()
    } finally {
      this.#running.delete(mine)
      this.#startSome()
    }
  }

  /** Starts whoever may, first come first: nobody overtakes one that waits for the same. */
  #startSome(): void {
    const taken: ReadonlySet<string>[] = [...this.#running].map((one) => one.names)
    const still: Waiting[] = []
    for (const one of this.#waiting) {
      const free =
        this.#running.size < this.#limit && taken.every((names) => areDisjoint(names, one.names))
      taken.push(one.names)
      if (free) {
        this.#running.add(one)
        one.start()
      } else still.push(one)
    }
    this.#waiting = still
  }
}

function areDisjoint(some: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  for (const name of some) if (others.has(name)) return false
  return true
}
