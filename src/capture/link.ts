// Link layers: finds the IP packet in a frame. Tags and labels may be stacked in any order; the loop is bounded.
//
// Link type numbers: https://www.tcpdump.org/linktypes.html. EtherTypes: IANA ieee-802-numbers.

import type { Packet, Skipped } from './packet.ts'

/** Tags, labels and encapsulations that one frame may stack. */
const LAYERS_MAX = 16

/** Moves `packet.at` to the IP header of a frame of this link type, or says why there is none. */
export function enterLink(packet: Packet, linkType: number): Skipped {
  switch (linkType) {
    case 1:
      return enterEthernet(packet)
    case 101:
    case 12:
    case 14:
    case 228:
    case 229:
      return ''
    case 113:
      return behind(packet, 16, 14)
    case 276:
      return behind(packet, 20, 0)
    case 0:
    case 108:
      return enterLoopback(packet)
    case 9:
    case 50:
      return enterPpp(packet)
    case 104:
      return behind(packet, 4, 2)
    case 105:
      return enterWifi(packet)
    case 127:
      return enterRadiotap(packet)
    case 192:
      return enterPpi(packet)
    case 107:
      return enterFrameRelay(packet)
    case 119:
      return advance(packet, 144) ? enterWifi(packet) : 'link_cut'
    case 239:
      return enterNflog(packet)
    default:
      return 'unknown_link'
  }
}

/** An Ethernet frame at `packet.at`. */
export function enterEthernet(packet: Packet): Skipped {
  const { view } = packet
  if (packet.at + 14 > packet.end) return 'link_cut'
  const type = view.getUint16(packet.at + 12)
  packet.at += 14
  // The common case first.
  if (type === 0x0800 || type === 0x86dd) return ''
  return enterEtherType(packet, type)
}

/** What follows an EtherType (or an 802.3 length) at `packet.at`. */
export function enterEtherType(packet: Packet, first: number): Skipped {
  const { view } = packet
  let type = first
  for (let layer = 0; layer < LAYERS_MAX; layer++) {
    switch (type) {
      case 0x0800:
      case 0x86dd:
        return ''
      case 0x8100:
      case 0x88a8:
      case 0x9100: {
        if (packet.at + 4 > packet.end) return 'link_cut'
        const id = view.getUint16(packet.at) & 0xfff
        if (packet.vlan === 0) packet.vlan = id
        else packet.innerVlan = id
        type = view.getUint16(packet.at + 2)
        packet.at += 4
        break
      }
      case 0x8847:
      case 0x8848: {
        const next = passLabels(packet)
        if (next < 0) return next === -1 ? 'link_cut' : 'not_ip'
        if (next === 0) return ''
        type = next
        break
      }
      case 0x8864: {
        if (packet.at + 8 > packet.end) return 'link_cut'
        packet.at += 6
        return enterPpp(packet)
      }
      case 0x88e7: {
        // Provider backbone bridging: an I-TAG, then the customer's frame.
        if (!advance(packet, 18)) return 'link_cut'
        type = view.getUint16(packet.at - 2)
        break
      }
      case 0x8903: {
        // FabricPath: this was the outer frame; tag, then the inner frame.
        if (!advance(packet, 16)) return 'link_cut'
        type = view.getUint16(packet.at - 2)
        break
      }
      case 0x8926: {
        if (!advance(packet, 6)) return 'link_cut'
        type = view.getUint16(packet.at - 2)
        break
      }
      case 0x894f: {
        // Network service header (RFC 8300): its length in words, and what follows it.
        if (packet.at + 8 > packet.end) return 'link_cut'
        const size = (packet.bytes[packet.at + 1]! & 0x3f) * 4
        const next = packet.bytes[packet.at + 3]!
        if (size < 8) return 'link_bad_length'
        if (!advance(packet, size)) return 'link_cut'
        if (next === 1 || next === 2) return ''
        if (next !== 3) return 'not_ip'
        type = 0x6558
        break
      }
      case 0x6558:
        if (!advance(packet, 14)) return 'link_cut'
        type = view.getUint16(packet.at - 2)
        break
      default: {
        if (type > 1500) return 'not_ip'
        const next = passLlc(packet)
        if (next < 0) return next === -1 ? 'link_cut' : 'not_ip'
        type = next
      }
    }
  }
  return 'link_too_deep'
}

/** 802.2 LLC with SNAP: the EtherType behind it; -1 cut, -2 something else. */
function passLlc(packet: Packet): number {
  const { view } = packet
  if (packet.at + 3 > packet.end) return -1
  const service = view.getUint16(packet.at)
  if (service === 0x0606) {
    packet.at += 3
    return 0x0800
  }
  if (service !== 0xaaaa) return -2
  if (packet.at + 8 > packet.end) return -1
  const type = view.getUint16(packet.at + 6)
  packet.at += 8
  return type > 1500 ? type : -2
}

/** MPLS labels: 0 = IP follows, an EtherType = a frame follows, -1 cut, -2 unknown. */
function passLabels(packet: Packet): number {
  const { view } = packet
  for (let label = 0; label < LAYERS_MAX; label++) {
    if (packet.at + 5 > packet.end) return -1
    const bottom = (packet.bytes[packet.at + 2]! & 1) === 1
    packet.at += 4
    if (!bottom) continue
    const nibble = packet.bytes[packet.at]! >> 4
    if (nibble === 4 || nibble === 6) return 0
    // RFC 4448: a control word (first nibble 0) and an Ethernet frame.
    if (nibble === 0) {
      if (!advance(packet, 4 + 14)) return -1
      return view.getUint16(packet.at - 2)
    }
    return -2
  }
  return -2
}

/** A fixed header with an EtherType in it. */
function behind(packet: Packet, size: number, typeAt: number): Skipped {
  if (packet.at + size > packet.end) return 'link_cut'
  const type = packet.view.getUint16(packet.at + typeAt)
  packet.at += size
  return enterEtherType(packet, type)
}

function advance(packet: Packet, size: number): boolean {
  packet.at += size
  return packet.at <= packet.end
}

/** BSD loopback: an address family in the byte order of the capturing host. */
function enterLoopback(packet: Packet): Skipped {
  if (packet.at + 4 > packet.end) return 'link_cut'
  const family = packet.view.getUint32(packet.at, true)
  const value = family > 0xffff ? packet.view.getUint32(packet.at) : family
  packet.at += 4
  // AF_INET, and AF_INET6 of Linux, NetBSD, FreeBSD and macOS.
  return value === 2 || value === 10 || value === 24 || value === 28 || value === 30 ? '' : 'not_ip'
}

/** PPP, with or without its HDLC address and control bytes. */
export function enterPpp(packet: Packet): Skipped {
  const { bytes, view } = packet
  if (packet.at + 2 > packet.end) return 'link_cut'
  if (bytes[packet.at] === 0xff && bytes[packet.at + 1] === 0x03) packet.at += 2
  if (packet.at + 2 > packet.end) return 'link_cut'
  // Protocol field compression: an odd first byte is the whole field.
  const short = (bytes[packet.at]! & 1) === 1
  const protocol = short ? bytes[packet.at]! : view.getUint16(packet.at)
  packet.at += short ? 1 : 2
  if (protocol === 0x0021 || protocol === 0x0057) return ''
  if (protocol === 0x0281 || protocol === 0x0283) return enterEtherType(packet, 0x8847)
  return 'not_ip'
}

function enterRadiotap(packet: Packet): Skipped {
  if (packet.at + 8 > packet.end) return 'link_cut'
  const size = packet.view.getUint16(packet.at + 2, true)
  if (size < 8) return 'link_bad_length'
  return advance(packet, size) ? enterWifi(packet) : 'link_cut'
}

/** Per-packet information: fields to pass over, then a frame of the link type that its header names. */
function enterPpi(packet: Packet): Skipped {
  const { view, at } = packet
  if (at + 8 > packet.end) return 'link_cut'
  const size = view.getUint16(at + 2, true)
  const inner = view.getUint32(at + 4, true)
  if (size < 8 || inner === 192) return 'link_bad_length'
  return advance(packet, size) ? enterLink(packet, inner) : 'link_cut'
}

/** Frame relay: an address of two to four bytes, then RFC 2427, or an EtherType as Cisco does it. */
function enterFrameRelay(packet: Packet): Skipped {
  const { bytes, view } = packet
  let last = packet.at
  while (last < packet.end && last < packet.at + 3 && (bytes[last]! & 1) === 0) last++
  packet.at = last + 1
  if (packet.at + 2 > packet.end) return 'link_cut'
  if (bytes[packet.at] !== 3) {
    packet.at += 2
    return enterEtherType(packet, view.getUint16(packet.at - 2))
  }
  packet.at++
  if (bytes[packet.at] === 0) packet.at++
  if (packet.at + 6 > packet.end) return 'link_cut'
  const kind = bytes[packet.at]!
  packet.at++
  // NLPIDs of IPv4, IPv6 and SNAP.
  if (kind === 0xcc || kind === 0x8e) return ''
  if (kind !== 0x80) return 'not_ip'
  packet.at += 5
  return enterEtherType(packet, view.getUint16(packet.at - 2))
}

/** IEEE 802.11 data frames that are not encrypted; of an aggregate the first part, see `nextPart`. */
export function enterWifi(packet: Packet): Skipped {
  const { bytes } = packet
  if (packet.at + 24 > packet.end) return 'link_cut'
  const control = bytes[packet.at]!
  const flags = bytes[packet.at + 1]!
  const quality = (control & 0x80) !== 0
  if ((control & 0x0c) !== 0x08 || (control & 0x40) !== 0) return 'not_ip'
  if ((flags & 0x40) !== 0) return 'wifi_encrypted'
  let size = 24
  if ((flags & 3) === 3) size += 6
  let aggregate = false
  if (quality) {
    if (packet.at + size + 2 > packet.end) return 'link_cut'
    aggregate = (bytes[packet.at + size]! & 0x80) !== 0
    size += 2
    if ((flags & 0x80) !== 0) size += 4
  }
  if (!advance(packet, size)) return 'link_cut'
  if (!aggregate) return enterLlc(packet)
  packet.partsEnd = packet.end
  packet.nextPart = packet.at
  return enterNextPart(packet)
}

function enterLlc(packet: Packet): Skipped {
  const type = passLlc(packet)
  if (type < 0) return type === -1 ? 'link_cut' : 'not_ip'
  return enterEtherType(packet, type)
}

/** The next frame of an aggregate (A-MSDU): addresses, a length, and padding to four bytes. */
export function enterNextPart(packet: Packet): Skipped {
  const at = packet.nextPart
  packet.nextPart = 0
  packet.at = at + 14
  packet.end = packet.partsEnd
  if (packet.at > packet.end) return 'link_cut'
  const length = packet.view.getUint16(at + 12)
  const next = at + ((14 + length + 3) & ~3)
  // A length of nothing would never end.
  if (length > 0 && next + 14 < packet.partsEnd) packet.nextPart = next
  packet.end = Math.min(packet.end, packet.at + length)
  packet.wireEnd = packet.at + length
  return enterLlc(packet)
}

/** Linux netfilter log: a family, then type-length-value records, one of them the packet. */
function enterNflog(packet: Packet): Skipped {
  const { view } = packet
  packet.at += 4
  // Record lengths are in the byte order of the capturing host; every record is at least 4 bytes.
  const little = packet.at + 2 <= packet.end && view.getUint16(packet.at, true) < 0x1000
  while (packet.at + 4 <= packet.end) {
    const size = view.getUint16(packet.at, little)
    if (size < 4) return 'link_bad_length'
    if (view.getUint16(packet.at + 2, little) === 9) {
      packet.at += 4
      return ''
    }
    packet.at += (size + 3) & ~3
  }
  return 'not_ip'
}
