// The work on one partition: messages are collected into slices, judged on threads, and stored, each of which goes on
// while the one before is at the next station.
//
//   take -> cut -> verify and judge -> (F4) intend -> (F5) insert [F6] -> (F7) dead letters (F11) -> commit

import { type Claim, ClaimLost, type IntendedSlice, type Intent } from '../bus/bus.ts'
import { releaseChunk } from '../chunk.ts'
import { failpoint } from '../failpoint.ts'
import { sha256Hex } from '../hash.ts'
import { sliceKey } from '../pipeline.ts'
import type { SliceChunk, Store } from '../store/store.ts'
import type { Log } from '../telemetry.ts'
import { bury, type Dead, type DeadLetterParts } from './dead-letters.ts'
import type { JudgedMessage, Judging } from './judging.ts'
import { type Message, readMessage } from './message.ts'
import { type Patience, pause } from './patience.ts'
import type { PoisonRate } from './poison-rate.ts'
import type { Progress } from './progress.ts'
import { SliceCutter, type SliceLimits } from './slice-cutter.ts'

export interface ClaimTools {
  judging: Judging
  store: Store
  patience: Patience
  letters: DeadLetterParts
  poison: PoisonRate
  progress: Progress
  sliceLimits: () => SliceLimits
  /** An intent that is older than this is renewed before an INSERT: less than half of what makes a member lost. */
  fenceMillis: number
  clock: () => number
  log: Log
  /** Take no more, finish what was taken. */
  draining: AbortSignal
  /** Give up what was taken. */
  hard: AbortSignal
}

/** How long a look for the next message takes at most: so soon a drain begins. */
const POLL_MILLIS = 200
/** Pause before each message while too many are bad. */
const SLOW_PACE_MILLIS = 1000

interface JudgedSlice {
  messages: readonly Message[]
  judged: readonly JudgedMessage[]
}

export class ClaimWork {
  readonly #claim: Claim
  readonly #tools: ClaimTools
  readonly #end: AbortSignal
  #carried: Message | undefined

  constructor(claim: Claim, tools: ClaimTools) {
    this.#claim = claim
    this.#tools = tools
    this.#end = AbortSignal.any([claim.lost, tools.hard])
  }

  /**
   * Works until the claim is lost or the worker drains. Losing it is no error: the next holder repeats what is open.
   * @throws what neither waiting nor a dead letter can mend
   */
  async run(): Promise<void> {
    try {
      await this.#inherited()
      await this.#stream()
    } catch (error) {
      if (!(error instanceof ClaimLost) && !this.#end.aborted) throw error
      this.#tools.progress.counts.dropped++
    }
  }

  /** Repeats what an earlier holder intended: the same chunks together, before anything else. */
  async #inherited(): Promise<void> {
    const { intent } = this.#claim
    for (const slice of intent?.slices ?? []) {
      const messages = await this.#collectTo(slice.last)
      if (messages.length === 0) return
      this.#tools.progress.counts.replayed++
      await this.#store(await this.#judge(messages), intent!.attempt + 1)
    }
  }

  async #stream(): Promise<void> {
    // Three stations: one slice is stored, the next judged, the one after collected.
    let storing: Promise<void> = Promise.resolve()
    for (;;) {
      const messages = await this.#collect()
      if (messages.length === 0) break
      const judging = this.#judge(messages)
      const before = storing
      storing = Promise.all([judging, before]).then(([slice]) => this.#store(slice, 1))
      // Met below, or at the end.
      storing.catch(() => {})
      await before
    }
    await storing
  }

  /** The next slice; empty when there will be none. */
  async #collect(): Promise<Message[]> {
    const { draining, clock, sliceLimits } = this.#tools
    const cutter = new SliceCutter(sliceLimits)
    if (this.#carried !== undefined) cutter.add(this.#carried, clock())
    this.#carried = undefined
    while (!draining.aborted && !this.#end.aborted) {
      const wait = cutter.empty ? POLL_MILLIS : Math.min(POLL_MILLIS, cutter.due(clock()))
      const message = wait === 0 ? undefined : await this.#take(wait)
      if (message === undefined) {
        if (!cutter.empty && cutter.due(clock()) === 0) break
        continue
      }
      const full = cutter.add(message, clock())
      if (full === undefined) continue
      this.#carried = message
      return full
    }
    return this.#end.aborted ? [] : cutter.cut()
  }

  /** What comes up to and with this offset, however much it is. */
  async #collectTo(last: bigint): Promise<Message[]> {
    const { draining } = this.#tools
    const messages: Message[] = []
    while (!draining.aborted && !this.#end.aborted) {
      const message = await this.#take(POLL_MILLIS)
      if (message === undefined) continue
      messages.push(message)
      if (message.delivery.offset >= last) return messages
    }
    return []
  }

  async #take(wait: number): Promise<Message | undefined> {
    const { poison, progress, clock } = this.#tools
    if (poison.slow) await pause(SLOW_PACE_MILLIS, this.#end)
    const delivery = await this.#claim.next(wait)
    if (delivery === undefined) return undefined
    progress.open++
    progress.lastTaken = clock()
    return readMessage(delivery)
  }

  async #judge(messages: readonly Message[]): Promise<JudgedSlice> {
    const { judging, progress, clock, poison } = this.#tools
    const begun = clock()
    const judged = await judging.slice(messages, this.#end)
    for (const { dead } of judged) poison.note(dead.length === 0)
    progress.counts.judgeSeconds += (clock() - begun) / 1000
    return { messages, judged }
  }

  async #store(slice: JudgedSlice, attempt: number): Promise<void> {
    const { messages, judged } = slice
    const { progress, log, letters } = this.#tools
    const chunks = judged.flatMap((one) => one.chunks)
    const dead = judged.flatMap((one) => one.dead)
    if (chunks.length > 0) await this.#insert(messages, chunks, attempt)
    await bury(dead, letters, this.#end)
    for (const one of dead) this.#told(one)
    await this.#claim.commit(messages.at(-1)!.delivery.offset + 1n)
    progress.counts.commits++
    progress.lastCommit = this.#tools.clock()
    progress.open -= messages.length
    for (const { owned } of judged) for (const bytes of owned) releaseChunk(bytes)
    log('debug', 'slice stored', {
      partition: this.#claim.partition,
      last: String(messages.at(-1)!.delivery.offset),
      chunks: chunks.length,
      dead: dead.length,
      attempt,
    })
  }

  /** Records the intent, and inserts what is not there yet. */
  async #insert(
    messages: readonly Message[],
    chunks: readonly SliceChunk[],
    attempt: number,
  ): Promise<void> {
    const { patience, store, progress, clock } = this.#tools
    const intent: Intent = { attempt, slices: [intended(messages, chunks)] }
    await failpoint('F4_fetch_intent')
    let fencedAt = clock()
    await this.#claim.intend(intent)
    await failpoint('F5_intent_insert')
    const fence = async () => {
      if (this.#claim.lost.aborted) throw new ClaimLost('the partition has another holder')
      const now = clock()
      if (now - fencedAt < this.#tools.fenceMillis) return
      await this.#claim.intend(intent)
      fencedAt = now
    }
    const begun = clock()
    await patience.ask(() => store.insertSlice({ key: sliceKey(chunks), chunks, fence }), this.#end)
    const { counts } = progress
    counts.insertSeconds += (clock() - begun) / 1000
    counts.slices++
    counts.chunks += chunks.length
    for (const { records } of messages) counts.records += records
    await failpoint('F7_insert_commit')
  }

  #told({ reason, detail, message }: Dead): void {
    const { progress, log } = this.#tools
    progress.dead.set(reason, (progress.dead.get(reason) ?? 0) + 1)
    const { stream, partition, offset } = message.delivery
    log('warn', 'message given up: it is a dead letter', {
      reason,
      detail,
      at: `${stream}:${partition}:${offset}`,
    })
  }
}

/** What identifies a slice: its place, and a hash of what is stored of it. */
function intended(messages: readonly Message[], chunks: readonly SliceChunk[]): IntendedSlice {
  return {
    first: messages[0]!.delivery.offset,
    last: messages.at(-1)!.delivery.offset,
    rows: messages.reduce((sum, { records }) => sum + records, 0),
    token: sha256Hex(chunks.map(({ header }) => header.id).join(' ')).slice(0, 32),
  }
}
