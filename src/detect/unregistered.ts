// Discovery: does this destination speak of an agent? A labelled list of endpoints (data/agent-endpoints.yaml)
// is matched against the name a flow asked for, and against networks that a provider publishes as its own.

import { type Network, parseNetwork } from '../address.ts'
import { type AddressTable, buildAddressTable, findPrefix } from '../identity/address-table.ts'
import type { Endpoint, EndpointRole } from '../identity/endpoint-file.ts'

/** Roles that a person with a browser does not give. */
const AGENT_ROLES: readonly EndpointRole[] = ['api', 'agent_tool', 'mcp', 'infra']

/** The list, ready for lookups. */
export interface EndpointBook {
  /** Patterns without a star, by their text. */
  readonly exact: ReadonlyMap<string, Endpoint>
  /** Patterns with a star, by their last two labels: label matchers, last label first. */
  readonly starred: ReadonlyMap<
    string,
    readonly { endpoint: Endpoint; labels: readonly RegExp[] }[]
  >
  readonly networks: AddressTable
  readonly byPrefix: readonly Endpoint[]
}

/** Builds the book. Of two endpoints with one pattern the first holds. */
export function openEndpoints(endpoints: readonly Endpoint[]): EndpointBook {
  const exact = new Map<string, Endpoint>()
  const starred = new Map<string, { endpoint: Endpoint; labels: RegExp[] }[]>()
  const networks: Network[] = []
  const owners: Endpoint[] = []
  for (const endpoint of endpoints) {
    const network = parseNetwork(endpoint.match)
    if (network !== undefined) {
      networks.push(network)
      owners.push(endpoint)
    } else if (!endpoint.match.includes('*')) {
      if (!exact.has(endpoint.match)) exact.set(endpoint.match, endpoint)
    } else {
      const labels = endpoint.match.split('.')
      const base = labels.slice(-2).join('.')
      const list = starred.get(base) ?? []
      list.push({ endpoint, labels: labels.reverse().map(labelMatcher) })
      starred.set(base, list)
    }
  }
  const table = buildAddressTable(networks)
  const byPrefix: Endpoint[] = []
  for (const [i, owner] of owners.entries()) byPrefix[table.prefixOf[i]!] ??= owner
  return { exact, starred, networks: table, byPrefix }
}

/** A star is any run of characters, also none, inside one label. Labels hold only letters, digits, dashes. */
function labelMatcher(label: string): RegExp {
  return new RegExp(`^${label.replaceAll('*', '[^.]*')}$`)
}

/** The endpoint of a host name (lower case, no dot at the end): the longest plain pattern, else a starred one. */
export function endpointOfName(book: EndpointBook, name: string): Endpoint | undefined {
  const labels = name.split('.', 128)
  for (let i = 0; i < labels.length - 1; i++) {
    const found = book.exact.get(labels.slice(i).join('.'))
    if (found !== undefined) return found
  }
  const list = book.starred.get(labels.slice(-2).join('.'))
  if (list === undefined) return undefined
  const reversed = labels.reverse()
  return list.find(
    ({ labels: wanted }) =>
      reversed.length >= wanted.length && wanted.every((label, i) => label.test(reversed[i]!)),
  )?.endpoint
}

/** The endpoint whose published network holds the address. */
export function endpointOfAddress(
  book: EndpointBook,
  bytes: Uint8Array,
  at: number,
): Endpoint | undefined {
  const prefix = findPrefix(book.networks, bytes, at)
  return prefix < 0 ? undefined : book.byPrefix[prefix]
}

/** True if who talks to this endpoint looks like an agent, not like a person. */
export function looksLikeAgent(endpoint: Endpoint | undefined): boolean {
  return endpoint !== undefined && AGENT_ROLES.includes(endpoint.role)
}
