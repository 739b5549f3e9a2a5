import fc from 'fast-check'
import { expect, test } from 'vitest'
import { REASONS } from '../../src/detect/reasons.ts'
import { type Scored, score } from '../../src/detect/score.ts'
import { GRADES, HANDSHAKES, VERDICTS } from '../../src/flow.ts'

/** An agent that posts to an arbitrary external host, with its own TLS name. */
const EXFILTRATION: Scored = {
  verdict: 'out_of_scope',
  direction: 'egress',
  protocol: 6,
  port: 443,
  peerKind: 'public',
  peerKnown: false,
  handshake: 'completed',
  name: { kind: 'named', name: 'paste.example.net', clear: false },
  endpoint: undefined,
  candidates: 1,
  rule: 'default-deny',
  scopeVersion: 'v7',
  nearRule: '',
  grade: 'certain',
  state: 'active',
}

const NO_NAME = { kind: 'none', name: '', clear: false } as const
const API = { provider: 'OpenAI', role: 'api', match: 'api.openai.com', evidence: 'e' } as const

/** `75 out_of_scope external_peer …` */
function line(more: Partial<Scored>): string {
  const { score: points, reasons } = score({ ...EXFILTRATION, ...more })
  return [points, ...reasons.map(({ code }) => code)].join(' ')
}

const IN_SCOPE = { verdict: 'in_scope', rule: 'llm' } as const

test.each<[string, Partial<Scored>, string]>([
  ['an arbitrary external host', {}, '75 out_of_scope external_peer established identity_certain'],
  [
    'refused, and not certain whose',
    { handshake: 'refused', grade: 'contested' },
    '50 out_of_scope external_peer',
  ],
  [
    'a database inside',
    { peerKind: 'private', port: 5432, name: NO_NAME },
    '80 out_of_scope sensitive_port established identity_certain',
  ],
  [
    'cloud credentials',
    { peerKind: 'metadata', port: 80, name: NO_NAME },
    '90 out_of_scope metadata_service established identity_certain',
  ],
  [
    'an address, no name',
    { name: NO_NAME },
    '80 out_of_scope external_peer no_name established identity_certain',
  ],
  [
    'an address in the Host header',
    { port: 80, name: { kind: 'literal', name: '203.0.113.7', clear: true } },
    '90 out_of_scope external_peer plain_text address_literal established identity_certain',
  ],
  [
    'a declared host on another port',
    { port: 8443, nearRule: 'llm' },
    '85 out_of_scope external_peer other_port established identity_certain',
  ],
  [
    'another model',
    { endpoint: API },
    '95 out_of_scope external_peer llm_api established identity_certain',
  ],
  [
    'after the scope expired',
    { rule: 'scope-expired' },
    '70 scope_expired external_peer established identity_certain',
  ],
  [
    'a retired agent',
    { state: 'retired' },
    '100 out_of_scope external_peer established identity_certain agent_retired',
  ],
  [
    'who connects from outside',
    { direction: 'ingress', port: 8080, name: NO_NAME },
    '75 out_of_scope external_peer established identity_certain',
  ],
  [
    'another agent',
    { peerKind: 'private', peerKnown: true, port: 8443, name: NO_NAME },
    '60 out_of_scope established identity_certain',
  ],
  [
    'what may be allowed',
    { verdict: 'unknown_name', rule: 'llm', name: NO_NAME },
    '60 unknown_name external_peer no_name established identity_certain',
  ],
  [
    'a name that is a lie',
    {
      verdict: 'unknown_name',
      rule: 'llm',
      name: { kind: 'contradicted', name: 'api.openai.com', clear: false },
    },
    '70 unknown_name external_peer name_unproven established identity_certain',
  ],
  [
    'encrypted ClientHello',
    {
      verdict: 'unknown_name',
      rule: 'llm',
      name: { kind: 'hidden', name: 'ech.example', clear: false },
    },
    '65 unknown_name external_peer name_hidden established identity_certain',
  ],
  [
    'nobody’s host at a model',
    {
      verdict: 'unregistered',
      rule: 'unregistered-agent',
      grade: 'unknown',
      candidates: 0,
      endpoint: API,
    },
    '90 unregistered_agent external_peer llm_api established',
  ],
  [
    'nobody’s host elsewhere',
    { verdict: 'unattributed', rule: '', grade: 'unknown', candidates: 0 },
    '0',
  ],
  [
    'candidates that disagree',
    { verdict: 'unattributed', rule: '', grade: 'contested', candidates: 2 },
    '45 candidates_disagree external_peer established',
  ],
  ['what is declared', IN_SCOPE, '0'],
  [
    'what is declared, by a suspended agent',
    { ...IN_SCOPE, state: 'suspended' },
    '25 agent_suspended',
  ],
])('%s', (_, more, expected) => {
  expect(line(more)).toBe(expected)
})

test('reasons say in words what they rest on', () => {
  const { reasons } = score({ ...EXFILTRATION, port: 5432, nearRule: 'llm' })
  expect(reasons.map(({ evidence }) => evidence)).toEqual([
    'no egress rule of scope v7 matches',
    'public address',
    'tcp/5432 postgresql',
    'rule llm allows another port',
    'the peer took part',
    'grade certain',
  ])
})

test('a score is the sum of its reasons, at most 100, each reason once', () => {
  const scored = fc.record<Scored>({
    verdict: fc.constantFrom(...VERDICTS),
    direction: fc.constantFrom('egress', 'ingress'),
    protocol: fc.constantFrom(1, 6, 17, 58),
    port: fc.constantFrom(0, 23, 80, 443, 5432),
    peerKind: fc.constantFrom('public', 'private', 'metadata', 'multicast', 'local'),
    peerKnown: fc.boolean(),
    handshake: fc.constantFrom(...HANDSHAKES),
    name: fc.record({
      kind: fc.constantFrom('none', 'named', 'contradicted', 'hidden', 'literal', 'dns'),
      name: fc.constantFrom('', 'a.example'),
      clear: fc.boolean(),
    }),
    endpoint: fc.constantFrom(undefined, API),
    candidates: fc.integer({ min: 0, max: 3 }),
    rule: fc.constantFrom('', 'llm', 'default-deny', 'scope-expired'),
    scopeVersion: fc.constantFrom('', 'v7'),
    nearRule: fc.constantFrom('', 'llm'),
    grade: fc.constantFrom(...GRADES),
    state: fc.constantFrom('active', 'suspended', 'retired'),
  })
  fc.assert(
    fc.property(scored, (flow) => {
      const { score: points, reasons } = score(flow)
      const sum = reasons.reduce((total, { weight }) => total + weight, 0)
      expect(points).toBe(Math.min(100, sum))
      expect(new Set(reasons.map(({ code }) => code)).size).toBe(reasons.length)
      for (const { code, weight } of reasons) expect(weight).toBe(REASONS[code])
    }),
  )
})

test('no weight is larger than a score', () => {
  for (const weight of Object.values(REASONS)) expect(weight).toBeGreaterThan(0)
  expect(Math.max(...Object.values(REASONS))).toBeLessThanOrEqual(100)
})
