// Frames, fragments and tunnels: what lies around an IP packet.
import { describe, expect, test } from 'vitest'
import { run } from './capture-run.ts'
import { endpoint, ethernet, ip, joined, pcap, tcp, u16, udp } from './packet-writer.ts'

const PACKET = udp('10.0.0.1:1000', '10.0.0.2:2000', [1, 2, 3])
const PACKET6 = udp('[2001:db8::1]:1000', '[2001:db8::2]:2000', [1, 2, 3])
const A = endpoint('192.0.2.1:0').address
const B = endpoint('192.0.2.2:0').address

const flowsOf = (bytes: Uint8Array, linkType: number) =>
  run(pcap([{ time: 1e6, bytes }], { linkType })).flows

describe('link layers', () => {
  const cases: [string, number, Uint8Array][] = [
    ['Ethernet', 1, ethernet(PACKET)],
    ['two VLAN tags', 1, ethernet(PACKET, [5, 6])],
    ['raw IP', 101, PACKET],
    ['raw IPv6', 229, PACKET6],
    ['BSD loopback, little-endian', 0, joined([2, 0, 0, 0], PACKET)],
    ['BSD loopback, big-endian', 108, joined([0, 0, 0, 2], PACKET)],
    ['Linux cooked', 113, joined(new Uint8Array(14), [8, 0], PACKET)],
    ['Linux cooked 2', 276, joined([8, 0], new Uint8Array(18), PACKET)],
    ['PPP', 9, joined([0xff, 3, 0, 0x21], PACKET)],
    ['PPP with a short protocol field', 9, joined([0x21], PACKET)],
    ['Cisco HDLC', 104, joined([0x0f, 0, 8, 0], PACKET)],
    ['frame relay', 107, joined([0x18, 0x41, 3, 0xcc], PACKET, new Uint8Array(4))],
    ['NFLOG', 239, joined([2, 0, 0, 0], [8, 0, 1, 0, 0, 0, 0, 0], [35, 0, 9, 0], PACKET, [0])],
    ['LLC and SNAP', 1, joined(new Uint8Array(12), [0, 40, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0], PACKET)],
    ['MPLS', 1, joined(new Uint8Array(12), [0x88, 0x47, 0, 1, 0, 64, 0, 1, 1, 64], PACKET)],
    [
      'PPPoE in a VLAN',
      1,
      joined(
        new Uint8Array(12),
        [0x81, 0, 0, 9, 0x88, 0x64, 0x11, 0, 0, 1, 0, 33, 0, 0x21],
        PACKET,
      ),
    ],
    [
      'radiotap and 802.11',
      127,
      joined(
        [0, 0, 8, 0, 0, 0, 0, 0, 8, 1],
        new Uint8Array(22),
        [0xaa, 0xaa, 3, 0, 0, 0, 8, 0],
        PACKET,
      ),
    ],
  ]
  test.each(cases)('%s', (_, linkType, bytes) => {
    const flows = flowsOf(bytes, linkType)
    expect(flows).toHaveLength(1)
    expect(flows[0]).toMatchObject({ origPackets: 1, anomalies: [] })
    expect(flows[0]!.orig).toMatch(/1:1000$/)
    // Link padding is not counted.
    expect(flows[0]!.origIpBytes).toBe(flows[0]!.orig.startsWith('10.') ? 31 : 51)
  })

  test('cut anywhere give a count, never a flow of rubbish', () => {
    for (const [, linkType, bytes] of cases)
      for (let cut = 0; cut < bytes.length; cut++) {
        const file = pcap([{ time: 1e6, bytes: bytes.slice(0, cut), wire: bytes.length }], {
          linkType,
        })
        const { flows } = run(file)
        for (const flow of flows) expect(flow.orig).toMatch(/1:1000$/)
      }
  })

  test('a VLAN id is on the record', () => {
    expect(flowsOf(ethernet(PACKET, [5, 6]), 1)[0]!.vlan).toBe(5)
  })
})

describe('an aggregate of 802.11', () => {
  test('has a flow for each of its parts', () => {
    const part = (packet: Uint8Array) => {
      const body = joined([0xaa, 0xaa, 3, 0, 0, 0, 8, 0], packet)
      const frame = joined(new Uint8Array(12), u16(body.length), body)
      return joined(frame, new Uint8Array((4 - (frame.length % 4)) % 4))
    }
    const other = udp('10.0.0.3:1000', '10.0.0.2:2000', [9])
    const frame = joined([0x88, 2], new Uint8Array(22), [0x80, 0], part(PACKET), part(other))
    expect(flowsOf(frame, 105).map((flow) => flow.orig)).toEqual(['10.0.0.1:1000', '10.0.0.3:1000'])
  })
})

describe('fragments', () => {
  const data = Uint8Array.from({ length: 3000 }, (_, i) => i & 255)
  const whole = udp('192.0.2.1:1000', '192.0.2.2:2000', data)
  const body = whole.slice(20)
  const piece = (from: number, to: number, more: boolean) =>
    ip(A, B, 17, body.slice(from, to), -1, (more ? 0x2000 : 0) | (from / 8), 77)
  const story = (...bytes: Uint8Array[]) =>
    run(pcap(bytes.map((one, i) => ({ time: 1e6 + i, bytes: one }))))

  test('in any order are one packet of the length that it had', () => {
    const { flows, coverage } = story(
      piece(1600, body.length, false),
      piece(0, 800, true),
      piece(800, 1600, true),
    )
    expect(flows).toMatchObject([
      { origPackets: 1, origIpBytes: whole.length, anomalies: ['fragmented'] },
    ])
    expect(coverage.get('parse_error.fragment')).toBe(2)
  })

  test('that come in other pieces of the input are kept whole', () => {
    // Each packet in a piece of its own, which is overwritten when the next one comes.
    const first = { time: 1e6, bytes: piece(0, 1600, true) }
    const file = pcap([first, { time: 1e6 + 1, bytes: piece(1600, body.length, false) }])
    const { flows } = run(file, { pieces: [pcap([first]).length, file.length] })
    expect(flows).toEqual(run(file).flows)
    expect(flows).toMatchObject([
      { orig: '192.0.2.1:1000', resp: '192.0.2.2:2000', history: 'D', anomalies: ['fragmented'] },
    ])
  })

  test('that overlap are told of, and the first bytes stand', () => {
    const { flows, coverage } = story(
      piece(0, 1600, true),
      piece(800, 2400, true),
      piece(2400, body.length, false),
    )
    expect(flows).toMatchObject([{ origPackets: 1, origIpBytes: whole.length }])
    expect(coverage.get('fragment_overlap')).toBe(1)
  })

  test('whose rest never comes are given up, counted, and no flow', () => {
    const { flows, coverage } = story(piece(0, 800, true), piece(1600, 2400, true))
    expect(flows).toEqual([])
    expect(coverage.get('fragments_given_up')).toBe(2)
  })

  test('of IPv6 too', () => {
    const six = udp('[2001:db8::1]:1000', '[2001:db8::2]:2000', data)
    const from = endpoint('[2001:db8::1]:0').address
    const to = endpoint('[2001:db8::2]:0').address
    const part = (start: number, end: number, more: number) =>
      ip(
        from,
        to,
        44,
        joined([17, 0], u16(start | more), [0, 0, 0, 9], six.slice(40 + start, 40 + end)),
      )
    const { flows } = story(part(0, 1600, 1), part(1600, six.length - 40, 0))
    expect(flows).toMatchObject([{ origPackets: 1, origIpBytes: six.length }])
  })
})

describe('tunnels', () => {
  const inner = tcp({ from: '10.9.0.1:4000', to: '10.9.0.2:80', flags: 'S', seq: 1 })
  const gre = (type: number, payload: Uint8Array) =>
    ip(A, B, 47, joined([0, 0], u16(type), payload))
  const cases: [string, Uint8Array][] = [
    ['IP in IP', ip(A, B, 4, inner)],
    ['GRE', gre(0x0800, inner)],
    ['GRE with Ethernet', gre(0x6558, ethernet(inner))],
    [
      'VXLAN',
      udp('192.0.2.1:5555', '192.0.2.2:4789', joined([8, 0, 0, 0, 0, 0, 7, 0], ethernet(inner))),
    ],
    [
      'Geneve',
      udp(
        '192.0.2.1:5555',
        '192.0.2.2:6081',
        joined([0, 0, 0x65, 0x58, 0, 0, 7, 0], ethernet(inner)),
      ),
    ],
    [
      'GTP-U',
      udp(
        '192.0.2.1:2152',
        '192.0.2.2:2152',
        joined([0x30, 255], u16(inner.length), [0, 0, 0, 1], inner),
      ),
    ],
    ['GRE in GRE', gre(0x0800, gre(0x0800, inner))],
  ]
  test.each(cases)('%s: the inner flow knows its tunnel', (name, packet) => {
    const flows = flowsOf(packet, 101)
    const within = flows.find((flow) => flow.protocol === 6)!
    expect(within).toMatchObject({ orig: '10.9.0.1:4000', resp: '10.9.0.2:80', origIpBytes: 40 })
    expect(within.parents).toHaveLength(name === 'GRE in GRE' ? 2 : 1)
    const outer = flows.filter((flow) => flow.protocol === 17)
    expect(outer).toHaveLength(/VXLAN|Geneve|GTP/.test(name) ? 1 : 0)
    for (const flow of outer) expect(within.parents).toEqual([flow.uid])
  })

  test('within tunnels are followed to a depth, then only counted', () => {
    let packet = inner
    for (let depth = 0; depth < 9; depth++) packet = ip(A, B, 4, packet)
    const result = run(pcap([{ time: 1e6, bytes: packet }]))
    expect(result.flows).toEqual([])
    expect(result.coverage.get('parse_error.tunnel_too_deep')).toBe(1)
  })

  test('what only has the port of a tunnel is a datagram', () => {
    const flows = flowsOf(udp('192.0.2.1:5555', '192.0.2.2:4789', new Uint8Array(40)), 101)
    expect(flows).toMatchObject([{ protocol: 17, service: '' }])
  })
})
