// A judged flow as the API shows it: what was seen, whose it is, what was concluded and why.

import { z } from 'zod'
import { isoTime, protocolWord } from '../report.ts'
import type { ApiFlowPlace, ApiFlowRow, ApiJudgementRow } from '../store/api-queries.ts'
import type { Store } from '../store/store.ts'
import { NIL } from './shapes.ts'

const count = z.int().nullable()

export const FlowShown = z
  .object({
    flow_id: z.string(),
    /** The judged end: orig, resp, or none. */
    side: z.string(),
    verdict: z.string(),
    agent: z.string(),
    candidates: z.array(z.string()),
    grade: z.string(),
    method: z.string(),
    evidence: z.array(z.string()),
    direction: z.string(),
    rule: z.string(),
    scope_version: z.string(),
    destination: z.string(),
    peer_name: z.string(),
    peer: z.string(),
    peer_port: z.int(),
    score: z.int(),
    reasons: z.array(z.object({ code: z.string(), weight: z.int(), evidence: z.string() })),
    alert_id: z.string().nullable(),
    began: z.string(),
    ended: z.string(),
    /** More may come of it. */
    open: z.boolean(),
    sensor: z.string(),
    vantage: z.string(),
    source_kind: z.string(),
    uid: z.string(),
    orig_h: z.string(),
    orig_p: z.int(),
    resp_h: z.string(),
    resp_p: z.int(),
    protocol: z.string(),
    service: z.string(),
    conn_state: z.string(),
    handshake: z.string(),
    server_name: z.string(),
    name_source: z.string(),
    name_proof: z.string(),
    dns_names: z.array(z.string()),
    ja4: z.string(),
    user_agent: z.string(),
    anomalies: z.array(z.string()),
    orig_pkts: count,
    resp_pkts: count,
    orig_bytes: count,
    resp_bytes: count,
  })
  .meta({ id: 'Flow' })
export type FlowShown = z.infer<typeof FlowShown>

/** The flows at these places with the judgements that hold of them, in their order; those that are gone are left out. */
export async function flowsOf(
  lane: Pick<Store, 'query'>,
  places: readonly ApiFlowPlace[],
): Promise<FlowShown[]> {
  if (places.length === 0) return []
  const times = places.map(({ ts_micros }) => ts_micros)
  const which = {
    ids: [...new Set(places.map(({ flow_id }) => flow_id))],
    from: Math.min(...times),
    to: Math.max(...times),
  }
  const judged = new Map<string, ApiJudgementRow>()
  for (const row of await lane.query('api_judgements', which))
    judged.set(`${row.flow_id} ${row.side}`, row)
  const seen = new Map<string, ApiFlowRow>()
  for (const row of await lane.query('api_flows', which)) seen.set(row.flow_id, row)
  return places.flatMap(({ flow_id, side }) => {
    const judgement = judged.get(`${flow_id} ${side}`)
    const flow = seen.get(flow_id)
    return judgement === undefined || flow === undefined ? [] : [shown(judgement, flow)]
  })
}

function shown(judgement: ApiJudgementRow, flow: ApiFlowRow): FlowShown {
  const { reason_codes, reason_weights, reason_evidence, alert_id, ...concluded } = judgement
  const { began, ended, ip_proto, end_reason, records: _, ...observed } = flow
  return {
    ...observed,
    ...concluded,
    reasons: reason_codes.map((code, at) => ({
      code,
      weight: reason_weights[at] ?? 0,
      evidence: reason_evidence[at] ?? '',
    })),
    alert_id: alert_id === NIL ? null : alert_id,
    began: isoTime(began),
    ended: isoTime(ended),
    open: end_reason === 'open' || end_reason === 'active',
    protocol: protocolWord(ip_proto),
  }
}
