// What is odd in a registry without being wrong: rules that can never match, and evidence that two agents claim.
// Each is a warning where it stands. The work is linear in what is declared.

import { formatNetwork, parseNetwork } from '../address.ts'
import { printable } from '../wire-text.ts'
import { buildAddressTable } from './address-table.ts'
import { type AddressClaim, type Rule, timeText } from './agent.ts'
import type { DeclaredAgent } from './agent-files.ts'
import { declaredDomain } from './domain-name.ts'
import { type KeyPath, keyText, meant, shown, type YamlFile } from './yaml-file.ts'

/** Looks through agents sorted by id and reports into their files. */
export function lintAgents(declared: readonly DeclaredAgent[]): void {
  const ids = declared.map(({ agent }) => agent.id)
  const known = new Set(ids)
  for (const { agent, file } of declared) {
    const { scope } = agent
    if (scope.egress.length + scope.ingress.length === 0)
      file.report(
        'warning',
        ['scope'],
        'no rule is declared: every connection of this agent is out of scope',
      )
    for (const direction of ['egress', 'ingress'] as const)
      for (const [i, rule] of scope[direction].entries())
        lintRule(file, ['scope', direction, i], rule, { ids, known })
    lintExpiry(agent.addresses, scope.expires, file)
    for (const [i, claim] of agent.addresses.entries()) lintHostBits(file, ['addresses', i], claim)
    if (agent.addresses.length + agent.interfaces.length + agent.proxyUsers.length === 0)
      file.report(
        'warning',
        [],
        'nothing attributes traffic to this agent: expected addresses, interfaces or proxy_users, found none',
      )
  }
  lintClaims(declared)
  lintNames(declared, 'interfaces', ({ interfaces }) => interfaces)
  lintNames(declared, 'proxy_users', ({ proxyUsers }) => proxyUsers)
}

function writtenList(
  file: YamlFile,
  keys: KeyPath,
): { values: unknown[]; at: (i: number) => KeyPath } {
  let value: unknown = file.raw
  for (const key of keys) value = (value as Record<string | number, unknown> | undefined)?.[key]
  return Array.isArray(value)
    ? { values: value, at: (i) => [...keys, i] }
    : { values: value === undefined ? [] : [value], at: () => keys }
}

function lintRule(
  file: YamlFile,
  keys: KeyPath,
  rule: Rule,
  registry: { ids: readonly string[]; known: ReadonlySet<string> },
): void {
  const never = (at: KeyPath, why: string): void =>
    file.report('warning', at, `\`${keyText(at)}\` can never match: ${why}`)
  const domains = writtenList(file, [...keys, 'domain'])
  for (const [i, domain] of domains.values.entries()) {
    const read = declaredDomain(String(domain))
    if ('complaint' in read) never(domains.at(i), `${shown(domain)} is ${read.complaint}`)
  }
  const agents = writtenList(file, [...keys, 'agent'])
  for (const [i, id] of agents.values.entries())
    if (!registry.known.has(String(id)))
      never(agents.at(i), `no agent ${shown(id)} is declared${meant(String(id), registry.ids)}`)
  const cidrs = writtenList(file, [...keys, 'cidr'])
  for (const [i, cidr] of cidrs.values.entries()) lintBits(file, cidrs.at(i), String(cidr))
  const ports = writtenList(file, [...keys, 'port'])
  for (const [i, port] of ports.values.entries()) {
    const [first, last] = String(port).split('-').map(Number)
    if (last !== undefined && first! > last)
      never(ports.at(i), `the range ${shown(port)} is empty (write "${last}-${first}")`)
  }
  const icmpOnly = rule.protocols?.every((protocol) => protocol === 1 || protocol === 58) === true
  if (icmpOnly && rule.domains !== null)
    never([...keys, 'domain'], 'an icmp flow carries no name (use cidr)')
  if (icmpOnly && ports.values.length > 0)
    file.report(
      'warning',
      [...keys, 'port'],
      `\`${keyText(keys)}.port\` has no meaning for icmp (take it away)`,
    )
}

function lintBits(file: YamlFile, keys: KeyPath, written: string): void {
  const network = parseNetwork(written)
  const host = parseNetwork(written.split('/')[0]!)
  if (network === undefined || host === undefined) return
  if (host.address.some((byte, i) => byte !== network.address[i]))
    file.report(
      'warning',
      keys,
      `\`${keyText(keys)}\`: bits beyond the mask of ${shown(written)} are not looked at (write ${formatNetwork(network)})`,
    )
}

function lintHostBits(file: YamlFile, keys: KeyPath, claim: AddressClaim): void {
  const written = writtenList(file, keys).values[0]
  const text =
    typeof written === 'object' && written !== null
      ? (written as Record<string, unknown>).address
      : written
  if (typeof text === 'string' && claim.network !== text) lintBits(file, keys, text)
}

function lintExpiry(
  addresses: readonly AddressClaim[],
  expires: number | null,
  file: YamlFile,
): void {
  if (expires === null || addresses.length === 0) return
  if (addresses.every(({ from }) => from !== null && from >= expires))
    file.report(
      'warning',
      ['scope', 'expires'],
      `no rule can ever match: the scope expires at ${timeText(expires)}, before any address is the agent's`,
    )
}

interface PlacedClaim {
  claim: AddressClaim
  agent: string
  file: YamlFile
  keys: KeyPath
}

function overlap(a: AddressClaim, b: AddressClaim): boolean {
  return (
    (a.from ?? Number.NEGATIVE_INFINITY) < (b.to ?? Number.POSITIVE_INFINITY) &&
    (b.from ?? Number.NEGATIVE_INFINITY) < (a.to ?? Number.POSITIVE_INFINITY)
  )
}

/** Most claims on one network that one claim is compared with. */
const COMPARED_MAX = 64

/** Tells of each claim that another agent's claim contradicts: one of the two at least is not shared. */
function lintClaims(declared: readonly DeclaredAgent[]): void {
  const placed: PlacedClaim[] = declared.flatMap(({ agent, file }) =>
    agent.addresses.map((claim, i) => ({ claim, agent: agent.id, file, keys: ['addresses', i] })),
  )
  const table = buildAddressTable(placed.map(({ claim }) => parseNetwork(claim.network)!))
  const byPrefix: PlacedClaim[][] = Array.from(table.parents, () => [])
  for (const [i, one] of placed.entries()) byPrefix[table.prefixOf[i]!]!.push(one)
  for (const [i, one] of placed.entries()) {
    const prefix = table.prefixOf[i]!
    for (let at = prefix; at >= 0; at = table.parents[at]!) {
      const other = byPrefix[at]!.slice(0, COMPARED_MAX).find(
        (candidate) =>
          // Of two equal claims the later one tells, of two nested ones the narrower.
          (at === prefix ? candidate.agent < one.agent : candidate.agent !== one.agent) &&
          !(candidate.claim.shared && one.claim.shared) &&
          overlap(candidate.claim, one.claim),
      )
      if (other === undefined) continue
      one.file.report(
        'warning',
        one.keys,
        `${one.claim.network} is also claimed by ${other.agent} (${other.file.place(other.keys)}${at === prefix ? '' : `, ${other.claim.network}`}): its flows are contested (give it to one, or declare shared: true in both)`,
      )
      break
    }
  }
}

function lintNames(
  declared: readonly DeclaredAgent[],
  key: 'interfaces' | 'proxy_users',
  names: (agent: DeclaredAgent['agent']) => readonly string[],
): void {
  const owners = new Map<string, { id: string; place: string }>()
  for (const { agent, file } of declared)
    for (const [i, name] of names(agent).entries()) {
      const first = owners.get(name)
      if (first === undefined) owners.set(name, { id: agent.id, place: file.place([key, i]) })
      else if (first.id !== agent.id)
        file.report(
          'warning',
          [key, i],
          `${printable(name)} is also claimed by ${first.id} (${first.place}): its flows are contested (give it to one)`,
        )
    }
}
