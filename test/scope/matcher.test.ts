import fc from 'fast-check'
import { expect, test } from 'vitest'
import { contains, parseAddress, parseNetwork } from '../../src/address.ts'
import type { NameProof, NameSource } from '../../src/flow.ts'
import { loadAgents } from '../../src/identity/agent-files.ts'
import { domainMatches, seenName } from '../../src/identity/domain-name.ts'
import { ask } from '../../src/scope/matcher.ts'
import { nameEvidence } from '../../src/scope/name-evidence.ts'
import { domainHits, openScopes, peerClass } from '../../src/scope/policy.ts'

const AGENT = 'owner: o\npurpose: p\nenvironment: e\naddresses: [10.9.9.9]\n'

function open(scope: string, others: readonly string[] = []) {
  const files = [
    { path: 'a', text: `id: urn:agent:a\n${AGENT}scope:\n${scope}` },
    ...others.map((name) => ({ path: name, text: `id: urn:agent:${name}\n${AGENT}` })),
  ]
  const { agents, problems } = loadAgents(files)
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([])
  return openScopes(agents)
}

interface Seen {
  peer?: string
  port?: number
  protocol?: number
  direction?: 'egress' | 'ingress'
  time?: string
  peerAgents?: string[]
  name?: string
  source?: NameSource
  proof?: NameProof
  dns?: string[]
}

/** The answer of agent a, in a line: `in_scope llm`. */
function answer(book: ReturnType<typeof openScopes>, seen: Seen): string {
  const found = ask(book, book.scopes[book.places.get('urn:agent:a')!]!, {
    direction: seen.direction ?? 'egress',
    time: Date.parse(seen.time ?? '2026-06-01T00:00:00Z') * 1000,
    protocol: seen.protocol ?? 6,
    port: seen.port ?? 443,
    peerClass: peerClass(book, parseAddress(seen.peer ?? '203.0.113.7')!, 0),
    peerAgents: (seen.peerAgents ?? []).map((name) => book.places.get(`urn:agent:${name}`)!),
    name: nameEvidence(seen.name ?? '', seen.source ?? '', seen.proof ?? '', seen.dns ?? []),
  })
  return [found.verdict, found.rule, found.unknown, found.nearRule].filter((text) => text).join(' ')
}

const book = open(
  `  expires: 2027-01-01T00:00:00Z
  egress:
    - { id: llm, domain: api.openai.com, port: 443 }
    - { id: wild, domain: "*.example.com", port: [443, "8000-8100"] }
    - { id: pinned, domain: pinned.example.net, cidr: 198.51.100.0/24, port: 443 }
    - { id: idn, domain: bücher.example, port: 443 }
    - { id: resolver, cidr: 10.20.0.2/32, port: 53, protocol: [udp, tcp] }
    - { id: again, cidr: 10.20.0.0/16, port: 53, protocol: udp }
    - { id: ping, cidr: 10.20.0.0/16, protocol: icmp }
    - { id: search, agent: urn:agent:search, port: 8443 }
    - { id: web, domain: api.example.org, port: 443, protocol: udp }
    - { id: proxy, domain: via.example.net, cidr: 10.20.0.8, port: 3128 }
    - { id: anything, cidr: 10.30.0.0/16, port: any, protocol: any }
    - { id: six, cidr: "::/0", port: 22 }
  ingress:
    - { id: desk, cidr: 10.20.0.0/16, port: 8080 }
    - { id: peer, agent: urn:agent:search, port: 9000 }
`,
  ['search', 'other'],
)

test.each<[string, Seen, string]>([
  ['a name shown in TLS', { name: 'api.openai.com', source: 'sni' }, 'in_scope llm'],
  [
    'also in QUIC, by rule for udp',
    { name: 'api.example.org', source: 'quic_sni', protocol: 17 },
    'in_scope web',
  ],
  ['case and a last dot do not count', { name: 'API.OpenAI.com.', source: 'sni' }, 'in_scope llm'],
  [
    'proof that it was looked up',
    { name: 'api.openai.com', source: 'sni', proof: 'confirmed' },
    'in_scope llm',
  ],
  [
    'a lookup that was not seen',
    { name: 'api.openai.com', source: 'sni', proof: 'unconfirmed' },
    'in_scope llm',
  ],
  ['an internationalised name', { name: 'xn--bcher-kva.example', source: 'sni' }, 'in_scope idn'],
  ['a star stands for one label', { name: 'a.example.com', source: 'sni' }, 'in_scope wild'],
  ['or more', { name: 'a.b.example.com', source: 'sni', port: 8050 }, 'in_scope wild'],
  ['but not for none', { name: 'example.com', source: 'sni' }, 'out_of_scope default-deny'],
  [
    'and not inside a label',
    { name: 'notexample.com', source: 'sni' },
    'out_of_scope default-deny',
  ],
  ['another name', { name: 'paste.example.net', source: 'sni' }, 'out_of_scope default-deny'],
  [
    'the name on another port: the rule is near',
    { name: 'api.openai.com', source: 'sni', port: 8443 },
    'out_of_scope default-deny llm',
  ],
  [
    'the name over another protocol',
    { name: 'api.openai.com', source: 'quic_sni', protocol: 17 },
    'out_of_scope default-deny',
  ],
  [
    'a name that the client was given other addresses for',
    { name: 'api.openai.com', source: 'sni', proof: 'contradicted' },
    'unknown_name llm name_unproven',
  ],
  [
    'such a name that no rule knows',
    { name: 'paste.example.net', source: 'sni', proof: 'contradicted' },
    'out_of_scope default-deny',
  ],
  ['no name at all', {}, 'unknown_name llm no_name'],
  ['no name, on a port of no domain rule', { port: 444 }, 'out_of_scope default-deny'],
  [
    'encrypted ClientHello, even with an allowed outer name',
    { name: 'api.openai.com', source: 'ech_outer' },
    'unknown_name llm name_hidden',
  ],
  [
    'an address where a name belongs',
    { name: '203.0.113.7', source: 'http_host' },
    'out_of_scope default-deny',
  ],
  ['an IPv6 one', { name: '[2001:db8::1]:443', source: 'http_host' }, 'out_of_scope default-deny'],
  [
    'only DNS names, all allowed',
    { name: 'a.example.com', source: 'dns', dns: ['a.example.com', 'b.example.com'] },
    'in_scope wild',
  ],
  [
    'only DNS names, one of them not',
    { name: 'a.example.com', source: 'dns', dns: ['a.example.com', 'paste.example.net'] },
    'unknown_name wild name_ambiguous',
  ],
  [
    'only DNS names, none of them',
    { name: 'paste.example.net', source: 'dns', dns: ['paste.example.net'] },
    'out_of_scope default-deny',
  ],
  [
    'domain and network, both hold',
    { name: 'pinned.example.net', source: 'sni', peer: '198.51.100.9' },
    'in_scope pinned',
  ],
  [
    'domain and network, one holds',
    { name: 'pinned.example.net', source: 'sni' },
    'out_of_scope default-deny',
  ],
  ['a network', { peer: '10.20.0.2', port: 53, protocol: 17 }, 'in_scope resolver'],
  [
    'the first rule that matches is told',
    { peer: '10.20.0.3', port: 53, protocol: 17 },
    'in_scope again',
  ],
  ['icmp has no port', { peer: '10.20.7.7', port: 8, protocol: 1 }, 'in_scope ping'],
  ['icmp elsewhere', { peer: '10.21.0.1', port: 8, protocol: 1 }, 'out_of_scope default-deny'],
  ['protocol any', { peer: '10.30.0.1', port: 0, protocol: 47 }, 'in_scope anything'],
  ['::/0 speaks of IPv6 alone', { peer: '203.0.113.7', port: 22 }, 'out_of_scope default-deny'],
  ['every IPv6 address', { peer: '2001:db8::9', port: 22 }, 'in_scope six'],
  ['an agent', { peer: '10.1.1.1', port: 8443, peerAgents: ['search'] }, 'in_scope search'],
  [
    'another agent',
    { peer: '10.1.1.1', port: 8443, peerAgents: ['other'] },
    'out_of_scope default-deny',
  ],
  [
    'who may be that agent or another',
    { peer: '10.1.1.1', port: 8443, peerAgents: ['other', 'search'] },
    'unknown_name search peer_ambiguous',
  ],
  ['nobody known', { peer: '10.1.1.1', port: 8443 }, 'out_of_scope default-deny'],
  [
    'CONNECT through the proxy that the rule names',
    { name: 'via.example.net', source: 'connect', peer: '10.20.0.8', port: 3128 },
    'in_scope proxy',
  ],
  [
    'CONNECT: DNS says nothing of the far end',
    {
      name: 'via.example.net',
      source: 'connect',
      peer: '10.20.0.8',
      port: 3128,
      proof: 'contradicted',
    },
    'in_scope proxy',
  ],
  [
    'CONNECT to an allowed name, whose port is not known',
    { name: 'api.openai.com', source: 'connect', peer: '10.20.0.8', port: 3128 },
    'unknown_name llm tunnel_port',
  ],
  [
    'CONNECT to another name',
    { name: 'paste.example.net', source: 'connect', peer: '10.20.0.8', port: 3128 },
    'out_of_scope default-deny',
  ],
  [
    'ingress that is declared',
    { direction: 'ingress', peer: '10.20.1.1', port: 8080 },
    'in_scope desk',
  ],
  [
    'ingress that is not',
    { direction: 'ingress', peer: '10.21.1.1', port: 8080 },
    'out_of_scope default-deny',
  ],
  [
    'ingress by agent',
    { direction: 'ingress', peer: '10.1.1.1', port: 9000, peerAgents: ['search'] },
    'in_scope peer',
  ],
  [
    'egress rules do not open ingress',
    { direction: 'ingress', peer: '10.30.0.1', port: 1 },
    'out_of_scope default-deny',
  ],
  [
    'the last moment of the scope',
    { peer: '10.20.0.2', port: 53, time: '2026-12-31T23:59:59.999Z' },
    'in_scope resolver',
  ],
  [
    'after it has expired',
    { peer: '10.20.0.2', port: 53, time: '2027-01-01T00:00:00Z' },
    'out_of_scope scope-expired',
  ],
  [
    'a hostile name matches no star',
    { name: '.example.com', source: 'sni' },
    'out_of_scope default-deny',
  ],
  [
    'nor one with an empty label',
    { name: 'x..example.com', source: 'sni' },
    'out_of_scope default-deny',
  ],
  [
    'nor one with escapes',
    { name: 'x\\x00.example.com', source: 'sni' },
    'out_of_scope default-deny',
  ],
])('%s', (_, seen, expected) => {
  expect(answer(book, seen)).toBe(expected)
})

test('an empty scope allows nothing', () => {
  const empty = open('  egress: []\n')
  expect(answer(empty, {})).toBe('out_of_scope default-deny')
  expect(answer(empty, { direction: 'ingress' })).toBe('out_of_scope default-deny')
})

test('a rule whose domain can never match allows nothing', () => {
  expect(
    answer(open('  egress: [{ domain: "*", port: 443 }]\n'), { name: 'a', source: 'sni' }),
  ).toBe('out_of_scope default-deny')
})

const label = fc.constantFrom('a', 'b', 'com', 'xn--p1ai', '-x', '', 'A')
const host = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'))
const declared = fc
  .tuple(
    fc.boolean(),
    fc.array(fc.constantFrom('a', 'b', 'com', 'xn--p1ai'), { minLength: 1, maxLength: 3 }),
  )
  .map(([star, labels]) => (star ? '*.' : '') + labels.join('.'))

test('the index of domains finds what a plain comparison finds', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(declared, { minLength: 1, maxLength: 3 }), { maxLength: 6 }),
      fc.array(host),
      (rules, names) => {
        const lines = rules.map(
          (domains) => `    - { domain: ${JSON.stringify(domains)}, port: 443 }\n`,
        )
        const scope = open(`  egress:${lines.length === 0 ? ' []' : ''}\n${lines.join('')}`)
          .scopes[0]!
        for (const name of names.map(seenName))
          expect([...domainHits(scope, name)]).toEqual(
            rules.map((domains) => (domains.some((domain) => domainMatches(domain, name)) ? 1 : 0)),
          )
      },
    ),
    { numRuns: 100 },
  )
})

test('networks are compared as a plain reader would', () => {
  const part = fc.constantFrom(
    '10.0.0.0/8',
    '10.1.0.0/16',
    '10.1.2.0/24',
    '10.1.2.3/32',
    '0.0.0.0/0',
  )
  const address = fc.constantFrom('10.1.2.3', '10.1.2.4', '10.1.9.9', '10.9.9.9', '11.1.1.1')
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), address, (cidrs, peer) => {
      const lines = cidrs.map((cidr) => `    - { cidr: ${cidr}, port: 443 }\n`)
      const place = cidrs.findIndex((cidr) => contains(parseNetwork(cidr)!, parseAddress(peer)!))
      expect(answer(open(`  egress:\n${lines.join('')}`), { peer })).toBe(
        place < 0 ? 'out_of_scope default-deny' : `in_scope egress-${place + 1}`,
      )
    }),
    { numRuns: 60 },
  )
})
