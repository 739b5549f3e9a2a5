import fc from 'fast-check'
import { expect, test } from 'vitest'
import { loadAgents } from '../../src/identity/agent-files.ts'
import { type Asked, explain } from '../../src/scope/explain.ts'
import { openScopes } from '../../src/scope/policy.ts'

const HEAD = `id: urn:agent:a
owner: o
purpose: p
environment: e
addresses: [10.0.0.1]
scope:
  version: v7
`
const SCOPE = `  egress:
    - { id: llm, domain: [api.openai.com, "*.example.com"], port: 443 }
    - { id: store, domain: store.example.net, cidr: 198.51.100.0/24, port: "8000-8100" }
    - { id: resolver, cidr: 10.0.0.2/32, port: 53, protocol: udp }
    - { id: search, agent: urn:agent:b, port: 8443 }
`
const OTHER = {
  path: 'b',
  text: HEAD.replace('urn:agent:a', 'urn:agent:b').replace('10.0.0.1', '10.0.0.9'),
}

function bookOf(scope: string) {
  return openScopes(loadAgents([{ path: 'a', text: HEAD + scope }, OTHER]).agents)
}

const FLOW: Asked = {
  agent: 'urn:agent:a',
  direction: 'egress',
  ts: Date.UTC(2026, 5, 1) * 1000,
  ipProto: 6,
  port: 443,
  peer: '203.0.113.7',
}

test('each rule says why it does not match', () => {
  const found = explain(bookOf(SCOPE), {
    ...FLOW,
    serverName: 'paste.example.net',
    nameSource: 'sni',
  })!
  expect(found.answer).toMatchObject({ verdict: 'out_of_scope', rule: 'default-deny' })
  expect(found.scopeVersion).toBe('v7')
  expect(found.rules).toEqual([
    { id: 'llm', outcome: 'no', why: 'paste.example.net is not api.openai.com or *.example.com' },
    { id: 'store', outcome: 'no', why: '203.0.113.7 is not in 198.51.100.0/24' },
    { id: 'resolver', outcome: 'no', why: 'it is not for tcp/443' },
    { id: 'search', outcome: 'no', why: '203.0.113.7 is not known to be urn:agent:b' },
  ])
})

test.each<[string, Partial<Asked>, string, string]>([
  [
    'no name',
    {},
    'open',
    'no name was seen, so it is not known to be api.openai.com or *.example.com',
  ],
  [
    'a hidden name',
    { serverName: 'x.example', nameSource: 'ech_outer' },
    'open',
    'encrypted ClientHello hides the name behind x.example',
  ],
  [
    'a contradicted name',
    { serverName: 'api.openai.com', nameSource: 'sni', nameProof: 'contradicted' },
    'open',
    'the client was given other addresses for api.openai.com than 203.0.113.7',
  ],
  [
    'several names',
    { nameSource: 'dns', dnsNames: ['a.example.com', 'b.net'] },
    'open',
    'the client knew 203.0.113.7 by other names too: a.example.com or b.net',
  ],
  [
    'a tunnel',
    { serverName: 'api.openai.com', nameSource: 'connect', port: 3128 },
    'open',
    'api.openai.com is the far end of a tunnel through 203.0.113.7, whose port is not known',
  ],
  [
    'another port',
    { serverName: 'api.openai.com', nameSource: 'sni', port: 8443 },
    'no',
    'port 8443 is not 443',
  ],
  [
    'a match',
    { serverName: 'api.openai.com', nameSource: 'sni' },
    'match',
    'everything it asks for holds',
  ],
])('the rule by domain and %s', (_, more, outcome, why) => {
  expect(explain(bookOf(SCOPE), { ...FLOW, ...more })!.rules[0]).toEqual({
    id: 'llm',
    outcome,
    why,
  })
})

test.each<[string, Partial<Asked>, string]>([
  [
    'a name that is shown',
    { serverName: 'paste.example.net', nameSource: 'sni' },
    '- domain: paste.example.net\n  port: 443',
  ],
  [
    'a name known from DNS alone',
    { serverName: 'a.net', nameSource: 'dns', dnsNames: ['a.net'] },
    '- domain: a.net\n  port: 443',
  ],
  [
    'a name that is not proven',
    { serverName: 'api.openai.com', nameSource: 'sni', nameProof: 'contradicted' },
    '- cidr: 203.0.113.7/32\n  port: 443',
  ],
  [
    'no name',
    { peer: '2001:db8::1', ipProto: 17 },
    '- cidr: 2001:db8::1/128\n  port: 443\n  protocol: udp',
  ],
  [
    'an agent',
    { peerAgents: ['urn:agent:b'], peer: '10.0.0.9' },
    '- agent: urn:agent:b\n  port: 443',
  ],
  [
    'a tunnel',
    { serverName: 'a.net', nameSource: 'connect', port: 3128 },
    '- domain: a.net\n  cidr: 203.0.113.7/32\n  port: 3128',
  ],
  ['icmp', { ipProto: 1, port: 8 }, '- cidr: 203.0.113.7/32\n  protocol: icmp'],
  [
    'who connects to it',
    { direction: 'ingress', port: 8080 },
    '- cidr: 203.0.113.7/32\n  port: 8080',
  ],
])('the rule that would mend %s', (_, more, suggestion) => {
  expect(explain(bookOf(SCOPE), { ...FLOW, ...more })!.suggestion).toBe(suggestion)
})

test('an expired scope needs a later end, not a rule', () => {
  const book = bookOf(`  expires: 2026-01-01\n${SCOPE}`)
  expect(explain(book, FLOW)!.suggestion).toBe(
    '# the scope expired at 2026-01-01T00:00:00Z: renew `scope.expires`',
  )
})

test('an unknown agent, or a peer that is no address, has no explanation', () => {
  expect(explain(bookOf(SCOPE), { ...FLOW, agent: 'urn:agent:x' })).toBeUndefined()
  expect(explain(bookOf(SCOPE), { ...FLOW, peer: 'x' })).toBeUndefined()
})

test('the suggested rule is valid and puts the flow in scope, whatever the flow', () => {
  const asked = fc.record({
    direction: fc.constantFrom('egress' as const, 'ingress' as const),
    ipProto: fc.constantFrom(1, 6, 17, 47, 58, 132),
    port: fc.integer({ min: 0, max: 65_535 }),
    peer: fc.constantFrom('203.0.113.7', '10.0.0.9', '2001:db8::1'),
    peerAgents: fc.constantFrom([], ['urn:agent:b']),
    serverName: fc.constantFrom(
      '',
      'paste.example.net',
      '203.0.113.7',
      '123',
      '0x10',
      'no',
      'x\\x00.net',
      'a..b',
    ),
    nameSource: fc.constantFrom(
      '' as const,
      'sni' as const,
      'http_host' as const,
      'connect' as const,
      'ech_outer' as const,
    ),
    nameProof: fc.constantFrom('' as const, 'contradicted' as const, 'confirmed' as const),
  })
  fc.assert(
    fc.property(asked, (more) => {
      const flow: Asked = { ...FLOW, ...more }
      const { suggestion } = explain(bookOf('  egress: []\n'), flow)!
      const indented = suggestion
        .split('\n')
        .map((line) => `    ${line}\n`)
        .join('')
      const files = [{ path: 'a', text: `${HEAD}  ${flow.direction}:\n${indented}` }, OTHER]
      const { agents, problems } = loadAgents(files)
      expect(problems.filter(({ path, line }) => path === 'a' && line > 7)).toEqual([])
      expect(explain(openScopes(agents), flow)!.answer.verdict).toBe('in_scope')
    }),
    { numRuns: 300 },
  )
})
