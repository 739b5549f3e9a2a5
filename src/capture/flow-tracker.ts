// What a packet of TCP, UDP, ICMP or anything else means for its flow. What the payload says is payload.ts, what
// TCP says is tcp.ts, how flows come and go is flow-book.ts.

import type { ChunkWriter } from '../chunk.ts'
import * as ANOMALY from './anomalies.ts'
import { payloadSumIsRight } from './checksum.ts'
import { type BookSettings, FlowBook } from './flow-book.ts'
import * as F from './flow-fields.ts'
import { icmpCounterpart } from './flow-key.ts'
import type { Packet, Skipped } from './packet.ts'
import { isLikelyServerPort } from './server-ports.ts'
import { ACK, RST, SYN } from './tcp.ts'
import { isReuse } from './tcp-summary.ts'

/** Packets without payload after the handshake that decide a flow. */
const SILENT_PACKETS = 3

export class FlowTracker extends FlowBook {
  readonly #verify: boolean

  /**
   * @param verify packets with a wrong checksum are not counted
   * @param count takes coverage metrics
   */
  constructor(
    settings: BookSettings,
    verify: boolean,
    chunks: ChunkWriter,
    count: (metric: string, by: number) => void,
  ) {
    super(settings, chunks, count)
    this.#verify = verify
  }

  /**
   * Counts a packet in its flow, which is then the flow in hand; '' if it could, else why not.
   * @param parents uids of the tunnels that the packet came through
   */
  take(packet: Packet, parents: readonly string[]): Skipped {
    this.moment = packet.time
    const skipped = this.#take(packet, parents)
    if (this.reports !== undefined) this.tell()
    return skipped
  }

  #take(packet: Packet, parents: readonly string[]): Skipped {
    switch (packet.protocol) {
      case 6:
        return this.#takeTcp(packet, parents)
      case 17:
        return this.#takeUdp(packet, parents)
      case 1:
      case 58:
        return this.#takeIcmp(packet, parents)
      default:
        return this.#takeOther(packet, parents)
    }
  }

  #takeTcp(packet: Packet, parents: readonly string[]): Skipped {
    const { view, payload } = packet
    if (packet.payloadLength < 20) return 'tcp_header'
    if (packet.payloadCaptured < 20) return 'tcp_cut'
    const tcp = this.tcp
    const sourcePort = view.getUint16(payload)
    const destinationPort = view.getUint16(payload + 2)
    const headerLength = (view.getUint8(payload + 12) >> 4) * 4
    tcp.seq = view.getInt32(payload + 4)
    tcp.ack = view.getInt32(payload + 8)
    tcp.flags = view.getUint8(payload + 13) & 0x3f
    tcp.window = view.getUint16(payload + 14)
    tcp.length = packet.payloadLength - headerLength
    tcp.captured = packet.payloadCaptured - headerLength
    tcp.time = packet.time
    tcp.clock = this.clock
    const { key } = this.keys
    this.keys.make(packet, sourcePort, destinationPort, false)
    const hash = this.table.hash(key)
    let fresh = !this.find(key, hash)
    if (!fresh) {
      tcp.bind(this.flow, this.page, this.at, this.dat)
      if ((tcp.flags & SYN) !== 0 && isReuse(tcp)) {
        this.finish('end')
        fresh = true
      }
    }
    if (fresh) {
      this.begin(packet, hash, parents)
      this.#guessTcp(packet, sourcePort, destinationPort)
      tcp.bind(this.flow, this.page, this.at, this.dat)
    } else this.touch(packet, parents)
    this.fromOrig = this.isFromOrig()
    const { words } = this.page
    if (headerLength < 20 || headerLength > packet.payloadLength) {
      words[this.at + F.ANOMALIES]! |= ANOMALY.BAD_TCP_HEADER
      return 'tcp_header_length'
    }
    if (headerLength > packet.payloadCaptured) return 'tcp_cut'
    if (this.#isDamaged(packet, packet.payloadLength)) {
      const e = this.at + (this.fromOrig ? F.ORIG : F.RESP)
      tcp.scaledLetter(e, F.BAD_SUMS, this.fromOrig ? 0x43 : 0x63)
      words[this.at + F.ANOMALIES]! |= ANOMALY.BAD_CHECKSUM
      return 'tcp_checksum'
    }
    const timers = words[this.at + F.FLAGS]! & F.ANY_TIMER
    tcp.take(this.fromOrig)
    if (tcp.flipped) this.fromOrig = !this.fromOrig
    this.add(packet, this.fromOrig)
    this.#followTcp(packet, headerLength)
    if (fresh || (words[this.at + F.FLAGS]! & F.ANY_TIMER) !== timers) this.arm()
    return ''
  }

  /** What the state of a connection decides, and what its payload says. */
  #followTcp(packet: Packet, headerLength: number): void {
    const tcp = this.tcp
    const { words } = this.page
    const { at } = this
    const flags = words[at + F.FLAGS]!
    if ((flags & F.HANDSHAKE_DONE) === 0) {
      if (
        this.fromOrig &&
        (tcp.flags & (SYN | RST | ACK)) === ACK &&
        (words[at + F.RESP + F.SEEN]! & F.SAW_SYN) !== 0 &&
        words[at + F.RESP + F.STATE]! >= F.ESTABLISHED
      )
        words[at + F.FLAGS]! |= F.HANDSHAKE_DONE
      else if (!this.fromOrig && (tcp.flags & RST) !== 0) {
        words[at + F.FLAGS]! |= F.REFUSED
        this.decide('refused', packet.time)
      }
    } else if (words[at + F.DECIDED] === 0 && tcp.length === 0) {
      if (++words[at + F.SILENT]! >= SILENT_PACKETS) this.decide('silent', packet.time)
    }
    if (tcp.length > 0 && (tcp.flags & RST) === 0)
      this.payloads.segment(packet, packet.payload + headerLength, tcp)
  }

  #guessTcp(packet: Packet, sourcePort: number, destinationPort: number): void {
    const { flags } = this.tcp
    const { words } = this.page
    if ((flags & (SYN | ACK)) === SYN) {
      words[this.at + F.FLAGS]! |= F.DIRECTION_SURE
      return
    }
    if (!isLikelyServerPort(6, sourcePort) || isBroadcast(packet)) return
    if (isLikelyServerPort(6, destinationPort)) {
      if ((flags & SYN) !== 0 || sourcePort >= destinationPort) return
    }
    this.flipNew()
  }

  #takeUdp(packet: Packet, parents: readonly string[]): Skipped {
    const { view, payload } = packet
    if (packet.payloadLength < 8) return 'udp_header'
    if (packet.payloadCaptured < 8) return 'udp_cut'
    const sourcePort = view.getUint16(payload)
    const destinationPort = view.getUint16(payload + 2)
    const { key } = this.keys
    this.keys.make(packet, sourcePort, destinationPort, false)
    const hash = this.table.hash(key)
    if (this.find(key, hash)) this.touch(packet, parents)
    else {
      this.begin(packet, hash, parents)
      if (isLikelyServerPort(17, sourcePort)) {
        if (!isLikelyServerPort(17, destinationPort) && !isBroadcast(packet)) this.flipNew()
      } else this.page.words[this.at + F.FLAGS]! |= F.DIRECTION_SURE
      this.arm()
    }
    this.fromOrig = this.isFromOrig()
    const { words, doubles } = this.page
    const { fromOrig } = this
    const e = this.at + (fromOrig ? F.ORIG : F.RESP)
    // A checksum of 0 over IPv4 means that there is none.
    const unsummed = packet.version === 4 && view.getUint16(payload + 6) === 0
    if (!unsummed && this.#isDamaged(packet, packet.payloadLength)) {
      this.#once(e, F.SAW_BAD_SUM, fromOrig ? 0x43 : 0x63)
      words[this.at + F.ANOMALIES]! |= ANOMALY.BAD_CHECKSUM
      return 'udp_checksum'
    }
    let length = view.getUint16(payload + 4) - 8
    if (length < 0) {
      words[this.at + F.ANOMALIES]! |= ANOMALY.SHORT_UDP
      length = packet.payloadLength - 8
    }
    doubles[this.dat + F.LAST] = packet.time
    words[e + F.STATE] = F.ESTABLISHED
    this.#once(e, F.SAW_DATA, fromOrig ? 0x44 : 0x64)
    doubles[this.dat + (fromOrig ? F.ORIG_COUNTS : F.RESP_COUNTS) + F.PAYLOAD]! += length
    this.add(packet, fromOrig)
    this.payloads.datagram(packet, Math.min(length, packet.payloadLength - 8))
    return ''
  }

  #takeIcmp(packet: Packet, parents: readonly string[]): Skipped {
    const { view, payload, protocol } = packet
    if (packet.payloadLength < 8) return 'icmp_header'
    if (packet.payloadCaptured < 8) return 'icmp_cut'
    const type = view.getUint8(payload)
    const answer = icmpCounterpart(protocol, type)
    const oneWay = answer < 0
    this.keys.make(packet, type, oneWay ? view.getUint8(payload + 1) : answer, oneWay)
    this.#join(packet, parents)
    const { doubles } = this.page
    if (this.#verify && packet.payloadCaptured >= packet.payloadLength) {
      if (!payloadSumIsRight(packet, packet.payloadLength)) {
        this.page.words[this.at + F.ANOMALIES]! |= ANOMALY.BAD_CHECKSUM
        return 'icmp_checksum'
      }
    }
    doubles[this.dat + F.LAST] = packet.time
    doubles[this.dat + (this.fromOrig ? F.ORIG_COUNTS : F.RESP_COUNTS) + F.PAYLOAD]! +=
      packet.payloadLength - 8
    this.add(packet, this.fromOrig)
    this.decide('no_name', packet.time)
    if (type === (protocol === 1 ? 3 : 1)) this.#unreachable(packet)
    return ''
  }

  /** Destination unreachable: the packet that it speaks of was refused. */
  #unreachable(packet: Packet): void {
    const { view } = packet
    const inner = packet.payload + 8
    const end = packet.payload + packet.payloadCaptured
    const four = packet.version === 4
    const headerLength = four && inner < end ? (view.getUint8(inner) & 15) * 4 : 40
    const ports = inner + headerLength
    if (ports + 4 > end || headerLength < 20) return
    const protocol = view.getUint8(inner + (four ? 9 : 6))
    if (protocol !== 6 && protocol !== 17) return
    const { key } = this.keys
    const own = packet.protocol
    packet.protocol = protocol
    const source = inner + (four ? 12 : 8)
    const destination = inner + (four ? 16 : 24)
    const sourcePort = view.getUint16(ports)
    this.keys.fill(packet, source, destination, sourcePort, view.getUint16(ports + 2), false)
    packet.protocol = own
    const before = this.flow
    if (this.find(key, this.table.hash(key))) {
      const { words } = this.page
      if (this.isFromOrig() && (words[this.at + F.RESP + F.STATE] ?? 0) === F.INACTIVE) {
        words[this.at + F.FLAGS]! |= F.REFUSED
        this.decide('refused', packet.time)
        this.tell()
      }
    }
    this.select(before)
  }

  #takeOther(packet: Packet, parents: readonly string[]): Skipped {
    if (packet.protocol === 59) return 'ip_no_next'
    let sourcePort = 0
    let destinationPort = 0
    if (packet.protocol === 132 && packet.payloadCaptured >= 4) {
      sourcePort = packet.view.getUint16(packet.payload)
      destinationPort = packet.view.getUint16(packet.payload + 2)
    }
    this.keys.make(packet, sourcePort, destinationPort, false)
    this.#join(packet, parents)
    const { doubles } = this.page
    doubles[this.dat + F.LAST] = packet.time
    this.add(packet, this.fromOrig)
    this.decide('no_name', packet.time)
    return ''
  }

  /** The flow of the key in hand, for protocols without states. */
  #join(packet: Packet, parents: readonly string[]): void {
    const { key } = this.keys
    const hash = this.table.hash(key)
    if (this.find(key, hash)) this.touch(packet, parents)
    else {
      this.begin(packet, hash, parents)
      const answer = packet.protocol === 1 ? 0 : 129
      const isAnswer = (key[F.KEY_REST]! & F.ONE_WAY) === 0 && this.origPort === answer
      if (!isAnswer) this.page.words[this.at + F.FLAGS]! |= F.DIRECTION_SURE
      this.arm()
    }
    this.fromOrig = this.isFromOrig()
  }

  #isDamaged(packet: Packet, length: number): boolean {
    return this.#verify && packet.payloadCaptured >= length && !payloadSumIsRight(packet, length)
  }

  #once(e: number, seen: number, letter: number): void {
    const { words } = this.page
    if ((words[e + F.SEEN]! & seen) !== 0) return
    words[e + F.SEEN]! |= seen
    this.tcp.bind(this.flow, this.page, this.at, this.dat)
    this.tcp.letter(letter)
  }
}

function isBroadcast(packet: Packet): boolean {
  return packet.version === 4 && packet.view.getInt32(packet.destination) === -1
}
