// What hangs beside a flow that has it: names, client fingerprints, buffers, enclosing tunnels. Most flows have none.

import type { NameProof, NameSource } from '../flow.ts'
import type { FirstBytes } from './first-bytes.ts'
import type { QuicInitials } from './quic.ts'

/** Anomaly codes that one flow may collect from the readers of its payload. */
const ANOMALIES_MAX = 16
/** Tunnels that one flow is told to have come through, besides the first. */
const LATER_PARENTS_MAX = 8
const NONE: readonly string[] = []

export class FlowExtra {
  serverName = ''
  nameSource: NameSource | '' = ''
  nameProof: NameProof | '' = ''
  dnsNames: readonly string[] = NONE
  ja3 = ''
  ja4 = ''
  alpn = ''
  userAgent = ''
  proxyUser = ''
  anomalies: readonly string[] = NONE
  /** uids of the enclosing tunnels, outermost first; and what is inside this flow has it as its enclosing ones. */
  parents: readonly string[] = NONE
  /** Further tunnels that its packets came through: other ones for each direction are usual. */
  laterParents: string[] | undefined
  asParents: readonly string[] | undefined
  /** The originator's first bytes while they are not enough. */
  first: FirstBytes | undefined
  quic: QuicInitials | undefined

  addParent(uid: string): void {
    if (this.parents.includes(uid) || this.laterParents?.includes(uid)) return
    this.laterParents ??= []
    if (this.laterParents.length < LATER_PARENTS_MAX) this.laterParents.push(uid)
  }

  note(codes: readonly string[]): void {
    for (const code of codes)
      if (this.anomalies.length < ANOMALIES_MAX && !this.anomalies.includes(code))
        this.anomalies = [...this.anomalies, code]
  }
}
