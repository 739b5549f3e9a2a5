// Sample chunks for the tests of the store: real chunks from a ChunkWriter, with judgements and findings made by
// hand, all functions of a seed.

import { Block } from '../../src/block.ts'
import { type ChunkHeader, ChunkWriter, decodeChunk, type PartName } from '../../src/chunk.ts'
import { FINDING_COLUMNS, JUDGEMENT_COLUMNS, type Verdict } from '../../src/flow.ts'
import { contentUuid } from '../../src/hash.ts'
import { encodeBlock } from '../../src/native.ts'
import type { SliceChunk } from '../../src/store/store.ts'

export const DAY = 86_400_000_000
/** 2026-01-05 09:00 UTC. */
export const MONDAY = Date.UTC(2026, 0, 5, 9) * 1000

export const NO_ALERT = new Uint8Array(16)
export const AGENT = 'spiffe://corp.example/agent/invoice-reader'

/** ::ffff:10.0.x.y */
export function host(n: number): Uint8Array {
  const bytes = new Uint8Array(16)
  bytes.set([0xff, 0xff, 10, 0, (n >> 8) & 255, n & 255], 10)
  return bytes
}

export function flowIdOf(name: string): Uint8Array {
  return contentUuid([name])
}

export interface SampleFlow {
  name: string
  ts?: number
  rec_no?: number
  orig?: number
  resp?: number
  port?: number
  orig_pkts?: number
  resp_pkts?: number
  orig_bytes?: number
  resp_bytes?: number
  server_name?: string
  user_agent?: string
  action?: string
  conn_state?: string
  anomalies?: string[]
}

export interface SampleChunk {
  origin?: string
  flows: SampleFlow[]
  rejects?: { reason: string; at: number; sample: string }[]
  /** What a live capture counted, beside the packets. */
  covers?: readonly { metric: string; value: number; at: number }[]
  /** Chunks before this one, so that its sequence number is theirs. */
  seq?: number
}

function writeFlow(writer: ChunkWriter, flow: SampleFlow): void {
  const row = writer.flow()
  const c = writer.flows.columns
  const ts = flow.ts ?? MONDAY
  c.flow_id.set(flowIdOf(flow.name), row * 16)
  c.rec_no[row] = flow.rec_no ?? 0
  c.sensor.set(row, 'tap1')
  c.source_kind.set(row, 'pcap')
  c.ts[row] = ts
  c.end[row] = ts + 1_500_000
  c.duration[row] = 1.5
  c.orig_h.set(host(flow.orig ?? 5), row * 16)
  c.orig_p[row] = 40_000
  c.resp_h.set(host(flow.resp ?? 9), row * 16)
  c.resp_p[row] = flow.port ?? 443
  c.ip_proto[row] = 6
  c.orig_pkts[row] = flow.orig_pkts ?? 10
  c.resp_pkts[row] = flow.resp_pkts ?? 8
  c.orig_bytes[row] = flow.orig_bytes ?? 1000
  c.resp_bytes[row] = flow.resp_bytes ?? 5000
  c.conn_state.set(row, flow.conn_state ?? 'SF')
  c.server_name.set(row, flow.server_name ?? '')
  c.user_agent.set(row, flow.user_agent ?? '')
  c.action.set(row, flow.action ?? '')
  c.anomalies.set(row, flow.anomalies ?? [])
  c.decided_at[row] = ts
}

/** A chunk as a sensor makes it. */
export function sampleChunk(sample: SampleChunk): {
  header: ChunkHeader
  parts: Map<PartName, Uint8Array>
} {
  const chunks: Uint8Array[] = []
  const origin = { sensor: 'tap1', origin: sample.origin ?? 'tap1/abc', format: 'pcap' }
  const writer = new ChunkWriter(origin, (chunk) => chunks.push(chunk))
  for (let i = 0; i < (sample.seq ?? 0); i++) writer.end()
  for (const flow of sample.flows) writeFlow(writer, flow)
  const from = Math.min(...sample.flows.map((flow) => flow.ts ?? MONDAY), MONDAY)
  writer.cover({ kind: 'pcap', from, to: from + DAY, metric: 'packets', value: 18 })
  for (const { metric, value, at } of sample.covers ?? [])
    writer.cover({ kind: 'live', from: at, to: at + 1, metric, value })
  for (const { reason, at, sample: text } of sample.rejects ?? [])
    writer.reject({ kind: 'pcap', at, unit: 'packet', reason, detail: 'cut', sample: text })
  writer.end()
  return decodeChunk(chunks.at(-1)!)
}

export interface SampleJudgement {
  name: string
  verdict: Verdict
  side?: 'orig' | 'resp' | 'none'
  agent?: string
  destination?: string
  port?: number
  score?: number
  ts?: number
  alert?: string
  sentence?: string
  grade?: string
  bytes_out?: number
  bytes_in?: number
}

/** The chunk with its judgements; those with an alert are findings, too. */
export function judged(
  chunk: { header: ChunkHeader; parts: Map<PartName, Uint8Array> },
  judgements: readonly SampleJudgement[],
  ruling = 0,
  judgedKey = 'key0',
): SliceChunk {
  const block = new Block(JUDGEMENT_COLUMNS, 16)
  const findings = new Block(FINDING_COLUMNS, 16)
  for (const one of judgements) {
    const row = block.add()
    const c = block.columns
    const side = one.side ?? 'orig'
    const agent = one.agent ?? AGENT
    const alert = one.alert === undefined ? NO_ALERT : contentUuid([one.alert])
    c.flow_id.set(flowIdOf(one.name), row * 16)
    c.side.set(row, side)
    c.ruling[row] = ruling
    c.ts[row] = one.ts ?? MONDAY
    c.verdict.set(row, one.verdict)
    c.agent.set(row, agent)
    c.grade.set(row, one.grade ?? 'certain')
    c.evidence.set(row, ['address 10.0.0.5/32'])
    c.direction.set(row, side === 'resp' ? 'ingress' : 'egress')
    c.rule.set(row, one.verdict === 'in_scope' ? 'allow-api' : 'default-deny')
    c.destination.set(row, one.destination ?? 'api.example.com')
    c.peer_name.set(row, one.destination ?? 'api.example.com')
    c.peer.set(host(9), row * 16)
    c.peer_port[row] = one.port ?? 443
    c.ip_proto[row] = 6
    c.score[row] = one.score ?? 0
    c.reason_codes.set(row, ['default_deny'])
    c.reason_weights.set(row, [40])
    c.reason_evidence.set(row, ['no rule names it'])
    c.alert_id.set(alert, row * 16)
    c.records[row] = 1
    c.bytes_out[row] = one.bytes_out ?? 1000
    c.bytes_in[row] = one.bytes_in ?? 5000
    if (one.alert === undefined) continue
    const at = findings.add()
    const f = findings.columns
    f.alert_id.set(alert, at * 16)
    f.flow_id.set(flowIdOf(one.name), at * 16)
    f.side.set(at, side)
    f.ruling[at] = ruling
    f.ts[at] = one.ts ?? MONDAY
    f.kind.set(at, one.verdict)
    f.rule.set(at, 'default-deny')
    f.agent.set(at, agent)
    f.subject.set(at, agent === '' ? '10.0.0.5' : '')
    f.destination.set(at, one.destination ?? 'api.example.com')
    f.peer.set(host(9), at * 16)
    f.peer_port[at] = one.port ?? 443
    f.ip_proto[at] = 6
    f.grade.set(at, one.grade ?? 'certain')
    f.score[at] = one.score ?? 0
    f.sentence.set(at, one.sentence ?? 'it went where it should not')
  }
  return {
    ...chunk,
    judgements: encodeBlock(block),
    findings: encodeBlock(findings),
    ruling,
    judgedKey,
  }
}
