import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatAddress } from '../src/address.ts'
import { analyze } from '../src/analyze.ts'
import { ChunkWriter } from '../src/chunk.ts'
import { FINDING_COLUMNS, JUDGEMENT_COLUMNS, VERDICTS } from '../src/flow.ts'
import { formatUuid } from '../src/hash.ts'
import { loadAgents } from '../src/identity/agent-files.ts'
import { decodeBlock } from '../src/native-read.ts'
import { compileSnapshot, openSnapshot } from '../src/snapshot.ts'
import { chunkOf, type FlowSketch } from './flows.ts'

function agent(name: string, ...lines: string[]): { path: string; text: string } {
  const head = `id: spiffe://acme.example/agent/${name}\nowner: ${name}-team@acme.example\npurpose: p\nenvironment: e\n`
  return { path: name, text: head + lines.map((line) => `${line}\n`).join('') }
}

const { agents } = loadAgents([
  agent(
    'doc-processor',
    'addresses: [10.20.0.11]',
    'scope:',
    '  version: "2026-03-01"',
    '  expires: 2027-01-01',
    '  egress:',
    '    - { id: llm, domain: api.openai.com, port: 443 }',
    '    - { id: search, agent: spiffe://acme.example/agent/search, port: 8443 }',
    '    - { id: resolver, cidr: 10.20.0.2/32, port: 53, protocol: udp }',
  ),
  agent(
    'search',
    'addresses: [10.20.0.12]',
    'state: suspended',
    'scope: { version: "1", ingress: [{ id: docs, cidr: 10.20.0.11, port: 8443 }] }',
  ),
  agent(
    'nat-a',
    'addresses: [{ address: 10.20.0.50, shared: true }]',
    'scope: { version: a, egress: [{ id: both, cidr: 10.20.0.2, port: any, protocol: any }, { id: mine, cidr: 10.20.0.3, port: any }] }',
  ),
  agent(
    'nat-b',
    'addresses: [{ address: 10.20.0.50, shared: true }]',
    'scope: { version: b, egress: [{ id: both, cidr: 10.20.0.2, port: any, protocol: any }] }',
  ),
])
const snapshotBytes = compileSnapshot(agents, [
  { provider: 'OpenAI', role: 'api', match: 'api.openai.com', evidence: 'e' },
  { provider: 'OpenAI', role: 'chat_ui', match: 'chatgpt.com', evidence: 'e' },
  { provider: 'Anthropic', role: 'api', match: '160.79.104.0/23', evidence: 'e' },
])
const snapshot = openSnapshot(snapshotBytes)

/** The judgements of the flows as lines: `orig in_scope doc-processor certain llm openai.com:443 0`. */
function lines(flows: readonly FlowSketch[], by = snapshot): string[] {
  const outcome = analyze(chunkOf(flows), by, 0)
  const { columns: c, rows } = decodeBlock(outcome.judgements, JUDGEMENT_COLUMNS)
  expect(rows).toBe(outcome.judgementRows)
  return Array.from({ length: rows }, (_, row) =>
    [
      c.side.get(row),
      c.verdict.get(row),
      [c.agent.get(row), ...c.candidates.get(row)]
        .filter((id) => id !== '')
        .map((id) => id.slice('spiffe://acme.example/agent/'.length))
        .join('+'),
      c.grade.get(row),
      c.rule.get(row),
      `${c.destination.get(row)}:${c.peer_port[row]}`,
    ]
      .filter((text) => text !== '')
      .join(' '),
  )
}

/** The sentences of the findings. */
function sentences(flows: readonly FlowSketch[]): string[] {
  const outcome = analyze(chunkOf(flows), snapshot, 0)
  const { columns, rows } = decodeBlock(outcome.findings, FINDING_COLUMNS)
  return Array.from({ length: rows }, (_, row) => columns.sentence.get(row))
}

const DOC = '10.20.0.11:40000'
const EXFILTRATION = { orig: DOC, resp: '203.0.113.7:443', name: 'paste.example.net' }

test.each<[string, FlowSketch, string[]]>([
  [
    'what the scope allows',
    { orig: DOC, resp: '203.0.113.1:443', name: 'api.openai.com' },
    ['orig in_scope doc-processor certain llm openai.com:443'],
  ],
  [
    'what it does not',
    EXFILTRATION,
    ['orig out_of_scope doc-processor certain default-deny example.net:443'],
  ],
  [
    'after it has expired',
    { orig: DOC, resp: '203.0.113.1:443', name: 'api.openai.com', ts: '2027-01-01T00:00:00Z' },
    ['orig out_of_scope doc-processor certain scope-expired openai.com:443'],
  ],
  [
    'without a handshake',
    { ...EXFILTRATION, handshake: 'refused' },
    ['orig out_of_scope doc-processor probable default-deny example.net:443'],
  ],
  [
    'without a name',
    { orig: DOC, resp: '203.0.113.1:443' },
    ['orig unknown_name doc-processor certain llm 203.0.113.1:443'],
  ],
  [
    'two agents, allowed on both sides',
    { orig: DOC, resp: '10.20.0.12:8443' },
    [
      'orig in_scope doc-processor certain search 10.20.0.12:8443',
      'resp in_scope search certain docs 10.20.0.11:8443',
    ],
  ],
  [
    'two agents, the other way',
    { orig: '10.20.0.12:40000', resp: '10.20.0.11:8443' },
    [
      'orig out_of_scope search certain default-deny 10.20.0.11:8443',
      'resp out_of_scope doc-processor certain default-deny 10.20.0.12:8443',
    ],
  ],
  [
    'who connects from outside',
    { orig: '203.0.113.9:5555', resp: '10.20.0.12:22' },
    ['resp out_of_scope search certain default-deny 203.0.113.9:22'],
  ],
  [
    'nobody to nobody',
    { orig: '10.9.9.9:1', resp: '10.9.9.8:2' },
    ['none unattributed unknown 10.9.9.8:2'],
  ],
  [
    'nobody to a model',
    { orig: '10.9.9.9:1', resp: '203.0.113.1:443', name: 'api.openai.com' },
    ['none unregistered unknown unregistered-agent openai.com:443'],
  ],
  [
    'nobody to a model, by its published address',
    { orig: '10.9.9.9:1', resp: '160.79.104.10:443' },
    ['none unregistered unknown unregistered-agent 160.79.104.10:443'],
  ],
  [
    'nobody to a chat page: a person',
    { orig: '10.9.9.9:1', resp: '203.0.113.1:443', name: 'chatgpt.com' },
    ['none unattributed unknown chatgpt.com:443'],
  ],
  [
    'both behind one address may',
    { orig: '10.20.0.50:1', resp: '10.20.0.2:53', protocol: 17 },
    ['orig in_scope nat-a+nat-b shared both 10.20.0.2:53'],
  ],
  [
    'neither of them may',
    { orig: '10.20.0.50:1', resp: '10.20.0.9:53' },
    ['orig out_of_scope nat-a+nat-b shared default-deny 10.20.0.9:53'],
  ],
  [
    'one of them may',
    { orig: '10.20.0.50:1', resp: '10.20.0.3:53' },
    ['orig unattributed nat-a+nat-b shared 10.20.0.3:53'],
  ],
  [
    'direction unsure, allowed the other way',
    {
      orig: '10.20.0.2:53',
      resp: '10.20.0.11:40000',
      protocol: 17,
      directionSure: false,
      handshake: 'unseen',
    },
    ['resp in_scope doc-processor probable resolver 10.20.0.2:53'],
  ],
  [
    'direction unsure, allowed neither way',
    { orig: '10.20.0.4:53', resp: '10.20.0.11:40000', directionSure: false, handshake: 'unseen' },
    ['resp out_of_scope doc-processor probable default-deny 10.20.0.4:40000'],
  ],
  [
    'direction unsure, and a name could allow it',
    {
      orig: '203.0.113.1:443',
      resp: '10.20.0.11:40000',
      directionSure: false,
      handshake: 'unseen',
    },
    ['resp unknown_name doc-processor probable llm 203.0.113.1:443'],
  ],
  [
    'a name that is no host name is no destination',
    { orig: DOC, resp: '203.0.113.7:443', name: 'a\\x00.example' },
    ['orig out_of_scope doc-processor certain default-deny 203.0.113.7:443'],
  ],
])('%s', (_, flow, expected) => {
  expect(lines([flow])).toEqual(expected)
})

test.each<[FlowSketch, string]>([
  [
    EXFILTRATION,
    'doc-processor (doc-processor-team@acme.example) opened tcp/443 to paste.example.net (203.0.113.7), which no rule of its scope 2026-03-01 allows.',
  ],
  [
    { orig: DOC, resp: '10.2.8.7:5432', handshake: 'refused' },
    'doc-processor (doc-processor-team@acme.example) opened tcp/5432 to 10.2.8.7, which no rule of its scope 2026-03-01 allows; the attempt was refused.',
  ],
  [
    { ...EXFILTRATION, ts: '2027-02-01T00:00:00Z' },
    'doc-processor (doc-processor-team@acme.example) opened tcp/443 to paste.example.net (203.0.113.7), after its scope 2026-03-01 had expired (2027-01-01T00:00:00Z).',
  ],
  [
    { orig: '203.0.113.9:5555', resp: '10.20.0.12:22' },
    'search (search-team@acme.example) was reached on tcp/22 by 203.0.113.9, which no rule of its scope 1 allows.',
  ],
  [
    { orig: '10.20.0.50:1', resp: '10.20.0.9:53' },
    'One of nat-a, nat-b (shared address 10.20.0.50) opened tcp/53 to 10.20.0.9, which no rule of their scopes allows.',
  ],
  [
    { orig: '10.9.9.9:1', resp: '203.0.113.1:443', name: 'api.openai.com' },
    '10.9.9.9, which no registered agent owns, opened tcp/443 to api.openai.com (203.0.113.1), an API of OpenAI.',
  ],
])('%j is told in a sentence', (flow, sentence) => {
  expect(sentences([flow])).toEqual([sentence])
})

test('a judgement says why, and its finding says the same', () => {
  const outcome = analyze(chunkOf([EXFILTRATION]), snapshot, 3)
  const j = decodeBlock(outcome.judgements, JUDGEMENT_COLUMNS).columns
  const f = decodeBlock(outcome.findings, FINDING_COLUMNS).columns
  expect({
    ruling: j.ruling[0],
    method: j.method.get(0),
    evidence: j.evidence.get(0),
    direction: j.direction.get(0),
    scope_version: j.scope_version.get(0),
    peer: formatAddress(j.peer),
    score: j.score[0],
    codes: j.reason_codes.get(0),
    weights: j.reason_weights.get(0),
    reasons: j.reason_evidence.get(0),
  }).toEqual({
    ruling: 3,
    method: 'address',
    evidence: ['address 10.20.0.11/32', 'tcp handshake completed'],
    direction: 'egress',
    scope_version: '2026-03-01',
    peer: '203.0.113.7',
    score: 75,
    codes: ['out_of_scope', 'external_peer', 'established', 'identity_certain'],
    weights: [35, 15, 15, 10],
    reasons: [
      'no egress rule of scope 2026-03-01 matches',
      'public address',
      'the peer took part',
      'grade certain',
    ],
  })
  expect(f.alert_id).toEqual(j.alert_id)
  expect([f.kind.get(0), f.subject.get(0), f.score[0], f.ruling[0]]).toEqual([
    'out_of_scope',
    '10.20.0.11',
    75,
    3,
  ])
  // What an action rests on.
  expect([f.method.get(0), f.handshake.get(0), f.direction.get(0), f.peer_name.get(0)]).toEqual([
    'address',
    'completed',
    'egress',
    'paste.example.net',
  ])
  expect([f.direction_sure[0], f.decided_at[0]]).toEqual([1, f.ts[0]])
  expect(outcome).toMatchObject({ flows: 1, findingRows: 1, days: ['2026-06-01'] })
})

test('an unsure direction stands in the evidence', () => {
  const flow: FlowSketch = { ...EXFILTRATION, directionSure: false }
  const { judgements, findings } = analyze(chunkOf([flow]), snapshot, 0)
  const { evidence } = decodeBlock(judgements, JUDGEMENT_COLUMNS).columns
  expect(evidence.get(0).at(-1)).toBe('direction not certain')
  expect(decodeBlock(findings, FINDING_COLUMNS).columns.direction_sure[0]).toBe(0)
})

/** The alert ids of the flows, numbered as they appear. */
function alerts(flows: readonly FlowSketch[]): number[] {
  const { columns, rows } = decodeBlock(
    analyze(chunkOf(flows), snapshot, 0).findings,
    FINDING_COLUMNS,
  )
  const ids = Array.from({ length: rows }, (_, row) => formatUuid(columns.alert_id, row * 16))
  return ids.map((id) => ids.indexOf(id))
}

test('findings of one agent, destination, service and hour are one alert', () => {
  expect(
    alerts([
      EXFILTRATION,
      {
        ...EXFILTRATION,
        orig: '10.20.0.11:40001',
        resp: '203.0.113.8:443',
        name: 'www.example.net',
      },
      { ...EXFILTRATION, ts: '2026-06-01T12:59:59Z' },
      { ...EXFILTRATION, ts: '2026-06-01T13:00:00Z' },
      { ...EXFILTRATION, resp: '203.0.113.7:80' },
      { ...EXFILTRATION, protocol: 17 },
      { ...EXFILTRATION, name: 'paste.example.org' },
      { ...EXFILTRATION, orig: '10.20.0.12:1' },
    ]),
  ).toEqual([0, 0, 0, 3, 4, 5, 6, 7])
})

test('each unregistered host is an alert of its own', () => {
  const flow: FlowSketch = { orig: '10.9.9.9:1', resp: '203.0.113.1:443', name: 'api.openai.com' }
  expect(alerts([flow, { ...flow, orig: '10.9.9.9:2' }, { ...flow, orig: '10.9.9.8:1' }])).toEqual([
    0, 0, 2,
  ])
})

test('a flow is judged once, by its first record', () => {
  const late: FlowSketch = { ...EXFILTRATION, id: 'x', recNo: 1, name: 'api.openai.com' }
  const first: FlowSketch = { ...EXFILTRATION, id: 'x' }
  expect(lines([late, first, { ...late, recNo: 2 }])).toEqual(lines([first]))
})

test('of two halves with one number the better evidence counts', () => {
  const blind: FlowSketch = { orig: DOC, resp: '203.0.113.7:443', id: 'x', handshake: 'unseen' }
  const sighted: FlowSketch = { ...blind, handshake: 'completed' }
  expect(lines([blind, sighted])).toEqual(lines([sighted]))
  expect(lines([sighted, blind])).toEqual(lines([sighted]))
})

test('a chunk without flows has no judgements', () => {
  const outcome = analyze(chunkOf([]), snapshot, 0)
  expect(outcome).toMatchObject({ judgementRows: 0, findingRows: 0, flows: 0, days: [] })
  expect(decodeBlock(outcome.judgements, JUDGEMENT_COLUMNS).rows).toBe(0)
})

test('what is no chunk is refused', () => {
  expect(() => analyze(Uint8Array.of(1, 2, 3), snapshot, 0)).toThrow('not a chunk')
})

const sketch = fc.record<FlowSketch>({
  id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  recNo: fc.integer({ min: 0, max: 1 }),
  // Some ports are those of rules, for ends that are taken the other way round.
  orig: fc.constantFrom(
    ...[DOC, '10.20.0.11:443', '10.20.0.12:1', '10.20.0.12:2', '10.20.0.12:8443'],
    ...['10.20.0.50:9', '10.20.0.51:8443', '10.9.9.9:7', '10.9.9.9:53', '[2001:db8::1]:1'],
  ),
  resp: fc.constantFrom('203.0.113.7:443', '10.20.0.11:8443', '10.20.0.2:53', '[2001:db8::2]:443'),
  protocol: fc.constantFrom(1, 6, 17),
  ts: fc.constantFrom('2026-06-01T12:00:00Z', '2027-06-01T12:00:00Z'),
  handshake: fc.constantFrom('completed', 'refused', 'unseen'),
  name: fc.constantFrom('', 'api.openai.com', 'paste.example.net', '10.0.0.1'),
  source: fc.constantFrom('sni', 'dns', 'connect', 'ech_outer'),
  proof: fc.constantFrom('confirmed', 'contradicted', 'unconfirmed'),
  dns: fc.constantFrom([], ['api.openai.com'], ['api.openai.com', 'x.example']),
  directionSure: fc.boolean(),
})

test('the same flows give the same judgements, in any order, and every count adds up', () => {
  fc.assert(
    fc.property(
      fc.array(sketch, { maxLength: 12 }),
      fc.infiniteStream(fc.nat()),
      (flows, random) => {
        const outcome = analyze(chunkOf(flows), snapshot, 0)
        expect(analyze(chunkOf(flows), snapshot, 0)).toEqual(outcome)
        const order = flows.map((flow) => ({ flow, key: random.next().value as number }))
        const shuffled = order.sort((a, b) => a.key - b.key).map(({ flow }) => flow)
        expect(lines(shuffled).sort()).toEqual(lines(flows).sort())
        expect(outcome.flows).toBe(new Set(flows.map(({ id }) => id)).size)
        const total = VERDICTS.reduce((sum, verdict) => sum + outcome.counts[verdict], 0)
        expect(total).toBe(outcome.judgementRows)
        expect(outcome.findingRows).toBe(outcome.counts.out_of_scope + outcome.counts.unregistered)
        expect(outcome.judgementRows).toBeGreaterThanOrEqual(outcome.flows)
      },
    ),
    { numRuns: 100 },
  )
})

test('what was worked out for one flow never answers for another that shows something else', () => {
  fc.assert(
    fc.property(fc.array(sketch, { minLength: 2, maxLength: 12 }), (sketches) => {
      const flows = sketches.map((flow, i) => ({ ...flow, id: String(i), recNo: 0 }))
      // Judged by somebody who has seen nothing else.
      const alone = flows.flatMap((flow) => lines([flow], openSnapshot(snapshotBytes)))
      expect(lines(flows)).toEqual(alone)
    }),
    { numRuns: 200 },
  )
})

test('records of a chunk of another version are read as far as they go', () => {
  const chunks: Uint8Array[] = []
  const writer = new ChunkWriter({ sensor: 's', origin: 'o', format: 'pcap' }, (chunk) =>
    chunks.push(chunk),
  )
  const row = writer.flow()
  writer.flows.columns.handshake.set(row, 'from a later version')
  writer.flows.columns.name_source.set(row, 'telepathy')
  writer.end()
  expect(analyze(chunks[0]!, snapshot, 0).counts.unattributed).toBe(1)
})
