// Declared scopes, compiled for lookups: networks of all rules in one table, domains of one scope in one index.
// So a question costs a few integer comparisons a rule, whatever the rule lists.

import { type Network, parseNetwork } from '../address.ts'
import { type AddressTable, buildAddressTable, findPrefix } from '../identity/address-table.ts'
import type { Agent, Rule } from '../identity/agent.ts'
import { isHostName } from '../identity/domain-name.ts'

export interface CompiledRule {
  readonly declared: Rule
  readonly id: string
  /** Prefixes of the book's table, or null if no network was asked for. */
  readonly prefixes: ReadonlySet<number> | null
  /** Places of agents in the registry, or null. An unknown agent has none. */
  readonly agents: readonly number[] | null
  readonly domains: boolean
  /** By IANA number: 1 if the rule speaks of it. */
  readonly protocols: Uint8Array
  /** first, last, first, last, … */
  readonly ports: readonly number[]
  /** Least and greatest port of them; the least is above the greatest if there is none. */
  readonly lowest: number
  readonly highest: number
}

export interface CompiledScope {
  readonly agent: number
  readonly version: string
  /** Microseconds; Infinity if it does not expire. */
  readonly expires: number
  readonly egress: readonly CompiledRule[]
  readonly ingress: readonly CompiledRule[]
  /** Places of egress rules, by domain; the text of wildcards starts with a dot: `.example.com`. */
  readonly byDomain: ReadonlyMap<string, readonly number[]>
  /** Which egress rules a name matches (1), remembered by name. */
  readonly hits: Map<string, Uint8Array>
}

/** The scopes of a registry, by the place of their agent in it. */
export interface ScopeBook {
  readonly agents: readonly Agent[]
  readonly places: ReadonlyMap<string, number>
  readonly networks: AddressTable
  readonly scopes: readonly CompiledScope[]
}

/** Names that are remembered for each scope. */
const HITS_MAX = 4096

/** Compiles the scopes. @param agents sorted by id, as in the book of owners. */
export function openScopes(agents: readonly Agent[]): ScopeBook {
  const places = new Map(agents.map(({ id }, i) => [id, i]))
  const networks: Network[] = []
  const ids = new Map<string, number>()
  for (const { scope } of agents)
    for (const { cidrs } of [...scope.egress, ...scope.ingress])
      for (const cidr of cidrs ?? [])
        if (!ids.has(cidr)) {
          ids.set(cidr, networks.length)
          networks.push(parseNetwork(cidr)!)
        }
  const table = buildAddressTable(networks)
  const tables = protocolTables()
  const compile = (rule: Rule): CompiledRule => ({
    declared: rule,
    id: rule.id,
    prefixes: rule.cidrs && new Set(rule.cidrs.map((cidr) => table.prefixOf[ids.get(cidr)!]!)),
    agents: rule.agents?.flatMap((id) => places.get(id) ?? []) ?? null,
    domains: rule.domains !== null,
    protocols: tables.get(rule.protocols),
    ports: rule.ports.flat(),
    lowest: Math.min(65_536, ...rule.ports.map(([first]) => first)),
    highest: Math.max(-1, ...rule.ports.map(([, last]) => last)),
  })
  const scopes = agents.map(({ scope }, agent) => ({
    agent,
    version: scope.version,
    expires: scope.expires ?? Number.POSITIVE_INFINITY,
    egress: scope.egress.map(compile),
    ingress: scope.ingress.map(compile),
    byDomain: indexDomains(scope.egress),
    hits: new Map(),
  }))
  return { agents, places, networks: table, scopes }
}

/** Tables of protocols, one for each distinct list: few of them, so they stay in the processor's cache. */
function protocolTables(): { get: (protocols: readonly number[] | null) => Uint8Array } {
  const known = new Map<string, Uint8Array>()
  return {
    get: (protocols) => {
      const key = String(protocols)
      let table = known.get(key)
      if (table === undefined) {
        table = new Uint8Array(256)
        if (protocols === null) table.fill(1)
        for (const protocol of protocols ?? []) table[protocol] = 1
        known.set(key, table)
      }
      return table
    },
  }
}

function indexDomains(rules: readonly Rule[]): Map<string, number[]> {
  const index = new Map<string, number[]>()
  for (const [i, { domains }] of rules.entries())
    for (const domain of domains ?? []) {
      const key = domain.startsWith('*.') ? domain.slice(1) : domain
      const list = index.get(key)
      if (list === undefined) index.set(key, [i])
      else list.push(i)
    }
  index.delete('')
  return index
}

/** Which egress rules of the scope hold a domain that this name (canonical) matches: 1 at the rule's place. */
export function domainHits(scope: CompiledScope, name: string): Uint8Array {
  let hits = scope.hits.get(name)
  if (hits !== undefined) return hits
  hits = new Uint8Array(scope.egress.length)
  if (isHostName(name)) {
    for (const i of scope.byDomain.get(name) ?? []) hits[i] = 1
    for (let dot = name.indexOf('.', 1); dot >= 0; dot = name.indexOf('.', dot + 1))
      for (const i of scope.byDomain.get(name.slice(dot)) ?? []) hits[i] = 1
  }
  if (scope.hits.size >= HITS_MAX) scope.hits.clear()
  scope.hits.set(name, hits)
  return hits
}

/** The narrowest network of any rule that holds the address, or -1: all that rules can tell of an address. */
export function peerClass(book: ScopeBook, bytes: Uint8Array, at: number): number {
  return findPrefix(book.networks, bytes, at)
}
