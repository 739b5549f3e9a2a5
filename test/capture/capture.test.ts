import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyCapture, T } from './any-capture.ts'
import { packetsInFlows, run } from './capture-run.ts'
import { DnsWriter } from './dns-story.ts'
import { icmp, pcap, type Timed, tcp, udp } from './packet-writer.ts'

const at = (seconds: number, bytes: Uint8Array): Timed => ({ time: T + seconds * 1e6, bytes })

describe('any capture', () => {
  test('has every packet in a flow or in a count that says why not', () => {
    fc.assert(
      fc.property(anyCapture, fc.boolean(), (file, verifyChecksums) => {
        const result = run(file, { verifyChecksums })
        let apart = 0
        for (const [metric, value] of result.coverage)
          if (metric === 'not_ip' || metric.startsWith('parse_error.')) apart += value
        expect(packetsInFlows(result) + apart).toBe(result.stats.packets)
        expect(result.coverage.get('packets') ?? 0).toBe(result.stats.packets)
      }),
    )
  })

  test('gives equal chunks under any two seeds, in any pieces', () => {
    const seed = fc.array(fc.integer(), { minLength: 4, maxLength: 4 })
    fc.assert(
      fc.property(anyCapture, seed, fc.integer({ min: 1, max: 99 }), (file, other, piece) => {
        const { chunks } = run(file)
        expect(run(file, { seed: other, pieces: [piece] }).chunks).toEqual(chunks)
      }),
      { numRuns: 40 },
    )
  })

  test('has no duration below zero and no number that is none', () => {
    fc.assert(
      fc.property(anyCapture, (file) => {
        for (const flow of run(file).flows) {
          expect(flow.duration ?? 0).toBeGreaterThanOrEqual(0)
          for (const value of [flow.origBytes ?? 0, flow.respBytes ?? 0, flow.missed, flow.ts])
            expect(value >= 0 && Number.isSafeInteger(value)).toBe(true)
          expect(flow.decidedBy).not.toBe('')
          expect(flow.decidedAt).toBeGreaterThanOrEqual(0)
        }
      }),
    )
  })
})

describe('time', () => {
  const ping = udp('10.0.0.1:5000', '10.0.0.2:6000', [1])

  test('that jumps forward ends all flows at once; each packet is a flow of its own', () => {
    const { flows } = run(pcap([at(0, ping), at(1e7, ping), at(1e8, ping)]))
    expect(flows.map((flow) => flow.endReason)).toEqual(['timeout', 'timeout', 'input_end'])
  })

  test('that goes back a little is no new flow and no negative duration', () => {
    const { flows } = run(pcap([at(10, ping), at(9, ping)]))
    expect(flows).toHaveLength(1)
    expect(flows[0]).toMatchObject({ duration: undefined, anomalies: ['time_went_back'] })
  })

  test('that goes back far is counted, and the flows go on', () => {
    const { flows, coverage } = run(pcap([at(1e6, ping), at(0, ping), at(30, ping)]))
    expect(flows).toHaveLength(1)
    expect(flows[0]!.origPackets).toBe(3)
    expect(coverage.get('clock_jump.back')).toBe(1)
  })

  test('of 61 s between datagrams is two flows, of 59 s one', () => {
    expect(run(pcap([at(0, ping), at(59, ping)])).flows).toHaveLength(1)
    expect(run(pcap([at(0, ping), at(61, ping)])).flows).toHaveLength(2)
  })

  test('is covered per ten minutes', () => {
    const result = run(pcap([at(0, ping), at(1000, ping), at(1001, ping)]))
    expect(result.coverage.get('packets')).toBe(3)
  })
})

describe('a full table', () => {
  const scan = Array.from({ length: 300 }, (_, i) =>
    at(i / 1000, udp(`10.1.${i >> 8}.${i & 255}:1000`, '10.0.0.2:6000', [1])),
  )

  test('evicts, counts it and loses no packet', () => {
    const result = run(pcap(scan), { flowsMax: 100 })
    expect(result.flows).toHaveLength(300)
    expect(packetsInFlows(result)).toBe(300)
    expect(result.coverage.get('evicted.unestablished')).toBe(200)
    expect(result.flows.filter((flow) => flow.endReason === 'evicted')).toHaveLength(200)
  })

  test('keeps who was answered before who was not', () => {
    const talk = [
      at(0, udp('10.0.0.1:1', '10.0.0.2:9999', [1])),
      at(0, udp('10.0.0.2:9999', '10.0.0.1:1', [1])),
    ]
    const result = run(pcap([...talk, ...scan.map((p) => ({ ...p, time: p.time + 1e6 }))]), {
      flowsMax: 100,
    })
    const kept = result.flows.find((flow) => flow.respPackets > 0)
    expect(kept!.endReason).toBe('input_end')
  })
})

describe('names', () => {
  const dns = new DnsWriter('10.0.0.1', '10.0.0.53')
  const hello = [
    at(1, tcp({ from: '10.0.0.1:40000', to: '192.0.2.7:80', flags: 'S', seq: 0 })),
    at(1.1, tcp({ from: '192.0.2.7:80', to: '10.0.0.1:40000', flags: 'SA', seq: 0, ack: 1 })),
    at(1.2, tcp({ from: '10.0.0.1:40000', to: '192.0.2.7:80', flags: 'A', seq: 1, ack: 1 })),
  ]
  const send = (seconds: number, seq: number, data: string) =>
    at(seconds, tcp({ from: '10.0.0.1:40000', to: '192.0.2.7:80', flags: 'PA', seq, ack: 1, data }))
  const web = (result: ReturnType<typeof run>) =>
    result.flows.find((flow) => flow.resp === '192.0.2.7:80')!

  test('from the payload, confirmed by what this client was told', () => {
    const answer = at(0.5, dns.answer('api.example.com', '192.0.2.7'))
    const request = send(2, 1, 'GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n')
    expect(web(run(pcap([answer, ...hello, request])))).toMatchObject({
      name: 'api.example.com',
      nameSource: 'http_host',
      nameProof: 'confirmed',
      dnsNames: ['api.example.com'],
      decidedBy: 'name',
      handshake: 'completed',
      service: 'http',
    })
  })

  test('that DNS gave to other addresses are contradicted', () => {
    const answer = at(0.5, dns.answer('api.example.com', '192.0.2.99'))
    const request = send(2, 1, 'GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n')
    expect(web(run(pcap([answer, ...hello, request]))).nameProof).toBe('contradicted')
  })

  test('that arrive in pieces, the last one first, are put together', () => {
    const head = 'GET / HTTP/1.1\r\nHost: '
    const rest = 'api.example.com\r\n\r\n'
    const result = run(pcap([...hello, send(2, 1 + head.length, rest), send(3, 1, head)]))
    expect(web(result)).toMatchObject({ name: 'api.example.com', decidedAt: T + 3e6 })
  })

  test('of a payload without one come from DNS, if it was asked before', () => {
    const answer = at(0.5, dns.answer('db.example.com', '192.0.2.7'))
    expect(web(run(pcap([answer, ...hello, send(2, 1, '\u0001\u0002\u0003')])))).toMatchObject({
      name: 'db.example.com',
      nameSource: 'dns',
      decidedBy: 'no_name',
    })
    const late = at(5, dns.answer('db.example.com', '192.0.2.7'))
    expect(web(run(pcap([...hello, send(2, 1, '\u0001\u0002'), late]))).name).toBe('')
  })

  test('are frozen: another one later is an anomaly', () => {
    const one = 'GET / HTTP/1.1\r\nHost: one.example.com\r\n\r\n'
    const two = 'GET / HTTP/1.1\r\nHost: two.example.com\r\n\r\n'
    const result = run(pcap([...hello, send(2, 1, one), send(3, 1 + one.length, two)]))
    expect(web(result)).toMatchObject({ name: 'one.example.com', anomalies: ['name_changed'] })
  })
})

describe('ICMP', () => {
  test('request and reply are one flow, with type and counterpart as ports', () => {
    const { flows } = run(
      pcap([at(0, icmp('10.0.0.1', '10.0.0.2', 8, 0)), at(1, icmp('10.0.0.2', '10.0.0.1', 0, 0))]),
    )
    expect(flows).toMatchObject([
      { orig: '10.0.0.1:8', resp: '10.0.0.2:0', origPackets: 1, respPackets: 1, state: 'OTH' },
    ])
  })

  test('port unreachable refuses the flow that it speaks of', () => {
    const attempt = tcp({ from: '10.0.0.1:40000', to: '10.0.0.2:81', flags: 'S', seq: 5 })
    const refusal = icmp('10.0.0.2', '10.0.0.1', 3, 3, attempt.slice(0, 28))
    const { flows } = run(pcap([at(0, attempt), at(0.2, refusal)]))
    const refused = flows.find((flow) => flow.protocol === 6)
    expect(refused).toMatchObject({ decidedBy: 'refused', decidedAt: T + 200_000 })
    expect(flows.find((flow) => flow.protocol === 1)).toMatchObject({ orig: '10.0.0.2:3' })
  })
})
