// What the ledger knows of one origin, and its form on disk: one line of JSON an origin.

import { type ChunkHeader, decodeChunk } from '../chunk.ts'
import { CHUNK_START, type ChunkPlace } from '../chunk-resume.ts'
import { contentUuid, formatUuid } from '../hash.ts'

/** `file`: read to its end, again from the start if need be · `tail`: it grows · `stdin`, `live`: it cannot be read again. */
export const ORIGIN_KINDS = ['file', 'tail', 'stdin', 'live'] as const
export type OriginKind = (typeof ORIGIN_KINDS)[number]

/** The file behind a growing origin, by which it is found again. */
export interface TailedFile {
  dev: string
  ino: string
  /** Bytes at its beginning, as they were at first sight, and their SHA-256. */
  head: number
  hash: string
  /** Zeek: which stream; '' for everything else. */
  stream: string
  /** Bytes that were read when it was taken to be over. */
  size: number
  /** It was taken to be over once and grew after all: it is not taken to be over for being silent again. */
  revived: boolean
}

export interface LedgerEntry {
  origin: string
  /** What its first bytes name it; other generations of the same input have it too. */
  base: string
  kind: OriginKind
  format: string
  /** The path as last seen, for people. */
  source: string
  /** Chunks 0 to chunks - 1 are in the spool, or were. */
  chunks: number
  /** Id of the last one, and a hash of which flows it tells of, whatever it says of them. */
  lastId: string
  lastKey: string
  /** Rows of all chunks, and of all but the last. */
  total: ChunkPlace
  before: ChunkPlace
  /** Flow records by the hour they began in, hours since 1970; -1 where that is not known. */
  hours: Map<number, number>
  /** The last chunk was the last of the input. */
  over: boolean
  /** All of this was announced. */
  told: boolean
  /** Milliseconds since 1970 of the last change. */
  touchedAt: number
  file?: TailedFile
}

/** Hours of one origin that are counted apart: more than a year. Records of others count as of no known hour. */
export const HOURS_MAX = 10_000

export function newEntry(
  given: Pick<LedgerEntry, 'origin' | 'kind' | 'format' | 'source'> & Partial<LedgerEntry>,
): LedgerEntry {
  return {
    base: given.origin,
    chunks: 0,
    lastId: '',
    lastKey: '',
    total: CHUNK_START,
    before: CHUNK_START,
    hours: new Map(),
    over: false,
    told: true,
    touchedAt: 0,
    ...given,
  }
}

/** What the ledger takes of a chunk, so that the chunk itself may go. */
export interface ChunkFacts {
  header: ChunkHeader
  key: string
}

export function factsOf(bytes: Uint8Array): ChunkFacts {
  const chunk = decodeChunk(bytes)
  const flows = chunk.parts.get('flow_records')
  const { header } = chunk
  const counts = header.parts.map(({ table, rows }) => `${table} ${rows}`).join(',')
  const ids = flows === undefined ? [] : [firstColumn(flows, 16 * rowsOf(header, 'flow_records'))]
  return { header, key: formatUuid(contentUuid([counts, ...ids])) }
}

/** The bytes of the first column of a Native block, which for flow records holds their ids. */
function firstColumn(block: Uint8Array, size: number): Uint8Array {
  // Two counts, the name and the type of the column, each with its length: `flow_id` and `UUID`, shorter than 128.
  let at = 0
  for (let count = 0; count < 2; count++) while (block[at++]! >= 0x80);
  for (let text = 0; text < 2; text++) at += 1 + block[at]!
  return block.subarray(at, at + size)
}

export function rowsOf({ parts }: ChunkHeader, name: string): number {
  return parts.find(({ table }) => table === name)?.rows ?? 0
}

/** Counts the next chunk of an origin. @returns false, and nothing is changed, if it is not the next one */
export function countChunk(entry: LedgerEntry, { header, key }: ChunkFacts, now: number): boolean {
  if (header.seq !== entry.chunks) return false
  entry.chunks++
  entry.lastId = header.id
  entry.lastKey = key
  entry.before = entry.total
  entry.total = {
    flow_records: entry.total.flow_records + rowsOf(header, 'flow_records'),
    coverage: entry.total.coverage + rowsOf(header, 'coverage'),
    rejects: entry.total.rejects + rowsOf(header, 'rejects'),
  }
  for (const [hour, records] of header.hours) {
    const known = entry.hours.has(hour) || entry.hours.size < HOURS_MAX
    const at = known ? hour : -1
    entry.hours.set(at, (entry.hours.get(at) ?? 0) + records)
  }
  entry.over = header.last
  entry.told = false
  entry.touchedAt = now
  return true
}

/** One line, without line feed. Hours of what is over and announced are of no more use. */
export function entryLine(entry: LedgerEntry): string {
  const hours = entry.over && entry.told ? [] : [...entry.hours].flat()
  const place = ({ flow_records, coverage, rejects }: ChunkPlace) => [
    flow_records,
    coverage,
    rejects,
  ]
  return JSON.stringify({
    ...entry,
    total: place(entry.total),
    before: place(entry.before),
    hours,
  })
}

/** Reads a line; undefined if it is not one that `entryLine` wrote. */
export function parseEntry(line: string): LedgerEntry | undefined {
  const given = objectOf(parseJson(line))
  const [total, before] = [placeOf(given?.total), placeOf(given?.before)]
  const kind = ORIGIN_KINDS.find((one) => one === given?.kind)
  if (given === undefined || kind === undefined || total === undefined || before === undefined)
    return undefined
  const texts = ['origin', 'base', 'format', 'source', 'lastId', 'lastKey']
  const counts = ['chunks', 'touchedAt']
  const flags = ['over', 'told']
  const file = given.file === undefined ? undefined : fileOf(given.file)
  if (
    texts.some((name) => typeof given[name] !== 'string') ||
    counts.some((name) => !isCount(given[name])) ||
    flags.some((name) => typeof given[name] !== 'boolean') ||
    !Array.isArray(given.hours) ||
    !given.hours.every(Number.isInteger) ||
    (given.file !== undefined && file === undefined)
  )
    return undefined
  const flat = given.hours as number[]
  const hours = new Map<number, number>()
  for (let at = 0; at + 1 < flat.length; at += 2) hours.set(flat[at]!, flat[at + 1]!)
  return { ...(given as unknown as LedgerEntry), kind, total, before, hours }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function objectOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)
    : undefined
}

const isCount = (value: unknown) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0

function placeOf(value: unknown): ChunkPlace | undefined {
  if (!Array.isArray(value) || value.length !== 3 || !value.every(isCount)) return undefined
  const [flow_records, coverage, rejects] = value as [number, number, number]
  return { flow_records, coverage, rejects }
}

function fileOf(value: unknown): TailedFile | undefined {
  const given = objectOf(value)
  const good =
    given !== undefined &&
    ['dev', 'ino', 'hash', 'stream'].every((name) => typeof given[name] === 'string') &&
    ['head', 'size'].every((name) => isCount(given[name])) &&
    typeof given.revived === 'boolean'
  return good ? (given as unknown as TailedFile) : undefined
}
