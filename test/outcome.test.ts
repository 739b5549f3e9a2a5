import { expect, test } from 'vitest'
import { parseAddress } from '../src/address.ts'
import { addressWords } from '../src/address-facts.ts'
import { FINDING_COLUMNS, JUDGEMENT_COLUMNS } from '../src/flow.ts'
import type { Judgement } from '../src/judge.ts'
import { JudgementWords } from '../src/judgement-words.ts'
import { decodeBlock } from '../src/native-read.ts'
import { OutcomeWriter, type RowFacts } from '../src/outcome.ts'

const DENIED: Judgement = {
  side: 'orig',
  verdict: 'out_of_scope',
  agent: '',
  candidates: ['urn:agent:a', 'urn:agent:b', 'urn:agent:c', 'urn:agent:d', 'urn:agent:e'],
  method: 'address',
  grade: 'contested',
  evidence: ['address 10.0.0.1/32'],
  direction: 'egress',
  turned: false,
  rule: 'default-deny',
  scopeVersion: '',
  port: 443,
  score: 35,
  reasons: [{ code: 'out_of_scope', weight: 35, evidence: 'e' }],
  finding: true,
}
const ALLOWED: Judgement = {
  ...DENIED,
  verdict: 'in_scope',
  rule: 'llm',
  reasons: [],
  score: 0,
  finding: false,
}
const DAY = 86_400_000_000

const FLOW_IDS = Uint8Array.from({ length: 32 }, (_, i) => i)
const PEERS = Uint8Array.from([...new Uint8Array(16), ...parseAddress('203.0.113.7')!])

const FACTS: RowFacts = {
  flowIds: addressWords(FLOW_IDS, 2),
  row: 1,
  ts: 20_000 * DAY,
  peers: addressWords(PEERS, 2),
  protocol: 6,
  destinationNumber: 0,
  destination: 'example.net',
  peerName: '',
  peerAddress: '203.0.113.7',
  subject: '10.0.0.1',
  handshake: 'unanswered',
  directionSure: true,
  decidedAt: 20_000 * DAY + 7,
  endpoint: undefined,
  records: 2,
  bytesOut: 2 ** 40,
  bytesIn: Number.NaN,
}

test('a judgement that is learnt once is written any number of times, findings as well', () => {
  const words = new JudgementWords()
  words.begin()
  const out = new OutcomeWriter(new Map(), words, 4, 2)
  words.learn(0, DENIED)
  words.learn(1, ALLOWED)
  const to = (destination: string) => ({
    destination,
    destinationNumber: words.destinations.number(destination),
  })
  out.add(0, { ...FACTS, ...to('example.net') }, DENIED)
  out.add(1, { ...FACTS, ...to('example.net'), ts: FACTS.ts - 1 }, undefined)
  out.add(0, { ...FACTS, ...to('example.org') }, DENIED)
  const outcome = out.outcome(3)
  expect(outcome).toMatchObject({
    flows: 3,
    judgementRows: 3,
    findingRows: 2,
    counts: { in_scope: 1, out_of_scope: 2, unknown_name: 0, unattributed: 0, unregistered: 0 },
    days: ['2024-10-03', '2024-10-04'],
  })
  const j = decodeBlock(outcome.judgements, JUDGEMENT_COLUMNS).columns
  expect(
    [0, 1, 2].map((row) => [j.verdict.get(row), j.rule.get(row), j.score[row], j.ruling[row]]),
  ).toEqual([
    ['out_of_scope', 'default-deny', 35, 4],
    ['in_scope', 'llm', 0, 4],
    ['out_of_scope', 'default-deny', 35, 4],
  ])
  expect([0, 1, 2].map((row) => j.destination.get(row))).toEqual([
    'example.net',
    'example.net',
    'example.org',
  ])
  expect([j.records[1], j.bytes_out[1], j.bytes_in[1]]).toEqual([2, 2 ** 40, Number.NaN])
  expect([...j.flow_id.subarray(0, 16)]).toEqual([...FLOW_IDS.subarray(16)])
  expect(j.alert_id.subarray(16, 32).every((byte) => byte === 0)).toBe(true)
  const f = decodeBlock(outcome.findings, FINDING_COLUMNS).columns
  expect([...f.peer.subarray(16, 32)]).toEqual([...PEERS.subarray(16)])
  expect([...f.alert_id.subarray(0, 16)]).toEqual([...j.alert_id.subarray(0, 16)])
  expect([...f.alert_id.subarray(16, 32)]).toEqual([...j.alert_id.subarray(32, 48)])
  expect(f.sentence.get(0)).toBe(
    'One of a, b, c, 2 more (contested address 10.0.0.1) opened tcp/443 to 203.0.113.7, which no rule of their scopes allows; nothing answered.',
  )
})
