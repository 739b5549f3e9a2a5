// Sends to one endpoint while that makes sense: a limit of time for each request, a breaker that leaves an endpoint
// alone which fails again and again, pauses for one that asks for them.

import {
  BrokenCircuitError,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  DelegateBackoff,
  handleAll,
  type ICancellationContext,
  type IPolicy,
  TaskCancelledError,
  TimeoutStrategy,
  timeout,
  wrap,
} from 'cockatiel'
import type { Notifier, Outcome, Outgoing } from './notifier.ts'

export interface SenderLimits {
  /** Time that one request may take. */
  timeoutMillis: number
  /** Requests at once. */
  concurrency: number
  /** Failures in a row after which nothing is sent for a while, and how long: the first time, the second, … */
  breakAfter: number
  breakMillis: readonly number[]
  /** The first pause for one that asks for fewer requests and does not say for how long; the next is twice that. */
  throttleMillis: number
}

/** The breaker goes by the wall clock. Where that was set back, it is closed so long after it should have tried. */
const CLOCKS_APART_MILLIS = 2000
/** Pause before it is asked again until then. */
const ASK_AGAIN_MILLIS = 100

/** Doublings of a pause. */
const THROTTLES_MAX = 6

export class Sender {
  /** Times that the breaker opened. */
  opened = 0
  #notifier: Notifier
  readonly #limits: SenderLimits
  readonly #now: () => number
  readonly #closing = new AbortController()
  readonly #breaker: CircuitBreakerPolicy
  readonly #policy: IPolicy<ICancellationContext>
  #heldUntil = 0
  /** What it was when the breaker opened. */
  #opensUntil = 0
  #throttledUntil = 0
  #throttles = 0

  /** @param now milliseconds of a clock that nobody sets */
  constructor(notifier: Notifier, limits: SenderLimits, now: () => number) {
    this.#notifier = notifier
    this.#limits = limits
    this.#now = now
    const broken = handleAll.orWhenResult((result) => {
      const { kind, broken: yes } = result as { kind?: string; broken?: boolean }
      return kind === 'failed' && yes === true
    })
    this.#breaker = circuitBreaker(broken, {
      breaker: new ConsecutiveBreaker(limits.breakAfter),
      halfOpenAfter: new DelegateBackoff(({ attempt }: { attempt: number }) => {
        const { breakMillis } = limits
        const pause = breakMillis[Math.min(attempt, breakMillis.length) - 1] ?? 0
        this.#heldUntil = this.#opensUntil = now() + pause
        this.opened++
        return pause
      }),
    })
    this.#breaker.onReset(() => {
      this.#heldUntil = 0
    })
    this.#policy = wrap(this.#breaker, timeout(limits.timeoutMillis, TimeoutStrategy.Aggressive))
  }

  /** Where to, for people. */
  get target(): string {
    return this.#notifier.target
  }

  get key(): string {
    return this.#notifier.key
  }

  get state(): 'working' | 'throttled' | 'held' {
    const now = this.#now()
    if (now < this.#heldUntil) return 'held'
    return now < this.#throttledUntil ? 'throttled' : 'working'
  }

  /** Nothing is sent before. */
  get blockedUntil(): number {
    return Math.max(this.#heldUntil, this.#throttledUntil)
  }

  /** Requests at once. While it is not known whether it works again, one tries for all. */
  get concurrency(): number {
    return this.#breaker.state === CircuitState.Closed ? this.#limits.concurrency : 1
  }

  /** From now on by another; what is under way ends as it does. */
  use(notifier: Notifier): Promise<void> {
    const before = this.#notifier
    this.#notifier = notifier
    return before.close()
  }

  /** Undefined if nothing was sent, or nobody waited for the answer. */
  async send(message: Outgoing): Promise<Outcome | undefined> {
    const closing = this.#closing.signal
    const outcome = await this.#outcome(message)
    if (closing.aborted && outcome?.kind !== 'delivered') return undefined
    if (outcome?.kind === 'failed' && outcome.throttled) {
      const doubled = this.#limits.throttleMillis * 2 ** Math.min(this.#throttles++, THROTTLES_MAX)
      this.#throttledUntil = this.#now() + (outcome.retryAfter ?? doubled)
    } else if (outcome?.kind === 'delivered') this.#throttles = 0
    return outcome
  }

  async #outcome(message: Outgoing): Promise<Outcome | undefined> {
    const closing = this.#closing.signal
    try {
      return await this.#policy.execute(
        ({ signal }) => this.#notifier.send(message, signal),
        closing,
      )
    } catch (error) {
      if (error instanceof BrokenCircuitError) this.#stillBroken()
      if (error instanceof BrokenCircuitError || closing.aborted) return undefined
      // By its class: the library's own `isTaskCancelledError` looks for another mark.
      if (!(error instanceof TaskCancelledError)) throw error
      const why = `no answer within ${this.#limits.timeoutMillis / 1000} s`
      return { kind: 'failed', why, broken: true, throttled: false }
    }
  }

  #stillBroken(): void {
    const now = this.#now()
    if (now < this.#opensUntil + CLOCKS_APART_MILLIS) this.#heldUntil = now + ASK_AGAIN_MILLIS
    else this.#breaker.isolate().dispose()
  }

  /** Ends what is under way. */
  abort(): void {
    this.#closing.abort()
  }

  async close(): Promise<void> {
    this.abort()
    await this.#notifier.close()
  }
}
