// The answer of every reader of first bytes: is there a name, whose is it, and what does the client look like.

import type { NameSource } from '../flow.ts'
import { wireText } from '../wire-text.ts'
import { fingerprints, type Ja4Transport } from './ja.ts'
import type { ClientHello } from './tls.ts'

/**
 * `more`: a recognised beginning that is not complete. `none`: no protocol that has names in its first bytes
 * (`service` may be known all the same). `no_name`: one that has, but this client gave none. `name`: it did.
 */
export type Inspection =
  | { readonly status: 'more' }
  | { readonly status: 'none'; readonly service: string }
  | ClientInspection

/** What is known of a client whose protocol has names. */
export interface ClientInspection {
  readonly status: 'name' | 'no_name'
  /** Zeek's words; several are joined by a comma, the outer one first: `postgresql,ssl`. */
  readonly service: string
  readonly serverName: string
  readonly nameSource: NameSource | ''
  readonly ja3: string
  readonly ja4: string
  /** First ALPN protocol offered, escaped. */
  readonly alpn: string
  readonly userAgent: string
  readonly proxyUser: string
  readonly anomalies: readonly string[]
}

/** A client of whom nothing is known yet but the protocol. */
export function namelessClient(
  service: string,
  anomalies: readonly string[] = [],
): ClientInspection {
  return {
    status: 'no_name',
    service,
    serverName: '',
    nameSource: '',
    ja3: '',
    ja4: '',
    alpn: '',
    userAgent: '',
    proxyUser: '',
    anomalies,
  }
}

const SERVICE = { t: 'ssl', q: 'quic', d: 'dtls' } as const

/** A ClientHello as an inspection. */
export function inspectHello(
  hello: ClientHello,
  transport: Ja4Transport,
  anomalies: readonly string[] = [],
): ClientInspection {
  const named = hello.serverName !== ''
  const protocol = hello.alpn[0]
  const source = hello.ech ? 'ech_outer' : transport === 'q' ? 'quic_sni' : 'sni'
  const { ja3, ja4 } = fingerprints(hello, transport)
  return {
    status: named ? 'name' : 'no_name',
    service: SERVICE[transport],
    serverName: hello.serverName,
    nameSource: named ? source : '',
    ja3,
    ja4,
    alpn: protocol === undefined ? '' : wireText(protocol, 0, protocol.length),
    userAgent: '',
    proxyUser: '',
    anomalies: anomalies.length === 0 ? hello.anomalies : [...hello.anomalies, ...anomalies],
  }
}
