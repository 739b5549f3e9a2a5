// A finding as strong as they come; tests change what they are about.

import type { FindingEvent } from '../../src/respond/finding.ts'

export const finding: FindingEvent = {
  chunkId: '00000000-0000-4000-8000-000000000001',
  row: 0,
  ruling: 0,
  alertId: '00000000-0000-4000-8000-0000000000a1',
  flowId: '00000000-0000-4000-8000-0000000000f1',
  side: 'orig',
  ts: 1_700_000_000_000_000,
  decidedAt: 1_700_000_000_100_000,
  kind: 'out_of_scope',
  rule: 'default-deny',
  agent: 'spiffe://prod/bot',
  subject: '10.0.0.5',
  destination: 'exfil.example',
  peerName: 'files.exfil.example',
  peer: '192.0.2.7',
  port: 443,
  ipProto: 6,
  grade: 'certain',
  method: 'address',
  handshake: 'completed',
  direction: 'egress',
  directionSure: true,
  score: 70,
  sentence: 'bot reached files.exfil.example:443, which no rule of its scope allows',
  sensor: 'test',
}
