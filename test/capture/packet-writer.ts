// Writes packets and capture files for the tests of this room: a handful of bytes each, with right checksums.

import { parseAddress } from '../../src/address.ts'

export interface TcpSpec {
  from: string
  to: string
  /** Letters of S, A, F, R, P. */
  flags: string
  seq: number
  ack?: number
  data?: string | Uint8Array
  window?: number
}

const FLAG: Readonly<Record<string, number>> = { F: 1, S: 2, R: 4, P: 8, A: 16 }

export function joined(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}

export function u16(value: number): number[] {
  return [(value >> 8) & 255, value & 255]
}

export function u32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]
}

/** `1.2.3.4:80` or `[::1]:80` as address bytes (4 or 16) and port. */
export function endpoint(text: string): { address: Uint8Array; port: number } {
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, colon).replace(/^\[|\]$/g, '')
  const address = parseAddress(host)
  if (address === undefined) throw new Error(`no address: ${text}`)
  return {
    address: host.includes(':') ? address : address.subarray(12),
    port: Number(text.slice(colon + 1)),
  }
}

function checksum(...parts: readonly Uint8Array[]): number {
  const bytes = joined(...parts.map((part) => (part.length % 2 ? joined(part, [0]) : part)))
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** An IP packet around a payload whose checksum field is at `sumAt` (-1: none). */
export function ip(
  from: Uint8Array,
  to: Uint8Array,
  protocol: number,
  payload: Uint8Array,
  sumAt = -1,
  fragment = 0,
  id = 0,
): Uint8Array {
  const body = Uint8Array.from(payload)
  if (sumAt >= 0) {
    const pseudo = joined(from, to, u16(protocol), u16(body.length))
    const sum = protocol === 1 ? checksum(body) : checksum(pseudo, body)
    body.set(u16(sum), sumAt)
  }
  if (from.length === 16)
    return joined([0x60, 0, 0, 0], u16(body.length), [protocol, 64], from, to, body)
  const header = joined(
    [0x45, 0],
    u16(20 + body.length),
    u16(id),
    u16(fragment),
    [64, protocol, 0, 0],
    from,
    to,
  )
  header.set(u16(checksum(header)), 10)
  return joined(header, body)
}

export function tcp(spec: TcpSpec): Uint8Array {
  const from = endpoint(spec.from)
  const to = endpoint(spec.to)
  const flags = [...spec.flags].reduce((sum, letter) => sum | FLAG[letter]!, 0)
  const data = typeof spec.data === 'string' ? Buffer.from(spec.data) : (spec.data ?? [])
  const segment = joined(
    u16(from.port),
    u16(to.port),
    u32(spec.seq),
    u32(spec.ack ?? 0),
    [0x50, flags],
    u16(spec.window ?? 1000),
    [0, 0, 0, 0],
    data,
  )
  return ip(from.address, to.address, 6, segment, 16)
}

export function udp(from: string, to: string, data: Uint8Array | readonly number[]): Uint8Array {
  const source = endpoint(from)
  const target = endpoint(to)
  const datagram = joined(u16(source.port), u16(target.port), u16(8 + data.length), [0, 0], data)
  return ip(source.address, target.address, 17, datagram, 6)
}

export function icmp(
  from: string,
  to: string,
  type: number,
  code: number,
  data: Uint8Array | readonly number[] = [],
): Uint8Array {
  const source = endpoint(`${from}:0`).address
  const message = joined([type, code, 0, 0, 0, 0, 0, 0], data)
  return ip(source, endpoint(`${to}:0`).address, source.length === 4 ? 1 : 58, message, 2)
}

/** An Ethernet frame around an IP packet; 802.1Q tags from outer to inner. */
export function ethernet(packet: Uint8Array, vlans: readonly number[] = []): Uint8Array {
  const type = packet[0]! >> 4 === 4 ? 0x0800 : 0x86dd
  return joined(
    [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2],
    ...vlans.map((id) => [...u16(0x8100), ...u16(id)]),
    u16(type),
    packet,
  )
}

export interface Timed {
  /** Microseconds. */
  time: number
  bytes: Uint8Array
  /** Length on the wire, if the packet was cut. */
  wire?: number
}

export interface PcapShape {
  big?: boolean
  nanoseconds?: boolean
  linkType?: number
  snapLength?: number
}

function number32(value: number, big: boolean): number[] {
  return big ? u32(value) : u32(value).reverse()
}

function number16(value: number, big: boolean): number[] {
  return big ? u16(value) : u16(value).reverse()
}

/** A pcap file; raw IP (101) unless said otherwise. */
export function pcap(packets: readonly Timed[], shape: PcapShape = {}): Uint8Array {
  const big = shape.big ?? false
  const n32 = (value: number) => number32(value, big)
  const head = [
    ...n32(shape.nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4),
    ...number16(2, big),
    ...number16(4, big),
    ...n32(0),
    ...n32(0),
    ...n32(shape.snapLength ?? 65_535),
    ...n32(shape.linkType ?? 101),
  ]
  return joined(
    head,
    ...packets.flatMap(({ time, bytes, wire }) => {
      const fraction = (time % 1e6) * (shape.nanoseconds ? 1000 : 1)
      const record = [
        ...n32(Math.floor(time / 1e6)),
        ...n32(fraction),
        ...n32(bytes.length),
        ...n32(wire ?? bytes.length),
      ]
      return [record, bytes]
    }),
  )
}

/** A pcapng block: type, body padded to four bytes, both lengths. */
export function block(type: number, body: readonly number[] | Uint8Array, big = false): Uint8Array {
  const padded = joined(body, new Uint8Array((4 - (body.length % 4)) % 4))
  const length = number32(12 + padded.length, big)
  return joined(number32(type, big), length, padded, length)
}

export function section(big = false, major = 1): Uint8Array {
  const body = [...number32(0x1a2b3c4d, big), ...number16(major, big), ...number16(0, big)]
  return block(0x0a0d0d0a, [...body, 255, 255, 255, 255, 255, 255, 255, 255], big)
}

export function option(
  code: number,
  value: Uint8Array | readonly number[],
  big = false,
): Uint8Array {
  const pad = new Uint8Array((4 - (value.length % 4)) % 4)
  return joined(number16(code, big), number16(value.length, big), value, pad)
}

export function interfaceBlock(
  linkType: number,
  options: readonly Uint8Array[] = [],
  big = false,
): Uint8Array {
  const body = joined(number16(linkType, big), [0, 0], number32(0, big), ...options)
  return block(1, body, big)
}

export function enhanced(
  face: number,
  ticks: bigint,
  bytes: Uint8Array,
  big = false,
  wire = bytes.length,
): Uint8Array {
  const body = joined(
    number32(face, big),
    number32(Number(ticks >> 32n), big),
    number32(Number(ticks & 0xffff_ffffn), big),
    number32(bytes.length, big),
    number32(wire, big),
    bytes,
  )
  return block(6, body, big)
}
