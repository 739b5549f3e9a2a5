// IPv4 and IPv6 headers. What is odd is refused as Zeek refuses it, so that the same packets are counted:
// a total length beyond the packet, a header longer than that, a wrong version (its src/packet_analysis/protocol/ip).

import { headerSumIsRight } from './checksum.ts'
import type { Packet, Skipped } from './packet.ts'

/** Extension headers of one IPv6 packet. */
const EXTENSIONS_MAX = 16

/** Reads the IP header at `packet.at`. @param verify packets with a wrong IPv4 header checksum are refused */
export function enterIp(packet: Packet, verify: boolean): Skipped {
  if (packet.at >= packet.end) return 'ip_cut'
  packet.ip = packet.at
  packet.fragmentOffset = 0
  packet.moreFragments = false
  packet.reassembled = false
  const version = packet.bytes[packet.at]! >> 4
  packet.version = version
  if (version === 4) return enterIpv4(packet, verify)
  if (version === 6) return enterIpv6(packet, verify)
  return 'ip_version'
}

function enterIpv4(packet: Packet, verify: boolean): Skipped {
  const { bytes, view } = packet
  const ip = packet.at
  if (ip + 20 > packet.end) return 'ip_cut'
  const headerLength = (bytes[ip]! & 15) * 4
  let total = view.getUint16(ip + 2)
  if (total === 0) {
    // Segmentation offload leaves it empty, and the checksum too.
    if (verify) return 'ip_length'
    total = packet.end - ip
  }
  if (headerLength < 20 || headerLength > total) return 'ip_header_length'
  if (ip + total > packet.wireEnd) return 'ip_length'
  if (ip + headerLength > packet.end) return 'ip_cut'
  if (verify && !headerSumIsRight(view, ip, headerLength)) return 'ip_checksum'
  packet.ipLength = total
  packet.source = ip + 12
  packet.destination = ip + 16
  packet.protocol = bytes[ip + 9]!
  packet.payload = ip + headerLength
  packet.payloadLength = total - headerLength
  packet.payloadCaptured = Math.min(packet.end, ip + total) - packet.payload
  const fragment = view.getUint16(ip + 6)
  packet.fragmentOffset = (fragment & 0x1fff) * 8
  packet.moreFragments = (fragment & 0x2000) !== 0
  packet.fragmentId = view.getUint16(ip + 4)
  return ''
}

function enterIpv6(packet: Packet, verify: boolean): Skipped {
  const { bytes, view } = packet
  const ip = packet.at
  if (ip + 40 > packet.end) return 'ip_cut'
  const announced = view.getUint16(ip + 4)
  let total = 40 + announced
  // Nothing announced and a packet there: a jumbogram, or segmentation offload.
  if (announced === 0 && bytes[ip + 6] !== 59 && packet.end > ip + 40 && !verify)
    total = packet.end - ip
  if (ip + total > packet.wireEnd) return 'ip_length'
  packet.ipLength = total
  packet.source = ip + 8
  packet.destination = ip + 24
  const end = Math.min(packet.end, ip + total)
  let protocol = bytes[ip + 6]!
  let at = ip + 40
  let named = ip + 6
  for (let header = 0; ; header++) {
    const size = extensionSize(packet, protocol, at, end)
    if (size === 0) break
    if (size < 0 || at + size > end || header >= EXTENSIONS_MAX) return 'ip_extensions'
    if (protocol === 44) {
      packet.fragmentOffset = view.getUint16(at + 2) & 0xfff8
      packet.moreFragments = (bytes[at + 3]! & 1) === 1
      packet.fragmentId = view.getUint32(at + 4)
      packet.fragmentHeader = at
      packet.fragmentNamed = named
    }
    protocol = bytes[at]!
    named = at
    at += size
    // What follows in a piece is looked at when the packet is whole.
    if (packet.fragmentOffset > 0 || packet.moreFragments) break
  }
  packet.protocol = protocol
  packet.payload = at
  packet.payloadLength = ip + total - at
  packet.payloadCaptured = end - at
  return ''
}

/** Size of an IPv6 extension header; 0 = this protocol is none, negative = it does not fit. */
function extensionSize(packet: Packet, protocol: number, at: number, end: number): number {
  const { bytes } = packet
  switch (protocol) {
    case 0:
    case 60:
    case 43:
    case 139:
    case 140: {
      if (at + 8 > end) return -1
      const size = (bytes[at + 1]! + 1) * 8
      if (at + size > end) return -1
      if (protocol === 43) readRoute(packet, at, size)
      else if (protocol === 60) readDestinationOptions(packet, at, size)
      return size
    }
    case 44:
      return at + 8 > end ? -1 : 8
    case 51:
      return at + 8 > end ? -1 : (bytes[at + 1]! + 2) * 4
    default:
      return 0
  }
}

/** Routing header of type 0 or 2: the last address is where the packet is going. */
function readRoute(packet: Packet, at: number, size: number): void {
  const { bytes } = packet
  const type = bytes[at + 2]!
  if (bytes[at + 3]! > 0 && (type === 0 || type === 2) && size >= 24 && (size - 8) % 16 === 0)
    packet.destination = at + size - 16
}

/** Mobile IPv6 home address option: who is really sending (RFC 6275). */
function readDestinationOptions(packet: Packet, at: number, size: number): void {
  const { bytes } = packet
  let option = at + 2
  const end = at + size
  while (option < end) {
    if (bytes[option] === 0) {
      option++
      continue
    }
    const length = option + 1 < end ? bytes[option + 1]! : 0
    if (bytes[option] === 0xc9 && length === 16 && option + 18 <= end) packet.source = option + 2
    option += 2 + length
  }
}
