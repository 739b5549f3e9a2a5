// Dead letters of one process: read from its journal without taking it, and sent again into its spool while nobody has
// them open. What `DeadLetters` needs of a bus, from two directories.

import { decodeChunk } from '../chunk.ts'
import {
  BusError,
  CHUNK_STREAM,
  DEAD_STREAM,
  type Delivery,
  type Outgoing,
  type Sink,
} from './bus.ts'
import type { LetterStreams } from './dead-letters.ts'
import { Journal } from './journal.ts'
import { idsOf, isJournal, readJournal } from './journal-look.ts'
import type { PartitionRange } from './kafka-reader.ts'

export interface LetterDirectories {
  /** Where letters are kept. */
  dead: string
  /** Where chunks wait for the worker. */
  spool: string
}

/** Most of a spool that is written to once. */
const SPOOL_BYTES_MAX = 2 ** 50

export class JournalLetters implements LetterStreams {
  readonly #directories: LetterDirectories
  readonly #open: Journal[] = []

  /** @throws BusError `no_stream` if there is no such journal */
  static async open(directories: LetterDirectories): Promise<JournalLetters> {
    const { dead } = directories
    if (!(await isJournal(dead).catch(() => false)))
      throw new BusError(
        'no_stream',
        `there are no dead letters in ${dead}: name the data directory of a server by --data, or brokers by --kafka`,
      )
    return new JournalLetters(directories)
  }

  private constructor(directories: LetterDirectories) {
    this.#directories = directories
  }

  async ranges(): Promise<PartitionRange[]> {
    const ids = await idsOf(this.#directories.dead)
    return ids === undefined ? [] : [{ partition: 0, ...ids }]
  }

  async *read(_: number, from: bigint, to: bigint): AsyncGenerator<Delivery> {
    for await (const { id, acceptedAt, key, body } of readJournal(this.#directories.dead, from)) {
      if (id >= to) return
      yield { stream: DEAD_STREAM, partition: 0, offset: id, acceptedAt, key, bytes: body }
    }
  }

  /** @throws BusError `in_use` while a server has them */
  async sink(stream: string): Promise<Sink> {
    const directory = stream === CHUNK_STREAM ? this.#directories.spool : this.#directories.dead
    const journal = await Journal.open({ directory, stream, maxBytes: SPOOL_BYTES_MAX }, () => {})
    this.#open.push(journal)
    const sink = journal.sink()
    return stream === CHUNK_STREAM ? chunksOnly(sink) : sink
  }

  async close(): Promise<void> {
    for (const journal of this.#open.splice(0)) await journal.close()
  }
}

/** The ledger of a spool reads what stands in it. */
function chunksOnly(sink: Sink): Sink {
  return {
    send: async (message: Outgoing) => {
      try {
        decodeChunk(message.bytes)
      } catch (error) {
        throw new BusError(
          'refused',
          `it is no chunk, and no worker would take it: ${(error as Error).message}`,
        )
      }
      return await sink.send(message)
    },
    close: () => sink.close(),
  }
}
