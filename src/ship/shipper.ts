// The way of chunks from whoever decodes into the spool: several may wait for one fsync, and while the spool is full
// whoever decodes waits. Announcements go the same way.

import { releaseChunk } from '../chunk.ts'
import { failpoint } from '../failpoint.ts'
import { Announcer } from './announcer.ts'
import type { Ledger } from './ledger.ts'
import { rowsOf } from './ledger-entry.ts'
import type { Spool } from './spool.ts'

/** Chunks on their way to the disk: of inputs that can wait, and of all. */
const APPENDS_MAX = 8
const PROMPT_APPENDS_MAX = 64
export const ANNOUNCE_MILLIS = 10_000
/** A few chunks of a live capture, where hardly anything passes, are announced one time in so many. */
const FEW_PROMPT_CHUNKS = 8
const QUIET_TURNS = 6

export class Shipper {
  /** What this process has put into the spool; announcements are not counted. */
  readonly counters = { chunks: 0, flowRecords: 0, known: 0 }
  readonly ledger: Ledger
  readonly announcer: Announcer
  readonly #spool: Spool
  readonly #room: () => Promise<void>
  readonly #open = new Set<Promise<void>>()
  #failure: unknown
  /** Damaged places of the spool that were announced. */
  #damages = 0
  /** Since the last announcement: chunks of a live capture, others, turns that were let go. */
  #since = { prompt: 0, others: 0, skipped: 0 }
  #announcing: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  /** @param room waited for by every chunk that can wait: whoever works on them may hold them back */
  constructor(sensor: string, spool: Spool, room = async () => {}) {
    this.#spool = spool
    this.#room = room
    this.ledger = spool.ledger
    this.announcer = new Announcer(sensor, spool.ledger, (chunk) => spool.append(chunk))
    this.#timer = setInterval(() => this.#announce(), ANNOUNCE_MILLIS)
    this.#timer.unref()
  }

  /**
   * Takes a chunk of an origin that the ledger knows, and its memory. Resolves when the next one may come; chunks go
   * into the spool in order.
   * @param prompt somebody waits for what is in it: it passes by those that can wait
   * @throws what an earlier one failed of: BusFault, BusError `closed`
   */
  async send(chunk: Uint8Array<ArrayBuffer>, prompt = false): Promise<void> {
    await failpoint('F1_read_journal')
    const most = prompt ? PROMPT_APPENDS_MAX : APPENDS_MAX
    while (this.#open.size >= most && this.#failure === undefined) await Promise.race(this.#open)
    if (!prompt) await this.#room()
    this.#throwFailure()
    this.#since[prompt ? 'prompt' : 'others']++
    const sending = this.#spool
      .append(chunk)
      .then(({ header, copied }) => {
        this.counters.chunks++
        this.counters.flowRecords += rowsOf(header, 'flow_records')
        if (copied) releaseChunk(chunk)
      })
      .catch((error: unknown) => {
        this.#failure ??= error
      })
      .finally(() => this.#open.delete(sending))
    this.#open.add(sending)
  }

  /** Resolves when everything that was taken before is durable. */
  async flush(): Promise<void> {
    await Promise.all(this.#open)
    this.#throwFailure()
  }

  /** Announces what is in the spool for the last time. */
  async end(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
    await this.#announcing
    await this.#say()
    await this.announcer.end()
    this.#throwFailure()
  }

  /** Gives up: no more is announced. */
  stop(): void {
    clearInterval(this.#timer)
  }

  #announce(): void {
    const { prompt, others, skipped } = this.#since
    const few = prompt > 0 && prompt < FEW_PROMPT_CHUNKS && others === 0
    if (few && skipped < QUIET_TURNS - 1) {
      this.#since.skipped++
      return
    }
    this.#since = { prompt: 0, others: 0, skipped: 0 }
    this.#announcing = this.#announcing
      .then(() => this.#say())
      .catch((error: unknown) => {
        this.#failure ??= error
      })
  }

  async #say(): Promise<void> {
    const now = Date.now()
    const damages = this.#spool.damages.length
    if (damages > this.#damages)
      this.announcer.note('spool_damaged', damages - this.#damages, now * 1000, now * 1000)
    this.#damages = damages
    await this.announcer.announce(now)
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}
