// What a flow shows of the name its originator meant, sorted by what a rule may conclude from it.

import type { NameProof, NameSource } from '../flow.ts'
import { isAddressLiteral, seenName } from '../identity/domain-name.ts'

/**
 * - `none`         no name was seen: a domain rule cannot be decided
 * - `named`        the payload names a host: rules by domain compare it
 * - `contradicted` it does, but this client had been given other addresses for that name: no rule may trust it
 * - `hidden`       encrypted ClientHello: the outer name says nothing of the inner one
 * - `literal`      the payload names an address where a name belongs: no domain is meant
 * - `dns`          the payload names nothing, but this client had been given names for the address
 */
export type NameKind = 'none' | 'named' | 'contradicted' | 'hidden' | 'literal' | 'dns'

export interface NameEvidence {
  readonly kind: NameKind
  /** In canonical form, '' if kind is none. For dns the newest. */
  readonly name: string
  /** For dns: all names that were given for the address. Else the name, or nothing. */
  readonly names: readonly string[]
  /** True for CONNECT: the name is of the tunnel's far end, while address and port are the proxy's. */
  readonly tunnel: boolean
  /** True if the name was read in clear text (Host). */
  readonly clear: boolean
}

export const NO_NAME: NameEvidence = {
  kind: 'none',
  name: '',
  names: [],
  tunnel: false,
  clear: false,
}

/** The evidence in the columns `server_name`, `name_source`, `name_proof`, `dns_names` of a flow. */
export function nameEvidence(
  serverName: string,
  source: NameSource | '',
  proof: NameProof | '',
  dnsNames: readonly string[],
): NameEvidence {
  const tunnel = source === 'connect'
  const clear = source === 'http_host'
  const name = seenName(serverName)
  if (name === '' || source === '' || source === 'dns') {
    const given = [...new Set([...(name === '' ? [] : [name]), ...dnsNames.map(seenName)])]
    if (given.length === 0) return NO_NAME
    return { kind: 'dns', name: given[0]!, names: given, tunnel: false, clear: false }
  }
  const base = { name, names: [name], tunnel, clear }
  if (source === 'ech_outer') return { ...base, kind: 'hidden' }
  if (isAddressLiteral(name)) return { ...base, kind: 'literal' }
  // A proxy resolves names itself, so the client's own DNS says nothing of a tunnel.
  if (proof === 'contradicted' && !tunnel) return { ...base, kind: 'contradicted' }
  return { ...base, kind: 'named' }
}
