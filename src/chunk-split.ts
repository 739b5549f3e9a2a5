// A chunk in two halves: for a bus that takes only small messages, and to find the record that a worker dies of.
// Pieces keep origin and sequence number of their chunk; their ids are functions of its id and of their content.

import { type Block, copyRows } from './block.ts'
import { type Chunk, chunkId, chunkPart, decodeChunk, encodeChunk } from './chunk.ts'
import { CHUNK_VERSION, type ChunkHeader, hoursOf, type PartName } from './chunk-header.ts'
import type { Columns } from './flow.ts'
import { encodeBlocks } from './native.ts'

/**
 * The first half of the rows of each part, and the rest. Undefined if there is nothing to divide.
 * @throws ChunkError, BlockError when the bytes are no chunk
 */
export function splitChunk(
  bytes: Uint8Array,
): [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>] | undefined {
  const chunk = decodeChunk(bytes)
  const { header } = chunk
  if (header.parts.reduce((rows, part) => rows + part.rows, 0) < 2) return undefined
  return [piece(chunk, '0'), piece(chunk, '1')]
}

function piece(chunk: Chunk, half: '0' | '1'): Uint8Array<ArrayBuffer> {
  const { header } = chunk
  const blocks: { table: PartName; block: Block<Columns> }[] = []
  let hours: [number, number][] = []
  // The odd row of a part goes left, then right, so that parts of one row do not all go to one side.
  let roundUp = true
  for (const { table } of header.parts) {
    const whole = chunkPart(chunk, table) as Block<Columns> | undefined
    if (whole === undefined) continue
    const middle = roundUp ? Math.ceil(whole.rows / 2) : Math.floor(whole.rows / 2)
    roundUp = whole.rows % 2 === 0 ? roundUp : !roundUp
    const [first, count] = half === '0' ? [0, middle] : [middle, whole.rows - middle]
    if (count === 0) continue
    const block = copyRows(whole, first, count)
    if (table === 'flow_records')
      hours = hoursOf((block as unknown as Block<{ ts: 'time' }>).columns.ts, count)
    blocks.push({ table, block })
  }
  const bodies = encodeBlocks(blocks.map(({ block }) => block))
  const { piece: before } = header
  const split: Omit<ChunkHeader, 'id'> = {
    ...header,
    v: CHUNK_VERSION,
    // Whoever sees the last piece has seen the end of the input.
    last: header.last && half === '1',
    hours,
    piece: { of: before?.of ?? header.id, path: (before?.path ?? '') + half },
    parts: blocks.map(({ table, block }, i) => ({
      table,
      rows: block.rows,
      bytes: bodies[i]!.length,
    })),
  }
  return encodeChunk({ ...split, id: chunkId(split, bodies) }, bodies)
}
