// A slice into the store, once: whatever died before, whoever repeats it, however it was cut last time.
//
//   look up what is known  ->  intents  ->  records, coverage, rejects, judgements, findings  ->  complete
//
// The tables between intents and complete are written side by side; the engine orders what it has to.
// Two nets hold. An INSERT is one block into one partition, so its rows are all there or none, and its token
// makes a repetition do nothing. And where an intent without a `complete` is found, what is stored is counted
// first, so that also another cut of the same chunks, or a token that was long forgotten, doubles nothing.

import { type ChunkHeader, PART_NAMES, type PartName } from '../chunk-header.ts'
import { failpoint } from '../failpoint.ts'
import { sha256Hex } from '../hash.ts'
import { clickhouseType } from '../native-read.ts'
import { blockDays } from './block-days.ts'
import {
  CHUNKS_COLUMNS,
  type ChunkMark,
  type ChunkState,
  type ChunkStateRow,
  chunkState,
  encodeMarks,
} from './chunk-state.ts'
import type { Engine } from './engine.ts'
import { type Begun, insertTable, type Piece, ROWS_VERSION } from './slice-tables.ts'
import { readSql } from './sql-files.ts'
import { StoreError, StoreInconsistentError } from './store-error.ts'

/** A run of chunks that are written together. */
export interface Slice {
  /** A pure name, for people: origin and sequence numbers. */
  key: string
  chunks: readonly SliceChunk[]
  /**
   * Passed before each INSERT: throws if the slice is somebody else's by now, who repeats it. Then nothing more is
   * written of it.
   */
  fence?: () => Promise<void>
}

export interface SliceChunk {
  header: ChunkHeader
  /** Native bytes of each part, as they came in the chunk. */
  parts: ReadonlyMap<PartName, Uint8Array>
  /** Native bytes, or none at all. */
  judgements: Uint8Array
  findings: Uint8Array
  ruling: number
  /** Names what the judgement rests on. */
  judgedKey: string
}

/** Bound of a slice: its rows must stay below the block of sql/insert/block.sql (4,194,304). */
export const SLICE_CHUNKS_MAX = 64
/** UUIDs in one parameter: over HTTP it stands in the URL. */
const IDS_PER_QUERY = 500

/** What is to be written of one chunk. */
interface Work {
  chunk: SliceChunk
  /** Undefined: the records are complete. */
  records: Begun | undefined
  judged: Begun | undefined
}

/** What `chunks` knows of these chunks. */
export async function chunkStates(
  engine: Engine,
  ids: readonly string[],
): Promise<Map<string, ChunkState>> {
  const states = new Map<string, ChunkState>()
  for (const some of batches(ids)) {
    const rows = await engine.select(readSql('queries/chunk_states'), { ids: some }, 'lookup')
    for (const row of rows as ChunkStateRow[]) states.set(row.chunk_id, chunkState(row))
  }
  return states
}

function* batches<T>(items: readonly T[]): Generator<T[]> {
  for (let at = 0; at < items.length; at += IDS_PER_QUERY) yield items.slice(at, at + IDS_PER_QUERY)
}

/**
 * Writes what is not there yet of each chunk.
 * @throws StoreInconsistentError if what is stored contradicts the slice; BlockError if bytes are no blocks
 */
export async function insertSlice(engine: Engine, slice: Slice): Promise<void> {
  if (slice.chunks.length > SLICE_CHUNKS_MAX)
    throw new RangeError(`a slice of ${slice.chunks.length} chunks is too large`)
  const chunks = [...new Map(slice.chunks.map((chunk) => [chunk.header.id, chunk])).values()]
  const states = await chunkStates(
    engine,
    chunks.map((chunk) => chunk.header.id),
  )
  const floor = await floorOf(engine, states)
  const works: Work[] = []
  const marks: ChunkMark[] = []
  const intents: ChunkMark[] = []
  for (const chunk of chunks) {
    const state = states.get(chunk.header.id)
    const restore = state?.restore === undefined ? undefined : { generation: state.restore, floor }
    const again = restore === undefined ? undefined : { begun: true, restore }
    if (state?.held?.judgedKey === chunk.judgedKey) {
      // It is marked already. What a later ruling has begun to replace is left as it is.
      const judged = state.held.ruling === chunk.ruling ? again : undefined
      if (again !== undefined) works.push({ chunk, records: again, judged })
      continue
    }
    const begun = checkRuling(chunk, state)
    const mark: ChunkMark = {
      header: chunk.header,
      ruling: chunk.ruling,
      judgedKey: chunk.judgedKey,
      judgements: blockDays(chunk.judgements).rows,
      findings: blockDays(chunk.findings).rows,
    }
    marks.push(mark)
    works.push({
      chunk,
      records:
        state?.complete === true ? again : { begun: state !== undefined, restore: undefined },
      judged: { begun, restore: undefined },
    })
    if (!begun) intents.push(mark)
  }
  if (works.length === 0) return
  const { fence } = slice
  await fence?.()
  await insertMarks(engine, intents, 'intent', slice.key)
  await allEnded([
    ...PART_NAMES.map((table) => insertTable(engine, table, recordPieces(works, table), fence)),
    ...(['judgements', 'findings'] as const).map((table) =>
      insertTable(engine, table, judgedPieces(works, table), fence),
    ),
  ])
  await failpoint('F6_mid_insert')
  await fence?.()
  await insertMarks(engine, marks, 'complete', slice.key)
}

/** First day that retention keeps, since 1970; asked for only where rows may come back. */
async function floorOf(engine: Engine, states: ReadonlyMap<string, ChunkState>): Promise<number> {
  if (![...states.values()].some(({ restore }) => restore !== undefined)) return 0
  const [row] = await engine.select(readSql('queries/audit_clock'), {})
  return Date.parse((row as { floor: string }).floor) / 86_400_000
}

/**
 * Waits for all, also after one has failed: nothing of a slice is under way when its writer hears of the failure.
 * @throws the failure that will not pass by itself, if there is one, else the first
 */
async function allEnded(works: readonly Promise<void>[]): Promise<void> {
  const failures: unknown[] = []
  for (const result of await Promise.allSettled(works))
    if (result.status === 'rejected') failures.push(result.reason)
  if (failures.length === 0) return
  throw failures.find((error) => !(error instanceof StoreError && error.retriable)) ?? failures[0]
}

/** True if this very ruling was begun before. @throws if the chunk was judged under another number than is next. */
function checkRuling(chunk: SliceChunk, state: ChunkState | undefined): boolean {
  const same = state !== undefined && state.judgedKey === chunk.judgedKey
  const next = state === undefined ? 0 : same ? state.ruling : state.ruling + 1
  if (chunk.ruling !== next)
    throw new StoreInconsistentError(
      `chunk ${chunk.header.id} was judged as ruling ${chunk.ruling}, but the next one is ${next}: another process judges the same input, run again when it has ended`,
    )
  return same
}

function recordPieces(works: readonly Work[], table: PartName): Piece[] {
  const pieces: Piece[] = []
  for (const { chunk, records } of works) {
    const native = chunk.parts.get(table)
    if (native === undefined || records === undefined) continue
    // Nothing of the judgement: records are the same whoever judges them.
    pieces.push({
      id: chunk.header.id,
      native,
      ruling: undefined,
      judgedKey: '',
      ...records,
    })
  }
  return pieces
}

function judgedPieces(works: readonly Work[], table: 'judgements' | 'findings'): Piece[] {
  return works.flatMap(({ chunk, judged }) =>
    judged === undefined
      ? []
      : [
          {
            id: chunk.header.id,
            native: chunk[table],
            ruling: chunk.ruling,
            judgedKey: chunk.judgedKey,
            ...judged,
          },
        ],
  )
}

async function insertMarks(
  engine: Engine,
  marks: readonly ChunkMark[],
  state: 'intent' | 'complete',
  slice: string,
): Promise<void> {
  if (marks.length === 0) return
  const native = encodeMarks(marks, state, slice)
  await insertBlock(engine, 'chunks', CHUNKS_COLUMNS, native)
}

/** A block of the store's own into a table without partitions. */
export async function insertBlock(
  engine: Engine,
  table: 'chunks' | 'run_chunks',
  columns: Readonly<Record<string, Parameters<typeof clickhouseType>[0]>>,
  native: Uint8Array,
): Promise<void> {
  await engine.insert(
    [native],
    [
      {
        table,
        columns: Object.entries(columns).map(([name, type]) => [name, clickhouseType(type)]),
        day: undefined,
        onlyDay: undefined,
        onlyChunks: undefined,
        token: `v${ROWS_VERSION}.${table}.${sha256Hex(native)}`,
      },
    ],
  )
}
