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
import { TABLES, type TableName } from '../flow.ts'
import { formatUuid, sha256Hex } from '../hash.ts'
import { addChunkColumns } from '../native.ts'
import { clickhouseType } from '../native-read.ts'
import { type BlockDays, blockDays } from './block-days.ts'
import {
  CHUNKS_COLUMNS,
  type ChunkMark,
  type ChunkState,
  type ChunkStateRow,
  chunkState,
  encodeMarks,
} from './chunk-state.ts'
import type { BlockInsert, Engine } from './engine.ts'
import { readSql } from './sql-files.ts'
import { StoreError, StoreInconsistentError } from './store-error.ts'
import { parseUuid } from './uuid.ts'

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
/** Days that the rows of one chunk may be of; more and all of them go into the partition of day 0. */
export const CHUNK_DAYS_MAX = 31
/** Part of every token: another meaning of rows is another number. */
const ROWS_VERSION = 1
/** UUIDs in one parameter: over HTTP it stands in the URL. */
const IDS_PER_QUERY = 500

/** What is to be written of one chunk. */
interface Work {
  chunk: SliceChunk
  mark: ChunkMark
  /** Undefined: the records are complete. Else whether somebody began to write them. */
  records: { begun: boolean } | undefined
  judgementsBegun: boolean
}

/** Rows of one chunk for one table. */
interface Piece {
  id: string
  native: Uint8Array
  ruling: number | undefined
  judgedKey: string
  begun: boolean
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
  const works: Work[] = []
  const intents: ChunkMark[] = []
  for (const chunk of chunks) {
    const state = states.get(chunk.header.id)
    if (state?.held?.judgedKey === chunk.judgedKey) continue
    const begun = checkRuling(chunk, state)
    const mark: ChunkMark = {
      header: chunk.header,
      ruling: chunk.ruling,
      judgedKey: chunk.judgedKey,
      judgements: blockDays(chunk.judgements).rows,
      findings: blockDays(chunk.findings).rows,
    }
    works.push({
      chunk,
      mark,
      records: state?.complete === true ? undefined : { begun: state !== undefined },
      judgementsBegun: begun,
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
  await insertMarks(
    engine,
    works.map((work) => work.mark),
    'complete',
    slice.key,
  )
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
      begun: records.begun,
    })
  }
  return pieces
}

function judgedPieces(works: readonly Work[], table: 'judgements' | 'findings'): Piece[] {
  return works.map(({ chunk, judgementsBegun }) => ({
    id: chunk.header.id,
    native: chunk[table],
    ruling: chunk.ruling,
    judgedKey: chunk.judgedKey,
    begun: judgementsBegun,
  }))
}

/** Rows of some chunks that go into the same partition by one INSERT. */
interface Target {
  day: number
  /** Rows of all days: the chunk has too many of them. */
  scattered: boolean
  pieces: Piece[]
  /** False if a chunk has rows of other days, too. */
  whole: boolean
}

async function insertTable(
  engine: Engine,
  table: TableName,
  all: readonly Piece[],
  fence: Slice['fence'],
): Promise<void> {
  const hasDay = 'ts' in TABLES[table]
  const stored = await storedRows(engine, table, all)
  const targets = new Map<string, Target>()
  const unsummed = new Set<string>()
  for (const piece of all) {
    const days = blockDays(piece.native)
    if (days.rows === 0) continue
    const scattered = !hasDay || days.byDay.size > CHUNK_DAYS_MAX
    const byDay: BlockDays['byDay'] = scattered ? new Map([[0, days.rows]]) : days.byDay
    for (const [day, rows] of byDay) {
      const there = stored.get(storedKey(piece, day)) ?? 0
      if (there === rows) {
        unsummed.add(piece.id)
        continue
      }
      if (there !== 0) throw partlyStored(table, piece, there, rows)
      const name = `${day}${scattered ? 'x' : ''}`
      const target = targets.get(name) ?? { day, scattered, pieces: [], whole: true }
      target.pieces.push(piece)
      target.whole &&= byDay.size === 1
      targets.set(name, target)
    }
  }
  await sumAgain(engine, table, [...unsummed])
  if (targets.size === 0) return
  const pieces = [...new Set([...targets.values()].flatMap((target) => target.pieces))]
  const inserts = [...targets].map(([name, target]): BlockInsert => {
    const { day, scattered, whole } = target
    return {
      table,
      columns: tableColumns(table),
      day: hasDay ? day : undefined,
      onlyDay: scattered || whole ? undefined : day,
      onlyChunks:
        target.pieces.length === pieces.length ? undefined : target.pieces.map((piece) => piece.id),
      token: token(table, name, target.pieces),
    }
  })
  const blocks = pieces.flatMap((piece) => addChunkColumns(piece.native, parseUuid(piece.id)))
  // Those of one block go together where nobody has to be asked in between: the engine then reads its bytes once.
  for (const some of fence === undefined ? [inserts] : inserts.map((insert) => [insert])) {
    await failpoint('F6_mid_insert')
    await fence?.()
    await engine.insert(blocks, some)
  }
}

/**
 * Rows that somebody inserted who died then may not have reached the views that sum them up. Where they have, this
 * changes nothing.
 */
async function sumAgain(engine: Engine, table: TableName, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  const list = ids.map((id) => `'${formatUuid(parseUuid(id))}'`).join(', ')
  const fillings = [readSql('insert/sums_again')]
  if (table === 'judgements') fillings.push(readSql('insert/hours_again'))
  for (const filling of fillings)
    await engine.command(filling.replaceAll('<table>', table).replaceAll('<ids>', list))
}

/** Columns of a block of the table with the chunk's columns behind, as ClickHouse types. */
function tableColumns(table: TableName): [string, string][] {
  return [
    ...Object.entries(TABLES[table]).map(([name, type]): [string, string] => [
      name,
      clickhouseType(type),
    ]),
    ['chunk_id', 'UUID'],
    ['row', 'UInt32'],
  ]
}

/**
 * A function of what is inserted and where, and of nothing else: the same token with other rows would lose them.
 * The chunk's id is a hash of its records; judgements, which depend on more, are hashed here.
 */
function token(table: TableName, partition: string, pieces: readonly Piece[]): string {
  const content = pieces.map(({ id, ruling, judgedKey, native }) =>
    ruling === undefined ? id : [id, ruling, judgedKey, sha256Hex(native)].join('\n'),
  )
  return `v${ROWS_VERSION}.${table}.${partition}.${sha256Hex(content.join('\n\n'))}`
}

function storedKey(piece: Piece, day: number): string {
  return `${piece.id} ${piece.ruling ?? ''} ${day}`
}

interface StoredRow {
  chunk_id: string
  ruling?: number
  day: number
  stored: number
}

/** Rows that are there of pieces which somebody began to write. */
async function storedRows(
  engine: Engine,
  table: TableName,
  pieces: readonly Piece[],
): Promise<Map<string, number>> {
  const ids = pieces.filter((piece) => piece.begun).map((piece) => piece.id)
  const stored = new Map<string, number>()
  if (ids.length === 0) return stored
  const judged = table === 'judgements' || table === 'findings'
  const name = judged
    ? 'stored_rulings'
    : 'ts' in TABLES[table]
      ? 'stored_records'
      : 'stored_dayless'
  const rows = await engine.select(readSql(`queries/${name}`), { ids, table }, 'lookup')
  for (const row of rows as StoredRow[])
    stored.set(`${row.chunk_id} ${row.ruling ?? ''} ${row.day}`, row.stored)
  return stored
}

function partlyStored(
  table: TableName,
  piece: Piece,
  there: number,
  rows: number,
): StoreInconsistentError {
  return new StoreInconsistentError(
    `${there} rows of chunk ${piece.id} are in ${table} where ${rows} or none should be: something else wrote to this store; use a new one`,
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
