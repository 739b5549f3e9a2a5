import { expect, test } from 'vitest'
import { parseAddress } from '../../src/address.ts'
import { Block } from '../../src/block.ts'
import { FINDING_COLUMNS } from '../../src/flow.ts'
import { contentUuid, formatUuid } from '../../src/hash.ts'
import { encodeBlock } from '../../src/native.ts'
import {
  decodeFindings,
  encodeFindings,
  FINDINGS_MAX,
  type FindingEvent,
  FindingMessageError,
  findingEvents,
} from '../../src/respond/finding.ts'
import { sampleChunk } from '../store/samples.ts'

const SECOND = 1_000_000
const TS = 1_760_000_000 * SECOND

/** One row of every column, written as `analyze` writes it. */
function oneFinding(): Uint8Array {
  const block = new Block(FINDING_COLUMNS, 4)
  const row = block.add()
  const c = block.columns
  c.alert_id.set(contentUuid(['alert']), row * 16)
  c.flow_id.set(contentUuid(['flow']), row * 16)
  c.peer.set(parseAddress('203.0.113.7')!, row * 16)
  c.side.set(row, 'orig')
  c.ts[row] = TS
  c.decided_at[row] = TS + 12_345
  c.kind.set(row, 'out_of_scope')
  c.rule.set(row, 'default-deny')
  c.agent.set(row, 'spiffe://corp.example/agent/a')
  c.subject.set(row, '10.0.0.1')
  c.destination.set(row, 'paste.example')
  c.peer_name.set(row, 'www.paste.example')
  c.peer_port[row] = 443
  c.ip_proto[row] = 6
  c.grade.set(row, 'certain')
  c.method.set(row, 'address')
  c.handshake.set(row, 'completed')
  c.direction.set(row, 'egress')
  c.direction_sure[row] = 1
  c.score[row] = 70
  c.sentence.set(row, 'a opened tcp/443 to www.paste.example (203.0.113.7).')
  return encodeBlock(block)
}

const { header } = sampleChunk({ flows: [{ name: 'web' }] })
const EVENT: FindingEvent = {
  chunkId: header.id,
  row: 0,
  ruling: 0,
  alertId: formatUuid(contentUuid(['alert'])),
  flowId: formatUuid(contentUuid(['flow'])),
  side: 'orig',
  ts: TS,
  decidedAt: TS + 12_345,
  kind: 'out_of_scope',
  rule: 'default-deny',
  agent: 'spiffe://corp.example/agent/a',
  subject: '10.0.0.1',
  destination: 'paste.example',
  peerName: 'www.paste.example',
  peer: '203.0.113.7',
  port: 443,
  ipProto: 6,
  grade: 'certain',
  method: 'address',
  handshake: 'completed',
  direction: 'egress',
  directionSure: true,
  score: 70,
  sentence: 'a opened tcp/443 to www.paste.example (203.0.113.7).',
  sensor: header.sensor,
}

test('a block of findings, with the chunk that it came of, is all that an action needs', () => {
  expect(findingEvents(header, oneFinding())).toEqual([EVENT])
  expect(findingEvents(header, encodeBlock(new Block(FINDING_COLUMNS, 1)))).toEqual([])
})

test('as a message and back', () => {
  expect(decodeFindings(encodeFindings([EVENT, { ...EVENT, row: 1 }]))).toEqual([
    EVENT,
    { ...EVENT, row: 1 },
  ])
  expect(() => encodeFindings(Array(FINDINGS_MAX + 1).fill(EVENT))).toThrow('257 findings')
})

const json = (value: unknown) => Buffer.from(JSON.stringify(value))

test.each([
  ['no JSON', Buffer.from('{"v":1,'), 'is no JSON'],
  ['not UTF-8', Buffer.from([0xff, 0xfe]), 'is no JSON'],
  ['another version', json({ v: 2, findings: [] }), 'v: '],
  ['no list', json({ v: 1, findings: 7 }), 'findings: '],
  ['too many', json({ v: 1, findings: Array(FINDINGS_MAX + 1).fill(EVENT) }), 'findings: '],
  ['a grade of somebody else', json({ v: 1, findings: [{ ...EVENT, grade: 'sure' }] }), 'grade'],
  ['a time that is none', json({ v: 1, findings: [{ ...EVENT, ts: 'now' }] }), 'findings.0.ts'],
  ['an id that is none', json({ v: 1, findings: [{ ...EVENT, alertId: '../x' }] }), 'alertId'],
  [
    'a long sentence',
    json({ v: 1, findings: [{ ...EVENT, sentence: 'x'.repeat(9000) }] }),
    'sentence',
  ],
])('what was not made here is refused: %s', (_, bytes, words) => {
  expect(() => decodeFindings(bytes)).toThrow(FindingMessageError)
  expect(() => decodeFindings(bytes)).toThrow(words)
})

test('what a later version adds is passed over', () => {
  const later = json({ v: 1, sent: 1, findings: [{ ...EVENT, colour: 'red' }] })
  expect(decodeFindings(later)).toEqual([EVENT])
})
