import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseAddress } from '../../src/address.ts'
import { loadAgents } from '../../src/identity/agent-files.ts'
import {
  attribute,
  CANDIDATES_MAX,
  openOwners,
  type SideEvidence,
} from '../../src/identity/attribution.ts'

function agent(name: string, ...lines: string[]): { path: string; text: string } {
  const head = `id: urn:agent:${name}\nowner: o\npurpose: p\nenvironment: e\n`
  return { path: name, text: head + lines.map((line) => `${line}\n`).join('') }
}

const { agents } = loadAgents([
  agent('alone', 'addresses: [10.0.0.1, "2001:db8::/64"]'),
  agent('net', 'addresses: [10.0.1.0/24]', 'state: retired'),
  agent('inside', 'addresses: [10.0.1.7]'),
  agent('nat-a', 'addresses: [{ address: 10.0.2.1, shared: true }]', 'proxy_users: [a]'),
  agent('nat-b', 'addresses: [{ address: 10.0.2.1, shared: true }]', 'interfaces: [eni-b]'),
  agent('pool', 'addresses: [{ address: 10.0.3.0/24, shared: true }]'),
  agent(
    'morning',
    'addresses: [{ address: 10.0.4.1, from: 2026-01-01T06:00:00Z, to: 2026-01-01T12:00:00Z }]',
  ),
  agent(
    'evening',
    'addresses: [{ address: 10.0.4.1, from: 2026-01-01T12:00:00Z, to: 2026-01-01T18:00:00Z }]',
  ),
  agent('twin-1', 'interfaces: [eni-t]'),
  agent('twin-2', 'interfaces: [eni-t]'),
])
const book = openOwners(agents)

/** Who it is, in a line: `alone certain address`. */
function who(address: string, more: Partial<SideEvidence> = {}): string {
  const {
    agents: places,
    grade,
    method,
  } = attribute(book, {
    proxyUser: '',
    interfaceId: '',
    address: parseAddress(address)!,
    at: 0,
    time: Date.UTC(2026, 0, 1, 9) * 1000,
    handshake: true,
    ...more,
  })
  const names = places.map((place) => agents[place]!.id.slice('urn:agent:'.length))
  return [names.join('+'), grade, method].join(' ').trim()
}

test.each<[string, string, Partial<SideEvidence>, string]>([
  ['an address of one agent, handshake completed', '10.0.0.1', {}, 'alone certain address'],
  ['the same without a handshake', '10.0.0.1', { handshake: false }, 'alone probable address'],
  ['an IPv6 network', '2001:db8::9', {}, 'alone certain address'],
  ['an address that nobody claims', '10.9.9.9', {}, 'unknown'],
  ['an address inside of another agent’s network', '10.0.1.7', {}, 'inside+net contested address'],
  ['the network around it', '10.0.1.8', {}, 'net certain address'],
  ['an address that both declare as shared', '10.0.2.1', {}, 'nat-a+nat-b shared address'],
  [
    'a shared address with one claimant: others are behind it',
    '10.0.3.9',
    {},
    'pool shared address',
  ],
  [
    'the user at a proxy, whatever the address',
    '10.9.9.9',
    { proxyUser: 'a' },
    'nat-a certain proxy_user',
  ],
  [
    'the user tells who of those behind a shared address',
    '10.0.2.1',
    { proxyUser: 'a' },
    'nat-a certain proxy_user',
  ],
  [
    'the interface does so too',
    '10.0.2.1',
    { interfaceId: 'eni-b', handshake: false },
    'nat-b certain interface',
  ],
  [
    'evidence that disagrees makes all of them candidates',
    '10.0.0.1',
    { interfaceId: 'eni-b' },
    'alone+nat-b contested interface',
  ],
  [
    'an interface that two agents declare',
    '10.9.9.9',
    { interfaceId: 'eni-t' },
    'twin-1+twin-2 contested interface',
  ],
  [
    'an unknown user and interface say nothing',
    '10.0.0.1',
    { proxyUser: 'x', interfaceId: 'y' },
    'alone certain address',
  ],
])('%s', (_, address, more, expected) => {
  expect(who(address, more)).toBe(expected)
})

const noon = Date.UTC(2026, 0, 1, 12) * 1000

test.each<[string, number, string]>([
  ['well before the handover', noon - 1_500_000, 'morning certain address'],
  ['a second before it', noon - 1_000_000, 'evening+morning contested address'],
  ['at it', noon, 'evening+morning contested address'],
  ['a second after it', noon + 999_999, 'evening+morning contested address'],
  ['well after it', noon + 1_000_000, 'evening certain address'],
  [
    'at the end of the last lease, nobody adjacent',
    noon + 6 * 3_600_000_000 - 1,
    'evening certain address',
  ],
  ['after it', noon + 6 * 3_600_000_000, 'unknown'],
  ['before the first lease', noon - 6 * 3_600_000_000 - 1, 'unknown'],
])('a lent address, %s', (_, time, expected) => {
  expect(who('10.0.4.1', { time })).toBe(expected)
})

test('evidence says what it rests on', () => {
  const evidence = (address: string, more: Partial<SideEvidence> = {}) =>
    attribute(book, {
      proxyUser: '',
      interfaceId: '',
      address: parseAddress(address)!,
      at: 0,
      time: noon - 3e9,
      handshake: true,
      ...more,
    }).evidence
  expect(evidence('10.0.1.8')).toEqual([
    'address 10.0.1.0/24',
    'tcp handshake completed',
    'state retired',
  ])
  expect(evidence('10.0.4.1')).toEqual([
    'address 10.0.4.1/32 from 2026-01-01T06:00:00Z to 2026-01-01T12:00:00Z',
    'tcp handshake completed',
  ])
  expect(evidence('10.0.2.1', { proxyUser: 'a' })).toEqual([
    'proxy_user a',
    'address 10.0.2.1/32 shared claimed by urn:agent:nat-a',
    'address 10.0.2.1/32 shared claimed by urn:agent:nat-b',
  ])
})

test('equal evidence is one object, so that it can be told apart by its number', () => {
  const ask = () =>
    attribute(book, {
      proxyUser: 'a',
      interfaceId: '',
      address: parseAddress('10.0.2.1')!,
      at: 0,
      time: noon,
      handshake: true,
    })
  expect(ask()).toBe(ask())
})

test('a crowd behind one address is cut, and says so', () => {
  const crowd = Array.from({ length: 100 }, (_, i) =>
    agent(`crowd-${i}`, 'addresses: [{ address: 10.0.0.0/8, shared: true }]'),
  )
  const found = attribute(openOwners(loadAgents(crowd).agents), {
    proxyUser: '',
    interfaceId: '',
    address: parseAddress('10.1.1.1')!,
    at: 0,
    time: 0,
    handshake: true,
  })
  expect([found.agents.length, found.more, found.grade]).toEqual([CANDIDATES_MAX, 36, 'shared'])
  expect(found.evidence.at(-1)).toBe('and 36 more agents')
})

test('certain touches exactly one owner, whatever is declared', () => {
  const claim = fc.record({
    agent: fc.integer({ min: 0, max: 3 }),
    address: fc.constantFrom('10.0.0.0/8', '10.0.0.0/24', '10.0.0.1', '10.0.0.2'),
    shared: fc.boolean(),
    from: fc.integer({ min: 0, max: 5 }),
    length: fc.integer({ min: 1, max: 5 }),
  })
  const at = (second: number): string => `2026-01-01T00:00:0${second}Z`
  fc.assert(
    fc.property(
      fc.array(claim, { maxLength: 8 }),
      fc.integer({ min: 0, max: 9_000 }),
      (claims, milli) => {
        const files = [0, 1, 2, 3].map((i) =>
          agent(
            `a${i}`,
            `addresses: [${claims
              .filter((one) => one.agent === i)
              .map(
                ({ address, shared, from, length }) =>
                  `{ address: ${address}, shared: ${shared}, from: ${at(from)}, to: ${at(Math.min(9, from + length))} }`,
              )
              .join(', ')}]`,
          ),
        )
        const time = (Date.UTC(2026, 0, 1) + milli) * 1000
        const { grade, agents: owners } = attribute(openOwners(loadAgents(files).agents), {
          proxyUser: '',
          interfaceId: '',
          address: parseAddress('10.0.0.1')!,
          at: 0,
          time,
          handshake: true,
        })
        const near = claims.filter(
          ({ address, from, length }) =>
            address !== '10.0.0.2' &&
            from * 1000 <= milli + 1000 &&
            milli - 1000 < Math.min(9, from + length) * 1000,
        )
        const touched = new Set(near.map((one) => one.agent))
        if (grade === 'certain') expect([...touched]).toEqual([...owners])
        if (touched.size > 1) expect(grade).not.toBe('certain')
      },
    ),
    { numRuns: 100 },
  )
})
