// What the auditor concludes, from rows that its queries gave: pure. A difference becomes findings that a person can
// act on: which rows, of which chunk, sensor and hour, how that comes about if it is known, and what to do.

import type { TableName } from '../flow.ts'
import type { AuditChunkRow, AuditPlaceRow, AuditSequenceRow } from '../store/queries.ts'

export const FINDING_KINDS = [
  /** Announced by the sensor, and neither stored nor dead. */
  'chunks_missing',
  /** As chunks_missing, but nothing that came later in their lanes is stored: they may be on the stream still. */
  'chunks_late',
  /** All sequence numbers are there, and yet fewer flow records than announced. */
  'records_missing',
  'rows_missing',
  'rows_doubled',
  'rows_altered',
  /** Rows that were never in the chunk, or of chunks that were never begun. */
  'rows_added',
  /** Rows whose checksum was not kept when they were inserted: their number is right, their content is not proven. */
  'rows_unproven',
] as const
export type FindingKind = (typeof FINDING_KINDS)[number]

export interface AuditFinding {
  kind: FindingKind
  table: TableName
  sensor: string
  origin: string
  /** Sequence numbers; of rows that are stored both are their chunk's. -1 where it is not known. */
  first: number
  last: number
  /** '' for chunks that are not there. */
  chunk: string
  piece: string
  ruling: number
  /** Rows, or chunks if chunks are missing. */
  count: number
  /** Places of the rows in their chunk, ascending, as far as they are known; at most `PLACES_MAX`. */
  places: number[]
  /** UTC hours of the flows, since 1970, ascending; empty where not known. */
  hours: number[]
  /** When the chunk was stored, milliseconds since 1970; 0 if it is not. */
  storedAt: number
  cause: string
  cure: string
}

/** Places that a finding names. */
export const PLACES_MAX = 20
const MASK = (1n << 64n) - 1n

/** Two audits that find the same give the same key. */
export function findingKey(finding: AuditFinding): string {
  const { kind, table, chunk, ruling, origin, first, count } = finding
  return [kind, table, chunk, ruling, origin, first, count].join(' ')
}

/**
 * Where the one row stands whose checksum changed by `sum` (modulo 2^64), if places are weighed by 1, 2, 3, ...:
 * sum * (place + 1) = places.
 * @returns the place, undefined if no place below `rows` fits
 */
export function changedPlace(sum: bigint, places: bigint, rows: number): number | undefined {
  if ((sum & MASK) === 0n) return undefined
  let odd = sum & MASK
  let twos = 0n
  while ((odd & 1n) === 0n) {
    odd >>= 1n
    twos++
  }
  const mask = MASK >> twos
  const weighed = places & MASK
  if ((weighed & ((1n << twos) - 1n)) !== 0n) return undefined
  // Newton: each step doubles the bits of the inverse that are right, beginning with three.
  let inverse = odd
  for (let step = 0; step < 5; step++) inverse = (inverse * (2n - odd * inverse)) & MASK
  const place = (((weighed >> twos) * inverse) & mask) - 1n
  return place >= 0n && place < BigInt(rows) ? Number(place) : undefined
}

/** The rest of a finding about rows of a chunk. */
function ofChunk(row: AuditChunkRow) {
  return {
    table: row.table,
    sensor: row.sensor,
    origin: row.origin,
    first: row.seq,
    last: row.seq,
    chunk: row.chunk_id,
    piece: row.piece,
    ruling: row.ruling,
    storedAt: row.stored_at,
  }
}

const WRITE_AGAIN =
  'run `bailiwick reconcile --restore`, then read its input again (`bailiwick replay` with its sensor id and agents): what lacks comes back, once'
const DELETE_FIRST = `delete the rows that are wrong, all copies of them; then ${WRITE_AGAIN}`

/**
 * What is wrong with one table of one chunk.
 * @param there the rows of it that are stored, by place; undefined if they were not looked at
 */
export function judgeChunk(
  row: AuditChunkRow,
  there: readonly AuditPlaceRow[] | undefined,
): AuditFinding[] {
  if (there === undefined || row.expired === 1) return judgeByHours(row)
  const { announced } = row
  const present = new Set(there.map(({ row: place }) => place))
  const missing = placesWhere(announced, (place) => !present.has(place))
  const doubled = there.filter(({ row: place, copies }) => copies > 1 && place < announced)
  const added = there.filter(({ row: place }) => place >= announced)
  const findings: AuditFinding[] = []
  const differing = row.hours.map(([hour]) => hour)
  const lost = row.hours.filter(([, before, now]) => now < before).map(([hour]) => hour)
  if (missing.length > 0)
    findings.push({
      ...ofChunk(row),
      kind: 'rows_missing',
      count: missing.length,
      places: missing.slice(0, PLACES_MAX),
      hours: known(row.table, lost),
      ...causeOfMissing(row),
    })
  if (doubled.length > 0)
    findings.push({
      ...ofChunk(row),
      kind: 'rows_doubled',
      count: doubled.reduce((extra, { copies }) => extra + copies - 1, 0),
      places: doubled.slice(0, PLACES_MAX).map(({ row: place }) => place),
      hours: known(row.table, unique(doubled.map(({ flow_hour }) => flow_hour))),
      cause:
        'somebody inserted rows that are here already, past bailiwick: its inserts have tokens',
      cure: `see who inserted into ${row.table} in system.query_log; ${DELETE_FIRST}`,
    })
  if (added.length > 0)
    findings.push({
      ...ofChunk(row),
      kind: 'rows_added',
      count: added.reduce((rows, { copies }) => rows + copies, 0),
      places: added.slice(0, PLACES_MAX).map(({ row: place }) => place),
      hours: known(row.table, unique(added.map(({ flow_hour }) => flow_hour))),
      cause: `the chunk has ${announced} rows, these stand behind its end: somebody else wrote them, or their place was changed`,
      cure: `see who wrote to ${row.table} in system.query_log; ${DELETE_FIRST}`,
    })
  if (row.inserted === 0 && row.stored === announced && findings.length === 0)
    return [unproven(row, differing)]
  const altered = alteration(row, there, { missing, doubled, added })
  if (altered !== undefined) findings.push(altered)
  return findings
}

/** Rows that were let go by retention have no places to compare, and neither have those that nobody looked at. */
function judgeByHours(row: AuditChunkRow): AuditFinding[] {
  const findings: AuditFinding[] = []
  const differing = row.hours.map(([hour]) => hour)
  const sumOf = (of: (before: number, now: number) => number) =>
    row.hours.reduce((sum, [, before, now]) => sum + Math.max(0, of(before, now)), 0)
  const never = row.expired === 1 ? 0 : Math.max(0, row.announced - row.inserted)
  if (row.inserted === 0 && row.stored === row.announced) return [unproven(row, differing)]
  const gone = sumOf((before, now) => before - now) + never
  const more = sumOf((before, now) => now - before)
  const base = { ...ofChunk(row), places: [], hours: known(row.table, differing) }
  if (gone > 0)
    findings.push({ ...base, kind: 'rows_missing', count: gone, ...causeOfMissing(row) })
  if (more > 0)
    findings.push({
      ...base,
      kind: 'rows_doubled',
      count: more,
      cause: 'there are more rows than were inserted: somebody wrote past bailiwick',
      cure: `see who inserted into ${row.table} in system.query_log; ${DELETE_FIRST}`,
    })
  if (findings.length === 0) findings.push({ ...base, kind: 'rows_altered', count: 1, ...ALTERED })
  return findings
}

const ALTERED = {
  cause:
    'their content is not what was inserted: ALTER TABLE ... UPDATE, or a part from elsewhere (see system.mutations and system.part_log)',
  cure: DELETE_FIRST,
}

/** Rows whose content changed, beside what is missing, doubled or added; undefined if there are none, or nobody can tell. */
function alteration(
  row: AuditChunkRow,
  there: readonly AuditPlaceRow[],
  other: {
    missing: readonly number[]
    doubled: readonly AuditPlaceRow[]
    added: readonly AuditPlaceRow[]
  },
): AuditFinding | undefined {
  if (row.inserted !== row.announced) return undefined
  let sum = BigInt(row.sum)
  let places = BigInt(row.places)
  const take = ({ row: place, content }: AuditPlaceRow, copies: number) => {
    const extra = BigInt(content) * BigInt(copies)
    sum -= extra
    places -= extra * BigInt(place + 1)
  }
  for (const one of other.doubled) take(one, one.copies - 1)
  for (const one of other.added) take(one, one.copies)
  sum &= MASK
  places &= MASK
  if (other.missing.length > 1) return undefined
  const [missing] = other.missing
  // A row that is gone takes its checksum with it: what else changed does not fit its place.
  if (missing !== undefined && places === ((sum * BigInt(missing + 1)) & MASK)) return undefined
  const quiet = row.hours.every(([, before, now]) => before === now)
  if (missing === undefined && sum === 0n && places === 0n && (quiet || other.doubled.length > 0))
    return undefined
  const place = missing === undefined ? changedPlace(sum, places, row.announced) : undefined
  const hour = there.find((one) => one.row === place)?.flow_hour
  const hours =
    place === undefined
      ? row.hours.map(([at]) => at)
      : unique([...(hour === undefined ? [] : [hour]), ...movedHours(row)])
  return {
    ...ofChunk(row),
    kind: 'rows_altered',
    // One if one explains it; else at least two, nobody knows how many.
    count: place === undefined && missing === undefined ? 2 : 1,
    places: place === undefined ? [] : [place],
    hours: known(row.table, hours),
    ...ALTERED,
  }
}

/** Hours that lost a row: one whose time was changed stood there. */
function movedHours(row: AuditChunkRow): number[] {
  return row.hours.filter(([, before, now]) => now < before).map(([hour]) => hour)
}

function unproven(row: AuditChunkRow, hours: readonly number[]): AuditFinding {
  return {
    ...ofChunk(row),
    kind: 'rows_unproven',
    count: row.stored,
    places: [],
    hours: known(row.table, hours),
    cause: 'no checksum was kept of them: they reached their table past the view that keeps it',
    cure: 'none is needed: as many rows are there as were announced',
  }
}

function causeOfMissing(row: AuditChunkRow): { cause: string; cure: string } {
  if (row.inserted < row.announced)
    return {
      cause:
        'they were never inserted, though their chunk is marked complete: a fault of bailiwick or of the store',
      cure: `keep system.query_log, tell us; ${WRITE_AGAIN}`,
    }
  return {
    cause:
      'they were inserted and are gone: ALTER TABLE ... DELETE, a dropped part, or a disk (see system.mutations and system.part_log)',
    cure: WRITE_AGAIN,
  }
}

/** What is said of sequence numbers beside the query's row. */
export interface SequenceContext {
  /** Highest sequence number that is settled, by lane; the index is the lane. Empty where nobody told how many there are. */
  highest: readonly number[]
  /** Ranges of this origin that a worker saw to be left out of the stream. */
  gaps: readonly { first: number; last: number }[]
  /** Hours in which flow records of this origin are lacking. */
  hours: readonly number[]
}

/**
 * What is wrong with a range of sequence numbers that are not settled. Numbers that were announced a moment ago are
 * under way: they are no finding.
 */
export function judgeSequences(row: AuditSequenceRow, context: SequenceContext): AuditFinding[] {
  const last = Math.min(row.last, row.due - 1)
  if (last < row.first) return []
  const lanes = context.highest.length
  const seen = context.gaps.some((gap) => gap.first <= last && gap.last >= row.first)
  const passed = lanes > 0 && row.first < (context.highest[row.first % lanes] ?? -1)
  const lost = seen || passed
  return [
    {
      kind: lost ? 'chunks_missing' : 'chunks_late',
      table: 'flow_records',
      sensor: row.sensor,
      origin: row.origin,
      first: row.first,
      last,
      chunk: '',
      piece: '',
      ruling: 0,
      count: last - row.first + 1,
      places: [],
      hours: [...context.hours],
      storedAt: 0,
      cause: seen
        ? 'a worker saw that the stream leaves them out: they were lost before it, or on it'
        : passed
          ? 'what came after them in their lane is stored, and they are not'
          : 'nothing that came after them in their lane is stored: they are on the stream still, or its end was lost',
      cure: lost
        ? 'look for them with `bailiwick dlq ls`; start the sensor again over the same input, or read it with `bailiwick replay --store`'
        : 'see whether workers run and how far they are behind; if they are behind by nothing, start the sensor again over the same input',
    },
  ]
}

/** UTC hour of tables that have times. */
function known(table: TableName, hours: readonly number[]): number[] {
  return table === 'rejects' || table === 'announced' ? [] : unique(hours)
}

function unique(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b)
}

function placesWhere(rows: number, wanted: (place: number) => boolean): number[] {
  const found: number[] = []
  for (let place = 0; place < rows; place++) if (wanted(place)) found.push(place)
  return found
}
