// What the auditor asks the store, in bounded pieces, and what it makes of the answers.

import { TABLES } from '../flow.ts'
import type {
  AuditChunkRow,
  AuditDeadRow,
  AuditPlaceRow,
  AuditSensorHourRow,
  AuditStreamRow,
} from '../store/queries.ts'
import type { Store } from '../store/store.ts'
import { type AuditFinding, judgeChunk, judgeSequences } from './findings.ts'

export type Asked = Pick<Store, 'query'>

/** What was announced so short a time ago is under way: a spool, a stream and a worker lie between. Seconds. */
export const AUDIT_GRACE_SECONDS = 120

/** Chunks whose rows are read by one query: at most some 16 million rows. */
export const SPAN_CHUNKS = 500
/** Differences that one query tells of, and of these those whose rows are looked at one by one. */
const DIFFERENCES_MAX = 1000
const LOOKED_AT_MAX = 50
const SEQUENCES_MAX = 1000
const HOURS_MAX = 100_000
const NOTES_MAX = 1000

/** Chunks that were stored from one time to another (milliseconds since 1970, both included). */
export interface SpanAudit {
  /** When the last chunk was stored that was looked at; undefined if there was none. */
  until: number | undefined
  chunks: number
  /** Chunks older than the checksums: only their rows are counted. */
  unsummed: number
  findings: AuditFinding[]
  /** More differs than is told. */
  truncated: boolean
}

/** Looks at the next chunks that were stored in this time, so many of them. */
export async function auditSpan(
  store: Asked,
  from: number,
  until: number,
  chunks = SPAN_CHUNKS,
): Promise<SpanAudit> {
  const [span] = await store.query('audit_span', { from, until, chunks })
  if (span === undefined || span.until < 0)
    return { until: undefined, chunks: 0, unsummed: 0, findings: [], truncated: false }
  const differences = await store.query('audit_contents', {
    from,
    until: span.until,
    limit: DIFFERENCES_MAX,
  })
  const findings: AuditFinding[] = []
  for (const [at, row] of differences.entries())
    findings.push(...judgeChunk(row, at < LOOKED_AT_MAX ? await rowsOf(store, row) : undefined))
  return {
    until: span.until,
    chunks: span.chunks,
    unsummed: span.unsummed,
    findings,
    truncated: differences.length === DIFFERENCES_MAX,
  }
}

function rowsOf(store: Asked, row: AuditChunkRow): Promise<AuditPlaceRow[]> {
  const { table, chunk_id: chunk, ruling } = row
  const columns = TABLES[table]
  if (!('ts' in columns)) return store.query('audit_rows_dayless', { table, chunk })
  if ('ruling' in columns) return store.query('audit_rows_ruled', { table, chunk, ruling })
  return store.query('audit_rows', { table, chunk })
}

/** Rows of chunks that nobody began to write. Reads all tables. */
export async function auditOrphans(store: Asked): Promise<AuditFinding[]> {
  const rows = await store.query('audit_orphans', { limit: DIFFERENCES_MAX })
  return rows.map((row) => ({
    kind: 'rows_added',
    table: row.table,
    sensor: '',
    origin: '',
    first: -1,
    last: -1,
    chunk: row.chunk_id,
    piece: '',
    ruling: 0,
    count: row.rows,
    places: [],
    hours: [],
    storedAt: 0,
    cause:
      'nobody began to write a chunk of this id here: somebody else wrote these rows, or deleted rows of chunks',
    cure: `see who wrote to ${row.table} in system.query_log; no view shows these rows`,
  }))
}

/** What was announced against what is there. */
export interface SaidAudit {
  hours: AuditSensorHourRow[]
  dead: AuditDeadRow[]
  stream: AuditStreamRow[]
  findings: AuditFinding[]
  truncated: boolean
}

/**
 * Compares announcements with what is stored or dead.
 * @param since only origins of which something was said or stored since
 * @param due what was announced after this is under way. Milliseconds since 1970
 * @param floor first day that retention keeps, YYYY-MM-DD
 */
export async function auditSaid(
  store: Asked,
  times: { since: number; due: number; floor: string },
): Promise<SaidAudit> {
  const { since, due, floor } = times
  const sequences = await lackingSequences(store, { since, due })
  const { highest } = sequences
  // Announced is asked first: what is stored meanwhile is more than announced, never less.
  const hours = await store.query('audit_sensor_hours', { since, due, limit: HOURS_MAX })
  const dead = await store.query('audit_dead_letters', { limit: NOTES_MAX })
  const stream = await store.query('audit_stream', { since, limit: NOTES_MAX })
  const lacking = lackingHours(hours, floor)
  const findings = sequences.rows.flatMap((row) => {
    return judgeSequences(row, {
      highest: highest.get(row.origin) ?? [],
      gaps: stream.filter((note) => note.kind === 'gap' && note.detail === row.origin),
      hours: lacking.get(row.origin)?.hours ?? [],
    })
  })
  // Of which no whole number is missing, nor on its way.
  const explained = new Set(sequences.rows.map(({ origin }) => origin))
  for (const [origin, { sensor, records, hours: at }] of lacking)
    if (!explained.has(origin)) findings.push(recordsMissing(origin, sensor, records, at))
  const truncated = sequences.rows.length === SEQUENCES_MAX || hours.length === HOURS_MAX
  return { hours, dead, stream, findings, truncated }
}

/**
 * Numbers that are lacking, and the highest that is settled of each lane of their origins. What is lacking is asked again
 * after that: a number that was stored in between with those behind it would be passed by them, and is not.
 */
async function lackingSequences(store: Asked, times: { since: number; due: number }) {
  const ask = () => store.query('audit_sequences', { ...times, limit: SEQUENCES_MAX })
  const before = await ask()
  const highest = await highestOf(store, [...new Set(before.map(({ origin }) => origin))])
  return { highest, rows: before.length === 0 ? before : await ask() }
}

/** The highest number that is settled of each lane of some origins; those whose lanes nobody told are left out. */
async function highestOf(
  store: Asked,
  origins: readonly string[],
): Promise<Map<string, readonly number[]>> {
  const found = new Map<string, number[]>()
  if (origins.length === 0) return found
  const told = await store.query('origin_lanes', { origins })
  for (const lanes of new Set(told.map((row) => row.lanes))) {
    const some = told.filter((row) => row.lanes === lanes).map(({ origin }) => origin)
    for (const origin of some) found.set(origin, new Array<number>(lanes).fill(-1))
    for (const mark of await store.query('origin_watermarks', { origins: some, lanes }))
      found.get(mark.origin)![mark.lane] = mark.highest
  }
  return found
}

interface Lacking {
  sensor: string
  records: number
  hours: number[]
}

function lackingHours(rows: readonly AuditSensorHourRow[], floor: string): Map<string, Lacking> {
  const found = new Map<string, Lacking>()
  for (const { sensor, hour, origins } of rows) {
    // Whose hour is not known may be of a day that retention let go.
    if (hour === 0 && floor > '1970-01-01') continue
    for (const [origin, records] of origins) {
      const one = found.get(origin) ?? { sensor, records: 0, hours: [] }
      one.records += records
      if (hour > 0) one.hours.push(hour)
      found.set(origin, one)
    }
  }
  return found
}

function recordsMissing(
  origin: string,
  sensor: string,
  records: number,
  hours: number[],
): AuditFinding {
  return {
    kind: 'records_missing',
    table: 'flow_records',
    sensor,
    origin,
    first: -1,
    last: -1,
    chunk: '',
    piece: '',
    ruling: 0,
    count: records,
    places: [],
    hours: hours.sort((a, b) => a - b),
    storedAt: 0,
    cause:
      'each of its chunks is settled, and yet they hold fewer flow records than the sensor counted: chunks were cut on their way, or the sensor counted wrong',
    cure: 'compare `bailiwick flows` of the input with the store, and tell us',
  }
}

/** The store's time, and the first day that it keeps. */
export async function clockOf(store: Asked): Promise<{ now: number; floor: string }> {
  const [row] = await store.query('audit_clock', {})
  if (row === undefined) throw new Error('the store does not tell its time')
  return row
}
