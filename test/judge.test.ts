import { expect, test } from 'vitest'
import { parseAddress } from '../src/address.ts'
import { addressKind } from '../src/detect/destination.ts'
import { loadAgents } from '../src/identity/agent-files.ts'
import { attribute } from '../src/identity/attribution.ts'
import { type End, judgeSide, judgeUnowned, type Sighting } from '../src/judge.ts'
import { NO_NAME, nameEvidence } from '../src/scope/name-evidence.ts'
import { peerClass } from '../src/scope/policy.ts'
import { compileSnapshot, openSnapshot } from '../src/snapshot.ts'

const crowd = Array.from({ length: 70 }, (_, i) => ({
  path: `crowd-${i}`,
  text: `id: urn:agent:crowd-${i}
owner: o
purpose: p
environment: e
addresses: [{ address: 10.0.9.9, shared: true }]
scope: { version: "1", egress: [{ cidr: 10.0.0.0/8, port: any }] }
`,
}))
const writer = `id: urn:agent:writer
owner: o
purpose: p
environment: e
state: retired
addresses: [10.0.0.1]
scope:
  version: "7"
  egress:
    - { id: llm, domain: api.openai.com, port: 443 }
    - { id: store, cidr: 10.0.0.7, port: 5432 }
  ingress:
    - { id: desk, cidr: 10.0.0.5, port: 8080 }
`
const snapshot = openSnapshot(
  compileSnapshot(loadAgents([{ path: 'writer', text: writer }, ...crowd]).agents, []),
)

function end(address: string): End {
  const bytes = parseAddress(address)!
  return {
    owner: attribute(snapshot.owners, {
      proxyUser: '',
      interfaceId: '',
      address: bytes,
      at: 0,
      time: 0,
      handshake: true,
    }),
    class: peerClass(snapshot.scopes, bytes, 0),
    kind: addressKind(bytes),
  }
}

function sighting(orig: string, resp: string, more: Partial<Sighting> = {}): Sighting {
  return {
    ts: 0,
    protocol: 6,
    origPort: 40_000,
    respPort: 443,
    directionSure: true,
    handshake: 'completed',
    name: NO_NAME,
    endpoint: undefined,
    orig: end(orig),
    resp: end(resp),
    ...more,
  }
}

test('the side of an agent is judged by its scope, and a retired agent says so', () => {
  const seen = sighting('10.0.0.1', '203.0.113.7', {
    name: nameEvidence('api.openai.com', 'sni', '', []),
  })
  expect(judgeSide(snapshot, seen, 'orig')).toMatchObject({
    verdict: 'in_scope',
    agent: 'urn:agent:writer',
    rule: 'llm',
    scopeVersion: '7',
    grade: 'certain',
    score: 40,
    reasons: [{ code: 'agent_retired' }],
    finding: false,
  })
})

test('the responder is asked about ingress, at the port it was reached on', () => {
  const seen = sighting('10.0.0.5', '10.0.0.1', { respPort: 8080 })
  expect(judgeSide(snapshot, seen, 'resp')).toMatchObject({
    verdict: 'in_scope',
    direction: 'ingress',
    rule: 'desk',
    port: 8080,
  })
})

test('the name that a client shows does not score against who is reached', () => {
  const seen = sighting('203.0.113.7', '10.0.0.1', {
    name: nameEvidence('10.0.0.1', 'http_host', '', []),
  })
  const { verdict, reasons } = judgeSide(snapshot, seen, 'resp')
  expect(verdict).toBe('out_of_scope')
  expect(reasons.map(({ code }) => code)).not.toContain('address_literal')
})

test('a port that is not declared names the rule that is near', () => {
  const seen = sighting('10.0.0.1', '10.0.0.7', { respPort: 5433 })
  const { reasons } = judgeSide(snapshot, seen, 'orig')
  expect(reasons.find(({ code }) => code === 'other_port')?.evidence).toBe(
    'rule store allows another port',
  )
})

test('turned round, the service is at the other port', () => {
  const seen = sighting('10.0.0.7', '10.0.0.1', {
    origPort: 5432,
    respPort: 50_000,
    directionSure: false,
  })
  expect(judgeSide(snapshot, seen, 'resp')).toMatchObject({
    verdict: 'in_scope',
    direction: 'egress',
    rule: 'store',
    port: 5432,
    turned: true,
  })
})

test('more candidates than are named are not judged', () => {
  const judged = judgeSide(snapshot, sighting('10.0.9.9', '10.0.0.200'), 'orig')
  expect(judged).toMatchObject({ verdict: 'unattributed', agent: '', grade: 'shared', rule: '' })
  expect(judged.candidates).toHaveLength(64)
})

test('who belongs to nobody is unregistered if it talks to an agent’s endpoint', () => {
  const seen = sighting('10.5.5.5', '203.0.113.7')
  const api = { provider: 'OpenAI', role: 'api', match: 'api.openai.com', evidence: 'e' } as const
  expect(judgeUnowned(seen)).toMatchObject({
    side: 'none',
    verdict: 'unattributed',
    score: 0,
    finding: false,
  })
  expect(judgeUnowned({ ...seen, endpoint: api })).toMatchObject({
    verdict: 'unregistered',
    rule: 'unregistered-agent',
    finding: true,
  })
  expect(judgeUnowned({ ...seen, endpoint: { ...api, role: 'chat_ui' } }).verdict).toBe(
    'unattributed',
  )
})
