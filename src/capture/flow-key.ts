// The key of a packet's flow: endpoints in canonical order, so that both directions find the same record.

import * as F from './flow-fields.ts'
import type { Packet } from './packet.ts'

const MAPPED = 0x0000_ffff

/** Counterparts of ICMP types that ask, and of those that answer; as Zeek pairs them. -1 = one way. */
const ICMP4 = pairs([
  [8, 0],
  [13, 14],
  [15, 16],
  [17, 18],
  [10, 9],
  [37, 38],
])
const ICMP6 = pairs([
  [128, 129],
  [133, 134],
  [135, 136],
  [130, 131],
  [139, 140],
  [144, 145],
])

function pairs(list: readonly (readonly [number, number])[]): Int16Array {
  const map = new Int16Array(256).fill(-1)
  for (const [ask, answer] of list) {
    map[ask] = answer
    map[answer] = ask
  }
  return map
}

/** The counterpart of an ICMP type, or -1 if it has none. @param protocol 1 or 58 */
export function icmpCounterpart(protocol: number, type: number): number {
  return (protocol === 1 ? ICMP4 : ICMP6)[type & 0xff]!
}

export class KeyMaker {
  readonly key = new Int32Array(F.KEY_WORDS)
  /** True if the sender of the packet is endpoint A of the key. */
  senderIsA = true

  /**
   * Fills `key` from the addresses of the packet in hand.
   * @param oneWay what only ever goes one way is a flow of its own per direction
   */
  make(packet: Packet, sourcePort: number, destinationPort: number, oneWay: boolean): void {
    this.fill(packet, packet.source, packet.destination, sourcePort, destinationPort, oneWay)
  }

  /** The same with addresses that lie elsewhere in the packet. */
  fill(
    packet: Packet,
    source: number,
    destination: number,
    sourcePort: number,
    destinationPort: number,
    oneWay: boolean,
  ): void {
    const { view } = packet
    const { key } = this
    let order = 0
    if (packet.version === 4) {
      const from = view.getInt32(source)
      const to = view.getInt32(destination)
      order = (from >>> 0) - (to >>> 0)
      if (order === 0) order = sourcePort - destinationPort
      this.senderIsA = oneWay || order <= 0
      const a = this.senderIsA ? F.ADDRESS_A : F.ADDRESS_B
      const b = F.ADDRESS_B - a
      key[0] = 0
      key[1] = 0
      key[2] = MAPPED
      key[4] = 0
      key[5] = 0
      key[6] = MAPPED
      key[a + 3] = from
      key[b + 3] = to
    } else {
      for (let i = 0; i < 16 && order === 0; i += 4)
        order = view.getUint32(source + i) - view.getUint32(destination + i)
      if (order === 0) order = sourcePort - destinationPort
      this.senderIsA = oneWay || order <= 0
      const a = this.senderIsA ? F.ADDRESS_A : F.ADDRESS_B
      const b = F.ADDRESS_B - a
      for (let i = 0; i < 4; i++) {
        key[a + i] = view.getInt32(source + 4 * i)
        key[b + i] = view.getInt32(destination + 4 * i)
      }
    }
    key[F.PORTS] = this.senderIsA
      ? (sourcePort << 16) | destinationPort
      : (destinationPort << 16) | sourcePort
    key[F.KEY_REST] =
      packet.protocol | (oneWay ? F.ONE_WAY : 0) | ((packet.interfaceIndex & 0xffff) << 16)
  }
}
