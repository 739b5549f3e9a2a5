// The embedded home of the bus: a durable journal in a directory, for one process that both writes and consumes it.
// Appends are fsynced in groups before they are acknowledged; only what is durable is delivered; a segment is removed
// only after the checkpoint that says it is done with is durable. `journal-record.ts` has the format.

import path from 'node:path'
import {
  BusError,
  BusFault,
  type Claim,
  ClaimLost,
  type Delivery,
  type Lag,
  newSourceCounters,
  type Outgoing,
  type Place,
  type Sink,
  type Source,
  type SourceCounters,
  type TellTrouble,
} from './bus.ts'
import { ClaimFeed, Flight, QueuedClaim } from './claim.ts'
import { type Disk, isNoSpace, NODE_DISK } from './disk.ts'
import { parseIntent } from './intent-text.ts'
import { type Checkpoint, writeCheckpoint } from './journal-checkpoint.ts'
import { findJournal } from './journal-open.ts'
import { JournalReader } from './journal-reader.ts'
import { JournalWriter, type WriterCounters } from './journal-writer.ts'
import { KeptRecords } from './kept-records.ts'
import { lockDirectory, type OwnerLock } from './owner-lock.ts'

export interface JournalSettings {
  directory: string
  /** Name of the stream in coordinates. */
  stream: string
  /** A segment is closed before it would grow beyond this. */
  segmentBytes: number
  /** Most bytes on disk; appends wait while there is no room. At least four segments. */
  maxBytes: number
  /** Most bytes that are delivered and not committed. */
  inFlightBytes: number
  /** Milliseconds between tries while the disk is full. */
  fullRetryMillis: number
  /**
   * Most bytes of what was appended that are kept until the consumer has them, so that it need not read them from the
   * disk. Whoever appends then leaves the memory to the consumer.
   */
  keptBytes: number
}

export const JOURNAL_DEFAULTS = {
  segmentBytes: 64 << 20,
  maxBytes: 4 * 2 ** 30,
  inFlightBytes: 64 << 20,
  fullRetryMillis: 250,
  keptBytes: 0,
} as const

export interface JournalCounters extends WriterCounters {
  /** On disk now. */
  bytes: number
  segments: number
  /** Cut off the end when it was opened. */
  tornBytes: number
}

export class Journal {
  readonly #settings: JournalSettings
  readonly #disk: Disk
  readonly #tell: TellTrouble
  readonly #lock: OwnerLock
  readonly #writer: JournalWriter
  readonly #tornBytes: number
  readonly #kept: KeptRecords
  #checkpoint: Checkpoint
  #source: JournalSource | undefined
  #closed = false
  #discarding: Promise<void> | undefined

  /**
   * Opens the journal of a directory, which is made if it is not there.
   * @param tell is told of damage and of waits
   * @throws BusError `in_use` if another process has it · BusFault if the disk fails
   */
  static async open(
    given: Partial<JournalSettings> & { directory: string; stream: string },
    tell: TellTrouble,
    disk: Disk = NODE_DISK,
  ): Promise<Journal> {
    const settings: JournalSettings = { ...JOURNAL_DEFAULTS, ...given }
    if (settings.maxBytes < 4 * settings.segmentBytes)
      throw new RangeError('a journal holds at least four segments')
    const directory = path.resolve(settings.directory)
    await disk.makeDirectory(directory)
    let journal: Journal | undefined
    const lock = await lockDirectory(directory, () => journal?.fail('lost its lock'))
    try {
      journal = new Journal(settings, disk, tell, lock, await findJournal(disk, directory, tell))
      return journal
    } catch (error) {
      await lock.release()
      if (error instanceof BusError) throw error
      throw new BusFault(`journal ${directory}: cannot be opened: ${messageOf(error)}`, {
        cause: error,
      })
    }
  }

  private constructor(
    settings: JournalSettings,
    disk: Disk,
    tell: TellTrouble,
    lock: OwnerLock,
    found: Awaited<ReturnType<typeof findJournal>>,
  ) {
    this.#settings = settings
    this.#disk = disk
    this.#tell = tell
    this.#lock = lock
    this.#checkpoint = found.checkpoint
    this.#tornBytes = found.tornBytes
    this.#writer = new JournalWriter(disk, settings.directory, settings, tell, found)
    this.#kept = new KeptRecords(settings.stream, settings.keptBytes)
    this.#writer.onWritten = (id, acceptedAt, message) => this.#kept.keep(id, acceptedAt, message)
    this.#writer.onDurable = () => this.#source?.wake()
    this.#writer.onRemoved = () => this.#source?.wake()
    this.#writer.onFault = (fault) => this.#source?.fail(fault)
  }

  get counters(): JournalCounters {
    const { counters, bytes, segments } = this.#writer
    return { ...counters, bytes, segments: segments.length, tornBytes: this.#tornBytes }
  }

  /** What appends wait for now, if they do: the consumer to make room, or room on the disk. */
  get waitsFor(): 'room' | 'disk' | undefined {
    return this.#writer.waitsFor
  }

  /** Everything before this id is done with, by the last durable checkpoint. */
  get committed(): bigint {
    return this.#checkpoint.next
  }

  /** The id of the next record: no record that is there has this one or a higher one. */
  get nextId(): bigint {
    return this.#writer.nextId
  }

  /**
   * Reads what is durable now, from this id on as far as it is still there. Changes nothing: whoever consumes the
   * journal gets it all the same. Damage is passed over, and told to the consumer when it comes there.
   * @param damage for one who has no consumer: is told of damage here, and `holeOffsets` counts the records it took
   */
  async *recordsFrom(
    id: bigint,
    damage?: { tell: TellTrouble; counters: SourceCounters },
  ): AsyncGenerator<Delivery, void, void> {
    const { tell, counters } = damage ?? { tell: () => {}, counters: newSourceCounters() }
    const reader = new JournalReader(this.#settings, this.#disk, tell, this.#writer, counters)
    try {
      for (let next = id; ; ) {
        const record = await reader.next(next)
        if (record === undefined) return
        yield record
        next = record.offset + 1n
      }
    } finally {
      await reader.close()
    }
  }

  /**
   * Everything before this id is done with. For one who reads by `recordsFrom` and has no source: what it still needs,
   * it has appended again.
   * @throws BusFault when the disk fails
   */
  async discardBefore(id: bigint): Promise<void> {
    if (this.#closed) throw new BusError('closed', 'the journal is closed')
    const discarding = this.#store({ next: id, intent: '' })
    this.#discarding = discarding.catch(() => {})
    await discarding
  }

  /** What went wrong for good, if anything. The process must end with code 70. */
  get fault(): BusFault | undefined {
    return this.#writer.fault
  }

  /** The sending end. Closing it does not close the journal. */
  sink(): Sink {
    const { stream } = this.#settings
    return {
      send: async (message: Outgoing, signal?: AbortSignal): Promise<Place> => ({
        stream,
        partition: 0,
        offset: await this.#writer.append(message, signal),
      }),
      close: async () => {},
    }
  }

  /** The consuming end. There is one: it takes the claim from the one before. */
  source(): Source {
    this.#source?.close()
    const intent = parseIntent(this.#checkpoint.intent)
    const counters = newSourceCounters()
    if (intent === undefined && this.#checkpoint.intent !== '') counters.intentsUnread++
    const flight = new Flight(this.#settings.inFlightBytes, counters)
    const claim = new QueuedClaim({
      stream: this.#settings.stream,
      partition: 0,
      committed: this.#checkpoint.next,
      intent,
      flight,
      store: async (next, text) => {
        if (this.#source?.claim !== claim || this.#closed)
          throw new ClaimLost(`${this.#settings.stream} has another holder`)
        await this.#store({ next, intent: text })
      },
    })
    const reader = new JournalReader(this.#settings, this.#disk, this.#tell, this.#writer, counters)
    this.#source = new JournalSource(
      claim,
      reader,
      this.#kept,
      flight,
      counters,
      () => this.#writer.end,
      (error) => this.fail('cannot read', error),
    )
    return this.#source
  }

  async #store(checkpoint: Checkpoint): Promise<void> {
    if (this.fault !== undefined) throw this.fault
    for (;;) {
      try {
        await writeCheckpoint(this.#disk, this.#settings.directory, checkpoint)
        break
      } catch (error) {
        if (!isNoSpace(error) || this.#closed) throw this.#writer.fail('checkpoint', error)
        await new Promise((resolve) => setTimeout(resolve, this.#settings.fullRetryMillis))
      }
    }
    this.#checkpoint = checkpoint
    try {
      await this.#writer.removeBefore(checkpoint.next)
    } catch (error) {
      throw this.#writer.fail('cannot remove a segment', error)
    }
  }

  /** Stops all use of it: the process must end. */
  fail(what: string, cause: unknown = what): void {
    this.#writer.fail(what, cause)
  }

  /** Finishes what is being written, ends the claim, lets go of the directory. */
  async close(): Promise<void> {
    if (this.#closed) return
    await this.#source?.close()
    this.#closed = true
    await this.#discarding
    await this.#writer.close()
    await this.#lock.release()
  }
}

class JournalSource implements Source {
  readonly counters: SourceCounters
  readonly claim: QueuedClaim
  readonly #feed = new ClaimFeed()
  readonly #reader: JournalReader
  readonly #kept: KeptRecords
  readonly #end: () => bigint
  readonly #running: Promise<void>
  #wake: (() => void) | undefined
  #awake = false

  constructor(
    claim: QueuedClaim,
    reader: JournalReader,
    kept: KeptRecords,
    flight: Flight,
    counters: SourceCounters,
    end: () => bigint,
    failed: (error: unknown) => void,
  ) {
    this.claim = claim
    this.counters = counters
    this.#end = end
    this.#reader = reader
    this.#kept = kept
    flight.onRoom = () => this.wake()
    this.#feed.add(claim)
    this.#running = this.#run().catch(failed)
  }

  claims(): AsyncIterable<Claim> {
    return this.#feed
  }

  lag(): Lag[] {
    const { stream, partition, committed, lost } = this.claim
    return lost.aborted ? [] : [{ stream, partition, committed, end: this.#end() }]
  }

  /** There may be more to read, or room for it. */
  wake(): void {
    this.#awake = true
    this.#wake?.()
  }

  fail(fault: BusFault): void {
    this.claim.end()
    this.#feed.close(fault)
    this.wake()
  }

  async close(): Promise<void> {
    this.claim.end()
    this.#feed.close()
    this.wake()
    await this.claim.settled()
    await this.#running
  }

  async #run(): Promise<void> {
    try {
      while (!this.claim.lost.aborted) {
        this.#awake = false
        if (!this.claim.hasRoom) {
          this.counters.pauses++
          await this.#sleep()
          continue
        }
        const record = await this.#next(this.claim.position)
        if (this.claim.lost.aborted) break
        if (record === undefined) await this.#sleep()
        else this.claim.push(record)
      }
    } finally {
      await this.#reader.close()
    }
  }

  /** From memory if it is there, else from the disk. */
  async #next(id: bigint): Promise<Delivery | undefined> {
    const kept = this.#kept.take(id)
    // What comes next will be in memory, most likely: no file is held, or searched, for it.
    const over = this.#kept.enabled && id >= this.#end()
    if (kept === undefined && !over) return await this.#reader.next(id)
    await this.#reader.leave()
    return kept
  }

  /** Until woken; at once if that happened since the last look. */
  async #sleep(): Promise<void> {
    if (!this.#awake)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    this.#wake = undefined
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
