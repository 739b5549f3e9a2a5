// The spool: a journal on the sensor's disk that every chunk goes through before it is sent. While the broker is gone
// it grows; while it is full, or the disk is, whoever reads inputs waits.

import path from 'node:path'
import { CHUNK_STREAM, laneKey, MESSAGE_BYTES_MAX, type Source, type Trouble } from '../bus/bus.ts'
import { NODE_DISK } from '../bus/disk.ts'
import { Journal, type JournalCounters } from '../bus/journal.ts'
import { chunkInLanes } from '../chunk.ts'
import { splitChunk } from '../chunk-split.ts'
import type { Log } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import { DeadShelf } from './dead-shelf.ts'
import type { Ledger } from './ledger.ts'
import { type ChunkFacts, factsOf } from './ledger-entry.ts'
import { openLedger } from './ledger-open.ts'

export interface SpoolSettings {
  directory: string
  /** Most bytes that the spool takes on disk. */
  maxBytes: number
  /** Lanes that chunks are dealt over. */
  lanes: number
}

/** Sent and not acknowledged by the stream: while a commit is under way, reading goes on. */
const IN_FLIGHT_BYTES = 128 << 20
/** Durable and not yet taken to be sent, in memory: what a sensor that keeps up would read back from the disk. */
const KEPT_BYTES = 32 << 20
/** A full spool is told of so often. */
const TELL_FULL_MILLIS = 60_000

export class Spool {
  readonly dead: DeadShelf
  readonly ledger: Ledger
  /** Places where chunks in the spool were damaged and are lost. */
  readonly damages: readonly Trouble[]
  readonly #journal: Journal
  readonly #settings: SpoolSettings
  /** Chunks are counted in the order in which they were appended. */
  #counting: Promise<unknown> = Promise.resolve()

  /**
   * Opens the spool of a directory, which is made if it is not there.
   * @throws BusError `in_use` if another process has it · BusFault if the disk fails
   */
  static async open(settings: SpoolSettings, log: Log): Promise<Spool> {
    const damages: Trouble[] = []
    let toldFull = Number.NEGATIVE_INFINITY
    let untold = false
    const tell = (trouble: Trouble) => {
      if (trouble.kind === 'damage' || trouble.kind === 'hole') damages.push(trouble)
      // A full spool that is emptied slowly is full again and again.
      if (trouble.kind === 'full') {
        untold = performance.now() - toldFull < TELL_FULL_MILLIS
        if (untold) return
        toldFull = performance.now()
      }
      if (trouble.kind === 'recovered' && untold) return
      tellTrouble(log, 'spool', trouble)
    }
    const { directory, maxBytes } = settings
    const journal = await Journal.open(
      {
        directory,
        stream: CHUNK_STREAM,
        maxBytes,
        segmentBytes: Math.min(64 << 20, Math.floor(maxBytes / 8)),
        inFlightBytes: IN_FLIGHT_BYTES,
        keptBytes: KEPT_BYTES,
      },
      tell,
    )
    try {
      const ledger = await openLedger(NODE_DISK, directory, journal, log)
      return new Spool(settings, journal, ledger, damages, log)
    } catch (error) {
      await journal.close()
      throw error
    }
  }

  private constructor(
    settings: SpoolSettings,
    journal: Journal,
    ledger: Ledger,
    damages: readonly Trouble[],
    log: Log,
  ) {
    this.#settings = settings
    this.#journal = journal
    this.ledger = ledger
    this.damages = damages
    this.dead = new DeadShelf(path.join(settings.directory, 'dead'), log)
  }

  get counters(): JournalCounters {
    return this.#journal.counters
  }

  get maxBytes(): number {
    return this.#settings.maxBytes
  }

  /** What chunks wait for now, if they do: the stream to take some, or room on the disk. */
  get waitsFor(): 'room' | 'disk' | undefined {
    return this.#journal.waitsFor
  }

  /** The place after the last chunk. */
  get end(): bigint {
    return this.#journal.nextId
  }

  /**
   * Resolves when the chunk is durable and counted; the order of calls is kept. Takes the memory of a chunk whose header
   * has its lanes already, which is then on its way to the stream; others are copied.
   * @throws BusError `closed` · BusFault when the process must end
   */
  async append(chunk: Uint8Array): Promise<ChunkFacts & { copied: boolean }> {
    const facts = factsOf(chunk)
    const { lanes } = this.#settings
    const key = laneKey(facts.header, lanes)
    const copied = facts.header.lanes !== lanes
    const bytes = copied ? chunkInLanes(chunk, lanes) : chunk
    const appending = this.#appendWhole(key, bytes)
    const counted = this.#counting.then(async () => {
      this.ledger.accept(facts, (await appending) + 1n, Date.now())
    })
    this.#counting = counted.catch(() => {})
    await counted
    return { ...facts, copied }
  }

  async #appendWhole(key: string, bytes: Uint8Array): Promise<bigint> {
    if (bytes.length <= MESSAGE_BYTES_MAX) {
      const { offset } = await this.#journal.sink().send({ key, bytes })
      return offset
    }
    const halves = splitChunk(bytes)
    if (halves === undefined) {
      await this.dead.put(bytes, `more than the ${MESSAGE_BYTES_MAX} bytes of a message`)
      return -1n
    }
    const [, last] = await Promise.all(halves.map((half) => this.#appendWhole(key, half)))
    return last!
  }

  source(): Source {
    return this.#journal.source()
  }

  /** Writes the ledger, and lets go. Chunks that wait for room are not taken. */
  async close(): Promise<void> {
    await this.#journal.close()
    await this.#counting
    await this.ledger.close()
  }
}

/** A trouble of the bus as a line of the log. */
export function tellTrouble(log: Log, part: string, { kind, where, detail }: Trouble): void {
  const level = kind === 'damage' || kind === 'hole' ? 'error' : kind === 'notice' ? 'info' : 'warn'
  log(kind === 'recovered' ? 'info' : level, `${part}: ${kind}: ${printable(detail)}`, {
    where: printable(where),
  })
}
