import fc from 'fast-check'
import { expect, test } from 'vitest'
import { loadAgents } from '../../src/identity/agent-files.ts'
import { formatProblem } from '../../src/identity/yaml-file.ts'

/** The problems of files given as path and text. */
function problems(...files: [path: string, text: string][]): string[] {
  return loadAgents(files.map(([path, text]) => ({ path, text }))).problems.map(formatProblem)
}

const WHO = `owner: documents-team@acme.example
purpose: Summarises incoming customer documents
environment: production
addresses: [10.20.0.11]
`

/** A sound agent with these lines in its scope's egress. */
function withEgress(...lines: string[]): string {
  return `id: spiffe://acme.example/agent/doc\n${WHO}scope:\n  egress:\n${lines.map((line) => `    ${line}\n`).join('')}`
}

test('an agent file says who it is, how it is recognised and what it may reach', () => {
  const text = `id: spiffe://acme.example/agent/doc-processor
owner: documents-team@acme.example
purpose: Summarises incoming customer documents
environment: production
state: suspended
addresses:
  - 10.20.0.11
  - { address: 10.20.0.12, shared: true }
  - { address: 10.20.1.0/24, from: 2026-01-01T00:00:00Z, to: 2026-02-01 }
interfaces: [eni-0aa11bb22cc33dd44]
proxy_users: [doc-processor]
scope:
  version: "2026-03-01"
  expires: 2027-01-01T00:00:00.5+01:00
  egress:
    - id: llm
      domain: [API.OpenAI.com., "*.bücher.example"]
      port: 443
      why: The model it was built on
    - cidr: 10.20.0.2
      port: [53, "8000-8100"]
      protocol: [udp, tcp]
    - { cidr: 10.20.0.0/16, protocol: icmp }
  ingress:
    - { cidr: "2001:db8::/32", port: any, protocol: any }
`
  const { agents, problems } = loadAgents([{ path: 'a.yaml', text }])
  expect(problems).toEqual([])
  expect(agents).toEqual([
    {
      id: 'spiffe://acme.example/agent/doc-processor',
      owner: 'documents-team@acme.example',
      purpose: 'Summarises incoming customer documents',
      environment: 'production',
      state: 'suspended',
      addresses: [
        { network: '10.20.0.11/32', shared: false, from: null, to: null },
        { network: '10.20.0.12/32', shared: true, from: null, to: null },
        {
          network: '10.20.1.0/24',
          shared: false,
          from: Date.UTC(2026, 0, 1) * 1000,
          to: Date.UTC(2026, 1, 1) * 1000,
        },
      ],
      interfaces: ['eni-0aa11bb22cc33dd44'],
      proxyUsers: ['doc-processor'],
      scope: {
        version: '2026-03-01',
        expires: Date.UTC(2026, 11, 31, 23, 0, 0, 500) * 1000,
        egress: [
          {
            id: 'llm',
            domains: ['api.openai.com', '*.xn--bcher-kva.example'],
            cidrs: null,
            agents: null,
            ports: [[443, 443]],
            protocols: [6],
            why: 'The model it was built on',
          },
          {
            id: 'egress-2',
            domains: null,
            cidrs: ['10.20.0.2/32'],
            agents: null,
            ports: [
              [53, 53],
              [8000, 8100],
            ],
            protocols: [6, 17],
            why: '',
          },
          {
            id: 'egress-3',
            domains: null,
            cidrs: ['10.20.0.0/16'],
            agents: null,
            ports: [[0, 65535]],
            protocols: [1, 58],
            why: '',
          },
        ],
        ingress: [
          {
            id: 'ingress-1',
            domains: null,
            cidrs: ['2001:db8::/32'],
            agents: null,
            ports: [[0, 65535]],
            protocols: null,
            why: '',
          },
        ],
      },
    },
  ])
})

test('a scope without a version is named by its content', () => {
  const version = (port: string): string =>
    loadAgents([{ path: 'a', text: withEgress(`- { domain: a.example, port: ${port} }`) }])
      .agents[0]!.scope.version
  expect(version('443')).toMatch(/^[0-9a-f]{12}$/)
  expect(version('443')).toBe(version('"443"'))
  expect(version('443')).not.toBe(version('444'))
})

test('every mistake of every file is told, with its place and its cure', () => {
  const text = `id: acme/doc
owner: 7
purpose: ""
enviroment: production
state: actve
addresses:
  - 10.20.0.300
  - { address: 10.20.0.12, shared: maybe }
  - { address: 10.20.0.13, from: 2026-02-01, to: 2026-01-01 }
  - { address: 10.20.0.14, from: yesterday }
scope:
  version: 3
  egres: []
  egress:
    - domain: api.openai.com
      port: https
    - port: 443
    - { id: default-deny, cidr: 10.0.0.0/33, port: 70000, protocol: sctp }
    - { id: x, cidr: 10.0.0.0/8 }
    - { id: x, cidr: 10.0.0.0/8, port: 1 }
  ingress:
    - { domain: a.example, port: 443 }
environment: a
environment: b
`
  expect(
    problems(['agents/doc.yaml', text], ['b.yaml', 'id: [']).join('\n'),
  ).toMatchInlineSnapshot(`
    "agents/doc.yaml:1:5: error: \`id\`: expected an agent id, found acme/doc, which is no absolute URI (write a scheme in front: spiffe://acme.example/agent/name)
    agents/doc.yaml:2:8: error: \`owner\`: expected text, found 7 (write it in quotes)
    agents/doc.yaml:3:10: error: \`purpose\`: expected at least 1 character, found ""
    agents/doc.yaml:4:1: error: unknown key \`enviroment\`: expected one of id, owner, purpose, environment, state, addresses, interfaces, proxy_users, scope (did you mean environment?)
    agents/doc.yaml:5:8: error: \`state\`: expected one of active, suspended, retired, found actve (did you mean active?)
    agents/doc.yaml:7:5: error: \`addresses[0]\`: expected an address or CIDR such as 10.20.0.11 or 10.20.0.0/16, found 10.20.0.300
    agents/doc.yaml:8:36: error: \`addresses[1].shared\`: expected true or false, found maybe
    agents/doc.yaml:9:50: error: expected a time after \`from\` 2026-02-01, found 2026-01-01
    agents/doc.yaml:10:34: error: \`addresses[3].from\`: expected a time such as 2026-03-01T00:00:00Z, found yesterday
    agents/doc.yaml:12:12: error: \`scope.version\`: expected text, found 3 (write it in quotes)
    agents/doc.yaml:13:3: error: unknown key \`egres\`: expected one of version, expires, egress, ingress (did you mean egress?)
    agents/doc.yaml:16:13: error: \`scope.egress[0].port\`: expected a port from 1 to 65535, a range such as "8000-8100", a list of those, or any, found https
    agents/doc.yaml:17:7: error: \`scope.egress[1]\`: expected at least one of domain, cidr, agent, found none
    agents/doc.yaml:18:13: error: \`scope.egress[2].id\`: expected another rule id (default-deny, scope-expired, unregistered-agent are the product's own), found default-deny
    agents/doc.yaml:18:33: error: \`scope.egress[2].cidr\`: expected an address or CIDR such as 10.20.0.11 or 10.20.0.0/16, found 10.0.0.0/33
    agents/doc.yaml:18:52: error: \`scope.egress[2].port\`: expected a port from 1 to 65535, a range such as "8000-8100", a list of those, or any, found 70000
    agents/doc.yaml:18:69: error: \`scope.egress[2].protocol\`: expected tcp, udp, icmp, any, or a list of those, found sctp
    agents/doc.yaml:19:7: error: \`scope.egress[3].port\` is missing: expected a port, a range, a list of those, or any
    agents/doc.yaml:20:13: error: expected a rule id of its own, found x, which scope.egress[3] has (agents/doc.yaml:19:7)
    agents/doc.yaml:22:9: error: expected cidr or agent in an ingress rule, found domain: who connects to the agent shows no name (use cidr)
    agents/doc.yaml:24:1: error: \`environment\` stands here twice (keep one)
    b.yaml:1:6: error: expected YAML: Flow sequence in block collection must be sufficiently indented and end with a ]"
  `)
})

test('a rule that can never match is a warning where it stands', () => {
  const text = withEgress(
    '- { domain: [https://api.openai.com/v1, api.example, 10.0.0.1], port: 443 }',
    '- { domain: "*", port: 443 }',
    '- { domain: "a.*.example", port: 443 }',
    '- { domain: "api.example:8443", port: 443 }',
    '- { domain: "no_such..name", port: 443 }',
    '- { agent: spiffe://acme.example/agent/doe, port: 443 }',
    '- { cidr: 10.0.0.7/24, port: "8100-8000" }',
    '- { domain: a.example, protocol: icmp, port: 7 }',
  )
  expect(problems(['a.yaml', text]).join('\n')).toMatchInlineSnapshot(`
    "a.yaml:8:18: warning: \`scope.egress[0].domain[0]\` can never match: https://api.openai.com/v1 is a URL, not a domain (write api.openai.com)
    a.yaml:8:58: warning: \`scope.egress[0].domain[2]\` can never match: 10.0.0.1 is an address, not a domain (write cidr: 10.0.0.1)
    a.yaml:9:17: warning: \`scope.egress[1].domain\` can never match: * is no domain (to allow every host write cidr: 0.0.0.0/0)
    a.yaml:10:17: warning: \`scope.egress[2].domain\` can never match: a.*.example is no domain: a star may only be the whole first label (*.example.com)
    a.yaml:11:17: warning: \`scope.egress[3].domain\` can never match: api.example:8443 is a domain and a port (write domain: api.example)
    a.yaml:12:17: warning: \`scope.egress[4].domain\` can never match: no_such..name is no host name
    a.yaml:13:16: warning: \`scope.egress[5].agent\` can never match: no agent spiffe://acme.example/agent/doe is declared (did you mean spiffe://acme.example/agent/doc?)
    a.yaml:14:15: warning: \`scope.egress[6].cidr\`: bits beyond the mask of 10.0.0.7/24 are not looked at (write 10.0.0.0/24)
    a.yaml:14:34: warning: \`scope.egress[6].port\` can never match: the range 8100-8000 is empty (write "8000-8100")
    a.yaml:15:17: warning: \`scope.egress[7].domain\` can never match: an icmp flow carries no name (use cidr)
    a.yaml:15:50: warning: \`scope.egress[7].port\` has no meaning for icmp (take it away)"
  `)
  expect(loadAgents([{ path: 'a.yaml', text }]).agents).toHaveLength(1)
})

test('an agent that nothing can be in scope of, or attributed to, is a warning', () => {
  expect(
    problems(
      [
        'a.yaml',
        `id: urn:agent:a
owner: o
purpose: p
environment: e
addresses: [{ address: 10.0.0.1, from: 2026-02-01 }]
scope: { expires: 2026-01-01, egress: [{ cidr: 10.0.0.0/8, port: any }] }
`,
      ],
      ['b.yaml', 'id: urn:agent:b\nowner: o\npurpose: p\nenvironment: e\n'],
    ).join('\n'),
  ).toMatchInlineSnapshot(`
    "a.yaml:6:19: warning: no rule can ever match: the scope expires at 2026-01-01T00:00:00Z, before any address is the agent's
    b.yaml:1:1: warning: no rule is declared: every connection of this agent is out of scope
    b.yaml:1:1: warning: nothing attributes traffic to this agent: expected addresses, interfaces or proxy_users, found none"
  `)
})

/** Agent `name` with one line of its own. */
function agent(name: string, line: string): [path: string, text: string] {
  return [
    `${name}.yaml`,
    `id: urn:agent:${name}\nowner: o\npurpose: p\nenvironment: e\n${line}\nscope: { egress: [{ cidr: 10.0.0.0/8, port: any }] }\n`,
  ]
}

test('what two agents claim is a warning that names both places, unless both share it or take turns', () => {
  expect(
    problems(
      agent('a', 'addresses: [10.0.0.1, { address: 10.0.0.2, shared: true }]'),
      agent('b', 'addresses: [10.0.0.0/31, { address: 10.0.0.2, shared: true }]'),
      agent('c', 'interfaces: [eni-1]'),
      agent('d', 'interfaces: [eni-1]\nproxy_users: [u]'),
      agent('e', 'proxy_users: [u]'),
      agent('f', 'addresses: [{ address: 10.9.0.1, to: 2026-01-01 }]'),
      agent('g', 'addresses: [{ address: 10.9.0.1, from: 2026-01-01 }]'),
    ).join('\n'),
  ).toMatchInlineSnapshot(`
    "a.yaml:5:13: warning: 10.0.0.1/32 is also claimed by urn:agent:b (b.yaml:5:13, 10.0.0.0/31): its flows are contested (give it to one, or declare shared: true in both)
    d.yaml:5:14: warning: eni-1 is also claimed by urn:agent:c (c.yaml:5:14): its flows are contested (give it to one)
    e.yaml:5:15: warning: u is also claimed by urn:agent:d (d.yaml:6:15): its flows are contested (give it to one)"
  `)
})

test('one id in two files is an error that names both places; the first by path holds', () => {
  const [, text] = agent('a', 'interfaces: [eni-1]')
  const { agents, problems } = loadAgents([
    { path: 'z.yaml', text: text.replace('eni-1', 'eni-2') },
    { path: 'm.yaml', text: `# first\n${text}` },
  ])
  expect(agents.map(({ interfaces }) => interfaces)).toEqual([['eni-1']])
  expect(problems.map(formatProblem)).toEqual([
    'z.yaml:1:5: error: expected an id of its own, found urn:agent:a, which m.yaml:2:5 declares (take one of the two files away)',
  ])
})

test('hostile YAML is refused in one line each', () => {
  const bomb = `a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n`
  expect(
    [
      problems(['big.yaml', 'a: ' + 'x'.repeat(1 << 20)]),
      problems(['bomb.yaml', bomb]).slice(0, 1),
      problems(['deep.yaml', '['.repeat(500_000)]),
      problems(['steps.yaml', '- '.repeat(500_000)]),
      problems(['twice.yaml', 'id: a\n---\nid: b\n']),
      problems(['\u001b[31mred.yaml', '"\u001b]0;owned\u0007": 1']).slice(-1),
      problems(['empty.yaml', '# nothing\n']),
      problems(['list.yaml', '- 1\n']),
    ]
      .flat()
      .join('\n'),
  ).toMatchInlineSnapshot(`
    "big.yaml:1:1: error: expected at most 1048576 bytes, found 1048579 (split the file)
    bomb.yaml:2:8: error: aliases are not accepted here (write the value of *a out)
    deep.yaml:1:33: error: nested too deeply: at most 32 brackets and 128 columns
    steps.yaml:1:131: error: nested too deeply: at most 32 brackets and 128 columns
    twice.yaml:2:1: error: expected one document, found another (put it into a file of its own)
    \\u{1b}[31mred.yaml:1:1: error: unknown key \`\\u{1b}]0;owned\\u{7}\`: expected one of id, owner, purpose, environment, state, addresses, interfaces, proxy_users, scope
    empty.yaml:1:1: error: expected an agent (id, owner, purpose, environment, scope), found nothing
    list.yaml:1:1: error: expected keys and values, found [1]"
  `)
})

test('many keys do not make it slow, and many mistakes are cut', () => {
  const keys = Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join('\n')
  const found = problems(['keys.yaml', keys])
  expect(found).toHaveLength(101)
  expect(found.some((line) => line.includes('more mistakes follow'))).toBe(true)
})

test('any text gives agents or problems, and never throws', () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom(...withEgress('- { domain: a.example, port: 443 }').split('\n')),
    fc.constantFrom('addresses: [1]', '- &a b', '*a', '? x', '{', '!!binary x', 'scope:', ': :'),
  )
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      const { agents, problems } = loadAgents([{ path: 'x', text: lines.join('\n') }])
      expect(agents.length + problems.length).toBeGreaterThan(0)
      for (const { line, column } of problems) expect(Math.min(line, column)).toBeGreaterThan(0)
    }),
    { numRuns: 150 },
  )
})

test('what is cut anywhere still gives located problems or an agent', () => {
  const text = withEgress('- { id: llm, domain: api.openai.com, port: [443, "8000-8100"] }')
  for (let end = 0; end < text.length; end++) {
    const { agents, problems } = loadAgents([{ path: 'x', text: text.slice(0, end) }])
    expect(agents.length + problems.length).toBeGreaterThan(0)
  }
})
