// The domain: what a flow record, a judgement and a finding are, column by column, and the closed
// vocabularies. Every other room speaks these words. This file imports nothing.
//
// A table is a list of columns. The same list drives the in-memory block, the bytes on the bus and in
// the store (src/block.ts), and is compared with the DDL in sql/schema by a test.

/**
 * How a column is held in memory, and the ClickHouse type it is written as.
 *
 * | type      | in memory                                      | ClickHouse                  |
 * | --------- | ---------------------------------------------- | --------------------------- |
 * | `u8`      | Uint8Array                                     | UInt8                       |
 * | `u16`     | Uint16Array                                    | UInt16                      |
 * | `u32`     | Uint32Array                                    | UInt32                      |
 * | `count`   | Float64Array, integers to 2^53, NaN = unset    | Nullable(UInt64)            |
 * | `seconds` | Float64Array, seconds, NaN = unset             | Nullable(Float64)           |
 * | `time`    | Float64Array, microseconds since 1970 UTC      | DateTime64(6, 'UTC')        |
 * | `address` | 16 bytes a row, IPv4 as ::ffff:a.b.c.d         | IPv6                        |
 * | `uuid`    | 16 bytes a row, in reading order               | UUID                        |
 * | `word`    | dictionary code; few distinct values           | LowCardinality(String)      |
 * | `text`    | dictionary code; many distinct values          | String                      |
 * | `words`   | dictionary code of a list of strings           | Array(String)               |
 * | `bytes`   | dictionary code of a list of small numbers     | Array(UInt8)                |
 */
export type ColumnType =
  | 'u8'
  | 'u16'
  | 'u32'
  | 'count'
  | 'seconds'
  | 'time'
  | 'address'
  | 'uuid'
  | 'word'
  | 'text'
  | 'words'
  | 'bytes'

export type Columns = Readonly<Record<string, ColumnType>>

/** Flow records: what a sensor reports of a flow. Counters are deltas of this record. */
export const FLOW_COLUMNS = {
  flow_id: 'uuid',
  /** Counts up within a flow; the second half of a cloud flow log's conversation is 1. */
  rec_no: 'u32',
  /** Zeek's own uid where the input has one; otherwise empty and derived from flow_id for display. */
  uid: 'text',
  sensor: 'word',
  /** The observation point inside the sensor: capture interface, cloud interface id; '' if there is one only. */
  vantage: 'word',
  /** pcap, zeek, aws, gcp, azure. */
  source_kind: 'word',
  /** First packet of the flow (not of the record). */
  ts: 'time',
  /** Last packet, or end of the aggregation interval, that this record speaks of. */
  end: 'time',
  /** Zeek's duration: first packet to last, for a closed TCP connection to the packet that closed it. */
  duration: 'seconds',
  orig_h: 'address',
  orig_p: 'u16',
  resp_h: 'address',
  resp_p: 'u16',
  /** IANA protocol number. */
  ip_proto: 'u8',
  /** Application protocol confirmed by content, Zeek's names, comma-joined. */
  service: 'word',
  orig_bytes: 'count',
  resp_bytes: 'count',
  missed_bytes: 'count',
  orig_pkts: 'count',
  orig_ip_bytes: 'count',
  resp_pkts: 'count',
  resp_ip_bytes: 'count',
  conn_state: 'word',
  history: 'word',
  /** Outer and inner 802.1Q id, 0 = none. */
  vlan: 'u16',
  inner_vlan: 'u16',
  /** uids of the enclosing tunnels, outermost first. */
  tunnel_parents: 'words',
  /** Zeek's own; else empty, and derived from the endpoints for the store and for display. */
  community_id: 'text',
  /** 1 = orig and resp were told apart by a SYN or by the source; 0 = guessed. */
  direction_sure: 'u8',
  /** HANDSHAKES: how far the attempt had come at the deciding moment. */
  handshake: 'word',
  /** The deciding moment, and which of DECIDERS came first. */
  decided_at: 'time',
  decided_by: 'word',
  /** The name the originator asked for, as evidence; '' if none was seen. */
  server_name: 'word',
  /** NAME_SOURCES. */
  name_source: 'word',
  /** NAME_PROOFS: what this client's own DNS says of (server_name, resp_h). */
  name_proof: 'word',
  /** Names that this client had been given for resp_h before the deciding moment, newest first. */
  dns_names: 'words',
  ja3: 'word',
  ja4: 'word',
  /** First ALPN protocol offered. */
  alpn: 'word',
  user_agent: 'word',
  /** User of a proxy (Proxy-Authorization: Basic, or an explicit proxy's log). */
  proxy_user: 'word',
  /** Cloud network interface whose log this is, and the end of the flow it sits at: orig, resp or ''. */
  interface_id: 'word',
  interface_side: 'word',
  /** Cloud verdict: ACCEPT, REJECT or ''. */
  action: 'word',
  /** What was odd, as stable codes. */
  anomalies: 'words',
  /** Why this record was written: END_REASONS. */
  end_reason: 'word',
} as const satisfies Columns

/** The counters of a flow record. */
export const FLOW_COUNTERS = [
  'orig_bytes',
  'resp_bytes',
  'missed_bytes',
  'orig_pkts',
  'orig_ip_bytes',
  'resp_pkts',
  'resp_ip_bytes',
] as const satisfies (keyof typeof FLOW_COLUMNS)[]

/** Judgements: one row per (flow, side, ruling). `ts` is the flow's, so both tables partition alike. */
export const JUDGEMENT_COLUMNS = {
  flow_id: 'uuid',
  /** orig, resp, or none when neither side belongs to an agent. */
  side: 'word',
  /** 0 at ingest; each later change of scope or facts is another. The highest holds. */
  ruling: 'u16',
  ts: 'time',
  verdict: 'word',
  /** Agent id, '' if unattributed. */
  agent: 'word',
  /** All agents that could own the side, when there is more than one. */
  candidates: 'words',
  /** ATTRIBUTION_METHODS, '' if unattributed. */
  method: 'word',
  grade: 'word',
  /** What attribution rests on, one line a piece: `address 10.0.0.5/32`. */
  evidence: 'words',
  /** egress or ingress, seen from the agent. */
  direction: 'word',
  /** Rule id that decided, `default-deny` if none matched, '' if nothing was asked. */
  rule: 'word',
  /** Version text of the scope that decided. */
  scope_version: 'word',
  /** The other end: registrable name at the deciding moment, else address. */
  destination: 'word',
  /** The other end's name in full, '' if none was seen. */
  peer_name: 'word',
  peer: 'address',
  peer_port: 'u16',
  ip_proto: 'u8',
  score: 'u8',
  /** Parallel lists: stable code, weight, evidence in words. */
  reason_codes: 'words',
  reason_weights: 'bytes',
  reason_evidence: 'words',
  /** Alert that this judgement belongs to; the nil UUID if it is no finding. */
  alert_id: 'uuid',
  /**
   * Of the flow in this chunk, seen from the judged side (from the originator if none is judged): its records, and
   * the bytes that it sent and was sent, on the wire where that is known, else payload; unset if no record knows.
   */
  records: 'u32',
  bytes_out: 'count',
  bytes_in: 'count',
} as const satisfies Columns

/** Findings: judged flows worth telling. Grouped by alert_id they are the alerts. */
export const FINDING_COLUMNS = {
  alert_id: 'uuid',
  flow_id: 'uuid',
  side: 'word',
  ruling: 'u16',
  ts: 'time',
  /** out_of_scope or unregistered; a detector's name for windowed findings. */
  kind: 'word',
  rule: 'word',
  agent: 'word',
  /** Who it is when no agent is known: the address in words. */
  subject: 'word',
  destination: 'word',
  peer: 'address',
  peer_port: 'u16',
  ip_proto: 'u8',
  grade: 'word',
  score: 'u8',
  /** One sentence a person can act on. Built from escaped evidence. */
  sentence: 'text',
  /** What an action may rest on, as in the judgement and the flow record. */
  method: 'word',
  handshake: 'word',
  direction: 'word',
  direction_sure: 'u8',
  /** The deciding moment; the flow's beginning where a log does not tell it. */
  decided_at: 'time',
  peer_name: 'word',
} as const satisfies Columns

/** Coverage: what a sensor saw, dropped, cut or could not parse, per interval. Tall: one metric a row. */
export const COVERAGE_COLUMNS = {
  sensor: 'word',
  vantage: 'word',
  source_kind: 'word',
  /** Interval that the value speaks of, in time of the data. */
  ts: 'time',
  end: 'time',
  /** packets, bytes, flows, lines, accepted, rejected, skipped, nodata, skipdata, packets_cut, parse_error.<kind>, evicted.<reason>, ... */
  metric: 'word',
  value: 'count',
} as const satisfies Columns

/** Rejects (dead letters): what could not be decoded, where it is, and the start of it. */
export const REJECT_COLUMNS = {
  sensor: 'word',
  source_kind: 'word',
  /** Offset of the piece in its input, counted in `unit`: byte, packet or line (1-based). */
  at: 'count',
  unit: 'word',
  /** Stable code. */
  reason: 'word',
  detail: 'text',
  /** At most 512 bytes of it, escaped. */
  sample: 'text',
} as const satisfies Columns

/**
 * Announcements: what a sensor says it has sent so far, so that whoever stores it can tell when something is missing.
 * Running totals; of two rows about the same thing the larger one holds.
 */
export const ANNOUNCED_COLUMNS = {
  sensor: 'word',
  /** See ChunkHeader.origin. */
  origin: 'word',
  /** `origin`: all of it. `hour`: its flow records that began in one hour. */
  about: 'word',
  /** Start of that hour in time of the data; 0 for a whole origin, and for records of no known hour. */
  hour: 'time',
  /** Chunks of a whole origin (0 to chunks - 1 exist), and whether the input is over; 0 for an hour. */
  chunks: 'u32',
  last: 'u8',
  flow_records: 'count',
  coverage: 'count',
  rejects: 'count',
  /** Wall clock of the sensor. */
  said_at: 'time',
} as const satisfies Columns

export type FlowColumns = typeof FLOW_COLUMNS
export type JudgementColumns = typeof JUDGEMENT_COLUMNS
export type FindingColumns = typeof FINDING_COLUMNS
export type CoverageColumns = typeof COVERAGE_COLUMNS
export type RejectColumns = typeof REJECT_COLUMNS
export type AnnouncedColumns = typeof ANNOUNCED_COLUMNS

/** The tables of the store that blocks are written to, by name. */
export const TABLES = {
  flow_records: FLOW_COLUMNS,
  coverage: COVERAGE_COLUMNS,
  rejects: REJECT_COLUMNS,
  announced: ANNOUNCED_COLUMNS,
  judgements: JUDGEMENT_COLUMNS,
  findings: FINDING_COLUMNS,
} as const satisfies Record<string, Columns>
export type TableName = keyof typeof TABLES

export const VERDICTS = [
  'in_scope',
  'out_of_scope',
  'unknown_name',
  'unattributed',
  'unregistered',
] as const
export type Verdict = (typeof VERDICTS)[number]

export const GRADES = ['certain', 'probable', 'contested', 'shared', 'unknown'] as const
export type Grade = (typeof GRADES)[number]

export const SIDES = ['orig', 'resp', 'none'] as const
export type Side = (typeof SIDES)[number]

/**
 * How far an attempt had come at the deciding moment.
 * `completed` both sides took part (TCP: three-way handshake; else: an answer came back) · `answered` the
 * responder spoke but the handshake was not finished · `refused` RST, ICMP unreachable or a cloud REJECT ·
 * `unanswered` no reply · `unseen` the beginning was not observed (midstream, cloud logs without flags).
 */
export const HANDSHAKES = ['completed', 'answered', 'refused', 'unanswered', 'unseen'] as const
export type Handshake = (typeof HANDSHAKES)[number]

/** What made the deciding moment. `reported`: a log that tells of a flow after the fact. */
export const DECIDERS = [
  'name',
  'no_name',
  'refused',
  'unanswered',
  'silent',
  'end',
  'reported',
] as const
export type Decider = (typeof DECIDERS)[number]

/** Where server_name comes from. `dns`: no name in the payload, but the client had been given one for this address. */
export const NAME_SOURCES = ['sni', 'quic_sni', 'ech_outer', 'http_host', 'connect', 'dns'] as const
export type NameSource = (typeof NAME_SOURCES)[number]

/**
 * `confirmed` this client was given resp_h for this name · `contradicted` it was given other addresses for it,
 * never this one · `unconfirmed` its DNS for this name was not seen.
 */
export const NAME_PROOFS = ['confirmed', 'contradicted', 'unconfirmed'] as const
export type NameProof = (typeof NAME_PROOFS)[number]

export const ATTRIBUTION_METHODS = ['proxy_user', 'interface', 'address'] as const
export type AttributionMethod = (typeof ATTRIBUTION_METHODS)[number]

/**
 * `end` closed · `timeout` idle · `attempt` unanswered · `input_end` · `evicted` table full · `reported` by a log. Of a flow
 * that goes on: `open` it was decided · `active` the active timeout has passed.
 */
export const END_REASONS = [
  'end',
  'timeout',
  'attempt',
  'input_end',
  'evicted',
  'reported',
  'active',
  'open',
] as const
export type EndReason = (typeof END_REASONS)[number]
