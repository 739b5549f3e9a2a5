// Findings for tests: one flow that left its scope, with whatever a test says otherwise.

import { contentUuid, formatUuid } from '../../src/hash.ts'
import type { FindingEvent } from '../../src/respond/finding.ts'

export const uuid = (...parts: (string | number)[]) =>
  formatUuid(contentUuid(parts.map((part) => String(part))))

/** Flow `flow` of alert `alert`. */
export function finding(
  alert: string | number,
  flow: string | number = 0,
  more: Partial<FindingEvent> = {},
): FindingEvent {
  return {
    chunkId: uuid('chunk', flow),
    row: 0,
    ruling: 0,
    alertId: uuid('alert', alert),
    flowId: uuid('flow', alert, flow),
    side: 'orig',
    ts: 1_700_000_000_000_000,
    decidedAt: 1_700_000_000_010_000,
    kind: 'out_of_scope',
    rule: 'default-deny',
    agent: 'spiffe://acme.example/agents/invoice',
    subject: 'spiffe://acme.example/agents/invoice',
    destination: `host-${alert}.example.net`,
    peerName: `host-${alert}.example.net`,
    peer: '203.0.113.7',
    port: 443,
    ipProto: 6,
    grade: 'certain',
    method: 'static_address',
    handshake: 'completed',
    direction: 'egress',
    directionSure: true,
    score: 70,
    sentence: `invoice reached host-${alert}.example.net:443, which its scope does not name`,
    sensor: 'edge-1',
    ...more,
  }
}
