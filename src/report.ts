// The report of a run: what `replay` found, as one plain object. It is printed as it stands by `--json`
// (schema bailiwick.report/v1) and rendered for people by src/cli. All text in it is as stored: from outside it
// came in through wireText, and every renderer escapes it once more for its own output.

import type { DecodeStats } from './decoder.ts'
import type { Grade, Side, Verdict } from './flow.ts'
import { VERDICTS } from './flow.ts'

export const REPORT_SCHEMA = 'bailiwick.report/v1'

/** Most rows of each list in a report. `totals` count what there was. */
export const REPORT_ROWS_MAX = 10_000

/** One observed conversation, enough to find it again in `bailiwick flows` and in a capture. */
export interface ReportFlow {
  flow_id: string
  /** Zeek's uid, or the one derived from flow_id. */
  uid: string
  /** RFC 3339, UTC, microseconds. */
  ts: string
  orig_h: string
  orig_p: number
  resp_h: string
  resp_p: number
  /** tcp, udp, icmp or the IP protocol's number in words. */
  proto: string
  /** '' if none was seen. */
  server_name: string
}

/** One input as it was read in this run. */
export interface ReportInput {
  /** The path as given, or the path inside a directory that was given. */
  source: string
  format: string
  /** True if the command line named it, false if it was found inside a directory. */
  named: boolean
  /**
   * `read` to its end · `damaged` read as far as it can be · `unreadable` could not be opened · `unknown`
   * is of no known format (a directory's other files are listed and passed over).
   */
  state: 'read' | 'damaged' | 'unreadable' | 'unknown'
  /** From disk, compressed or not. */
  bytes_read: number
  /** Captures: packets and their bytes on the wire. */
  packets: number
  bytes: number
  /** Logs: each line is accepted, rejected or skipped. */
  lines: number
  accepted: number
  rejected: number
  skipped: number
  /** Flow records that this input gave. */
  records: number
  errors: string[]
  error_count: number
}

/** The report of one input from what its decoder counted; `records` are the flow records that it gave. */
export function reportInput(
  input: {
    source: string
    stats: DecodeStats
    bytesRead: number
    foundInDirectory: boolean
    known: boolean
  },
  records: number,
): ReportInput {
  const { source, stats, bytesRead, foundInDirectory, known } = input
  const unread = stats.broken && bytesRead === 0 ? 'unreadable' : 'unknown'
  return {
    source,
    format: stats.format,
    named: !foundInDirectory,
    state: known ? (stats.broken ? 'damaged' : 'read') : unread,
    bytes_read: bytesRead,
    packets: stats.packets,
    bytes: stats.bytes,
    lines: stats.lines,
    accepted: stats.accepted,
    rejected: stats.rejected,
    skipped: stats.skipped,
    records,
    errors: [...stats.errors],
    error_count: stats.errorCount,
  }
}

export type VerdictCounts = Record<Verdict, number>

/** Judgements by agent. The row with the empty id holds the judgements that belong to no agent. */
export interface ReportAgent {
  agent: string
  owner: string
  purpose: string
  environment: string
  /** Distinct flows, and judgements: a flow between two agents is judged once for each. */
  flows: number
  judgements: number
  verdicts: VerdictCounts
  /** How sure the attribution is: judgements by grade, only grades that occur. */
  grades: Partial<Record<Grade, number>>
  score_max: number
}

/**
 * Where an agent went or was reached from: judgements that agree in agent, direction, destination, server_name,
 * peer (where no name was seen), port, proto, verdict and rule.
 */
export interface ReportDestination {
  agent: string
  direction: 'egress' | 'ingress'
  /** Registrable name at the deciding moment, else address. */
  destination: string
  /** The name in full, '' if none was seen; and the address of the example flow's other end. */
  server_name: string
  peer: string
  port: number
  proto: string
  verdict: Verdict
  rule: string
  flows: number
  example: ReportFlow
}

export interface ReportReason {
  code: string
  weight: number
  evidence: string
}

/** A judged flow worth telling. Highest score first, then by time. */
export interface ReportFinding {
  alert_id: string
  kind: string
  agent: string
  /** Who it is when no agent is known: the address. */
  subject: string
  side: Side
  grade: Grade
  verdict: Verdict
  rule: string
  scope_version: string
  direction: 'egress' | 'ingress' | ''
  destination: string
  peer: string
  port: number
  proto: string
  score: number
  /** One sentence a person can act on. */
  sentence: string
  reasons: ReportReason[]
  evidence: string[]
  flow: ReportFlow
  /** The lines of YAML that would allow this flow, '' if nothing in a scope could. */
  mend: string
}

/** Findings with one id: the thing a person is told once. */
export interface ReportAlert {
  alert_id: string
  kind: string
  agent: string
  subject: string
  rule: string
  destination: string
  port: number
  proto: string
  first: string
  last: string
  flows: number
  score: number
  grade: Grade
  /** The sentence of its highest finding. */
  sentence: string
}

/** Traffic that looks like an agent's and belongs to none. */
export interface ReportUnregistered {
  address: string
  flows: number
  first: string
  last: string
  /** Where it went, most flows first; at most 20. */
  destinations: string[]
  score: number
}

/** One coverage metric, summed over the run's input. */
export interface ReportCoverage {
  sensor: string
  vantage: string
  source_kind: string
  metric: string
  from: string
  to: string
  value: number
}

/** Pieces that could not be decoded, by reason, with the first one's place. */
export interface ReportReject {
  source_kind: string
  reason: string
  count: number
  unit: string
  first_at: number
  detail: string
  sample: string
}

export interface ReportTimings {
  /** Wall-clock seconds of the whole run, and of its parts where they can be told apart. */
  total_seconds: number
  parts: Record<string, number>
}

export interface Report {
  schema: typeof REPORT_SCHEMA
  /** Version of Bailiwick. */
  version: string
  store: {
    /** URL or directory, '' for a temporary one. */
    address: string
    temporary: boolean
    /** Chunks of this run, and how many of them the store held already. */
    chunks: number
    chunks_known: number
  }
  totals: {
    inputs: number
    records: number
    flows: number
    judgements: number
    findings: number
    alerts: number
    rejects: number
  }
  verdicts: VerdictCounts
  inputs: ReportInput[]
  agents: ReportAgent[]
  destinations: ReportDestination[]
  findings: ReportFinding[]
  alerts: ReportAlert[]
  unregistered: ReportUnregistered[]
  coverage: ReportCoverage[]
  rejects: ReportReject[]
  /** What a person should know of the settings: shared addresses, rules that cannot match, scopes that expired. */
  warnings: string[]
  timings: ReportTimings
}

export function noVerdicts(): VerdictCounts {
  return Object.fromEntries(VERDICTS.map((verdict) => [verdict, 0])) as VerdictCounts
}

/**
 * Microseconds since 1970 as RFC 3339 in UTC with six digits: `2026-01-05T09:00:00.000250Z`. A time that no
 * calendar holds is the number of seconds.
 */
export function isoTime(micros: number): string {
  const millis = Math.floor(micros / 1000)
  if (!(Math.abs(millis) <= 8.64e15)) return String(micros / 1e6)
  const rest = Math.round(micros - millis * 1000)
  return `${new Date(millis).toISOString().slice(0, -1)}${String(rest).padStart(3, '0')}Z`
}

const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'icmp',
  2: 'igmp',
  6: 'tcp',
  17: 'udp',
  47: 'gre',
  50: 'esp',
  51: 'ah',
  58: 'icmp6',
  89: 'ospf',
  132: 'sctp',
}

/** An IP protocol in a word: `tcp`, or `ip-99` for one without a usual name. */
export function protocolWord(number: number): string {
  return PROTOCOLS[number] ?? `ip-${number}`
}

/** The number behind such a word, undefined if it is none. */
export function protocolNumber(word: string): number | undefined {
  const known = Object.entries(PROTOCOLS).find(([, name]) => name === word)
  const text = known?.[0] ?? /^ip-(\d{1,3})$/.exec(word)?.[1]
  return text === undefined || Number(text) > 255 ? undefined : Number(text)
}
