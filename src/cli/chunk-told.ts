// What a chunk says of itself and holds, or why the bytes are none: as data, and as text. For `inspect` and `dlq show`.

import type { Block } from '../block.ts'
import { laneOf } from '../bus/bus.ts'
import { type Chunk, ChunkVersionError, chunkPart, decodeChunk, verifyChunk } from '../chunk.ts'
import type { ChunkHeader, PartName } from '../chunk-header.ts'
import type { Columns } from '../flow.ts'
import { printable, printableJson } from '../wire-text.ts'
import { hexText } from './hex-text.ts'
import { sizeWords } from './progress.ts'
import { rowValues } from './row-values.ts'
import type { Colours } from './terminal.ts'
import { count } from './text-table.ts'

export interface ToldPart {
  table: PartName
  rows: number
  bytes: number
  /** The first rows; what is unset is left out. */
  first: Record<string, unknown>[]
  /** Why the rows cannot be read. */
  problem?: string
}

export type ChunkTold =
  | {
      kind: 'chunk'
      bytes: number
      /** As it stands in the header: the program reads an older version as its own. */
      version: number
      header: Omit<ChunkHeader, 'v' | 'parts'>
      /** True if the content is what the id says. */
      intact: boolean
      parts: ToldPart[]
    }
  | { kind: 'garbage' | 'newer'; bytes: number; problem: string }

/** Looks at bytes that should be a chunk. @param rows how many rows of each part to show */
export function tellChunk(bytes: Uint8Array, rows: number): ChunkTold {
  let chunk: Chunk
  try {
    chunk = decodeChunk(bytes)
  } catch (error) {
    const kind = error instanceof ChunkVersionError ? 'newer' : 'garbage'
    return { kind, bytes: bytes.length, problem: messageOf(error) }
  }
  const { v: _, parts, ...header } = chunk.header
  return {
    kind: 'chunk',
    bytes: bytes.length,
    version: versionOf(bytes),
    header,
    intact: isIntact(chunk),
    parts: parts.map((part) => ({ ...part, ...firstRows(chunk, part.table, rows) })),
  }
}

function versionOf(bytes: Uint8Array): number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Number(JSON.parse(buffer.toString('utf8', 8, 8 + buffer.readUInt32LE(4))).v)
}

function isIntact(chunk: Chunk): boolean {
  try {
    verifyChunk(chunk)
    return true
  } catch {
    return false
  }
}

function firstRows(
  chunk: Chunk,
  table: PartName,
  most: number,
): Pick<ToldPart, 'first' | 'problem'> {
  try {
    const block = chunkPart(chunk, table) as Block<Columns> | undefined
    const rows = Math.min(most, block?.rows ?? 0)
    return { first: Array.from({ length: rows }, (_, row) => rowValues(block!, row)) }
  } catch (error) {
    return { first: [], problem: messageOf(error) }
  }
}

function messageOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error))
}

/** Bytes of what is no chunk that are shown. */
const DUMP_BYTES = 256
const HOUR_MILLIS = 3_600_000

/** Lines for a terminal. @param bytes for the dump of what is no chunk */
export function chunkText(told: ChunkTold, bytes: Uint8Array, colours: Colours): string {
  if (told.kind !== 'chunk') {
    const what = told.kind === 'newer' ? 'of a newer version' : 'no chunk'
    return `${colours.red(what)}: ${told.problem} (${sizeWords(told.bytes)})\n${hexText(bytes, DUMP_BYTES, '  ')}`
  }
  const { header, version, intact, parts } = told
  const { id, sensor, origin, seq, lanes, last, format, hours, piece } = header
  const lines = [
    `chunk ${id}  ${intact ? colours.green('content as its id says') : colours.red('ALTERED: the content is not what its id says')}`,
    `  version ${version}, ${sizeWords(told.bytes)}, format ${printable(format)}`,
    `  sensor ${printable(sensor)}, origin ${printable(origin)}, number ${seq}${last ? ', the last one' : ''}${lanes === undefined ? '' : `, lane ${laneOf(header, lanes)} of ${lanes}`}`,
  ]
  if (piece !== undefined) lines.push(`  piece ${piece.path} of chunk ${piece.of}`)
  if (hours.length > 0) lines.push(`  flow records by hour: ${hours.map(hourText).join(', ')}`)
  for (const { table, rows, bytes: size, first, problem } of parts) {
    lines.push(`  ${table}: ${count(rows, 'row')}, ${sizeWords(size)}`)
    if (problem !== undefined) lines.push(`    ${colours.red('cannot be read')}: ${problem}`)
    for (const row of first) lines.push(`    ${printableJson(row)}`)
  }
  return `${lines.join('\n')}\n`
}

function hourText([hour, records]: [number, number]): string {
  const date = hour < 0 ? undefined : new Date(hour * HOUR_MILLIS)
  if (date === undefined) return `many hours ${records}`
  const text = Number.isNaN(date.getTime()) ? String(hour) : date.toISOString().slice(0, 13)
  return `${text} ${records}`
}
