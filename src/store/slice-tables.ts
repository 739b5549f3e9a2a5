// The rows of a slice into one table: what is there already is counted where somebody began to write, and the rest goes
// in by one INSERT a partition, under a token made of what it inserts.

import { failpoint } from '../failpoint.ts'
import { TABLES, type TableName } from '../flow.ts'
import { sha256Hex } from '../hash.ts'
import { addChunkColumns } from '../native.ts'
import { clickhouseType } from '../native-read.ts'
import { type BlockDays, blockDays } from './block-days.ts'
import type { BlockInsert, Engine } from './engine.ts'
import { readSql } from './sql-files.ts'
import { StoreInconsistentError } from './store-error.ts'
import { parseUuid, uuidList } from './uuid.ts'

/** Days that the rows of one chunk may be of; more and all of them go into the partition of day 0. */
export const CHUNK_DAYS_MAX = 31
/** Part of every token: another meaning of rows is another number. */
export const ROWS_VERSION = 1

export interface Begun {
  /** Somebody began to write these rows: what is there is counted first. */
  begun: boolean
  /** They were written, and what lacks of them now is written again. */
  restore: Restoration | undefined
}

/** Rows of chunks that are complete were deleted, and somebody wants them back (sql/schema/013_restorations.sql). */
export interface Restoration {
  /** Goes up with each time that it is wanted. */
  generation: number
  /** First day that retention keeps, since 1970. */
  floor: number
}

/** Rows of one chunk for one table. */
export interface Piece extends Begun {
  id: string
  native: Uint8Array
  ruling: number | undefined
  judgedKey: string
}

/** Rows of some chunks that go into the same partition by one INSERT. */
interface Target {
  day: number
  /** Rows of all days: the chunk has too many of them. */
  scattered: boolean
  pieces: Piece[]
  /** False if a chunk has rows of other days, too. */
  whole: boolean
  /** Only rows of the one piece that are not there. */
  missing: boolean
}

/**
 * Inserts what is not there of one table, by partition.
 * @throws StoreInconsistentError if a part of a chunk is there that nobody wants back
 */
export async function insertTable(
  engine: Engine,
  table: TableName,
  all: readonly Piece[],
  fence: (() => Promise<void>) | undefined,
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
      const { restore } = piece
      if (there !== 0 && restore === undefined) throw partlyStored(table, piece, there, rows)
      // Let go of on purpose.
      if (restore !== undefined && hasDay && !scattered && day < restore.floor) continue
      // Rows that come back have a token of their own, each time that they are wanted: the engine remembers the first.
      const again = restore === undefined ? '' : `.${restore.generation}.${there}.${piece.id}`
      const name = `${day}${scattered ? 'x' : ''}${again}`
      const target = targets.get(name) ?? {
        ...{ day, scattered, pieces: [], whole: true, missing: restore !== undefined },
      }
      if (restore !== undefined) unsummed.add(piece.id)
      target.pieces.push(piece)
      target.whole &&= byDay.size === 1
      targets.set(name, target)
    }
  }
  if (targets.size > 0) await insertTargets(engine, table, targets, fence)
  await sumAgain(engine, table, [...unsummed])
}

async function insertTargets(
  engine: Engine,
  table: TableName,
  targets: ReadonlyMap<string, Target>,
  fence: (() => Promise<void>) | undefined,
): Promise<void> {
  const hasDay = 'ts' in TABLES[table]
  const pieces = [...new Set([...targets.values()].flatMap((target) => target.pieces))]
  const inserts = [...targets].map(([name, target]): BlockInsert => {
    const { day, scattered, whole, missing } = target
    const [{ id, ruling }] = target.pieces as [Piece]
    return {
      table,
      columns: tableColumns(table),
      day: hasDay ? day : undefined,
      onlyDay: scattered || whole ? undefined : day,
      onlyChunks:
        target.pieces.length === pieces.length ? undefined : target.pieces.map((piece) => piece.id),
      ...(missing ? { notThere: { chunk: id, ruling } } : {}),
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
  const list = uuidList(ids)
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
