// What is known of losses: messages that could not be worked on (dead letters), and holes, damage and gaps that
// were seen in a stream. The auditor reads them. Each is noted once, however often it is told.

import { Block } from '../block.ts'
import type { Columns } from '../flow.ts'
import { sha256Hex } from '../hash.ts'
import { encodeBlock } from '../native.ts'
import { clickhouseType } from '../native-read.ts'
import type { Engine } from './engine.ts'
import { readSql } from './sql-files.ts'
import { parseUuid } from './uuid.ts'

/** A message that could not be worked on: what a row of `dead_letters` says of it. */
export interface DeadLetterNote {
  /** UUID: the same message dies only once. */
  id: string
  reason: string
  /** For people: printable. */
  detail: string
  stream: string
  partition: number
  offset: string
  key: string
  /** Milliseconds since 1970: when the stream took it, and when it was given up. */
  acceptedAt: number
  diedAt: number
  /** Version of the program that gave up. */
  version: string
  /** What is known of the chunk, if its header could be read. */
  chunk?: {
    id: string
    sensor: string
    origin: string
    seq: number
    piece: string
    flowRecords: number
    hours: readonly (readonly [hour: number, records: number])[]
  }
}

/**
 * Loss that was seen in a stream: `hole` offsets that are not there any more, `damage` records that cannot be read,
 * `gap` sequence numbers of a lane that never came.
 */
export interface StreamNote {
  stream: string
  partition: number
  kind: 'hole' | 'damage' | 'gap'
  /** For people: printable. Of a gap, the origin. */
  detail: string
  /** Offsets, or sequence numbers for a gap: the first and the last that are missing. */
  first: number
  last: number
  /** How many are missing, as far as it is known. */
  count: number
}

const DEAD_LETTER_COLUMNS = {
  id: 'uuid',
  reason: 'word',
  detail: 'text',
  stream: 'word',
  partition: 'u32',
  offset: 'count',
  key: 'text',
  accepted_at: 'time',
  died_at: 'time',
  version: 'word',
  chunk_id: 'uuid',
  sensor: 'word',
  origin: 'text',
  seq: 'u32',
  piece: 'word',
  flow_records: 'u32',
  /** As text; the engine makes an array of it. */
  hours: 'text',
} as const satisfies Columns

const STREAM_NOTE_COLUMNS = {
  stream: 'word',
  partition: 'u32',
  kind: 'word',
  detail: 'text',
  first: 'count',
  last: 'count',
  count: 'count',
  noted_at: 'time',
} as const satisfies Columns

/** Rows in one statement. */
const NOTES_PER_INSERT = 500

/** Notes letters that are not noted yet. */
export async function noteDeadLetters(
  engine: Engine,
  letters: readonly DeadLetterNote[],
): Promise<void> {
  const fresh = [...new Map(letters.map((letter) => [letter.id, letter])).values()]
  for (const some of batches(fresh)) {
    const ids = some.map((letter) => letter.id)
    const known = (await engine.select(readSql('queries/noted_letters'), { ids }, 'lookup')) as {
      id: string
    }[]
    const noted = new Set(known.map((row) => row.id))
    const missing = some.filter((letter) => !noted.has(letter.id))
    if (missing.length > 0) await insertLetters(engine, missing)
  }
}

async function insertLetters(engine: Engine, letters: readonly DeadLetterNote[]): Promise<void> {
  const block = new Block(DEAD_LETTER_COLUMNS, letters.length)
  const c = block.columns
  for (const letter of letters) {
    const row = block.add()
    c.id.set(parseUuid(letter.id), row * 16)
    c.reason.set(row, letter.reason)
    c.detail.set(row, letter.detail)
    c.stream.set(row, letter.stream)
    c.partition[row] = letter.partition
    c.offset[row] = Number(letter.offset)
    c.key.set(row, letter.key)
    c.accepted_at[row] = letter.acceptedAt * 1000
    c.died_at[row] = letter.diedAt * 1000
    c.version.set(row, letter.version)
    const { chunk } = letter
    if (chunk === undefined) {
      c.hours.set(row, '[]')
      continue
    }
    c.chunk_id.set(parseUuid(chunk.id), row * 16)
    c.sensor.set(row, chunk.sensor)
    c.origin.set(row, chunk.origin)
    c.seq[row] = chunk.seq
    c.piece.set(row, chunk.piece)
    c.flow_records[row] = chunk.flowRecords
    c.hours.set(row, `[${chunk.hours.map(([hour, rows]) => `(${hour},${rows})`).join(',')}]`)
  }
  // A letter that dies again says the same but for the time: its id is enough.
  const token = sha256Hex(letters.map((letter) => letter.id).join(' '))
  await insertNotes(engine, 'dead_letters', DEAD_LETTER_COLUMNS, block, token)
}

/** Notes what is not noted yet. */
export async function noteStream(engine: Engine, notes: readonly StreamNote[]): Promise<void> {
  const fresh = [...new Map(notes.map((note) => [noteKey(note), note])).values()]
  for (const some of batches(fresh)) {
    const params = {
      streams: [...new Set(some.map((note) => note.stream))],
      firsts: [...new Set(some.map((note) => note.first))],
    }
    const rows = await engine.select(readSql('queries/noted_stream'), params, 'lookup')
    const noted = new Set((rows as StreamNote[]).map(noteKey))
    const missing = some.filter((note) => !noted.has(noteKey(note)))
    if (missing.length === 0) continue
    const block = new Block(STREAM_NOTE_COLUMNS, missing.length)
    const c = block.columns
    for (const note of missing) {
      const row = block.add()
      c.stream.set(row, note.stream)
      c.partition[row] = note.partition
      c.kind.set(row, note.kind)
      c.detail.set(row, note.detail)
      c.first[row] = note.first
      c.last[row] = note.last
      c.count[row] = note.count
      c.noted_at[row] = Date.now() * 1000
    }
    const token = sha256Hex(missing.map(noteKey).join('\n'))
    await insertNotes(engine, 'stream_notes', STREAM_NOTE_COLUMNS, block, token)
  }
}

function noteKey({ stream, partition, kind, detail, first, last }: StreamNote): string {
  return JSON.stringify([stream, partition, kind, detail, first, last])
}

async function insertNotes<C extends Columns>(
  engine: Engine,
  table: 'dead_letters' | 'stream_notes',
  columns: C,
  block: Block<C>,
  token: string,
): Promise<void> {
  await engine.insert(
    [encodeBlock(block)],
    [
      {
        table,
        columns: Object.entries(columns).map(([name, type]) => [name, clickhouseType(type)]),
        day: undefined,
        onlyDay: undefined,
        onlyChunks: undefined,
        token: `v1.${table}.${token}`,
      },
    ],
  )
}

function* batches<T>(items: readonly T[]): Generator<T[]> {
  for (let at = 0; at < items.length; at += NOTES_PER_INSERT)
    yield items.slice(at, at + NOTES_PER_INSERT)
}
