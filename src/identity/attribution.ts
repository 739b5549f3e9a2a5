// Whose is this side of a flow? Three kinds of evidence are asked: the user of a proxy, the cloud interface, and
// the address at that moment. What they say together is an Attribution; equal ones are one object, made once.
//
// | evidence                                                       | grade     |
// | -------------------------------------------------------------- | --------- |
// | proxy user, or interface, that one agent alone declares        | certain   |
// | address of one agent, TCP handshake completed                  | certain   |
// | address of one agent, otherwise                                | probable  |
// | address that all its claimants declare as shared               | shared    |
// | two claimants, or evidence that disagrees                      | contested |
// | nothing                                                        | unknown   |

import { type Network, parseNetwork } from '../address.ts'
import type { AttributionMethod, Grade } from '../flow.ts'
import { type AddressTable, buildAddressTable, findPrefix } from './address-table.ts'
import { type Agent, timeText } from './agent.ts'

/** How far from the flow, in microseconds, the end of a lease still makes its owner a candidate (clock skew). */
export const LEASE_GUARD = 1_000_000

export interface Attribution {
  /** Distinct attributions of one book have distinct numbers; 0 is "unknown". */
  readonly id: number
  /** Places in the registry, ascending; empty if nothing is known. */
  readonly agents: readonly number[]
  /** How many candidates there are beyond CANDIDATES_MAX. */
  readonly more: number
  readonly method: AttributionMethod | ''
  readonly grade: Grade
  readonly evidence: readonly string[]
}

export const UNKNOWN: Attribution = {
  id: 0,
  agents: [],
  more: 0,
  method: '',
  grade: 'unknown',
  evidence: [],
}

interface Claim {
  agent: number
  network: string
  shared: boolean
  from: number
  to: number
}

/** Agents that one piece of evidence points to. `id` 0 is none. */
export interface Claimants {
  readonly id: number
  readonly agents: readonly number[]
  readonly shared: boolean
  readonly evidence: readonly string[]
  /** What follows if there is no other evidence: without and with a completed handshake. */
  readonly alone: [Attribution | undefined, Attribution | undefined]
}

export const NOBODY: Claimants = {
  id: 0,
  agents: [],
  shared: false,
  evidence: [],
  alone: [UNKNOWN, UNKNOWN],
}

/** Most candidates of one side that are named and judged; beyond them a side is as good as unknown. */
export const CANDIDATES_MAX = 64
/** Most distinct combinations of evidence that are remembered. */
const KNOWN_MAX = 1 << 16

/** The registry, ready for lookups. It remembers answers, but they depend on the arguments alone. */
export interface OwnerBook {
  readonly agents: readonly Agent[]
  readonly table: AddressTable
  /** Claims on each prefix itself; those on wider ones are found through `table.parents`. */
  readonly claims: readonly (readonly Claim[])[]
  /** 1 if time decides: a claim on the prefix, or on a wider one, begins or ends. */
  readonly bounded: Uint8Array
  /** Answers by prefix where time does not decide; filled as they are asked for. */
  readonly timeless: (Claimants | undefined)[]
  readonly timed: Map<string, Claimants>
  readonly interfaces: ReadonlyMap<string, Claimants>
  readonly proxyUsers: ReadonlyMap<string, Claimants>
  readonly known: Map<string, Attribution>
  /** The next number of a Claimants or an Attribution. */
  next: number
}

function distinct(agents: readonly number[]): number[] {
  return [...new Set(agents)].sort((a, b) => a - b)
}

/** Builds the book. @param agents sorted by id; an Attribution names them by their place here. */
export function openOwners(agents: readonly Agent[]): OwnerBook {
  const networks: Network[] = []
  const all: Claim[] = []
  for (const [agent, { addresses }] of agents.entries())
    for (const { network, shared, from, to } of addresses) {
      networks.push(parseNetwork(network)!)
      all.push({
        agent,
        network,
        shared,
        from: from ?? Number.NEGATIVE_INFINITY,
        to: to ?? Number.POSITIVE_INFINITY,
      })
    }
  const table = buildAddressTable(networks)
  const claims: Claim[][] = Array.from(table.parents, () => [])
  for (const [i, claim] of all.entries()) claims[table.prefixOf[i]!]!.push(claim)
  const bounded = new Uint8Array(claims.length)
  // A wider prefix is numbered before those inside it.
  for (const [prefix, parent] of table.parents.entries()) {
    const ends = ({ from, to }: Claim): boolean => Number.isFinite(from) || Number.isFinite(to)
    bounded[prefix] = claims[prefix]!.some(ends) || (parent >= 0 && bounded[parent] === 1) ? 1 : 0
  }
  return {
    agents,
    table,
    claims,
    bounded,
    timeless: [],
    timed: new Map(),
    interfaces: byName(agents, 'interface', (agent) => agent.interfaces),
    proxyUsers: byName(agents, 'proxy_user', (agent) => agent.proxyUsers),
    known: new Map(),
    next: 1,
  }
}

function byName(
  agents: readonly Agent[],
  word: string,
  names: (agent: Agent) => readonly string[],
): Map<string, Claimants> {
  const owners = new Map<string, number[]>()
  for (const [i, agent] of agents.entries())
    for (const name of names(agent)) owners.set(name, [...(owners.get(name) ?? []), i])
  let id = 0
  return new Map(
    [...owners].map(([name, list]) => {
      const found = distinct(list)
      const evidence = found.map((agent) => `${word} ${name}${claimedBy(agents, found, agent)}`)
      return [name, { ...NOBODY, id: ++id, agents: found, evidence }]
    }),
  )
}

function claimedBy(agents: readonly Agent[], all: readonly number[], agent: number): string {
  return all.length > 1 ? ` claimed by ${agents[agent]!.id}` : ''
}

function claimantsOf(agents: readonly Agent[], claims: readonly Claim[], id: number): Claimants {
  const owners = distinct(claims.map(({ agent }) => agent))
  const evidence = claims.map(({ agent, network, shared, from, to }) => {
    const since = Number.isFinite(from) ? ` from ${timeText(from)}` : ''
    const until = Number.isFinite(to) ? ` to ${timeText(to)}` : ''
    const whose = claimedBy(agents, owners, agent)
    return `address ${network}${since}${until}${shared ? ' shared' : ''}${whose}`
  })
  return {
    id,
    agents: owners,
    shared: claims.every(({ shared }) => shared),
    evidence,
    alone: [undefined, undefined],
  }
}

/** All claims on networks that hold what the prefix holds, the narrowest first. */
function claimsOn(book: OwnerBook, prefix: number): Claim[] {
  const list: Claim[] = []
  for (let at = prefix; at >= 0; at = book.table.parents[at]!) list.push(...book.claims[at]!)
  return list
}

/**
 * Who claims the addresses of a prefix (-1: of none) at this time. Every network that holds the address counts, not the narrowest alone: two
 * agents that both say "mine" are a dispute, whatever the width of their claims. A claim counts if it touches
 * the time give or take LEASE_GUARD, but only if some claim holds at the time itself.
 */
export function claimants(book: OwnerBook, prefix: number, time: number): Claimants {
  if (prefix < 0) return NOBODY
  if (book.bounded[prefix] === 0)
    return (book.timeless[prefix] ??= claimantsOf(book.agents, claimsOn(book, prefix), book.next++))
  let held = false
  let key = String(prefix)
  const near: Claim[] = []
  for (const [i, claim] of claimsOn(book, prefix).entries()) {
    const { from, to } = claim
    held ||= from <= time && time < to
    if (from > time + LEASE_GUARD || time - LEASE_GUARD >= to) continue
    near.push(claim)
    key += ',' + i
  }
  if (!held) return NOBODY
  let found = book.timed.get(key)
  if (found === undefined) {
    if (book.timed.size >= KNOWN_MAX) book.timed.clear()
    found = claimantsOf(book.agents, near, book.next++)
    book.timed.set(key, found)
  }
  return found
}

/** What is known of one side of a flow. */
export interface SideEvidence {
  /** '' on the responder's side: the user of a proxy is who opened the flow. */
  proxyUser: string
  /** '' unless the interface sits at this side. */
  interfaceId: string
  /** 16 bytes at `at`. */
  address: Uint8Array
  at: number
  /** Microseconds: the deciding moment. */
  time: number
  /** True for TCP with both sides taking part: the source cannot be forged. */
  handshake: boolean
}

/** Whose side this is. Never throws; equal evidence gives the same object. */
export function attribute(book: OwnerBook, side: SideEvidence): Attribution {
  const user = (side.proxyUser !== '' && book.proxyUsers.get(side.proxyUser)) || NOBODY
  const port = (side.interfaceId !== '' && book.interfaces.get(side.interfaceId)) || NOBODY
  const prefix = findPrefix(book.table, side.address, side.at)
  return attributionOf(book, user, port, claimants(book, prefix, side.time), side.handshake)
}

/** What these together say, each of them of `book`. */
export function attributionOf(
  book: OwnerBook,
  user: Claimants,
  port: Claimants,
  address: Claimants,
  handshake: boolean,
): Attribution {
  if (user.id === 0 && port.id === 0)
    return (address.alone[handshake ? 1 : 0] ??= weigh(book, [address], handshake))
  const key = `${user.id} ${port.id} ${address.id} ${handshake ? 1 : 0}`
  let found = book.known.get(key)
  if (found === undefined) {
    if (book.known.size >= KNOWN_MAX) book.known.clear()
    found = weigh(book, [user, port, address], handshake)
    book.known.set(key, found)
  }
  return found
}

const METHODS: readonly AttributionMethod[] = ['proxy_user', 'interface', 'address']

/** Weighs claimants by method, the strongest first. What all evidence agrees on holds; else all are candidates. */
function weigh(book: OwnerBook, pieces: readonly Claimants[], handshake: boolean): Attribution {
  const methods = METHODS.slice(-pieces.length)
  const asked = pieces.flatMap((piece, i) =>
    piece.id === 0 ? [] : [{ piece, method: methods[i]! }],
  )
  const agreed = asked.reduce<readonly number[]>(
    (common, { piece }) => common.filter((agent) => piece.agents.includes(agent)),
    asked[0]!.piece.agents,
  )
  const agents = agreed.length > 0 ? agreed : distinct(asked.flatMap(({ piece }) => piece.agents))
  const deciding = asked.find(({ piece }) => piece.agents.length === agents.length) ?? asked[0]!
  const evidence = asked.flatMap(({ piece }) => [...piece.evidence])
  let grade: Grade = 'contested'
  if (agents.length === 1 && deciding.piece.agents.length === 1) {
    if (deciding.method !== 'address') grade = 'certain'
    else if (deciding.piece.shared) grade = 'shared'
    else grade = handshake ? 'certain' : 'probable'
  } else if (agreed.length > 1 && deciding.method === 'address' && deciding.piece.shared)
    grade = 'shared'
  if (deciding.method === 'address' && agents.length === 1)
    evidence.push(handshake ? 'tcp handshake completed' : 'no completed tcp handshake')
  for (const agent of agents) {
    const { state, id } = book.agents[agent]!
    if (state !== 'active')
      evidence.push(agents.length > 1 ? `state ${state} of ${id}` : `state ${state}`)
  }
  const more = agents.length - CANDIDATES_MAX
  if (more > 0) evidence.splice(CANDIDATES_MAX, Number.POSITIVE_INFINITY, `and ${more} more agents`)
  return {
    id: book.next++,
    agents: agents.slice(0, CANDIDATES_MAX),
    more: Math.max(0, more),
    method: deciding.method,
    grade,
    evidence,
  }
}
