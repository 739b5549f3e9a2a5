// The header of a chunk: what it says of itself, in two versions. Headers come off a bus, so everything in one is
// checked before it is believed.

/** The tables that a sensor fills. Judgements and findings come later, from `analyze`. */
export const PART_NAMES = ['flow_records', 'coverage', 'rejects', 'announced'] as const
export type PartName = (typeof PART_NAMES)[number]

export interface ChunkPart {
  table: PartName
  rows: number
  bytes: number
}

export interface ChunkHeader {
  v: 2
  /** UUID of (origin, seq, content); of a piece, of (chunk, path, content). */
  id: string
  sensor: string
  /** Where it was read: for a file the sensor id and a hash of the first bytes. */
  origin: string
  /** Counts up from 0 within the origin, without holes. */
  seq: number
  /** True for the last chunk of a finite input. */
  last: boolean
  /**
   * Lanes that the chunks of its sensor are dealt over; those of an origin whose seq mod lanes is the same are in one.
   * Set when it is sent to a stream; sensors of before did not tell.
   */
  lanes?: number
  /** Sniffed format: pcap, pcapng, zeek-tsv, zeek-json, aws-vpc, ... */
  format: string
  /**
   * Flow records by the UTC hour that they began in: [hours since 1970, records], ascending; one entry of hour -1
   * where there are too many hours. Version 1 had none.
   */
  hours: [hour: number, records: number][]
  /** Set if this is a piece of a chunk that was split (src/chunk-split.ts). */
  piece?: { of: string; path: string }
  parts: ChunkPart[]
}

/** Lanes of one sensor. */
export const CHUNK_LANES_MAX = 1024
/** Hours that a header lists: a month. */
export const CHUNK_HOURS_MAX = 744
export const CHUNK_VERSION = 2 as const

/** Bytes that are no chunk, with the reason. */
export class ChunkError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ChunkError'
  }
}

/** A chunk of a version that this program does not read: a newer sensor wrote it. */
export class ChunkVersionError extends ChunkError {}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** Halvings of a chunk: 2^13 is more than its records. */
const PATH = /^[01]{1,16}$/
const HOUR_MICROS = 3_600_000_000

/**
 * A header of this version, of what was parsed from JSON. Unknown fields are passed over.
 * @throws ChunkError
 */
export function checkHeader(parsed: unknown): ChunkHeader {
  if (typeof parsed !== 'object' || parsed === null)
    throw new ChunkError('chunk header is no object')
  const given = parsed as Readonly<Record<string, unknown>>
  const { v } = given
  if (v !== 1 && v !== CHUNK_VERSION)
    throw new ChunkVersionError(`chunk version ${String(v).slice(0, 20)} is not known`)
  const header: ChunkHeader = {
    v: CHUNK_VERSION,
    id: text(given, 'id', 36),
    sensor: text(given, 'sensor', 256),
    origin: text(given, 'origin', 512),
    seq: whole(given.seq, 'seq', 0xffff_ffff),
    last: given.last === true,
    format: text(given, 'format', 64),
    hours: v === 1 ? [] : list(given.hours, 'hours', CHUNK_HOURS_MAX).map(hour),
    parts: list(given.parts, 'parts', 16).map(part),
  }
  if (!UUID.test(header.id)) throw new ChunkError('chunk header: id is no UUID')
  if (given.lanes !== undefined) {
    header.lanes = whole(given.lanes, 'lanes', CHUNK_LANES_MAX)
    if (header.lanes === 0) throw new ChunkError('chunk header: lanes is 0')
  }
  if (given.piece !== undefined) header.piece = piece(given.piece)
  return header
}

function text(given: Readonly<Record<string, unknown>>, name: string, max: number): string {
  const value = given[name]
  if (typeof value !== 'string' || value.length > max)
    throw new ChunkError(`chunk header: ${name} is no text of at most ${max} characters`)
  return value
}

function whole(value: unknown, name: string, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max)
    throw new ChunkError(`chunk header: ${name} is no whole number up to ${max}`)
  return value
}

function list(value: unknown, name: string, max: number): unknown[] {
  if (!Array.isArray(value) || value.length > max)
    throw new ChunkError(`chunk header: ${name} is no list of at most ${max}`)
  return value
}

function hour(value: unknown): [number, number] {
  const [at, records] = list(value, 'hours', 2)
  if (at === -1) return [-1, whole(records, 'hours', 0xffff_ffff)]
  return [whole(at, 'hours', 0xffff_ffff), whole(records, 'hours', 0xffff_ffff)]
}

function part(value: unknown): ChunkPart {
  if (typeof value !== 'object' || value === null)
    throw new ChunkError('chunk header: a part is no object')
  const given = value as Readonly<Record<string, unknown>>
  const table = PART_NAMES.find((name) => name === given.table)
  if (table === undefined) throw new ChunkError('chunk header: a part is of no known table')
  return {
    table,
    rows: whole(given.rows, 'rows', 0xffff_ffff),
    bytes: whole(given.bytes, 'bytes', 0xffff_ffff),
  }
}

function piece(value: unknown): { of: string; path: string } {
  const given = (value ?? {}) as Readonly<Record<string, unknown>>
  const { of, path } = given
  if (typeof of !== 'string' || !UUID.test(of) || typeof path !== 'string' || !PATH.test(path))
    throw new ChunkError('chunk header: piece is not {of, path}')
  return { of, path }
}

/**
 * Counts records by hour, as a header lists them.
 * @param times microseconds since 1970, one a record
 */
export function hoursOf(times: Float64Array, rows: number): [number, number][] {
  const counts = new Map<number, number>()
  for (let row = 0; row < rows; row++) {
    const at = Math.max(0, Math.floor(times[row]! / HOUR_MICROS))
    counts.set(at, (counts.get(at) ?? 0) + 1)
  }
  if (counts.size > CHUNK_HOURS_MAX) return [[-1, rows]]
  return [...counts].sort(([a], [b]) => a - b)
}
