import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sniffCapture } from '../../src/capture/capture-file.ts'
import { run } from './capture-run.ts'
import { joined, pcap, type Timed, udp } from './packet-writer.ts'

const T = 1_700_000_000e6

function datagrams(count: number): Timed[] {
  return Array.from({ length: count }, (_, i) => ({
    time: T + i * 1000,
    bytes: udp(`10.0.0.1:${40_000 + i}`, '10.0.0.2:9', new Uint8Array(i % 7)),
  }))
}

describe('a pcap file', () => {
  test.each([
    { big: false, nanoseconds: false },
    { big: true, nanoseconds: false },
    { big: false, nanoseconds: true },
    { big: true, nanoseconds: true },
  ])('of byte order and clock %o gives the same flows', (shape) => {
    const result = run(pcap(datagrams(3), shape))
    expect(result.flows.map((flow) => [flow.ts, flow.orig])).toEqual([
      [T, '10.0.0.1:40000'],
      [T + 1000, '10.0.0.1:40001'],
      [T + 2000, '10.0.0.1:40002'],
    ])
    expect(result.stats).toMatchObject({ packets: 3, broken: false, errors: [] })
  })

  test('of the modified format has eight more bytes per record', () => {
    const file = pcap(datagrams(2))
    file.set([0x34, 0xcd, 0xb2, 0xa1], 0)
    const first = file.slice(24, 24 + 16 + 28)
    const second = file.slice(24 + 16 + 28)
    const extra = new Uint8Array(8)
    const modified = joined(
      file.slice(0, 24),
      first.slice(0, 16),
      extra,
      first.slice(16),
      second.slice(0, 16),
      extra,
      second.slice(16),
    )
    expect(run(modified).flows).toHaveLength(2)
  })

  test('cut at any byte delivers every whole packet, and says that it was cut', () => {
    const packets = datagrams(4)
    const file = pcap(packets)
    const ends = packets.map((_, i) =>
      packets.slice(0, i + 1).reduce((at, packet) => at + 16 + packet.bytes.length, 24),
    )
    for (let cut = 4; cut < file.length; cut++) {
      const result = run(file.slice(0, cut))
      expect(result.stats.packets).toBe(ends.filter((end) => end <= cut).length)
      const clean = cut === 24 || ends.includes(cut)
      expect(result.stats.errors).toHaveLength(clean ? 0 : 1)
      expect(result.stats.broken).toBe(!clean)
    }
  })

  test('whose record has an impossible length stops there, told by its place', () => {
    const file = pcap(datagrams(3))
    const second = 24 + 16 + 28
    file.set([0xff, 0xff, 0xff, 0x7f], second + 8)
    const result = run(file)
    expect(result.stats.packets).toBe(1)
    expect(result.rejects).toEqual([{ at: second, reason: 'packet_length' }])
    expect(result.stats.errors[0]).toContain(`byte ${second}`)
  })

  test('of a later major version is refused aloud', () => {
    const file = pcap(datagrams(1))
    file[4] = 3
    expect(run(file).stats).toMatchObject({ packets: 0, broken: true })
    expect(run(file).stats.errors[0]).toContain('version 3.4')
  })

  test('whose packets exceed its snapshot length is read, and that is counted', () => {
    const result = run(pcap(datagrams(2), { snapLength: 10 }))
    expect(result.flows).toHaveLength(2)
    expect(result.coverage.get('packets_over_snaplen')).toBe(2)
  })

  test('of a link type that is not known is counted, and told of once', () => {
    const result = run(pcap(datagrams(3), { linkType: 147 }))
    expect(result.flows).toHaveLength(0)
    expect(result.coverage.get('unknown_link.147')).toBe(3)
    expect(result.rejects).toEqual([{ at: 1, reason: 'unknown_link' }])
  })

  test('gives equal chunks whatever the pieces', () => {
    const file = pcap(datagrams(20))
    const whole = run(file).chunks
    expect(run(file, { pieces: [1] }).chunks).toEqual(whole)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }), (pieces) => {
        expect(run(file, { pieces }).chunks).toEqual(whole)
      }),
      { numRuns: 30 },
    )
  })

  test('of random bytes never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (tail, big) => {
        const file = joined(pcap([], { big, linkType: 1 }), tail)
        const { stats } = run(file)
        expect(stats.packets).toBeLessThanOrEqual(tail.length / 16)
      }),
    )
  })
})

describe('sniffing', () => {
  test('knows both formats from four bytes, and nothing else', () => {
    expect(sniffCapture(pcap([]).subarray(0, 4))).toBe('pcap')
    expect(sniffCapture(pcap([], { big: true }))).toBe('pcap')
    expect(sniffCapture(Uint8Array.of(0x0a, 0x0d, 0x0d, 0x0a))).toBe('pcapng')
    expect(sniffCapture(Uint8Array.of(0x1f, 0x8b, 8, 0))).toBeUndefined()
    expect(sniffCapture(new Uint8Array(3))).toBeUndefined()
  })
})
