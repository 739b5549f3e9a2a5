// The worker: chunks from a stream into the store, each once. It holds claims on partitions, works on each of them
// side by side, and ends in good order. The same loop serves the journal and Kafka.

import { setMaxListeners } from 'node:events'
import type { Claim, Sink, Source } from '../bus/bus.ts'
import type { ChunkHeader } from '../chunk-header.ts'
import { failpoint } from '../failpoint.ts'
import type { JudgeThreads } from '../judge-threads.ts'
import type { Store } from '../store/store.ts'
import type { Log, Observed } from '../telemetry.ts'
import { aborted } from '../until-aborted.ts'
import { ClaimWork, type Unfinished } from './claim-work.ts'
import { FindingSender, type TakeFindings } from './finding-sender.ts'
import { Judging, type Scopes } from './judging.ts'
import { Patience, pause } from './patience.ts'
import { PoisonRate } from './poison-rate.ts'
import { Progress } from './progress.ts'
import type { SliceLimits } from './slice-cutter.ts'
import type { StreamLosses } from './stream-losses.ts'

export interface WorkerLimits {
  /** Of a slice; bytes are further bounded by what may be in flight. */
  slice: SliceLimits
  /** What the source hands out at most; it is divided among the partitions held. */
  inFlightBytes: number
  /** See ClaimTools. */
  fenceMillis: number
  recutMillis: number
  /** How long what was taken may take to be stored when the worker ends. */
  drainMillis: number
}

export const WORKER_LIMITS: Omit<WorkerLimits, 'inFlightBytes'> = {
  // 131,072 records make large inserts, yet stay far below the engine's block. Nobody waits for rows, whose findings are
  // told before: fewer and larger inserts leave more of the machine to whatever is in a hurry.
  slice: { chunks: 64, records: 131_072, bytes: 64 << 20, lingerMillis: 1000 },
  // A third of the session of a member, after which its partitions go to another.
  fenceMillis: 10_000,
  // A server ends an INSERT after 40 s by itself.
  recutMillis: 45_000,
  drainMillis: 25_000,
}

export interface WorkerParts {
  source: Source
  store: Store
  /** Takes dead letters. */
  dead: Sink
  /** What the source tells is lost: it is noted in the store. */
  losses: StreamLosses
  threads: Pick<JudgeThreads, 'judge' | 'judgeSuspect' | 'splitSuspect' | 'deaths'>
  /** What judges now. It may change: each chunk is judged by one of them. */
  scopes: () => Scopes
  /** Takes findings as soon as their chunk is judged; undefined where nobody acts on them. */
  findings?: TakeFindings | undefined
  /** Chunks whose findings somebody waits for: they are judged on threads of their own, if there are any. */
  prompt?: (header: ChunkHeader) => boolean
  limits: WorkerLimits
  /** Ends when nothing came for so long and all is committed; undefined for never. */
  untilIdleMillis?: number | undefined
  /** Of the program, for dead letters. */
  version: string
  log: Log
  /** Milliseconds of a clock that does not go back; and since 1970. */
  clock: () => number
  now: () => number
  /** Take no more, finish what was taken, return. */
  signal: AbortSignal
  /** Shows what the worker does; called once. */
  observe?: (part: Observed) => void
  /** Told of claims as they are won. */
  onClaim?: (claim: Claim) => void
}

/** How often a worker looks whether it is idle, and whether the store answers. */
const LOOK_MILLIS = 200
/** Pause before each message while too many are bad. */
const SLOW_PACE_MILLIS = 1000
/** How often losses are written. */
const LOSSES_MILLIS = 2000
/** The store is asked something when it has not been for so long. */
const ASK_MILLIS = 20_000
/** A worker that never gets a partition is idle after this. */
const NO_CLAIM_MILLIS = 30_000
/** How long work may take to notice that it was given up. */
const GIVE_UP_MILLIS = 1000
const NEVER = new AbortController().signal
/** No chunk has this id. */
const NO_CHUNK = '00000000-0000-0000-0000-000000000000'
/** While the store is slow, slices wait for so much longer. */
const SLOW_LINGER = 5

/**
 * Runs until the signal, or until it is idle where that is wanted. Closes nothing that it was given but the source.
 * @throws what neither waiting nor a dead letter can mend: a BusFault, a refusal by the bus, a fault of ours
 */
export async function runWorker(parts: WorkerParts): Promise<Progress> {
  const worker = new Worker(parts)
  await worker.run()
  return worker.progress
}

class Worker {
  readonly progress: Progress
  readonly #parts: WorkerParts
  readonly #patience: Patience
  readonly #poison = new PoisonRate()
  readonly #judging: Judging
  readonly #draining = new AbortController()
  readonly #hard = new AbortController()
  readonly #working = new Set<Promise<void>>()
  readonly #unfinished = new Map<number, Unfinished>()
  readonly #works = new Set<ClaimWork>()
  /** When the next message is to be taken while too much is bad. */
  #paceAt = 0
  /** When the store was last asked about losses. */
  #lossesAt = Number.NEGATIVE_INFINITY
  #failure: { error: unknown } | undefined
  #firstClaim: number | undefined

  constructor(parts: WorkerParts) {
    this.#parts = parts
    // As many listen to it as there are partitions, which are as many as somebody made.
    setMaxListeners(0, this.#draining.signal)
    const { clock, log, store, threads, scopes, prompt } = parts
    this.#patience = new Patience({
      clock,
      tell: (trouble) =>
        trouble === undefined
          ? log('info', 'the store answers again')
          : log('warn', 'waits for the store', { reason: trouble }),
    })
    const findings = new FindingSender(parts.findings, clock)
    const patience = this.#patience
    this.#judging = new Judging({ threads, store, patience, scopes, findings, prompt })
    this.progress = new Progress({
      source: parts.source,
      patience: this.#patience,
      poison: this.#poison,
      losses: parts.losses,
      findings,
      clock,
      threadDeaths: () => threads.deaths,
    })
    parts.observe?.(this.progress)
  }

  async run(): Promise<void> {
    const { source, signal, log } = this.#parts
    const drain = () => this.#draining.abort()
    if (signal.aborted) drain()
    signal.addEventListener('abort', drain, { once: true })
    const ending = this.#endInOrder()
    try {
      for await (const claim of source.claims()) {
        if (this.#draining.signal.aborted) continue
        log('info', 'partition won', {
          partition: claim.partition,
          committed: String(claim.committed),
          ...(claim.intent === undefined ? {} : { attempt: claim.intent.attempt }),
        })
        this.#work(claim)
      }
    } catch (error) {
      this.#fail(error)
    }
    // The source ended by itself only if it failed or somebody closed it.
    drain()
    await ending
    signal.removeEventListener('abort', drain)
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #work(claim: Claim): void {
    const parts = this.#parts
    const { progress } = this
    this.#firstClaim ??= parts.clock()
    progress.claims++
    parts.onClaim?.(claim)
    const work = new ClaimWork(claim, {
      judging: this.#judging,
      store: parts.store,
      patience: this.#patience,
      letters: {
        sink: parts.dead,
        store: parts.store,
        patience: this.#patience,
        version: parts.version,
        now: parts.now,
      },
      losses: parts.losses,
      poison: this.#poison,
      pace: (signal) => this.#pace(signal),
      progress,
      sliceLimits: () => this.#sliceLimits(),
      fenceMillis: parts.limits.fenceMillis,
      recutMillis: parts.limits.recutMillis,
      unfinished: this.#unfinished,
      endOf: (partition) => parts.source.lag().find((one) => one.partition === partition)?.end,
      clock: parts.clock,
      log: parts.log,
      draining: this.#draining.signal,
      hard: this.#hard.signal,
    })
    const running = work
      .run()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        progress.claims--
        this.#works.delete(work)
        this.#working.delete(running)
        parts.log('info', 'partition let go', { partition: claim.partition })
      })
    this.#working.add(running)
    this.#works.add(work)
  }

  /** What one partition may hold: two slices of each fit into what is in flight. */
  #sliceLimits(): SliceLimits {
    const { slice, inFlightBytes } = this.#parts.limits
    const share = Math.floor(inFlightBytes / (2 * Math.max(1, this.progress.claims)))
    const lingerMillis = slice.lingerMillis * (this.#patience.slow ? SLOW_LINGER : 1)
    return { ...slice, bytes: Math.min(slice.bytes, share), lingerMillis }
  }

  /** While too much is bad, one message a second, of all partitions. */
  async #pace(signal: AbortSignal): Promise<void> {
    if (!this.#poison.slow) return
    const now = this.#parts.clock()
    this.#paceAt = Math.max(now, this.#paceAt) + SLOW_PACE_MILLIS
    await pause(this.#paceAt - now, AbortSignal.any([signal, this.#draining.signal])).catch(
      () => {},
    )
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#draining.abort()
    this.#hard.abort()
  }

  /** Waits for the end, then for what is under way, within bounds; closes the source. */
  async #endInOrder(): Promise<void> {
    const { log, limits, source } = this.#parts
    while (!this.#draining.signal.aborted) {
      if (this.#idle()) {
        log('info', 'nothing more came')
        this.#draining.abort()
      } else await this.#look()
    }
    this.progress.ending = 'ends: finishing what was taken'
    const late = setTimeout(() => {
      log('warn', 'not all could be stored in time; the next holder repeats it', {
        messages: this.progress.open,
      })
      this.#hard.abort()
    }, limits.drainMillis)
    // What waits ends with the signal; an INSERT that hangs does not.
    const givenUp = aborted(this.#hard.signal).then(() => pause(GIVE_UP_MILLIS, NEVER))
    await Promise.race([Promise.all([...this.#working]), givenUp])
    await this.#parts.losses
      .flush(this.#parts.store, this.#patience, this.#hard.signal)
      .catch((error: unknown) =>
        log('warn', 'losses could not be noted', { reason: String(error) }),
      )
    clearTimeout(late)
    await failpoint('F12_drain')
    await source.close()
  }

  #idle(): boolean {
    const { untilIdleMillis, clock } = this.#parts
    if (untilIdleMillis === undefined) return false
    const { progress } = this
    const since = this.#firstClaim
    if (since === undefined)
      return clock() - progress.lastCommit > Math.max(NO_CLAIM_MILLIS, untilIdleMillis)
    return (
      progress.open === 0 &&
      progress.lag() === 0 &&
      clock() - Math.max(since, progress.lastTaken) >= untilIdleMillis
    )
  }

  /** Is anything waiting? What is lost goes to the store; a store that was not asked anything for long is asked whether it answers. */
  async #look(): Promise<void> {
    const { signal } = this.#draining
    const { clock, store, losses, log } = this.#parts
    const { progress } = this
    if (progress.claims > 0 && progress.lag() === 0) progress.lastIdle = clock()
    const patience = this.#patience
    const waiting = patience.trouble !== undefined
    try {
      if (!waiting && clock() - this.#lossesAt >= LOSSES_MILLIS) {
        this.#lossesAt = clock()
        for (const work of this.#works) await work.checkFirstSights()
        await losses.flush(store, patience, signal)
      }
      const { answeredAt } = patience
      if (!waiting && (answeredAt === undefined || clock() - answeredAt > ASK_MILLIS))
        await patience.ask(() => store.completed([NO_CHUNK]), signal)
      await pause(LOOK_MILLIS, signal)
    } catch (error) {
      // A claim that was lost meanwhile, or the end: both are seen elsewhere.
      if (signal.aborted || (error instanceof DOMException && error.name === 'AbortError')) return
      log('error', 'losses cannot be noted in the store', { reason: String(error) })
      await pause(LOSSES_MILLIS, signal).catch(() => {})
    }
  }
}
