// A run's report from what the store holds of it. The counting is SQL (sql/queries/report_*.sql); here rows
// become the report's shape, and each finding gets the rule that would mend it.

import { randomUUID } from 'node:crypto'
import { GRADES, type Grade, type NameProof, type NameSource, VERDICTS } from './flow.ts'
import { uidOf } from './flow-id.ts'
import type { PipelineResult } from './pipeline.ts'
import {
  isoTime,
  noVerdicts,
  protocolWord,
  REPORT_ROWS_MAX,
  REPORT_SCHEMA,
  type Report,
  type ReportAgent,
  type ReportAlert,
  type ReportDestination,
  type ReportFinding,
  type ReportFlow,
  type ReportInput,
} from './report.ts'
import { type Alert, listAlerts } from './respond/alerts.ts'
import { explain } from './scope/explain.ts'
import type { Snapshot } from './snapshot.ts'
import type { AgentRow, DestinationRow, FindingRow, FlowRow } from './store/queries.ts'
import type { Store } from './store/store.ts'
import { parseUuid } from './store/uuid.ts'

export interface ReportParts {
  store: Store
  result: PipelineResult
  inputs: readonly ReportInput[]
  snapshot: Snapshot
  warnings: readonly string[]
  version: string
}

/** Everything but the timings. @throws a StoreError */
export async function buildReport(parts: ReportParts): Promise<Omit<Report, 'timings'>> {
  const { store, result, snapshot } = parts
  const run = randomUUID()
  await store.noteRun(run, result.chunkIds)
  const params = { run, limit: REPORT_ROWS_MAX }
  const [totals] = await store.query('report_totals', params)
  const verdicts = noVerdicts()
  for (const row of await store.query('report_verdicts', params))
    verdicts[row.verdict] = row.judgements
  const agents = await store.query('report_agents', params)
  const destinations = await store.query('report_destinations', params)
  const findings = await store.query('report_findings', params)
  const alerts = await listAlerts(store, run, REPORT_ROWS_MAX)
  const unregistered = await store.query('report_unregistered', params)
  const coverage = await store.query('report_coverage', params)
  const rejects = await store.query('report_rejects', params)
  return {
    schema: REPORT_SCHEMA,
    version: parts.version,
    store: {
      address: store.temporary ? '' : store.address,
      temporary: store.temporary,
      chunks: result.chunkIds.length,
      chunks_known: result.chunksKnown,
    },
    totals: {
      inputs: parts.inputs.length,
      records: totals?.records ?? 0,
      flows: totals?.flows ?? 0,
      judgements: totals?.judgements ?? 0,
      findings: totals?.findings ?? 0,
      alerts: totals?.alerts ?? 0,
      rejects: totals?.rejects ?? 0,
    },
    verdicts,
    inputs: [...parts.inputs],
    agents: [...agents.map((row) => agentOf(row, snapshot)), ...silentAgents(agents, snapshot)],
    destinations: destinations.map(destinationOf),
    findings: findings.map((row) => findingOf(row, snapshot)),
    alerts: alerts.map(alertOf),
    unregistered: unregistered.map((row) => ({
      address: row.address,
      flows: row.flows,
      first: isoTime(row.first),
      last: isoTime(row.last),
      destinations: row.destinations,
      score: row.score,
    })),
    coverage: coverage.map((row) => ({ ...row, from: isoTime(row.from), to: isoTime(row.to) })),
    rejects: rejects.map(({ origin: _, ...row }) => row),
    warnings: [...parts.warnings],
  }
}

function flowOf(row: FlowRow): ReportFlow {
  return {
    flow_id: row.flow_id,
    uid: row.uid || uidOf(parseUuid(row.flow_id)),
    ts: isoTime(row.ts),
    orig_h: row.orig_h,
    orig_p: row.orig_p,
    resp_h: row.resp_h,
    resp_p: row.resp_p,
    proto: protocolWord(row.ip_proto),
    server_name: row.server_name,
  }
}

/** Registered agents of which nothing was seen: their silence is a result too. */
function silentAgents(seen: readonly AgentRow[], snapshot: Snapshot): ReportAgent[] {
  const ids = new Set(seen.map(({ agent }) => agent))
  return snapshot.agents
    .filter(({ id }) => !ids.has(id))
    .map(({ id, owner, purpose, environment }) => ({
      agent: id,
      owner,
      purpose,
      environment,
      flows: 0,
      judgements: 0,
      verdicts: noVerdicts(),
      grades: {},
      score_max: 0,
    }))
}

function agentOf(row: AgentRow, snapshot: Snapshot): ReportAgent {
  const agent = snapshot.agents.find(({ id }) => id === row.agent)
  const verdicts = noVerdicts()
  for (const verdict of VERDICTS) verdicts[verdict] = row[verdict]
  const grades: Partial<Record<Grade, number>> = {}
  for (const grade of GRADES) if (row[grade] > 0) grades[grade] = row[grade]
  return {
    agent: row.agent,
    owner: agent?.owner ?? '',
    purpose: agent?.purpose ?? '',
    environment: agent?.environment ?? '',
    flows: row.flows,
    judgements: row.judgements,
    verdicts,
    grades,
    score_max: row.score_max,
  }
}

function destinationOf(row: DestinationRow): ReportDestination {
  return {
    agent: row.agent,
    direction: row.direction,
    destination: row.destination,
    server_name: row.server_name,
    peer: row.peer,
    port: row.peer_port,
    proto: protocolWord(row.ip_proto),
    verdict: row.verdict,
    rule: row.rule,
    flows: row.flows,
    example: flowOf(row),
  }
}

function findingOf(row: FindingRow, snapshot: Snapshot): ReportFinding {
  return {
    alert_id: row.alert_id,
    kind: row.kind,
    agent: row.agent,
    subject: row.subject,
    side: row.side,
    grade: row.grade,
    verdict: row.verdict || 'out_of_scope',
    rule: row.rule,
    scope_version: row.scope_version,
    direction: row.direction,
    destination: row.destination,
    peer: row.peer,
    port: row.peer_port,
    proto: protocolWord(row.ip_proto),
    score: row.score,
    sentence: row.sentence,
    reasons: row.reason_codes.map((code, i) => ({
      code,
      weight: row.reason_weights[i] ?? 0,
      evidence: row.reason_evidence[i] ?? '',
    })),
    evidence: row.evidence,
    flow: flowOf(row),
    mend: mendOf(row, snapshot),
  }
}

/** The rule that would allow this flow; '' where no scope is to blame. */
function mendOf(row: FindingRow, snapshot: Snapshot): string {
  if (row.verdict !== 'out_of_scope' || row.agent === '' || row.direction === '') return ''
  const explained = explain(snapshot.scopes, {
    agent: row.agent,
    direction: row.direction,
    ts: row.ts,
    ipProto: row.ip_proto,
    port: row.peer_port,
    peer: row.peer,
    serverName: row.server_name,
    nameSource: row.name_source as NameSource | '',
    nameProof: row.name_proof as NameProof | '',
    dnsNames: row.dns_names,
  })
  return explained?.suggestion ?? ''
}

function alertOf({ id, ipProto, first, last, ...alert }: Alert): ReportAlert {
  return {
    alert_id: id,
    ...alert,
    proto: protocolWord(ipProto),
    first: isoTime(first),
    last: isoTime(last),
  }
}
