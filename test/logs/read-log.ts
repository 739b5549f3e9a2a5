// Runs a log through its decoder and gives back plain rows, so that a test can say what it expects. The bytes are
// overwritten after each push: a decoder only borrows them.

import { formatAddress } from '../../src/address.ts'
import type { Block, ColumnsOf } from '../../src/block.ts'
import { Dictionary, Texts } from '../../src/block.ts'
import { ChunkWriter, chunkPart, decodeChunk, type PartName } from '../../src/chunk.ts'
import { recordCommunityId } from '../../src/community-id.ts'
import type { Decoder, DecodeStats } from '../../src/decoder.ts'
import type { Columns, FlowColumns } from '../../src/flow.ts'
import { formatUuid } from '../../src/hash.ts'
import { type LogFormat, type LogSettings, logDecoder } from '../../src/logs/logs.ts'

export type Row = Record<string, unknown>

export interface ReadLog {
  flows: Row[]
  coverage: Row[]
  rejects: Row[]
  stats: DecodeStats
  chunks: Uint8Array[]
}

/** Pushes bytes in pieces of this size, each in memory that is spoilt afterwards. */
export function pushAll(decoder: Decoder, bytes: Uint8Array, piece = bytes.length): void {
  for (let at = 0; at < bytes.length; at += Math.max(1, piece)) {
    const lent = Buffer.from(bytes.subarray(at, at + Math.max(1, piece)))
    decoder.push(lent)
    lent.fill(0x2e)
  }
  decoder.end()
}

export function readLog(
  format: LogFormat,
  text: string | Uint8Array,
  settings: Partial<LogSettings> = {},
  piece?: number,
): ReadLog {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  const chunks: Uint8Array[] = []
  const sensor = settings.sensor ?? 'lab'
  const writer = new ChunkWriter({ sensor, origin: 'o', format }, (chunk) => chunks.push(chunk))
  const decoder = logDecoder(format, { sensor, ...settings }, writer)
  pushAll(decoder, bytes, piece)
  writer.end()
  return {
    flows: rowsOf(chunks, 'flow_records'),
    coverage: rowsOf(chunks, 'coverage'),
    rejects: rowsOf(chunks, 'rejects'),
    stats: decoder.stats,
    chunks,
  }
}

function rowsOf(chunks: readonly Uint8Array[], part: PartName): Row[] {
  return chunks.flatMap((chunk) => {
    const block = chunkPart(decodeChunk(chunk), part) as Block<Columns> | undefined
    if (block === undefined) return []
    return Array.from({ length: block.rows }, (_, row) => rowOf(block, row))
  })
}

/** One row; unset counters are left out. */
function rowOf(block: Block<Columns>, row: number): Row {
  const out: Row = {}
  for (const [name, type] of Object.entries(block.spec)) {
    const held = block.columns[name]!
    if (held instanceof Dictionary || held instanceof Texts) out[name] = held.get(row)
    else if (type === 'address') out[name] = formatAddress(held as Uint8Array, row * 16)
    else if (type === 'uuid') out[name] = formatUuid(held as Uint8Array, row * 16)
    else if (!Number.isNaN(held[row])) out[name] = held[row]
  }
  // Records travel without the one that their endpoints give.
  if ('community_id' in block.columns)
    out.community_id = recordCommunityId(block.columns as unknown as ColumnsOf<FlowColumns>, row)
  return out
}
