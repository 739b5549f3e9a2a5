// Zeek's names of transports as IANA protocol numbers.

import { isIpv4 } from '../address.ts'
import type { ZeekRow } from './zeek-rows.ts'

const NAMES: readonly [string, number][] = [
  ['tcp', 6],
  ['udp', 17],
  ['sctp', 132],
  ['gre', 47],
  ['igmp', 2],
  ['esp', 50],
  ['ah', 51],
  ['ospf', 89],
  ['pim', 103],
  ['vrrp', 112],
  ['udplite', 136],
  ['unknown_transport', 0],
]

/** The number of the transport that a field names or numbers, -1 if it is unknown. ICMP is 58 between IPv6 hosts. */
export function protocolNumber(row: ZeekRow, field: number, address: Uint8Array): number {
  if (row.is(field, 'tcp')) return 6
  if (row.is(field, 'udp')) return 17
  if (row.is(field, 'icmp') || row.is(field, 'icmp6')) return isIpv4(address, 0) ? 1 : 58
  const text = row.text(field).toLowerCase()
  const known = NAMES.find(([name]) => name === text)
  if (known !== undefined) return known[1]
  return /^\d{1,3}$/.test(text) && Number(text) <= 255 ? Number(text) : -1
}
