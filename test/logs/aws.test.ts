import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Row, readLog } from './read-log.ts'

const V2 =
  'version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status'
const ENI = 'eni-1235b8ca123456789'

function v2(
  sender: string,
  receiver: string,
  rest = '6 20 4249 1418530010 1418530070 ACCEPT OK',
): string {
  const [from, fromPort] = sender.split('#')
  const [to, toPort] = receiver.split('#')
  return `2 123456789010 ${ENI} ${from} ${to} ${fromPort} ${toPort} ${rest}`
}

/** A line of a custom format that has flags and a direction. */
const V5 =
  'interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action tcp-flags flow-direction pkt-srcaddr pkt-dstaddr log-status'
function v5(
  sender: string,
  receiver: string,
  options: Partial<
    Record<'flags' | 'direction' | 'pkt' | 'action' | 'bytes' | 'start', string>
  > = {},
): string {
  const {
    flags = '0',
    direction = '-',
    pkt = '- -',
    action = 'ACCEPT',
    bytes = '420',
    start = '1616729292',
  } = options
  const [from, fromPort] = sender.split('#')
  const [to, toPort] = receiver.split('#')
  return `${ENI} ${from} ${to} ${fromPort} ${toPort} 6 7 ${bytes} ${start} 1616729349 ${action} ${flags} ${direction} ${pkt} OK`
}

const CLIENT = '10.0.0.71#34210'
const SERVER = '52.95.128.179#443'

function aws(...lines: string[]): Row[] {
  const { flows, stats } = readLog('aws-vpc', lines.join('\n'))
  expect(stats.errors).toEqual([])
  return flows
}

describe('the default format', () => {
  test('needs no header; seconds become microseconds', () => {
    const [flow] = aws(v2('172.31.16.139#20641', '172.31.16.21#22'))
    expect(flow).toMatchObject({
      rec_no: 0,
      sensor: 'lab',
      vantage: ENI,
      interface_id: ENI,
      source_kind: 'aws',
      ts: 1_418_530_010_000_000,
      end: 1_418_530_070_000_000,
      decided_at: 1_418_530_010_000_000,
      decided_by: 'reported',
      end_reason: 'reported',
      duration: 60,
      orig_h: '172.31.16.139',
      orig_p: 20641,
      resp_h: '172.31.16.21',
      resp_p: 22,
      ip_proto: 6,
      orig_pkts: 20,
      orig_ip_bytes: 4249,
      action: 'ACCEPT',
      handshake: 'unseen',
      direction_sure: 0,
      conn_state: '',
    })
    expect(flow).not.toHaveProperty('resp_pkts')
    expect(flow).not.toHaveProperty('orig_bytes')
  })

  test('spaces may be doubled, as in examples of AWS', () => {
    const line = v2(CLIENT, SERVER).replaceAll(' ', '  ')
    expect(aws(`${line} `)).toEqual(aws(v2(CLIENT, SERVER)))
  })

  test('IPv6, and ICMP whose ports are 0 and whose Community ID is therefore unknown', () => {
    const [six, icmp] = aws(
      v2('2001:db8::1#34892', '2001:db8::2#22', '6 54 8855 1477913708 1477913820 ACCEPT OK'),
      v2('203.0.113.12#0', '172.31.16.139#0', '1 4 336 1432917027 1432917142 ACCEPT OK'),
    )
    expect(six).toMatchObject({ orig_h: '2001:db8::1', resp_h: '2001:db8::2', resp_p: 22 })
    expect(icmp).toMatchObject({ ip_proto: 1, community_id: '', direction_sure: 0 })
    expect(six!.community_id).toMatch(/^1:/)
  })

  test('a Transit Gateway is known by its second token; its attachment is the vantage', () => {
    const fields = `6 TransitGateway 123 tgw-1 tgw-attach-1 1 2 vpc-1 vpc-2 sub-1 sub-2 eni-1 eni-2 az1 az2 tgw-attach-2 10.0.0.1 10.0.1.1 12345 443 6 10 1000 1700000000 1700000060 OK IPv4 0 0 0 0 2 us-east-1 ingress - -`
    const [flow] = aws(fields)
    expect(flow).toMatchObject({
      vantage: 'tgw-attach-1',
      interface_id: '',
      interface_side: '',
      orig_h: '10.0.0.1',
      resp_p: 443,
      direction_sure: 1,
    })
  })
})

describe('a custom format', () => {
  test('is read by name, in any order, with hyphens or underscores, and with fields nobody asked for', () => {
    const names =
      'end log_status dstport srcport dstaddr srcaddr bytes packets protocol start interface_id reject-reason encryption-status ecs-task-id'
    const [flow] = aws(names, `70 OK 443 40000 10.0.0.2 10.0.0.1 99 3 17 10 eni-a BPA 1 task`)
    expect(flow).toMatchObject({
      orig_h: '10.0.0.1',
      orig_p: 40000,
      resp_p: 443,
      orig_ip_bytes: 99,
      vantage: 'eni-a',
      action: '',
    })
  })

  test('may change in the middle of concatenated files', () => {
    const { flows, stats } = readLog(
      'aws-vpc',
      [
        V2,
        v2(CLIENT, SERVER),
        V2,
        'srcaddr dstaddr srcport dstport protocol start',
        '10.0.0.1 10.0.0.2 50000 53 17 5',
      ].join('\n'),
    )
    expect(flows.map((flow) => [flow.resp_p, flow.ts])).toEqual([
      [443, 1_418_530_010_000_000],
      [53, 5_000_000],
    ])
    expect(stats).toMatchObject({ lines: 5, accepted: 2, skipped: 3, rejected: 0 })
  })

  test('without ports, protocol or time it is refused, aloud', () => {
    const { flows, stats, rejects } = readLog(
      'aws-vpc',
      'instance-id interface-id srcaddr dstaddr\n- eni-1 10.0.1.5 10.0.0.220\n',
    )
    expect(flows).toEqual([])
    expect(stats).toMatchObject({ lines: 2, skipped: 1, rejected: 1, broken: true })
    expect(rejects[0]).toMatchObject({
      reason: 'unknown_format',
      at: 2,
      detail: 'the log format lacks srcport, dstport, protocol, start',
    })
  })

  test('without its header line it is refused: an order is never guessed', () => {
    const { stats, rejects } = readLog('aws-vpc', v5(CLIENT, SERVER))
    expect(stats).toMatchObject({ rejected: 1, accepted: 0, broken: true })
    expect(rejects[0]!.detail).toMatch(/header/)
  })
})

describe('two halves of a conversation', () => {
  test('have one flow_id; the originator is record 0 and each fills its own counters', () => {
    const [there, back] = aws(
      v2(CLIENT, SERVER, '6 7 471 1616729292 1616729349 ACCEPT OK'),
      v2(SERVER, CLIENT, '6 14 15044 1616729292 1616729349 ACCEPT OK'),
    )
    expect(there!.flow_id).toBe(back!.flow_id)
    expect(there).toMatchObject({ rec_no: 0, orig_h: '10.0.0.71', orig_ip_bytes: 471 })
    expect(back).toMatchObject({ rec_no: 1, orig_h: '10.0.0.71', resp_ip_bytes: 15044 })
    expect(back).not.toHaveProperty('orig_ip_bytes')
  })

  test('another interval, interface or port is another flow', () => {
    const line = v2(CLIENT, SERVER)
    const flows = aws(
      line,
      line.replace('1418530010', '1418530011'),
      line.replace(ENI, 'eni-2'),
      line.replace('34210', '34211'),
    )
    expect(new Set(flows.map((flow) => flow.flow_id)).size).toBe(4)
  })

  test('the same line twice is the same record, for the store to keep once', () => {
    const [one, two] = aws(v2(CLIENT, SERVER), v2(CLIENT, SERVER))
    expect([one!.flow_id, one!.rec_no]).toEqual([two!.flow_id, two!.rec_no])
  })

  test('an accepted and a rejected half of one interval are two records', () => {
    const rejected = v2(CLIENT, SERVER).replace('ACCEPT', 'REJECT')
    const flows = aws(v2(CLIENT, SERVER), rejected)
    expect(flows.map((flow) => flow.rec_no)).toEqual([0, 2])
    expect(flows[0]!.flow_id).toBe(flows[1]!.flow_id)
  })

  test('agree on every endpoint, whoever is written first', () => {
    const port = fc.integer({ min: 0, max: 65535 })
    const host = fc.constantFrom('10.0.0.1', '10.0.0.2', '8.8.8.8', '2001:db8::1')
    const flags = fc.constantFrom('0', '2', '3', '18', '19', '4')
    fc.assert(
      fc.property(host, port, host, port, flags, flags, (a, ap, b, bp, one, two) => {
        const flows = aws(
          V5,
          v5(`${a}#${ap}`, `${b}#${bp}`, { flags: one }),
          v5(`${b}#${bp}`, `${a}#${ap}`, { flags: two }),
        )
        const [first, second] = flows
        expect(first!.flow_id).toBe(second!.flow_id)
        if (a === b && ap === bp) return
        for (const column of ['orig_h', 'orig_p', 'resp_h', 'resp_p', 'community_id'])
          expect(first![column]).toBe(second![column])
        expect([first!.rec_no, second!.rec_no].sort()).toEqual([0, 1])
      }),
    )
  })
})

describe('who began', () => {
  test('a SYN without ACK is sent by the originator, a SYN-ACK by the responder', () => {
    // The server is written first, and its port says nothing.
    const [server, client] = aws(
      V5,
      v5('52.95.128.179#50000', '10.0.0.71#34210', { flags: '19' }),
      v5('10.0.0.71#34210', '52.95.128.179#50000', { flags: '3' }),
    )
    expect(server).toMatchObject({
      orig_h: '10.0.0.71',
      resp_p: 50000,
      rec_no: 1,
      direction_sure: 1,
      handshake: 'completed',
    })
    expect(client).toMatchObject({
      orig_h: '10.0.0.71',
      rec_no: 0,
      direction_sure: 1,
      handshake: 'completed',
    })
  })

  test('a half with flags corrects the half without, in either order', () => {
    const plain = v5('10.0.0.71#443', '10.0.0.9#34210')
    const syn = v5('10.0.0.9#34210', '10.0.0.71#443', { flags: '18' })
    for (const lines of [
      [plain, syn],
      [syn, plain],
    ]) {
      const flows = aws(V5, ...lines)
      for (const flow of flows)
        expect(flow).toMatchObject({
          orig_h: '10.0.0.71',
          orig_p: 443,
          resp_h: '10.0.0.9',
          direction_sure: 1,
        })
      expect(flows.map((flow) => flow.rec_no).sort()).toEqual([0, 1])
      expect(flows.map((flow) => flow.resp_pkts ?? flow.orig_pkts)).toEqual([7, 7])
    }
  })

  test('two halves that both claim the SYN are told as a contradiction', () => {
    const flows = aws(V5, v5(CLIENT, SERVER, { flags: '2' }), v5(SERVER, CLIENT, { flags: '2' }))
    expect(flows[1]).toMatchObject({
      anomalies: ['direction_conflict'],
      direction_sure: 0,
      orig_h: '10.0.0.71',
    })
  })

  test.each([
    ['40000', '443', 'sender'],
    ['443', '40000', 'receiver'],
    ['40000', '3306', 'sender'],
    ['9092', '30001', 'receiver'],
    ['5001', '43416', 'receiver'],
  ])('without flags, ports %s and %s make the %s the originator, unsurely', (from, to, who) => {
    const [flow] = aws(v2(`10.0.0.1#${from}`, `10.0.0.2#${to}`))
    expect(flow).toMatchObject({
      orig_h: who === 'sender' ? '10.0.0.1' : '10.0.0.2',
      direction_sure: 0,
    })
  })

  test('flow-direction does not tell who began', () => {
    const [flow] = aws(V5, v5(SERVER, CLIENT, { direction: 'egress' }))
    expect(flow!.orig_h).toBe('10.0.0.71')
  })
})

describe('the handshake', () => {
  test.each([
    // Flags of the responder's half, bytes of its 7 packets, what that proves.
    ['18', '420', 'answered'],
    ['18', '4000', 'completed'],
    ['19', '420', 'completed'],
    ['0', '4000', 'unseen'],
  ])('flags %s and %s bytes from the responder: %s', (flags, bytes, handshake) => {
    const [flow] = aws(V5, v5(SERVER, CLIENT, { flags, bytes }))
    expect(flow!.handshake).toBe(handshake)
  })

  test('a SYN alone proves nothing: its sender may be forged', () => {
    const [flow] = aws(V5, v5(CLIENT, SERVER, { flags: '3', bytes: '9000' }))
    expect(flow).toMatchObject({ handshake: 'unseen', direction_sure: 1 })
  })

  test('a rejected attempt is refused; a rejected answer is not the attempt of who answered', () => {
    const [attempt] = aws(V5, v5(CLIENT, SERVER, { action: 'REJECT', flags: '2' }))
    expect(attempt).toMatchObject({
      action: 'REJECT',
      handshake: 'refused',
      orig_h: '10.0.0.71',
      rec_no: 2,
    })
    const [answer] = aws(V5, v5(SERVER, CLIENT, { action: 'REJECT', flags: '18' }))
    expect(answer).toMatchObject({
      action: 'REJECT',
      handshake: 'unseen',
      orig_h: '10.0.0.71',
      rec_no: 3,
    })
  })
})

describe('interfaces and addresses', () => {
  test('behind a NAT gateway the packet has other ends than the interface, and those count', () => {
    const [flow] = aws(
      V5,
      v5('10.0.1.5#40000', '10.0.0.220#443', { pkt: '10.0.1.5 203.0.113.5', direction: 'ingress' }),
    )
    expect(flow).toMatchObject({
      orig_h: '10.0.1.5',
      resp_h: '203.0.113.5',
      interface_id: ENI,
      interface_side: '',
    })
  })

  test('a pod has an address of its own: the interface is not known to be its end', () => {
    const [flow] = aws(
      V5,
      v5('10.0.0.1#40000', SERVER, { pkt: '10.0.99.7 52.95.128.179', direction: 'egress' }),
    )
    expect(flow).toMatchObject({ orig_h: '10.0.99.7', interface_side: '' })
  })

  test.each([
    ['egress', CLIENT, SERVER, 'orig'],
    ['ingress', SERVER, CLIENT, 'orig'],
    ['ingress', CLIENT, SERVER, 'resp'],
    ['-', CLIENT, SERVER, 'orig'],
    ['-', '10.0.0.1#40000', '10.0.0.2#443', ''],
  ])('direction %s from %s to %s: the interface is at %j', (direction, from, to, side) => {
    const [flow] = aws(V5, v5(from, to, { direction }))
    expect(flow!.interface_side).toBe(side)
  })

  test('own networks tell the side where addresses are public', () => {
    const { flows } = readLog('aws-vpc', v2('198.51.100.7#40000', '192.0.2.1#443'), {
      localNets: [
        {
          address: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 198, 51, 100, 0]),
          bits: 120,
        },
      ],
    })
    expect(flows[0]!.interface_side).toBe('orig')
  })
})

describe('what is no flow', () => {
  test('NODATA and SKIPDATA are statements about an interval', () => {
    const { flows, stats, coverage } = readLog(
      'aws-vpc',
      [
        `2 123456789010 ${ENI} - - - - - - - 1431280876 1431280934 - NODATA`,
        `2 123456789010 eni-11111111aaaaaaaaa - - - - - - - 1431280876 1431280934 - SKIPDATA`,
      ].join('\n'),
    )
    expect(flows).toEqual([])
    expect(stats).toMatchObject({ lines: 2, skipped: 2, rejected: 0 })
    expect(coverage.slice(0, 2)).toEqual([
      {
        sensor: 'lab',
        vantage: ENI,
        source_kind: 'aws',
        ts: 1_431_280_876_000_000,
        end: 1_431_280_934_000_000,
        metric: 'nodata',
        value: 1,
      },
      {
        sensor: 'lab',
        vantage: 'eni-11111111aaaaaaaaa',
        source_kind: 'aws',
        ts: 1_431_280_876_000_000,
        end: 1_431_280_934_000_000,
        metric: 'skipdata',
        value: 1,
      },
    ])
  })

  test.each([
    [
      '2 12345678910 eni-0eb1e4178af74336c - - - - - - - 1742570089 1742570142 -',
      'field_count',
      '13 fields, the format has 14',
    ],
    [v2('10.0.0.300#1', SERVER), 'bad_field', 'srcaddr and dstaddr are not addresses'],
    [v2('10.0.0.1#70000', SERVER), 'bad_field', 'srcport and dstport are not 0 to 65535'],
    [
      v2(CLIENT, SERVER, '256 20 4249 1418530010 1418530070 ACCEPT OK'),
      'bad_field',
      'protocol is not 0 to 255',
    ],
    [
      v2(CLIENT, SERVER, '- 20 4249 1418530010 1418530070 ACCEPT OK'),
      'bad_field',
      'protocol is not 0 to 255',
    ],
    [
      v2(CLIENT, SERVER, '6 x 4249 1418530010 1418530070 ACCEPT OK'),
      'bad_field',
      'packets and bytes are not counts',
    ],
    [v2(CLIENT, SERVER, '6 20 4249 - 1418530070 ACCEPT OK'), 'bad_field', 'start is not set'],
    [
      v2(CLIENT, SERVER, '6 20 4249 1418530010 1418530070 ACCEPT \u001b[31m'),
      'bad_field',
      'log-status is none of OK, NODATA, SKIPDATA',
    ],
  ])('a bad line is told with its place: %s', (line, reason, detail) => {
    const { flows, stats, rejects } = readLog('aws-vpc', [V2, line, v2(CLIENT, SERVER)].join('\n'))
    expect(flows).toHaveLength(1)
    expect(stats).toMatchObject({ lines: 3, accepted: 1, rejected: 1, skipped: 1 })
    expect(stats.errors).toEqual([`line 2: ${reason}: ${detail}`])
    expect(rejects).toMatchObject([{ at: 2, unit: 'line', reason, detail }])
    expect(rejects[0]!.sample).toMatch(/^[\x20-\x7e]+$/)
  })

  test('a counter beyond 2^53 is unset, and told', () => {
    const [flow] = aws(
      v2(CLIENT, SERVER, '6 20 18446744073709551615 1418530010 1418530070 ACCEPT OK'),
    )
    expect(flow).toMatchObject({ orig_pkts: 20, anomalies: ['count_too_large'] })
    expect(flow).not.toHaveProperty('orig_ip_bytes')
  })

  test('an end before the start is no negative duration', () => {
    const [flow] = aws(v2(CLIENT, SERVER, '6 20 1 1418530010 1418530000 ACCEPT OK'))
    expect(flow).toMatchObject({
      duration: 0,
      end: 1_418_530_010_000_000,
      anomalies: ['negative_duration'],
    })
  })

  test('the coverage rows sum up the input', () => {
    const { coverage } = readLog('aws-vpc', [V2, v2(CLIENT, SERVER), 'x'].join('\n'))
    expect(coverage.map((row) => [row.metric, row.value])).toEqual([
      ['lines', 3],
      ['accepted', 1],
      ['rejected', 1],
      ['skipped', 1],
    ])
    expect(coverage[0]).toMatchObject({ ts: 1_418_530_010_000_000, end: 1_418_530_070_000_000 })
  })
})
