// The queries that the API asks, with their parameters and rows; queries.ts has the others. All of them are bounded by
// a span of time or by ids, and by `limit`. Times are microseconds since 1970, addresses are text, and an empty text
// means any.

import type { Grade, NameProof, NameSource, Side, Verdict } from '../flow.ts'
import type { AlertRow, ReasonColumns } from './queries.ts'

/** What an agent did, and when it was last heard of; see the query. */
export interface ApiAgentRow {
  agent: string
  judgements: number
  out_of_scope: number
  findings: number
  seen: number
}

/** A flow of an alert. */
export interface ApiFindingRow {
  flow_id: string
  side: Side
  began: number
  score: number
  sentence: string
}

export interface ApiFlowPlace {
  ts_micros: number
  flow_id: string
  side: Side
}

export interface ApiJudgementRow extends ReasonColumns {
  flow_id: string
  side: Side
  verdict: Verdict
  agent: string
  grade: Grade
  direction: 'egress' | 'ingress' | ''
  rule: string
  scope_version: string
  destination: string
  peer_name: string
  peer: string
  peer_port: number
  score: number
  /** The nil UUID if it is no finding. */
  alert_id: string
}

export interface ApiFlowRow {
  flow_id: string
  uid: string
  sensor: string
  vantage: string
  source_kind: string
  began: number
  ended: number
  orig_h: string
  orig_p: number
  resp_h: string
  resp_p: number
  ip_proto: number
  service: string
  conn_state: string
  handshake: string
  server_name: string
  name_source: NameSource | ''
  name_proof: NameProof | ''
  dns_names: string[]
  ja4: string
  user_agent: string
  anomalies: string[]
  end_reason: string
  /** null where nothing counted them. */
  orig_pkts: number | null
  resp_pkts: number | null
  orig_bytes: number | null
  resp_bytes: number | null
  records: number
}

export interface ApiCoverageRow {
  sensor: string
  vantage: string
  source_kind: string
  metric: string
  first: number
  last: number
  value: number
}

interface Limited {
  limit: number
}
interface Span {
  from: number
  to: number
}

/** Whether an agent talks, and who would know; microseconds, -1 for never. See the query. */
export interface AgentSeenRow {
  seen: number
  told: number
  blind: number
}

export interface ApiQueries {
  agent_last_seen: {
    params: { agent: string; sensor: string; since: number; recent: number }
    row: AgentSeenRow
  }
  api_agents: { params: Limited & { from: number; recent: number }; row: ApiAgentRow }
  /** The span's ends are whole hours. */
  api_alerts: {
    params: Limited &
      Span & {
        id: string
        agent: string
        destination: string
        kind: string
        min_score: number
        before: number
        before_id: string
      }
    row: AlertRow
  }
  api_findings: { params: Limited & Span & { id: string }; row: ApiFindingRow }
  api_flow_page: {
    params: Limited &
      Span & {
        agent: string
        destination: string
        verdict: Verdict | ''
        before: number
        before_flow: string
        before_side: string
      }
    row: ApiFlowPlace
  }
  api_judgements: { params: Span & { ids: readonly string[] }; row: ApiJudgementRow }
  api_flows: { params: Span & { ids: readonly string[] }; row: ApiFlowRow }
  api_coverage: { params: Limited & Span & { sensor: string }; row: ApiCoverageRow }
}
