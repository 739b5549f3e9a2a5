// What both homes share of a claim: the queue of messages, bytes in flight, the checks on intents and commits, and
// the end. A home pushes messages in and stores positions.

import { type Claim, ClaimLost, type Delivery, type Intent, type SourceCounters } from './bus.ts'
import { formatIntent } from './intent-text.ts'

/** Stores a position of a partition durably. @throws ClaimLost when another holder has it */
export type StorePosition = (next: bigint, intentText: string) => Promise<void>

/** Bytes that are out with workers, over all claims of a source. */
export class Flight {
  readonly limit: number
  readonly counters: SourceCounters
  /** Called when bytes were given back. */
  onRoom: () => void = () => {}

  constructor(limit: number, counters: SourceCounters) {
    this.limit = limit
    this.counters = counters
  }

  get full(): boolean {
    return this.counters.inFlightBytes >= this.limit
  }

  take(bytes: number): void {
    this.counters.inFlightBytes += bytes
  }

  giveBack(bytes: number): void {
    if (bytes === 0) return
    this.counters.inFlightBytes -= bytes
    this.onRoom()
  }
}

export interface ClaimParts {
  stream: string
  partition: number
  committed: bigint
  intent: Intent | undefined
  flight: Flight
  store: StorePosition
}

export class QueuedClaim implements Claim {
  readonly stream: string
  readonly partition: number
  readonly intent: Intent | undefined
  readonly #flight: Flight
  readonly #store: StorePosition
  readonly #lost = new AbortController()
  #committed: bigint
  /** The offset after the last one pushed: where the home goes on reading. */
  #position: bigint
  /** The last offset that `next` has handed out. */
  #handedOut = -1n
  #queue: Delivery[] = []
  /** Handed out or queued, not committed: offset and size, ascending. */
  #open: { offset: bigint; bytes: number }[] = []
  #wake: (() => void) | undefined
  /** Intents and commits go one after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: ClaimParts) {
    this.stream = parts.stream
    this.partition = parts.partition
    this.intent = parts.intent
    this.#committed = parts.committed
    this.#position = parts.committed
    this.#flight = parts.flight
    this.#store = parts.store
    this.#flight.counters.claims++
  }

  get committed(): bigint {
    return this.#committed
  }
  get lost(): AbortSignal {
    return this.#lost.signal
  }
  get position(): bigint {
    return this.#position
  }

  /**
   * May more be pushed? An unfinished intent and the first message of a claim always may, or a limit smaller than
   * what must be inserted as one would be the end of all progress.
   */
  get hasRoom(): boolean {
    if (!this.#flight.full || this.#open.length === 0) return true
    const last = this.intent?.slices.at(-1)?.last
    return last !== undefined && this.#position <= last
  }

  /** Adds a message at or after `position`. */
  push(delivery: Delivery): void {
    this.#position = delivery.offset + 1n
    this.#queue.push(delivery)
    this.#open.push({ offset: delivery.offset, bytes: delivery.bytes.length })
    this.#flight.take(delivery.bytes.length)
    this.#wake?.()
  }

  /** The home found nothing to deliver before this offset. */
  skipTo(offset: bigint): void {
    if (offset > this.#position) this.#position = offset
  }

  async next(waitMillis: number): Promise<Delivery | undefined> {
    if (this.#queue.length === 0 && !this.lost.aborted && waitMillis > 0)
      await this.#wait(waitMillis)
    if (this.lost.aborted) return undefined
    const delivery = this.#queue.shift()
    if (delivery === undefined) return undefined
    this.#handedOut = delivery.offset
    const { counters } = this.#flight
    counters.delivered++
    counters.deliveredBytes += delivery.bytes.length
    return delivery
  }

  #wait(millis: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#wake = undefined
        resolve()
      }
      const timer = setTimeout(done, millis)
      this.#wake = done
    })
  }

  async intend(intent: Intent): Promise<void> {
    const text = formatIntent(intent)
    await this.#inTurn(async () => {
      const [first, last] = [intent.slices[0]!.first, intent.slices.at(-1)!.last]
      if (first < this.#committed)
        throw new RangeError(`intent from ${first}, but ${this.#committed} is committed`)
      if (last > this.#handedOut)
        throw new RangeError(`intent to ${last}, but only ${this.#handedOut} was delivered`)
      await this.#stored(this.#committed, text)
      this.#flight.counters.intents++
    })
  }

  async commit(next: bigint): Promise<void> {
    await this.#inTurn(async () => {
      if (next <= this.#committed) {
        if (next === this.#committed) return
        throw new RangeError(`commit of ${next}, but ${this.#committed} is committed`)
      }
      if (next > this.#handedOut + 1n)
        throw new RangeError(`commit of ${next}, but only ${this.#handedOut} was delivered`)
      await this.#stored(next, '')
      this.#flight.counters.commits++
      this.#committed = next
      let bytes = 0
      while (this.#open[0] !== undefined && this.#open[0].offset < next)
        bytes += this.#open.shift()!.bytes
      this.#flight.giveBack(bytes)
    })
  }

  async #stored(next: bigint, text: string): Promise<void> {
    if (this.lost.aborted) throw this.#refusal()
    try {
      await this.#store(next, text)
    } catch (error) {
      if (error instanceof ClaimLost) this.#flight.counters.refused++
      throw error
    }
    // The position may have been stored a moment before the loss. It must not be acted on: the next holder may have
    // read the older one.
    if (this.lost.aborted) throw this.#refusal()
  }

  #refusal(): ClaimLost {
    this.#flight.counters.refused++
    return new ClaimLost(`${this.stream}/${this.partition} has another holder`)
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => {})
    return mine
  }

  /** Resolves when no intent or commit is under way. */
  async settled(): Promise<void> {
    await this.#turn
  }

  /** The partition is somebody else's from now on. */
  end(): void {
    if (this.lost.aborted) return
    this.#queue = []
    const bytes = this.#open.reduce((sum, open) => sum + open.bytes, 0)
    this.#open = []
    this.#lost.abort()
    this.#flight.counters.claimsLost++
    this.#wake?.()
    this.#flight.giveBack(bytes)
  }
}

/** An unbounded but short list of claims, as an async iterable. */
export class ClaimFeed implements AsyncIterable<Claim> {
  #claims: Claim[] = []
  #closed = false
  #failure: Error | undefined
  #wake: (() => void) | undefined

  add(claim: Claim): void {
    this.#claims.push(claim)
    this.#wake?.()
  }

  /** Ends the iteration, with an error if one is given. */
  close(failure?: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#failure = failure
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Claim> {
    for (;;) {
      const claim = this.#claims.shift()
      if (claim !== undefined) {
        if (!claim.lost.aborted) yield claim
      } else if (this.#closed) {
        if (this.#failure !== undefined) throw this.#failure
        return
      } else
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
    }
  }
}
