// Dead letters of one process: a journal of bounded size. The store knows of each letter for ever; their bytes are kept
// as long as there is room, and the oldest go first.

import type { TellTrouble } from '../bus/bus.ts'
import { DEAD_STREAM, type Outgoing, type Place, type Sink } from '../bus/bus.ts'
import { Journal } from '../bus/journal.ts'
import {
  counter,
  gauge,
  type Log,
  type Observed,
  type Readiness,
  type Sample,
} from '../telemetry.ts'

/** What they may take on disk: a hundred of the largest. */
export const DEAD_BYTES_MAX = 1 << 30
/** So many pieces the journal is divided into; one is let go at a time. */
const SEGMENTS = 16

export class DeadJournal implements Sink, Observed {
  readonly #journal: Journal
  readonly #maxBytes: number
  readonly #log: Log
  /** The first letter that is still there, as far as it is known. */
  #first: bigint
  #sent = 0
  #forgotten = 0
  /** Letters go one after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  /**
   * @param maxBytes at least eight of the largest letters
   * @throws BusError `in_use` if another process has it · BusFault if the disk fails
   */
  static async open(
    directory: string,
    parts: { log: Log; tell: TellTrouble; maxBytes?: number },
  ): Promise<DeadJournal> {
    const { log, tell, maxBytes = DEAD_BYTES_MAX } = parts
    const segmentBytes = Math.floor(maxBytes / SEGMENTS)
    const journal = await Journal.open(
      { directory, stream: DEAD_STREAM, maxBytes, segmentBytes },
      tell,
    )
    const first = await firstOf(journal)
    return new DeadJournal(journal, first, maxBytes, log)
  }

  private constructor(journal: Journal, first: bigint, maxBytes: number, log: Log) {
    this.#journal = journal
    this.#first = first
    this.#maxBytes = maxBytes
    this.#log = log
  }

  /** Makes room if there is none, and keeps the letter. @throws as Sink */
  send(message: Outgoing, signal?: AbortSignal): Promise<Place> {
    const sending = this.#turn.then(async () => {
      await this.#makeRoom(message.bytes.length)
      const place = await this.#journal.sink().send(message, signal)
      this.#sent++
      return place
    })
    this.#turn = sending.catch(() => {})
    return sending
  }

  async #makeRoom(bytes: number): Promise<void> {
    // A new segment may have to be begun, too.
    const wanted = bytes + Math.floor(this.#maxBytes / SEGMENTS) + 4096
    while (this.#journal.counters.bytes + wanted > this.#maxBytes) {
      const { nextId } = this.#journal
      if (this.#first >= nextId) return
      const share = (nextId - this.#first) / 8n
      const next = this.#first + (share > 0n ? share : 1n)
      await this.#journal.discardBefore(next)
      this.#forgotten += Number(next - this.#first)
      this.#first = next
      this.#log('warn', 'the oldest dead letters are forgotten: there is no room for more', {
        forgotten: this.#forgotten,
      })
    }
  }

  samples(): Sample[] {
    const { bytes } = this.#journal.counters
    const gone = 'Letters whose bytes are kept no more'
    return [
      gauge('dead_letter_bytes', 'Bytes of dead letters', bytes),
      counter('dead_letters_total', 'Letters kept', this.#sent),
      counter('dead_letters_forgotten_total', gone, this.#forgotten),
    ]
  }

  readiness(): Readiness {
    if (this.#journal.waitsFor === undefined) return { ready: true, reason: '' }
    return { ready: false, reason: 'no space left on the disk for dead letters: work waits' }
  }

  async close(): Promise<void> {
    await this.#turn
    await this.#journal.close()
  }
}

async function firstOf(journal: Journal): Promise<bigint> {
  for await (const { offset } of journal.recordsFrom(0n)) return offset
  return journal.nextId
}
