// The work on one partition: messages are collected into slices, judged on threads, and stored, each of which goes on
// while the one before is at the next station.
//
//   take, verify and judge [findings go] -> cut -> (F4) intend -> (F5) insert [F6] -> (F7) dead letters (F11) -> commit

import { setMaxListeners } from 'node:events'
import { type Claim, ClaimLost, type IntendedSlice, type Intent } from '../bus/bus.ts'
import type { Store } from '../store/store.ts'
import type { Log } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import { Arrivals } from './arrivals.ts'
import type { DeadLetterParts } from './dead-letters.ts'
import type { Arrival, JudgedMessage, Judging } from './judging.ts'
import type { Message } from './message.ts'
import { type Patience, pause } from './patience.ts'
import type { PoisonRate } from './poison-rate.ts'
import type { Progress } from './progress.ts'
import { giveBack } from './shared-bytes.ts'
import { SliceCutter, type SliceLimits } from './slice-cutter.ts'
import { isSameSlice, SliceWriter } from './slice-writer.ts'
import type { StreamLosses } from './stream-losses.ts'
import { type Gap, gapBefore, Watermarks } from './watermarks.ts'

/** A slice that this process intended and has not committed. */
export interface Unfinished {
  attempt: number
  first: bigint
  last: bigint
}

export interface ClaimTools {
  judging: Judging
  store: Store
  patience: Patience
  letters: DeadLetterParts
  losses: StreamLosses
  poison: PoisonRate
  /** Waits for its turn while too many messages are bad. */
  pace: (signal: AbortSignal) => Promise<void>
  progress: Progress
  sliceLimits: () => SliceLimits
  /** An intent that is older than this is renewed before an INSERT: less than half of what makes a member lost. */
  fenceMillis: number
  /** Longer than an INSERT of an earlier holder can go on: waited for before chunks are put together otherwise. */
  recutMillis: number
  /** By partition: what was lost with a partition while this process lived on. */
  unfinished: Map<number, Unfinished>
  /** The offset that the next message of a partition will have, as far as it is known. */
  endOf: (partition: number) => bigint | undefined
  clock: () => number
  log: Log
  /** Take no more, finish what was taken. */
  draining: AbortSignal
  /** Give up what was taken. */
  hard: AbortSignal
}

/** How often the end of a stream is looked at that may have lost it. */
const END_MILLIS = 200
/** A slice that so many processes died of is looked at chunk by chunk. */
const ATTEMPTS_MAX = 3
/**
 * A chunk that so many died of alone is dead. Whoever loses a partition alive, or is killed for reasons of his own, counts
 * as well, so these are more; and fewer than the starts that a supervisor allows (deploy/systemd: ten, of which a slice
 * may have taken three).
 */
const ATTEMPTS_ALONE_MAX = 5

export class ClaimWork {
  readonly #claim: Claim
  readonly #tools: ClaimTools
  readonly #end: AbortSignal
  readonly #writer: SliceWriter
  readonly #watermarks = new Watermarks()
  readonly #arrivals: Arrivals
  #carried: Arrival | undefined
  /** Slices that are judged or stored at this moment. */
  #slices = 0
  /** Messages taken and not committed. */
  #open = 0
  /** A slice could not be stored: there is no going on. */
  #broken = false

  constructor(claim: Claim, tools: ClaimTools) {
    this.#claim = claim
    this.#tools = tools
    this.#end = AbortSignal.any([claim.lost, tools.hard])
    // As many wait with it as there are dead letters in a slice.
    setMaxListeners(0, this.#end)
    this.#writer = new SliceWriter(claim, tools, this.#end)
    this.#arrivals = new Arrivals({
      claim,
      arrive: (message) => this.#arrive(message),
      pace: () => tools.pace(this.#end),
      draining: tools.draining,
      end: this.#end,
    })
  }

  /**
   * Works until the claim is lost or the worker drains. Losing it is no error: the next holder repeats what is open.
   * @throws what neither waiting nor a dead letter can mend
   */
  async run(): Promise<void> {
    const { progress } = this.#tools
    try {
      await this.#inherited()
      await this.#stream()
    } catch (error) {
      if (!(error instanceof ClaimLost) && !this.#end.aborted) throw error
      progress.counts.dropped++
    } finally {
      this.#arrivals.stop()
      progress.open -= this.#open
    }
  }

  /** Repeats what an earlier holder intended: the same chunks together, before anything else. */
  async #inherited(): Promise<void> {
    const { intent } = this.#claim
    if (intent === undefined) return
    for (const slice of intent.slices) {
      const messages = await this.#collectTo(slice.last)
      if (messages.length === 0) return
      await this.#repeat(messages, slice, intent)
    }
  }

  async #repeat(messages: readonly Arrival[], slice: IntendedSlice, intent: Intent): Promise<void> {
    const { progress, log, unfinished, recutMillis } = this.#tools
    const { partition } = this.#claim
    progress.counts.replayed++
    if (!isSameSlice(messages, slice))
      log('error', 'the stream does not hold any more what an earlier worker began to store', {
        partition,
        first: String(slice.first),
        last: String(slice.last),
        messages: messages.length,
      })
    const mine = unfinished.get(partition)
    // Whoever lost a partition and lives did not die of what was on it.
    const own =
      mine?.first === slice.first && mine.last === slice.last && mine.attempt === intent.attempt
    const deaths = own ? intent.attempt - 1 : intent.attempt
    const attempt = deaths + 1
    const most = messages.length === 1 ? ATTEMPTS_ALONE_MAX : ATTEMPTS_MAX
    if (deaths < most || !(await this.#begun(messages)))
      return await this.#write(await this.#judge(messages), attempt, slice)
    const [only] = messages
    if (messages.length === 1) return await this.#write([givenUp(only!, deaths)], attempt)
    log('warn', 'workers die while they store this slice; its chunks are stored one by one', {
      partition,
      attempts: intent.attempt,
    })
    await pause(recutMillis, this.#end)
    for (const message of messages) await this.#write(await this.#judge([message]), 1)
  }

  /**
   * Whether the store has seen the beginning of one of these chunks, and not its end. If not, whoever died did so
   * before or after it worked with what is in them.
   */
  async #begun(messages: readonly Message[]): Promise<boolean> {
    const states = await this.#tools.judging.states(messages, this.#end)
    return [...states.values()].some(({ complete }) => !complete)
  }

  async #stream(): Promise<void> {
    // Three stations: one slice is stored, the next judged, the one after collected.
    let storing: Promise<void> = Promise.resolve()
    for (;;) {
      const messages = await this.#collect()
      if (messages.length === 0) break
      const judging = this.#judge(messages)
      const before = storing
      this.#slices++
      storing = Promise.all([judging, before])
        .then(([judged]) => this.#write(judged, 1))
        .finally(() => {
          this.#slices--
          this.#arrivals.nudge()
        })
      // Met below, or at the end; until then nothing more is taken.
      storing.catch(() => {
        this.#broken = true
        this.#arrivals.stop()
      })
      await before
    }
    await storing
  }

  /** The next slice; empty when there will be none. */
  async #collect(): Promise<Arrival[]> {
    const { clock, sliceLimits, draining } = this.#tools
    // One slice is cut of what was taken when the end was told; the rest is the next holder's.
    if (draining.aborted) return []
    const arrivals = this.#arrivals
    const cutter = new SliceCutter<Arrival>(sliceLimits)
    if (this.#carried !== undefined) cutter.add(this.#carried, clock())
    this.#carried = undefined
    while (!this.#end.aborted && !this.#broken) {
      const arrival = arrivals.take()
      if (arrival === undefined) {
        if (arrivals.over) break
        const due = cutter.empty ? Number.POSITIVE_INFINITY : cutter.due(clock())
        // While a slice before it is under way, waiting delays nothing, and one large INSERT costs less than several.
        if (due === 0 && (cutter.full || this.#slices === 0)) break
        await arrivals.wait(due === 0 ? Number.POSITIVE_INFINITY : due)
        continue
      }
      const full = cutter.add(arrival, clock())
      if (full === undefined) continue
      this.#carried = arrival
      return full
    }
    return this.#end.aborted || this.#broken ? [] : cutter.cut()
  }

  /** What comes up to and with this offset, however much it is; empty when the end came first. */
  async #collectTo(last: bigint): Promise<Arrival[]> {
    const { draining, endOf } = this.#tools
    const messages: Arrival[] = []
    while (!draining.aborted && !this.#end.aborted) {
      const arrival = this.#arrivals.take()
      if (arrival !== undefined) {
        messages.push(arrival)
        if (arrival.delivery.offset >= last) return messages
        continue
      }
      // The stream has lost its end: what is left of the slice is all that there will be.
      const end = endOf(this.#claim.partition)
      const next = (messages.at(-1)?.delivery.offset ?? this.#claim.committed - 1n) + 1n
      if (end !== undefined && end <= last && next >= end) return messages
      await this.#arrivals.wait(END_MILLIS)
    }
    return []
  }

  #arrive(message: Message): Arrival {
    const { progress, clock, judging } = this.#tools
    this.#open++
    progress.open++
    progress.lastTaken = clock()
    this.#mark(message)
    return judging.arrive(message, this.#end)
  }

  /** Compares the chunk's number with those before it. Loss is told; what came twice the store will know. */
  #mark({ header }: Message): void {
    if (header === undefined) return
    const { duplicate, gap } = this.#watermarks.see(header)
    if (duplicate) this.#tools.progress.counts.duplicates++
    if (gap !== undefined) this.#tellGap(gap)
  }

  #tellGap({ origin, first, last, count }: Gap): void {
    const { progress, log, losses } = this.#tools
    const { stream, partition } = this.#claim
    progress.counts.gaps += count
    log('error', 'chunks never came', { origin, first, last, count, partition })
    losses.note({ stream, partition, kind: 'gap', detail: printable(origin), first, last, count })
  }

  /** Asks the store what it has of lanes that were seen for the first time: what is missing before is loss, too. */
  async checkFirstSights(): Promise<void> {
    const { store, patience } = this.#tools
    const sights = this.#watermarks.takeFirstSights()
    for (const lanes of new Set(sights.map((sight) => sight.lanes))) {
      const some = sights.filter((sight) => sight.lanes === lanes)
      const origins = [...new Set(some.map(({ origin }) => origin))]
      const rows = await patience.ask(
        () => store.query('origin_watermarks', { origins, lanes }),
        this.#end,
      )
      for (const sight of some) {
        const row = rows.find(({ origin, lane }) => origin === sight.origin && lane === sight.lane)
        const gap = gapBefore(sight, row?.highest)
        if (gap !== undefined) this.#tellGap(gap)
      }
    }
  }

  async #judge(messages: readonly Arrival[]): Promise<JudgedMessage[]> {
    const { judging, progress, clock, poison } = this.#tools
    const begun = clock()
    const judged = await judging.slice(messages, this.#end)
    for (const { dead } of judged) poison.note(dead.length === 0)
    progress.counts.judgeSeconds += (clock() - begun) / 1000
    return judged
  }

  async #write(
    judged: readonly JudgedMessage[],
    attempt: number,
    before?: IntendedSlice,
  ): Promise<void> {
    await this.#writer.write(judged, attempt, before)
    this.#open -= judged.length
    this.#tools.progress.open -= judged.length
    for (const { owned } of judged) for (const bytes of owned) giveBack(bytes)
  }
}

/** A chunk that processes died of, alone. */
function givenUp(message: Arrival, deaths: number): JudgedMessage {
  const { header, delivery } = message
  const detail = `${deaths} processes died while they stored it alone`
  const dead = { message, reason: 'killed_worker', detail, bytes: delivery.bytes, header } as const
  return { message, chunks: [], dead: [dead], told: [message.told], owned: new Set() }
}
