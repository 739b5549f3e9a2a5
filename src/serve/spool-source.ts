// The spool as the bus of one process: what the sensor put there, the worker takes. A commit waits for the ledger, so
// that the sensor never forgets what has left the spool (src/ship/ledger.ts says why); and whoever reads inputs that can
// wait is held back while the worker has enough before it.

import type { Claim, Delivery, Intent, Lag, Source, SourceCounters } from '../bus/bus.ts'
import type { Spool } from '../ship/spool.ts'
import type { SpoolTaker } from '../ship/spool-status.ts'

/** The parts of a spool that are needed here. */
export type SpoolParts = {
  source(): Source
  ledger: Pick<Spool['ledger'], 'durable'>
}

export class SpoolSource implements Source, SpoolTaker {
  readonly name = 'the worker'
  readonly #source: Source
  readonly #ledger: SpoolParts['ledger']
  #committed: bigint
  /** When each message that was handed out and is not committed came, oldest first. */
  #taken: { offset: bigint; acceptedAt: number }[] = []
  readonly #waiting = new Set<() => void>()

  constructor(spool: SpoolParts) {
    this.#source = spool.source()
    this.#committed = this.#source.lag()[0]?.committed ?? -1n
    this.#ledger = spool.ledger
  }

  get counters(): Readonly<SourceCounters> {
    return this.#source.counters
  }

  get committed(): bigint {
    return this.#committed
  }

  get oldestAt(): number | undefined {
    return this.#taken[0]?.acceptedAt
  }

  lag(): Lag[] {
    return this.#source.lag()
  }

  async *claims(): AsyncGenerator<Claim> {
    for await (const claim of this.#source.claims()) {
      this.#moved(claim.committed)
      yield new SpoolClaim(claim, {
        taken: ({ offset, acceptedAt }) => this.#taken.push({ offset, acceptedAt }),
        before: (next) => this.#ledger.durable(next),
        committed: (next) => this.#moved(next),
      })
    }
  }

  /** Resolves when everything before `next` is committed, or the signal is aborted. */
  async untilCommitted(next: bigint, signal: AbortSignal): Promise<void> {
    while (this.#committed < next && !signal.aborted) await this.#moves(signal)
  }

  /** Resolves when fewer bytes than this are read from the spool and not committed, or the signal is aborted. */
  async untilBelow(bytes: number, signal: AbortSignal): Promise<void> {
    while (this.counters.inFlightBytes >= bytes && !signal.aborted) await this.#moves(signal)
  }

  async close(): Promise<void> {
    await this.#source.close()
    for (const wake of this.#waiting) wake()
  }

  #moved(next: bigint): void {
    this.#committed = next
    const first = this.#taken.findIndex(({ offset }) => offset >= next)
    this.#taken.splice(0, first < 0 ? this.#taken.length : first)
    for (const wake of this.#waiting) wake()
  }

  /** Until the position moves or the signal is aborted. */
  async #moves(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#waiting.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#waiting.add(done)
      signal.addEventListener('abort', done)
      if (signal.aborted) done()
    })
  }
}

interface ClaimHooks {
  taken: (delivery: Delivery) => void
  /** Waited for before the position passes `next`. */
  before: (next: bigint) => Promise<void>
  committed: (next: bigint) => void
}

class SpoolClaim implements Claim {
  readonly #claim: Claim
  readonly #hooks: ClaimHooks

  constructor(claim: Claim, hooks: ClaimHooks) {
    this.#claim = claim
    this.#hooks = hooks
  }

  get stream(): string {
    return this.#claim.stream
  }
  get partition(): number {
    return this.#claim.partition
  }
  get committed(): bigint {
    return this.#claim.committed
  }
  get intent(): Intent | undefined {
    return this.#claim.intent
  }
  get lost(): AbortSignal {
    return this.#claim.lost
  }

  async next(waitMillis: number): Promise<Delivery | undefined> {
    const delivery = await this.#claim.next(waitMillis)
    if (delivery !== undefined) this.#hooks.taken(delivery)
    return delivery
  }

  intend(intent: Intent): Promise<void> {
    return this.#claim.intend(intent)
  }

  async commit(next: bigint): Promise<void> {
    await this.#hooks.before(next)
    await this.#claim.commit(next)
    this.#hooks.committed(next)
  }
}
