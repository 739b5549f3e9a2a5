// Internet checksums (RFC 1071), for captures of which it is known that they were not made on a sending host.

import type { Packet } from './packet.ts'

function sum(view: DataView, from: number, length: number): number {
  let total = 0
  const even = from + (length & ~1)
  for (let at = from; at < even; at += 2) total += view.getUint16(at)
  if ((length & 1) === 1) total += view.getUint8(even) << 8
  return total
}

function fold(total: number): number {
  let rest = total
  while (rest > 0xffff) rest = (rest & 0xffff) + Math.floor(rest / 0x10000)
  return rest
}

/** Of an IPv4 header. */
export function headerSumIsRight(view: DataView, at: number, length: number): boolean {
  return fold(sum(view, at, length)) === 0xffff
}

/**
 * Of the payload of IP (TCP, UDP, ICMP), over `length` bytes. Without pseudo header for ICMP of IPv4.
 * All of them must have been captured.
 */
export function payloadSumIsRight(packet: Packet, length: number): boolean {
  const { view } = packet
  let total = sum(view, packet.payload, length)
  if (packet.protocol !== 1) {
    const size = packet.version === 4 ? 4 : 16
    total += sum(view, packet.source, size) + sum(view, packet.destination, size)
    total += packet.protocol + (length & 0xffff) + (length >>> 16)
  }
  return fold(total) === 0xffff
}
