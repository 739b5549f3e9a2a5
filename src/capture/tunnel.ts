// Tunnels: what lies inside a packet that carries another one. Only recognises and steps over the tunnel's own
// header; what is inside goes through link.ts and ip.ts again, at a bounded depth (capture.ts).
//
// GRE RFC 2784/2890, PPTP RFC 2637, ERSPAN draft-foschiano-erspan, VXLAN RFC 7348, Geneve RFC 8926,
// Teredo RFC 4380, GTP-U 3GPP TS 29.281, AYIYA draft-massar-v6ops-ayiya.

import { enterEthernet, enterEtherType, enterPpp, enterWifi } from './link.ts'
import type { Packet } from './packet.ts'

/** No tunnel. Otherwise the name of the tunnel, which is also the outer flow's service where it has a row. */
export type Tunnel = '' | 'ip' | 'gre' | 'vxlan' | 'geneve' | 'gtpv1' | 'teredo' | 'ayiya'

/**
 * IP in IP, GRE: if the payload of the IP packet in hand is another packet, moves `packet.at` to its IP header.
 * Sets `end` and `wireEnd` to the payload's, so that padding is not taken for content.
 */
export function enterIpTunnel(packet: Packet): Tunnel {
  if (packet.protocol !== 4 && packet.protocol !== 41 && packet.protocol !== 47) return ''
  const before = narrow(packet, packet.payload, packet.payloadLength)
  if (packet.protocol !== 47) {
    const version = packet.at < packet.end ? packet.bytes[packet.at]! >> 4 : 0
    if (version === (packet.protocol === 4 ? 4 : 6)) return 'ip'
  } else if (enterGre(packet) && looksLikeIp(packet)) return 'gre'
  return widen(packet, before)
}

/**
 * Tunnels over UDP, told by the responder's port and confirmed by their header.
 * @param payload where the UDP payload begins, of `length` bytes by the headers
 */
export function enterUdpTunnel(
  packet: Packet,
  payload: number,
  length: number,
  sourcePort: number,
  responderPort: number,
): Tunnel {
  let enter: (packet: Packet) => boolean
  let tunnel: Tunnel
  switch (responderPort) {
    case 4789:
    case 8472:
      enter = enterVxlan
      tunnel = 'vxlan'
      break
    case 6081:
      enter = enterGeneve
      tunnel = 'geneve'
      break
    case 2152:
    case 2123:
      enter = enterGtp
      tunnel = 'gtpv1'
      break
    case 3544:
      enter = enterTeredo
      tunnel = 'teredo'
      break
    case 5072:
      enter = enterAyiya
      tunnel = 'ayiya'
      break
    case 4754:
      enter = enterGre
      tunnel = 'gre'
      break
    default:
      if (sourcePort !== 3544 || length < 40) return ''
      enter = enterTeredo
      tunnel = 'teredo'
  }
  const before = narrow(packet, payload, length)
  if (enter(packet) && looksLikeIp(packet)) return tunnel
  return widen(packet, before)
}

interface Bounds {
  at: number
  end: number
  wireEnd: number
  vlan: number
  innerVlan: number
}
const bounds: Bounds = { at: 0, end: 0, wireEnd: 0, vlan: 0, innerVlan: 0 }

function narrow(packet: Packet, at: number, length: number): Bounds {
  bounds.at = packet.at
  bounds.end = packet.end
  bounds.wireEnd = packet.wireEnd
  bounds.vlan = packet.vlan
  bounds.innerVlan = packet.innerVlan
  packet.at = at
  // Tags of the outer frame are not the inner one's.
  packet.vlan = 0
  packet.innerVlan = 0
  packet.wireEnd = at + length
  packet.end = Math.min(packet.end, packet.wireEnd)
  return bounds
}

function widen(packet: Packet, to: Bounds): '' {
  packet.at = to.at
  packet.end = to.end
  packet.wireEnd = to.wireEnd
  packet.vlan = to.vlan
  packet.innerVlan = to.innerVlan
  return ''
}

function has(packet: Packet, size: number): boolean {
  return packet.at + size <= packet.end
}

/** The version nibble fits, and an IPv4 or IPv6 header begins there. */
function looksLikeIp(packet: Packet): boolean {
  if (!has(packet, 20)) return false
  const version = packet.bytes[packet.at]! >> 4
  return version === 4 || version === 6
}

function enterGre(packet: Packet): boolean {
  const { view } = packet
  if (!has(packet, 4)) return false
  const flags = view.getUint16(packet.at)
  const type = view.getUint16(packet.at + 2)
  const version = flags & 7
  if (version > 1 || (flags & 0x4000) !== 0) return false
  let size = 4
  if ((flags & 0x8000) !== 0) size += 4
  if ((flags & 0x2000) !== 0) size += 4
  const sequenced = (flags & 0x1000) !== 0
  if (sequenced) size += 4
  if (version === 1 && (flags & 0x0080) !== 0) size += 4
  if (!has(packet, size)) return false
  packet.at += size
  if (version === 1) return type === 0x880b && enterPpp(packet) === ''
  switch (type) {
    case 0x88be:
      // ERSPAN type II has a header, type I has none and no sequence number either.
      packet.at += sequenced ? 8 : 0
      return enterEthernet(packet) === ''
    case 0x22eb: {
      if (!has(packet, 12)) return false
      const subheader = (packet.bytes[packet.at + 11]! & 1) === 1
      packet.at += subheader ? 20 : 12
      return enterEthernet(packet) === ''
    }
    case 0x6558:
      return enterEthernet(packet) === ''
    case 0x880b:
      return enterPpp(packet) === ''
    default:
      // Access points of Aruba carry 802.11 frames under type 0x8200 and up.
      if ((type >= 0x8200 && type <= 0x83ff) || type === 0x9000) return enterWifi(packet) === ''
      return type > 1500 && enterEtherType(packet, type) === ''
  }
}

function enterVxlan(packet: Packet): boolean {
  if (!has(packet, 8) || (packet.bytes[packet.at]! & 0x08) === 0) return false
  packet.at += 8
  return enterEthernet(packet) === ''
}

function enterGeneve(packet: Packet): boolean {
  if (!has(packet, 8)) return false
  const first = packet.bytes[packet.at]!
  if (first >> 6 !== 0) return false
  const type = packet.view.getUint16(packet.at + 2)
  packet.at += 8 + (first & 0x3f) * 4
  return packet.at <= packet.end && type > 1500 && enterEtherType(packet, type) === ''
}

/** GTP-U version 1, G-PDU. */
function enterGtp(packet: Packet): boolean {
  const { bytes } = packet
  if (!has(packet, 8)) return false
  const flags = bytes[packet.at]!
  // Version 1, protocol type GTP, message type 255.
  if ((flags & 0xf0) !== 0x30 || bytes[packet.at + 1] !== 0xff) return false
  let at = packet.at + 8
  if ((flags & 7) !== 0) {
    if (at + 4 > packet.end) return false
    let next = (flags & 4) !== 0 ? bytes[at + 3]! : 0
    at += 4
    while (next !== 0) {
      const size = at < packet.end ? bytes[at]! * 4 : 0
      if (size === 0 || at + size > packet.end) return false
      next = bytes[at + size - 1]!
      at += size
    }
  }
  packet.at = at
  return true
}

function enterTeredo(packet: Packet): boolean {
  const { bytes } = packet
  // Authentication, then origin indication, each optional.
  if (has(packet, 13) && bytes[packet.at] === 0 && bytes[packet.at + 1] === 1)
    packet.at += 13 + bytes[packet.at + 2]! + bytes[packet.at + 3]!
  if (has(packet, 8) && bytes[packet.at] === 0 && bytes[packet.at + 1] === 0) packet.at += 8
  // All of what is left is one IPv6 packet, or a bubble, which has no content.
  if (!has(packet, 40) || bytes[packet.at]! >> 4 !== 6) return false
  return 40 + packet.view.getUint16(packet.at + 4) === packet.wireEnd - packet.at
}

function enterAyiya(packet: Packet): boolean {
  const { bytes } = packet
  if (!has(packet, 8)) return false
  const identity = 2 ** (bytes[packet.at]! >> 4)
  const signature = (bytes[packet.at + 1]! >> 4) * 4
  const forwards = (bytes[packet.at + 2]! & 15) === 1
  const next = bytes[packet.at + 3]!
  packet.at += 8 + identity + signature
  return forwards && (next === 4 || next === 41) && packet.at < packet.end
}
