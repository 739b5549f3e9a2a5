// Findings on their way from the judgement of a chunk to whoever acts on them. They go as soon as the chunk is judged,
// long before it is stored, and the position of the stream passes the chunk only when they are durable there. A chunk
// that comes again sends them again, which changes nothing: their ids are functions of the data.

import type { ChunkHeader } from '../chunk-header.ts'
import type { Outcome } from '../outcome.ts'
import { type FindingEvent, findingRuns } from '../respond/finding.ts'

/**
 * Takes findings of one chunk, few at a time. Resolves when they are durable with whoever acts on them, however long
 * that takes.
 * @throws the signal's reason, or what waiting does not mend
 */
export type TakeFindings = (events: readonly FindingEvent[], signal: AbortSignal) => Promise<void>

/** They wait for so long: then it is said. Milliseconds. */
const STALLED_MILLIS = 10_000

export class FindingSender {
  /** Findings that are durable downstream. */
  sent = 0
  readonly #take: TakeFindings | undefined
  readonly #clock: () => number
  /** Chunks whose findings are on their way: since when. */
  readonly #open = new Map<object, number>()

  /** @param take undefined where nobody acts on findings. @param clock milliseconds, never going back */
  constructor(take: TakeFindings | undefined, clock: () => number) {
    this.#take = take
    this.#clock = clock
  }

  /** Chunks whose findings are not durable yet. */
  get open(): number {
    return this.#open.size
  }

  /** What is to be said of findings that wait for long. */
  get trouble(): string | undefined {
    const [oldest] = this.#open.values()
    const since = oldest === undefined ? 0 : this.#clock() - oldest
    if (since < STALLED_MILLIS) return undefined
    return `findings wait for ${Math.round(since / 1000)} s to be taken by whoever acts on them`
  }

  /** Resolves when all findings of the chunk are durable. @throws as TakeFindings */
  async send(header: ChunkHeader, outcome: Outcome, signal: AbortSignal): Promise<void> {
    const take = this.#take
    if (take === undefined || outcome.findingRows === 0) return
    const mine = {}
    this.#open.set(mine, this.#clock())
    try {
      for (const events of findingRuns(header, outcome.findings)) {
        signal.throwIfAborted()
        await take(events, signal)
        this.sent += events.length
      }
    } finally {
      this.#open.delete(mine)
    }
  }
}
