// Reports made by hand for the tests of this room.

import {
  isoTime,
  noVerdicts,
  REPORT_SCHEMA,
  type Report,
  type ReportAlert,
  type ReportDestination,
  type ReportFinding,
  type ReportFlow,
  type ReportInput,
} from '../../src/report.ts'

export const DOC = 'spiffe://acme.example/agent/doc-processor'
export const CHAT = 'spiffe://acme.example/agent/customer-chat'

const TS = 1_767_603_600_000_250

export function madeFlow(more: Partial<ReportFlow> = {}): ReportFlow {
  return {
    flow_id: '0190a1b2-0000-8000-8000-00000000002a',
    uid: 'CHhAvVGS1DHFjwGM9a',
    ts: isoTime(TS),
    orig_h: '10.1.0.5',
    orig_p: 40_112,
    resp_h: '203.0.113.9',
    resp_p: 443,
    proto: 'tcp',
    server_name: 'paste.example.net',
    ...more,
  }
}

export function madeFinding(more: Partial<ReportFinding> = {}): ReportFinding {
  return {
    alert_id: 'a1b2c3d4-0000-8000-8000-000000000001',
    kind: 'out_of_scope',
    agent: DOC,
    subject: '',
    side: 'orig',
    grade: 'certain',
    verdict: 'out_of_scope',
    rule: 'default-deny',
    scope_version: '4f2a',
    direction: 'egress',
    destination: 'example.net',
    peer: '203.0.113.9',
    port: 443,
    proto: 'tcp',
    score: 85,
    sentence:
      'doc-processor connected to paste.example.net (203.0.113.9) on tcp/443, which no rule of its scope allows.',
    reasons: [
      { code: 'out_of_scope', weight: 60, evidence: 'default-deny' },
      { code: 'public_peer', weight: 25, evidence: '203.0.113.9 is a public address' },
    ],
    evidence: ['address 10.1.0.5/32'],
    flow: madeFlow(),
    mend: '- domain: paste.example.net\n  port: 443',
    ...more,
  }
}

export function madeAlert(more: Partial<ReportAlert> = {}): ReportAlert {
  return {
    alert_id: 'a1b2c3d4-0000-8000-8000-000000000001',
    kind: 'out_of_scope',
    agent: DOC,
    subject: '',
    rule: 'default-deny',
    destination: 'example.net',
    port: 443,
    proto: 'tcp',
    first: isoTime(TS),
    last: isoTime(TS + 5e6),
    flows: 2,
    score: 85,
    grade: 'certain',
    sentence: 'doc-processor connected to paste.example.net.',
    ...more,
  }
}

export function madeDestination(more: Partial<ReportDestination> = {}): ReportDestination {
  return {
    agent: DOC,
    direction: 'egress',
    destination: 'example.net',
    server_name: 'paste.example.net',
    peer: '203.0.113.9',
    port: 443,
    proto: 'tcp',
    verdict: 'out_of_scope',
    rule: 'default-deny',
    flows: 2,
    example: madeFlow(),
    ...more,
  }
}

export function madeInput(more: Partial<ReportInput> = {}): ReportInput {
  return {
    source: 'input/doc.pcap',
    format: 'pcap',
    named: true,
    state: 'read',
    bytes_read: 45_000,
    packets: 300,
    bytes: 40_200,
    lines: 0,
    accepted: 0,
    rejected: 0,
    skipped: 0,
    records: 18,
    errors: [],
    error_count: 0,
    ...more,
  }
}

/** Two agents, one of which posted to a host that nobody declared. */
export function madeReport(more: Partial<Report> = {}): Report {
  return {
    schema: REPORT_SCHEMA,
    version: '0.1.0',
    store: { address: '', temporary: true, chunks: 1, chunks_known: 0 },
    totals: {
      inputs: 1,
      records: 21,
      flows: 21,
      judgements: 21,
      findings: 2,
      alerts: 1,
      rejects: 0,
    },
    verdicts: { ...noVerdicts(), in_scope: 19, out_of_scope: 2 },
    inputs: [madeInput()],
    agents: [
      {
        agent: DOC,
        owner: 'documents',
        purpose: 'reads documents',
        environment: 'production',
        flows: 18,
        judgements: 18,
        verdicts: { ...noVerdicts(), in_scope: 16, out_of_scope: 2 },
        grades: { certain: 17, probable: 1 },
        score_max: 85,
      },
      {
        agent: CHAT,
        owner: 'support',
        purpose: 'answers customers',
        environment: 'production',
        flows: 3,
        judgements: 3,
        verdicts: { ...noVerdicts(), in_scope: 3 },
        grades: { certain: 3 },
        score_max: 0,
      },
    ],
    destinations: [
      madeDestination({
        destination: 'openai.com',
        server_name: 'api.openai.com',
        peer: '198.51.100.7',
        verdict: 'in_scope',
        rule: 'egress-1',
        flows: 16,
      }),
      madeDestination(),
      madeDestination({
        agent: CHAT,
        destination: '10.0.9.5',
        server_name: '',
        peer: '10.0.9.5',
        port: 5432,
        verdict: 'in_scope',
        rule: 'egress-1',
        flows: 3,
      }),
    ],
    findings: [madeFinding(), madeFinding({ flow: madeFlow({ orig_p: 40_113 }), score: 80 })],
    alerts: [madeAlert()],
    unregistered: [],
    coverage: [
      { metric: 'packets', value: 300 },
      { metric: 'bytes', value: 40_200 },
      { metric: 'flows', value: 21 },
    ].map((row) => ({
      sensor: 'local',
      vantage: '',
      source_kind: 'pcap',
      from: isoTime(TS),
      to: isoTime(TS + 60e6),
      ...row,
    })),
    rejects: [],
    warnings: [],
    timings: { total_seconds: 0.84, parts: { open: 0.31, judge: 0.4, report: 0.13 } },
    ...more,
  }
}
