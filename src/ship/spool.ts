// The spool: a journal on the sensor's disk that every chunk goes through before it is sent. While the broker is gone
// it grows; while it is full, or the disk is, whoever reads inputs waits.

import path from 'node:path'
import { CHUNK_STREAM, laneKey, MESSAGE_BYTES_MAX, type Source, type Trouble } from '../bus/bus.ts'
import { Journal, type JournalCounters } from '../bus/journal.ts'
import { decodeChunk } from '../chunk.ts'
import { splitChunk } from '../chunk-split.ts'
import type { Log } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import { DeadShelf } from './dead-shelf.ts'

export interface SpoolSettings {
  directory: string
  /** Most bytes that the spool takes on disk. */
  maxBytes: number
  /** Chunk n of an origin travels in lane n mod lanes. */
  lanes: number
}

/** Sent and not acknowledged by the stream: while a commit is under way, reading goes on. */
const IN_FLIGHT_BYTES = 128 << 20

export class Spool {
  readonly dead: DeadShelf
  /** Places where chunks in the spool were damaged and are lost. */
  damages: readonly Trouble[] = []
  readonly #journal: Journal
  readonly #settings: SpoolSettings
  #waiting = 0

  /**
   * Opens the spool of a directory, which is made if it is not there.
   * @throws BusError `in_use` if another process has it · BusFault if the disk fails
   */
  static async open(settings: SpoolSettings, log: Log): Promise<Spool> {
    const damages: Trouble[] = []
    const tell = (trouble: Trouble) => {
      if (trouble.kind === 'damage' || trouble.kind === 'hole') damages.push(trouble)
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
      },
      tell,
    )
    return new Spool(settings, journal, damages, log)
  }

  private constructor(
    settings: SpoolSettings,
    journal: Journal,
    damages: readonly Trouble[],
    log: Log,
  ) {
    this.#settings = settings
    this.#journal = journal
    this.damages = damages
    this.dead = new DeadShelf(path.join(settings.directory, 'dead'), log)
  }

  get counters(): JournalCounters {
    return this.#journal.counters
  }

  get maxBytes(): number {
    return this.#settings.maxBytes
  }

  /** Chunks that wait for room. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Resolves with the place after the chunk when it is durable; the order of calls is kept.
   * @throws BusError `closed` · BusFault when the process must end
   */
  async append(chunk: Uint8Array): Promise<bigint> {
    const { sensor, seq } = decodeChunk(chunk).header
    const key = laneKey(sensor, seq, this.#settings.lanes)
    this.#waiting++
    try {
      return (await this.#appendWhole(key, chunk)) + 1n
    } finally {
      this.#waiting--
    }
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

  async close(): Promise<void> {
    await this.#journal.close()
  }
}

/** A trouble of the bus as a line of the log. */
export function tellTrouble(log: Log, part: string, { kind, where, detail }: Trouble): void {
  const level = kind === 'damage' || kind === 'hole' ? 'error' : kind === 'notice' ? 'info' : 'warn'
  log(kind === 'recovered' ? 'info' : level, `${part}: ${kind}: ${printable(detail)}`, {
    where: printable(where),
  })
}
