// What the table `chunks` says of a chunk: the commit marker, and the intents that tell of a process that died.

import { Block } from '../block.ts'
import type { ChunkHeader } from '../chunk.ts'
import type { Columns } from '../flow.ts'
import { encodeBlock } from '../native.ts'
import { parseUuid } from './uuid.ts'

/** Columns that we write; the time of storing is the engine's. */
export const CHUNKS_COLUMNS = {
  chunk_id: 'uuid',
  state: 'word',
  origin: 'text',
  seq: 'u32',
  last: 'u8',
  sensor: 'word',
  format: 'word',
  ruling: 'u16',
  judged_key: 'word',
  slice: 'text',
  flow_records: 'u32',
  coverage: 'u32',
  rejects: 'u32',
  judgements: 'u32',
  findings: 'u32',
  announced: 'u32',
  /** Which half of which half of a chunk that was split; empty for a whole one. */
  piece: 'word',
  /** Lanes of its sensor; 0 if it came by no stream, or of a sensor that did not tell. */
  lanes: 'u16',
} as const satisfies Columns

/** How far a chunk came, in any process, ever. A chunk that was never begun has no state. */
export interface ChunkState {
  /** Its records are all stored; they are never written again. */
  complete: boolean
  /** The last ruling that was begun, finished or not, and what it rested on. The next other one is a higher number. */
  ruling: number
  judgedKey: string
  /** The highest ruling that is whole: the one that holds. Undefined before the first. */
  held: { ruling: number; judgedKey: string } | undefined
  /** Set if rows of it were deleted and are wanted back: goes up each time. */
  restore: number | undefined
}

/** A row of sql/queries/chunk_states.sql. */
export interface ChunkStateRow {
  chunk_id: string
  complete: number
  ruling: number
  judged_key: string
  ruling_complete: number
  judged_key_complete: string
  restore: number
}

export function chunkState(row: ChunkStateRow): ChunkState {
  return {
    complete: row.complete === 1,
    ruling: row.ruling,
    judgedKey: row.judged_key,
    held:
      row.ruling_complete < 0
        ? undefined
        : { ruling: row.ruling_complete, judgedKey: row.judged_key_complete },
    restore: row.restore === 0 ? undefined : row.restore,
  }
}

/** One chunk and one ruling, as announced. */
export interface ChunkMark {
  header: ChunkHeader
  ruling: number
  judgedKey: string
  /** Rows of both. */
  judgements: number
  findings: number
}

/** Native block of the rows of `chunks` for these. */
export function encodeMarks(
  marks: readonly ChunkMark[],
  state: 'intent' | 'complete',
  slice: string,
): Uint8Array {
  const block = new Block(CHUNKS_COLUMNS, marks.length)
  const c = block.columns
  for (const { header, ruling, judgedKey, judgements, findings } of marks) {
    const row = block.add()
    c.chunk_id.set(parseUuid(header.id), row * 16)
    c.state.set(row, state)
    c.origin.set(row, header.origin)
    c.seq[row] = header.seq
    c.last[row] = header.last ? 1 : 0
    c.sensor.set(row, header.sensor)
    c.format.set(row, header.format)
    c.ruling[row] = ruling
    c.judged_key.set(row, judgedKey)
    c.slice.set(row, slice)
    for (const part of header.parts) c[part.table][row]! += part.rows
    c.judgements[row] = judgements
    c.findings[row] = findings
    c.piece.set(row, header.piece?.path ?? '')
    c.lanes[row] = header.lanes ?? 0
  }
  return encodeBlock(block)
}
