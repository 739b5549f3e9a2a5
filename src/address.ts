// IP addresses as 16 bytes in network order, IPv4 as ::ffff:a.b.c.d, and their text (RFC 5952).

import ipaddr from 'ipaddr.js'

/** A network: all addresses whose first `bits` (of 128) equal those of `address`. */
export interface Network {
  readonly address: Uint8Array
  readonly bits: number
}

/** True for ::ffff:0:0/96, which is how IPv4 is held. */
export function isIpv4(bytes: Uint8Array, at = 0): boolean {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return false
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff
}

/** Text of the 16 bytes at `at`: dotted quad for IPv4, else RFC 5952. */
export function formatAddress(bytes: Uint8Array, at = 0): string {
  if (isIpv4(bytes, at))
    return `${bytes[at + 12]}.${bytes[at + 13]}.${bytes[at + 14]}.${bytes[at + 15]}`
  let longest = 1
  let longestAt = -1
  for (let i = 0; i < 8; i++) {
    let run = 0
    while (i + run < 8 && bytes[at + 2 * (i + run)] === 0 && bytes[at + 2 * (i + run) + 1] === 0)
      run++
    if (run > longest) {
      longest = run
      longestAt = i
    }
    i += run
  }
  let text = ''
  for (let i = 0; i < 8; i++) {
    if (i === longestAt) {
      text += '::'
      i += longest - 1
      continue
    }
    if (text !== '' && !text.endsWith(':')) text += ':'
    text += ((bytes[at + 2 * i]! << 8) | bytes[at + 2 * i + 1]!).toString(16)
  }
  return text
}

/** The 16 bytes of an address in text, or undefined if it is none. Zone ids are refused. */
export function parseAddress(text: string): Uint8Array | undefined {
  if (text.includes('%') || !ipaddr.isValid(text)) return undefined
  if (!text.includes(':') && !ipaddr.IPv4.isValidFourPartDecimal(text)) return undefined
  const parsed = ipaddr.parse(text)
  const bytes = parsed.kind() === 'ipv4' ? (parsed as ipaddr.IPv4).toIPv4MappedAddress() : parsed
  return Uint8Array.from(bytes.toByteArray())
}

/** A network from `address` or `address/bits`, or undefined. Bits below the mask are cleared. */
export function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf('/')
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash))
  if (address === undefined) return undefined
  const suffix = slash < 0 ? '' : text.slice(slash + 1)
  const mapped = !text.includes(':')
  const longest = mapped ? 32 : 128
  if (slash >= 0 && !/^\d{1,3}$/.test(suffix)) return undefined
  const bits = slash < 0 ? longest : Number(suffix)
  if (bits > longest) return undefined
  const total = mapped ? bits + 96 : bits
  for (let i = 0; i < 16; i++) {
    const keep = Math.min(8, Math.max(0, total - i * 8))
    address[i]! &= (0xff << (8 - keep)) & 0xff
  }
  return { address, bits: total }
}

export function formatNetwork(network: Network): string {
  const four = isIpv4(network.address) && network.bits >= 96
  return `${formatAddress(network.address)}/${four ? network.bits - 96 : network.bits}`
}

export function contains(network: Network, bytes: Uint8Array, at = 0): boolean {
  const whole = network.bits >> 3
  for (let i = 0; i < whole; i++) if (network.address[i] !== bytes[at + i]) return false
  const rest = network.bits & 7
  if (rest === 0) return true
  const mask = (0xff << (8 - rest)) & 0xff
  return ((network.address[whole]! ^ bytes[at + whole]!) & mask) === 0
}
