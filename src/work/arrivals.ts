// Takes the messages of a claim as they come and has each of them judged at once, whatever becomes of those before it.
// Whoever cuts slices takes them from here when it is ready for them. What may wait is bounded by the bytes that the
// source hands out, and by a number.

import type { Claim, Delivery } from '../bus/bus.ts'
import type { Arrival } from './judging.ts'
import { type Message, readMessage } from './message.ts'

export interface ArrivalsParts {
  claim: Claim
  /** Sees every message in order, and has it judged. */
  arrive: (message: Message) => Arrival
  /** Waits for its turn while too many messages are bad. */
  pace: () => Promise<void>
  /** Take no more; what was taken is still to be had. */
  draining: AbortSignal
  /** The claim is lost, or all is given up. */
  end: AbortSignal
}

/** Messages that wait to be cut, at most: two slices of the smallest chunks that sensors cut are 128. */
export const WAITING_MAX = 4096
/** How long a look for the next message takes; it is left earlier for everything that matters. */
const LOOK_MILLIS = 10_000

export class Arrivals {
  readonly #parts: ArrivalsParts
  readonly #waiting: Arrival[] = []
  #over = false
  #stopped = false
  #failure: { error: unknown } | undefined
  /** A look that is under way: what it brings must not be lost. */
  #look: Promise<Delivery | undefined> | undefined
  #wakeTaker: (() => void) | undefined
  #wakeCutter: (() => void) | undefined

  constructor(parts: ArrivalsParts) {
    this.#parts = parts
    void this.#run()
  }

  /** True if nothing waits and nothing more will come. */
  get over(): boolean {
    return this.#over && this.#waiting.length === 0
  }

  /** The next message, if one waits. @throws what taking messages threw */
  take(): Arrival | undefined {
    if (this.#failure !== undefined) throw this.#failure.error
    const arrival = this.#waiting.shift()
    if (arrival !== undefined) this.#wakeTaker?.()
    return arrival
  }

  /** Until one waits, or nothing more will come, or `nudge` is called, or the time is over. */
  async wait(millis: number): Promise<void> {
    if (this.#waiting.length > 0 || this.#over || millis <= 0) return
    await new Promise<void>((resolve) => {
      const timer = Number.isFinite(millis) ? setTimeout(() => this.#wakeCutter?.(), millis) : 0
      this.#wakeCutter = () => {
        clearTimeout(timer)
        this.#wakeCutter = undefined
        resolve()
      }
    })
  }

  /** Whoever waits looks again. */
  nudge(): void {
    this.#wakeCutter?.()
  }

  /** Takes no more. */
  stop(): void {
    this.#stopped = true
    this.#wakeTaker?.()
    this.nudge()
  }

  get #ends(): boolean {
    const { draining, end } = this.#parts
    return this.#stopped || draining.aborted || end.aborted
  }

  async #run(): Promise<void> {
    const { draining, end } = this.#parts
    const stop = () => this.#wakeTaker?.()
    for (const signal of [draining, end]) signal.addEventListener('abort', stop, { once: true })
    try {
      while (!this.#ends) await this.#next()
    } catch (error) {
      this.#failure = { error }
    } finally {
      for (const signal of [draining, end]) signal.removeEventListener('abort', stop)
      this.#over = true
      this.nudge()
    }
  }

  async #next(): Promise<void> {
    const { claim, arrive, pace } = this.#parts
    if (this.#waiting.length >= WAITING_MAX) return await this.#untilWoken()
    await pace()
    if (this.#ends) return
    this.#look ??= claim.next(LOOK_MILLIS)
    const woken = this.#untilWoken()
    const found = await Promise.race([this.#look.then((delivery) => ({ delivery })), woken])
    if (found === undefined) return
    this.#look = undefined
    const { delivery } = found
    // Who stops now has not taken it: nobody will commit it.
    if (delivery === undefined || this.#ends) return
    this.#waiting.push(arrive(readMessage(delivery)))
    this.nudge()
  }

  #untilWoken(): Promise<undefined> {
    return new Promise((resolve) => {
      this.#wakeTaker = () => {
        this.#wakeTaker = undefined
        resolve(undefined)
      }
    })
  }
}
