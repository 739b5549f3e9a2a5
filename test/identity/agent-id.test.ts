import { expect, test } from 'vitest'
import { agentName } from '../../src/identity/agent.ts'
import { agentIdComplaint } from '../../src/identity/agent-id.ts'

test.each([
  'spiffe://acme.example/agent/doc-processor',
  'spiffe://acme/a',
  'spiffe://1.2_3/Agent.v1/x',
  'urn:agent:doc',
  'https://agents.acme.example/doc?v=1',
  'did:web:agents.example',
])('%s names an agent', (id) => {
  expect(agentIdComplaint(id)).toBeUndefined()
})

test.each([
  ['doc-processor', 'is no absolute URI'],
  ['/agents/doc', 'is no absolute URI'],
  ['urn:agent:doc processor', 'has a character that a URI may not hold'],
  ['urn:agent:%zz', 'has a character that a URI may not hold'],
  ['SPIFFE://acme/a', 'should start with spiffe:// in lower case'],
  ['https://acme.example/doc#top', 'has a character that a URI may not hold'],
  ['spiffe:acme/a', 'should start with spiffe://'],
  ['spiffe:///a', 'has no trust domain'],
  ['spiffe://Acme.example/a', 'write acme.example'],
  ['spiffe://acme:8443/a', 'has a user or a port'],
  ['spiffe://me@acme/a', 'has a user or a port'],
  ['spiffe://acme.example', 'has no path'],
  ['spiffe://acme.example/', 'has no path'],
  ['spiffe://acme/a/', 'ends with a slash'],
  ['spiffe://acme/a//b', 'has an empty path segment'],
  ['spiffe://acme/../b', 'has a relative path segment'],
  ['spiffe://acme/a?x=1', 'has a query or a fragment'],
  ['spiffe://acme/a%20b', 'has percent-encoding'],
  ['spiffe://acme/a b', 'has more than letters'],
  [`spiffe://${'a'.repeat(256)}/a`, 'has a trust domain longer than 255 bytes'],
  [`spiffe://acme/${'a'.repeat(2048)}`, 'is longer than 2048 bytes'],
])('%s is refused: it %s', (id, complaint) => {
  expect(agentIdComplaint(id)).toContain(complaint)
})

test('the short name of an agent is the last part of its id', () => {
  expect(agentName('spiffe://acme.example/agent/doc-processor')).toBe('doc-processor')
  expect(agentName('urn:agent:doc')).toBe('doc')
})
