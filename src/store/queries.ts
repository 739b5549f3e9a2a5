// The queries of sql/queries that other rooms ask, with their parameters and rows. Times are microseconds since
// 1970 as in src/block.ts, protocols are IANA numbers, addresses are text. `limit` bounds the rows.

import type { Grade, NameProof, NameSource, Side, TableName, Verdict } from '../flow.ts'
import type { ApiQueries } from './api-queries.ts'

/** A flow as far as it is needed to find it again. */
export interface FlowRow {
  flow_id: string
  uid: string
  ts: number
  orig_h: string
  orig_p: number
  resp_h: string
  resp_p: number
  ip_proto: number
  server_name: string
}

/** Why a judgement is as it is: the three reason lists are parallel. */
export interface ReasonColumns {
  method: string
  candidates: string[]
  evidence: string[]
  reason_codes: string[]
  reason_weights: number[]
  reason_evidence: string[]
}

export interface TotalsRow {
  flows: number
  records: number
  packets: number
  /** As on the wire where that is known, else payload. */
  bytes: number
  judgements: number
  findings: number
  alerts: number
  rejects: number
  chunks: number
}

export interface VerdictRow {
  verdict: Verdict
  judgements: number
  flows: number
}

/** One row an agent: judgements by verdict and by grade. The empty agent holds those that belong to none. */
export interface AgentRow extends Record<Verdict | Grade, number> {
  agent: string
  flows: number
  judgements: number
  score_max: number
  /** Distinct destinations, and bytes as seen from the agent. */
  destinations: number
  bytes_out: number
  bytes_in: number
}

/** Judgements of an agent that agree in all of this, with their earliest flow. */
export interface DestinationRow extends FlowRow {
  agent: string
  direction: 'egress' | 'ingress'
  destination: string
  peer: string
  peer_port: number
  verdict: Verdict
  rule: string
  flows: number
}

export interface FindingRow extends FlowRow, ReasonColumns {
  alert_id: string
  kind: string
  agent: string
  subject: string
  side: Side
  grade: Grade
  /** '' for a finding without a judgement. */
  verdict: Verdict | ''
  rule: string
  scope_version: string
  direction: 'egress' | 'ingress' | ''
  destination: string
  peer: string
  peer_port: number
  score: number
  sentence: string
  name_source: NameSource | ''
  name_proof: NameProof | ''
  dns_names: string[]
}

export interface MismatchRow extends FlowRow, ReasonColumns {
  agent: string
  side: Side
  verdict: Verdict
  grade: Grade
  direction: 'egress' | 'ingress'
  rule: string
  scope_version: string
  destination: string
  peer: string
  peer_port: number
  score: number
  name_source: NameSource | ''
  name_proof: NameProof | ''
  dns_names: string[]
}

export interface AlertRow {
  alert_id: string
  kind: string
  agent: string
  subject: string
  rule: string
  destination: string
  peer_port: number
  ip_proto: number
  first: number
  last: number
  flows: number
  score: number
  grade: Grade
  sentence: string
}

export interface UnregisteredRow {
  address: string
  flows: number
  first: number
  last: number
  score: number
  /** Distinct destinations, and at most 20 of them, most flows first. */
  destination_count: number
  destinations: string[]
}

export interface CoverageRow {
  sensor: string
  vantage: string
  source_kind: string
  metric: string
  from: number
  to: number
  value: number
}

export interface RejectRow {
  source_kind: string
  reason: string
  count: number
  unit: string
  first_at: number
  detail: string
  sample: string
  /** Of the first one: see ChunkHeader.origin. */
  origin: string
}

/** A chunk whose stored rows of a table are not those that were announced. */
export interface AuditRow {
  chunk_id: string
  table: string
  announced: number
  stored: number
  distinct_rows: number
}

/** The store's clock, when its checksums began, the first day that it keeps (YYYY-MM-DD). Milliseconds since 1970. */
export interface AuditClockRow {
  now: number
  summed_from: number
  floor: string
}

/** Some chunks that were stored one after the other: until when (-1: there are none), how many, how many without sums. */
export interface AuditSpanRow {
  until: number
  chunks: number
  unsummed: number
}

/** A chunk of which a table does not hold what was announced and inserted. */
export interface AuditChunkRow {
  chunk_id: string
  table: TableName
  ruling: number
  sensor: string
  origin: string
  seq: number
  piece: string
  stored_at: number
  /** 1 if retention let go of some of its days. */
  expired: number
  announced: number
  inserted: number
  stored: number
  /** How far the checksums of now are from those of the insert, modulo 2^64, in decimal. */
  sum: string
  places: string
  /** Hours that differ: hour since 1970, rows inserted, rows stored. */
  hours: [hour: number, inserted: number, stored: number][]
}

/** Copies of one row of a chunk. */
export interface AuditPlaceRow {
  row: number
  copies: number
  flow_hour: number
  /** Its checksum, in decimal. */
  content: string
}

/** Sequence numbers `first` to `last` that are not settled; those below `due` were announced long ago. */
export interface AuditSequenceRow {
  origin: string
  sensor: string
  chunks: number
  due: number
  first: number
  last: number
}

/** Flow records of a sensor in one hour of their time; see the query. */
export interface AuditSensorHourRow {
  sensor: string
  hour: number
  announced: number
  stored: number
  dead: number
  lacking: number
  pending: number
  unannounced: number
  origins: [origin: string, lacking: number][]
}

export interface AuditDeadRow {
  reason: string
  sensor: string
  letters: number
  flow_records: number
  first_died: number
  last_died: number
  /** Id of a letter. */
  example: string
}

export interface AuditStreamRow {
  stream: string
  partition: number
  kind: 'hole' | 'damage' | 'gap'
  detail: string
  first: number
  last: number
  count: number
  noted_at: number
}

export interface AuditOrphanRow {
  table: TableName
  chunk_id: string
  rows: number
}

/** How far a lane of an origin came. A sequence number is settled when all of it is stored or dead. */
export interface WatermarkRow {
  origin: string
  /** Sequence number modulo `lanes`. */
  lane: number
  /** The first sequence number of the lane that is not settled: everything before it is. */
  next: number
  /** The highest that is settled. */
  highest: number
}

/** Over how many lanes an origin is dealt. */
export interface LanesRow {
  origin: string
  lanes: number
}

/** Sums over judgements that hold; bytes as seen from the judged side. */
interface HourSums {
  judgements: number
  findings: number
  bytes_out: number
  bytes_in: number
  /** The highest. */
  score: number
}

export interface SocHourRow extends HourSums {
  hour_start: number
  verdict: Verdict
  records: number
}

export interface SocVerdictRow extends HourSums {
  verdict: Verdict
  grade: Grade
  agents: number
  destinations: number
}

export interface SocAgentRow extends HourSums, Record<Verdict, number> {
  agent: string
  destinations: number
  first_hour: number
  last_hour: number
}

export interface SocDestinationRow extends HourSums {
  destination: string
  direction: 'egress' | 'ingress'
  agents: number
  out_of_scope: number
  first_hour: number
  last_hour: number
}

/** A sum by hour that is not what the judgements beneath add up to. */
export interface AuditHourRow {
  chunk_id: string
  ruling: number
  hour: string
  verdict: Verdict
  agent: string
  judged: number
  told: number
}

/** A span of time: hours that begin in it, its end not included. */
interface Span {
  from: number
  to: number
}

interface OfRun {
  run: string
}
interface Limited {
  limit: number
}

/** What each query takes and gives. */
export interface StoreQueries extends ApiQueries {
  report_totals: { params: OfRun; row: TotalsRow }
  report_verdicts: { params: OfRun; row: VerdictRow }
  report_agents: { params: OfRun; row: AgentRow }
  report_destinations: { params: OfRun & Limited; row: DestinationRow }
  report_findings: { params: OfRun & Limited; row: FindingRow }
  report_alerts: { params: OfRun & Limited; row: AlertRow }
  report_unregistered: { params: OfRun & Limited; row: UnregisteredRow }
  report_coverage: { params: OfRun & Limited; row: CoverageRow }
  report_rejects: { params: OfRun & Limited; row: RejectRow }
  /** An empty verdict or destination, or port 0, means any. */
  report_mismatch: {
    params: OfRun &
      Limited & { agent: string; verdict: Verdict | ''; destination: string; port: number }
    row: MismatchRow
  }
  alerts: { params: Limited; row: AlertRow }
  soc_by_hour: { params: Span & Limited; row: SocHourRow }
  soc_by_verdict: { params: Span; row: SocVerdictRow }
  soc_by_agent: { params: Span & Limited; row: SocAgentRow }
  /** An empty agent means any. */
  soc_by_destination: { params: Span & Limited & { agent: string }; row: SocDestinationRow }
  audit_hours: { params: Limited; row: AuditHourRow }
  /** Lanes of which nothing is settled are left out: their next is the lane itself. `lanes` 1 is the whole origin. */
  origin_watermarks: { params: { origins: readonly string[]; lanes: number }; row: WatermarkRow }
  origin_lanes: { params: { origins: readonly string[] }; row: LanesRow }
  /** Times of the auditor are milliseconds since 1970, of the store's clock. */
  audit_clock: { params: Record<string, never>; row: AuditClockRow }
  audit_span: { params: { from: number; until: number; chunks: number }; row: AuditSpanRow }
  audit_chunks: { params: Limited; row: AuditRow }
  audit_contents: { params: Limited & { from: number; until: number }; row: AuditChunkRow }
  audit_rows: { params: { table: TableName; chunk: string }; row: AuditPlaceRow }
  audit_rows_dayless: { params: { table: TableName; chunk: string }; row: AuditPlaceRow }
  audit_rows_ruled: {
    params: { table: TableName; chunk: string; ruling: number }
    row: AuditPlaceRow
  }
  audit_sequences: { params: Limited & { since: number; due: number }; row: AuditSequenceRow }
  audit_sensor_hours: { params: Limited & { since: number; due: number }; row: AuditSensorHourRow }
  audit_dead_letters: { params: Limited; row: AuditDeadRow }
  audit_stream: { params: Limited & { since: number }; row: AuditStreamRow }
  audit_orphans: { params: Limited; row: AuditOrphanRow }
}

export type QueryName = keyof StoreQueries
