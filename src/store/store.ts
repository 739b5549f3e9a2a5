// The store: ClickHouse, embedded or server, behind one door. Rows go in as slices, once; everything that comes
// out is a query of sql/queries by its name. It lives on the main thread.

import { Block } from '../block.ts'
import type { Columns } from '../flow.ts'
import { encodeBlock } from '../native.ts'
import type { ChunkState } from './chunk-state.ts'
import type { Engine } from './engine.ts'
import { checkSchema, migrate } from './migrate.ts'
import { type DeadLetterNote, noteDeadLetters, noteStream, type StreamNote } from './notes.ts'
import { openEngine } from './open-engine.ts'
import type { QueryName, StoreQueries } from './queries.ts'
import { chunkStates, insertBlock, insertSlice, type Slice } from './slice.ts'
import { readSql } from './sql-files.ts'
import type { StoreTarget } from './store-target.ts'
import { Turns } from './turns.ts'
import { parseUuid, uuidList } from './uuid.ts'

export type { ChunkState } from './chunk-state.ts'
export type { DeadLetterNote, StreamNote } from './notes.ts'
export type { Slice, SliceChunk } from './slice.ts'

export interface StoreOptions {
  /** What the embedded engine may take, in bytes; its process takes about 300 MB more. A server has its own limit. */
  memoryBytes?: number
  /**
   * `apply` (unless told otherwise) brings the schema up to date; `check` changes nothing and refuses a store whose
   * schema is another: for programs whose user may not change it, and for many that start at the same time.
   */
  schema?: 'apply' | 'check'
}

export interface Store {
  /** As it may be shown: without a password. */
  readonly address: string
  readonly temporary: boolean
  /** How far chunks came. Those that were never begun are left out. */
  completed(chunkIds: readonly string[]): Promise<Map<string, ChunkState>>
  /**
   * Writes what is not there yet of the slice's chunks: records once ever, judgements once for each ruling. What
   * was written is durable when this returns. May be called again before it has returned: on a server a few slices
   * are written side by side, never two that have a chunk in common; embedded they wait for each other.
   */
  insertSlice(slice: Slice): Promise<void>
  /** Notes messages that could not be worked on, each once, whoever notes them again. */
  noteDeadLetters(letters: readonly DeadLetterNote[]): Promise<void>
  /** Notes losses that were seen in a stream, each once. */
  noteStream(notes: readonly StreamNote[]): Promise<void>
  /** Chunks of which rows were deleted: when they come again, what lacks of them is written again. */
  wantBack(chunkIds: readonly string[]): Promise<void>
  /**
   * Remembers that a run (a UUID, used once) read these chunks, all of which are stored by now; the report
   * queries look at the chunks of a run.
   */
  noteRun(run: string, chunkIds: readonly string[]): Promise<void>
  /** Runs sql/queries/<name>.sql. It can only read; those called `api_…` are refused if they take long. */
  query<N extends QueryName>(
    name: N,
    params: StoreQueries[N]['params'],
  ): Promise<StoreQueries[N]['row'][]>
  /** Finishes what was begun, then lets go. A temporary store is removed. */
  close(): Promise<void>
}

/**
 * Opens a store, and brings its schema up to date unless it is only to be checked.
 * @throws StoreLockedError, StoreUnreachableError, StoreAccessError, StoreSchemaError, StoreError
 */
export async function openStore(target: StoreTarget, options: StoreOptions = {}): Promise<Store> {
  const engine = await openEngine(target, options.memoryBytes)
  try {
    if (options.schema === 'check') await checkSchema(engine)
    else await migrate(engine)
  } catch (error) {
    await engine.close()
    throw error
  }
  return new EngineStore(engine, target.kind === 'temporary')
}

/** Queries that whoever stores waits for. */
const LOOKUPS: ReadonlySet<QueryName> = new Set(['origin_watermarks'])

const RUN_CHUNKS_COLUMNS = {
  run: 'uuid',
  chunk_id: 'uuid',
  ruling: 'u16',
} as const satisfies Columns

/** The store over an engine that is open and migrated; `openStore` makes it. */
export class EngineStore implements Store {
  readonly address: string
  readonly temporary: boolean
  readonly #engine: Engine
  readonly #turns: Turns
  readonly #inserting = new Set<Promise<unknown>>()

  constructor(engine: Engine, temporary: boolean) {
    this.#engine = engine
    this.#turns = new Turns(engine.writers)
    this.address = engine.address
    this.temporary = temporary
  }

  completed(chunkIds: readonly string[]): Promise<Map<string, ChunkState>> {
    return chunkStates(this.#engine, chunkIds)
  }

  async insertSlice(slice: Slice): Promise<void> {
    const ids = slice.chunks.map((chunk) => chunk.header.id)
    const run = this.#turns.run(ids, () => insertSlice(this.#engine, slice))
    this.#inserting.add(run)
    try {
      await run
    } finally {
      this.#inserting.delete(run)
    }
  }

  noteDeadLetters(letters: readonly DeadLetterNote[]): Promise<void> {
    return noteDeadLetters(this.#engine, letters)
  }

  noteStream(notes: readonly StreamNote[]): Promise<void> {
    return noteStream(this.#engine, notes)
  }

  async wantBack(chunkIds: readonly string[]): Promise<void> {
    if (chunkIds.length === 0) return
    const ids = uuidList(chunkIds)
    await this.#engine.command(readSql('insert/restorations').replaceAll('<ids>', ids))
  }

  async noteRun(run: string, chunkIds: readonly string[]): Promise<void> {
    const runBytes = parseUuid(run)
    if (chunkIds.length === 0) return
    const states = await this.completed(chunkIds)
    const block = new Block(RUN_CHUNKS_COLUMNS, chunkIds.length)
    for (const id of chunkIds) {
      const row = block.add()
      block.columns.run.set(runBytes, row * 16)
      block.columns.chunk_id.set(parseUuid(id), row * 16)
      block.columns.ruling[row] = states.get(id)?.held?.ruling ?? 0
    }
    await insertBlock(this.#engine, 'run_chunks', RUN_CHUNKS_COLUMNS, encodeBlock(block))
    await this.#engine.command(readSql('insert/run_doubles').replaceAll('<run>', run))
  }

  async query<N extends QueryName>(
    name: N,
    params: StoreQueries[N]['params'],
  ): Promise<StoreQueries[N]['row'][]> {
    const kind = LOOKUPS.has(name) ? 'lookup' : name.startsWith('api_') ? 'page' : 'report'
    const rows = await this.#engine.select(readSql(`queries/${name}`), { ...params }, kind)
    return rows as StoreQueries[N]['row'][]
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#inserting)
    await this.#engine.close()
  }
}
