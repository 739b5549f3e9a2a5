// Names for connections: what ssl.log, quic.log, http.log and dns.log of a directory say of a uid or of a client, held
// until the connection rows come. Read those logs first, then conn.log.

import type { NameSource } from '../flow.ts'
import { DnsHistory } from './dns-history.ts'
import type { FlowRow } from './rows.ts'

/** Connections whose names are held; the oldest goes first. */
export const JOINS_MAX = 1_000_000

/** What one log row says of a connection; '' where it says nothing. */
export interface NameClaim {
  /** Microseconds. */
  time: number
  name: string
  source: NameSource
  ja3: string
  ja4: string
  alpn: string
  userAgent: string
  proxyUser: string
  anomalies: readonly string[]
}

export class ZeekJoins {
  readonly dns: DnsHistory
  readonly #max: number
  readonly #claims = new Map<string, NameClaim>()
  /** Connections whose names were given up because there were too many. */
  evicted = 0

  /** @param max connections held at most */
  constructor(max = JOINS_MAX) {
    this.#max = max
    this.dns = new DnsHistory()
  }

  /** Connections held. */
  get size(): number {
    return this.#claims.size
  }

  /**
   * Adds what a row says of `uid`. The name asked for first stands; a CONNECT stands before what is seen inside its
   * tunnel. A name that disagrees is told as `name_changed`.
   */
  claim(uid: string, claim: NameClaim): void {
    const known = this.#claims.get(uid)
    if (known === undefined) {
      if (this.#claims.size >= this.#max) {
        this.#claims.delete(this.#claims.keys().next().value!)
        this.evicted++
      }
      this.#claims.set(uid, claim)
      return
    }
    const first = isBefore(claim, known) ? claim : known
    const second = first === claim ? known : claim
    const changed = first.name !== '' && second.name !== '' && first.name !== second.name
    const anomalies = new Set([...first.anomalies, ...second.anomalies])
    if (changed) anomalies.add('name_changed')
    const named = first.name !== '' ? first : second
    this.#claims.set(uid, {
      time: first.time,
      name: named.name,
      source: named.source,
      ja3: first.ja3 || second.ja3,
      ja4: first.ja4 || second.ja4,
      alpn: first.alpn || second.alpn,
      userAgent: first.userAgent || second.userAgent,
      proxyUser: first.proxyUser || second.proxyUser,
      anomalies: [...anomalies],
    })
  }

  /**
   * Writes what is known of a connection into its row.
   * @param ends 16 bytes of the originator, then of the responder
   * @param anomalies added to
   */
  name(
    uid: string,
    ts: number,
    ends: Uint8Array,
    columns: FlowRow,
    row: number,
    anomalies: string[],
  ): void {
    const given = this.dns.names(ends, 0, ends, 16, ts)
    if (given.length > 0) columns.dns_names.set(row, given)
    const claim = uid === '' ? undefined : this.#claims.get(uid)
    if (claim !== undefined) {
      columns.ja3.set(row, claim.ja3)
      columns.ja4.set(row, claim.ja4)
      columns.alpn.set(row, claim.alpn)
      columns.user_agent.set(row, claim.userAgent)
      columns.proxy_user.set(row, claim.proxyUser)
      for (const anomaly of claim.anomalies) anomalies.push(anomaly)
    }
    if (claim !== undefined && claim.name !== '') {
      columns.server_name.set(row, claim.name)
      columns.name_source.set(row, claim.source)
      columns.name_proof.set(row, this.dns.proof(ends, 0, claim.name, ends, 16, ts))
    } else if (given.length > 0) {
      columns.server_name.set(row, given[0]!)
      columns.name_source.set(row, 'dns')
      columns.name_proof.set(row, 'confirmed')
    }
  }
}

function isBefore(a: NameClaim, b: NameClaim): boolean {
  if ((a.source === 'connect') !== (b.source === 'connect')) return a.source === 'connect'
  return a.time < b.time
}
