// Which declared networks hold an address: longest-prefix match over sorted segments. The address space of each
// family is cut where any network begins or ends; each piece knows the narrowest network that covers it, and
// each network the next wider one. Memory is linear in the networks, a lookup is one binary search.
//
//   10.0.0.0/8      |-----------------------------------------|
//   10.1.0.0/16           |------------|
//   segments        |  A  |     B      |          A           |  (none)

import { contains, isIpv4, type Network } from '../address.ts'

export interface AddressTable {
  /** Network (as given) to prefix: equal networks share one. */
  readonly prefixOf: Int32Array
  /** The next wider prefix, or -1. */
  readonly parents: Int32Array
  /** IPv4: where segments start, ascending, and the prefix of each (-1 none). */
  readonly starts4: Uint32Array
  readonly prefixes4: Int32Array
  /** IPv6: four words a segment. */
  readonly starts6: Uint32Array
  readonly prefixes6: Int32Array
}

/** True if the network is one of IPv4 addresses. `::/0` is not: it speaks of IPv6 alone. */
export function isIpv4Network(network: Network): boolean {
  return network.bits >= 96 && isIpv4(network.address)
}

/** True if the network holds the address at `at`; a network holds addresses of its own family only. */
export function holds(network: Network, bytes: Uint8Array, at = 0): boolean {
  return isIpv4Network(network) === isIpv4(bytes, at) && contains(network, bytes, at)
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < 16; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return 0
}

function word(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  )
}

/** The first address after the network, or undefined at the end of the address space. */
function after(network: Network): Uint8Array | undefined {
  if (network.bits === 0) return undefined
  const next = Uint8Array.from(network.address)
  let i = (network.bits - 1) >> 3
  let carry = 1 << (7 - ((network.bits - 1) & 7))
  for (; i >= 0 && carry > 0; i--) {
    const sum = next[i]! + carry
    next[i] = sum & 0xff
    carry = sum >> 8
  }
  return carry > 0 ? undefined : next
}

/** Segments of one family: `prefixes` ascending by (address, bits), so that a wider one comes first. */
function segments(
  ids: readonly number[],
  networks: readonly Network[],
  parents: Int32Array,
): { starts: Uint8Array[]; values: number[] } {
  const starts: Uint8Array[] = []
  const values: number[] = []
  const open: number[] = []
  const cut = (at: Uint8Array | undefined, value: number): void => {
    if (at === undefined) return
    const last = starts.at(-1)
    if (last !== undefined && compareBytes(last, at) === 0) values[values.length - 1] = value
    else {
      starts.push(at)
      values.push(value)
    }
  }
  const close = (): void => {
    const id = open.pop()!
    cut(after(networks[id]!), open.at(-1) ?? -1)
  }
  for (const id of ids) {
    const network = networks[id]!
    while (open.length > 0 && !contains(networks[open.at(-1)!]!, network.address)) close()
    parents[id] = open.at(-1) ?? -1
    open.push(id)
    cut(network.address, id)
  }
  while (open.length > 0) close()
  return { starts, values }
}

/** Builds the table. A prefix is numbered by the place of its first network among the distinct ones, sorted. */
export function buildAddressTable(given: readonly Network[]): AddressTable {
  const order = Array.from(given, (_, i) => i)
  order.sort(
    (a, b) =>
      Number(isIpv4Network(given[b]!)) - Number(isIpv4Network(given[a]!)) ||
      compareBytes(given[a]!.address, given[b]!.address) ||
      given[a]!.bits - given[b]!.bits,
  )
  const networks: Network[] = []
  const prefixOf = new Int32Array(given.length)
  for (const i of order) {
    const last = networks.at(-1)
    const network = given[i]!
    const same =
      last !== undefined &&
      last.bits === network.bits &&
      compareBytes(last.address, network.address) === 0
    if (!same) networks.push(network)
    prefixOf[i] = networks.length - 1
  }
  const parents = new Int32Array(networks.length).fill(-1)
  const all = networks.map((_, i) => i)
  const four = segments(
    all.filter((i) => isIpv4Network(networks[i]!)),
    networks,
    parents,
  )
  const six = segments(
    all.filter((i) => !isIpv4Network(networks[i]!)),
    networks,
    parents,
  )
  // The end of the last IPv4 network lies outside of IPv4 and is no boundary in it.
  const inside = four.starts.map((start) => isIpv4(start))
  return {
    prefixOf,
    parents,
    starts4: Uint32Array.from(four.starts.filter((_, i) => inside[i]).map((s) => word(s, 12))),
    prefixes4: Int32Array.from(four.values.filter((_, i) => inside[i])),
    starts6: Uint32Array.from(six.starts.flatMap((s) => [0, 4, 8, 12].map((at) => word(s, at)))),
    prefixes6: Int32Array.from(six.values),
  }
}

/** The narrowest prefix that holds the 16 bytes at `at`, or -1. Follow `parents` for the wider ones. */
export function findPrefix(table: AddressTable, bytes: Uint8Array, at: number): number {
  return isIpv4(bytes, at) ? find4(table, word(bytes, at + 12)) : find6(table, bytes, at)
}

function find4(table: AddressTable, address: number): number {
  const { starts4 } = table
  let low = 0
  let high = starts4.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (starts4[middle]! <= address) low = middle + 1
    else high = middle
  }
  return low === 0 ? -1 : table.prefixes4[low - 1]!
}

function find6(table: AddressTable, bytes: Uint8Array, at: number): number {
  const { starts6 } = table
  const w0 = word(bytes, at)
  const w1 = word(bytes, at + 4)
  const w2 = word(bytes, at + 8)
  const w3 = word(bytes, at + 12)
  let low = 0
  let high = starts6.length >>> 2
  while (low < high) {
    const middle = (low + high) >>> 1
    const i = middle << 2
    const difference =
      starts6[i]! - w0 || starts6[i + 1]! - w1 || starts6[i + 2]! - w2 || starts6[i + 3]! - w3
    if (difference <= 0) low = middle + 1
    else high = middle
  }
  return low === 0 ? -1 : table.prefixes6[low - 1]!
}
