// Captures of anything: a few hosts, sound and damaged packets, clocks that jump.

import fc from 'fast-check'
import { ethernet, icmp, joined, pcap, tcp, udp } from './packet-writer.ts'

/** Time of the first packet, microseconds. */
export const T = 1_700_000_000e6

/** Arbitrary packets between a few hosts, sound and damaged ones. */
const anyPacket = fc
  .record({
    kind: fc.constantFrom('tcp', 'udp', 'icmp', 'junk'),
    a: fc.integer({ min: 1, max: 3 }),
    b: fc.integer({ min: 1, max: 3 }),
    port: fc.integer({ min: 1, max: 4 }),
    flags: fc.constantFrom('S', 'SA', 'A', 'FA', 'RA', 'PA', 'SF', 'R', 'F'),
    seq: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    data: fc.uint8Array({ maxLength: 20 }),
    step: fc.integer({ min: -400, max: 400 }),
    vlan: fc.integer({ min: 0, max: 2 }),
    cut: fc.integer({ min: 0, max: 80 }),
  })
  .map((p) => {
    const from = `10.0.0.${p.a}:${p.port}`
    const to = `10.0.0.${p.b}:${5 - p.port}`
    const bytes =
      p.kind === 'tcp'
        ? tcp({ from, to, flags: p.flags, seq: p.seq, ack: p.seq ^ 1, data: p.data })
        : p.kind === 'udp'
          ? udp(from, to, p.data)
          : p.kind === 'icmp'
            ? icmp(`10.0.0.${p.a}`, `10.0.0.${p.b}`, p.port * 3 - 1, 0, p.data)
            : joined([0x45, 0, 0], p.data)
    const frame = ethernet(bytes, p.vlan === 0 ? [] : [p.vlan])
    // Every third packet is cut by the snapshot length.
    const kept = p.cut % 3 === 0 ? frame.slice(0, p.cut) : frame
    return { bytes: kept, wire: frame.length, step: p.step }
  })

export const anyCapture = fc.array(anyPacket, { maxLength: 60 }).map((packets) => {
  let time = T
  return pcap(
    packets.map(({ bytes, wire, step }) => {
      time += step * 1e5
      return { time, bytes, wire }
    }),
    { linkType: 1 },
  )
})
