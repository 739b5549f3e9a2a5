// Packet stories and what a flow record says of them. A story is one packet a line:
//   time in seconds, direction (> from the originator), flags, sequence number, acknowledgement, payload bytes
import { describe, expect, test } from 'vitest'
import { run, type SeenFlow } from './capture-run.ts'
import { pcap, type Timed, tcp } from './packet-writer.ts'

const CLIENT = '10.0.0.1:40000'
const SERVER = '10.0.0.2:9999'
const T = 1_700_000_000e6

function packets(story: string, client = CLIENT, server = SERVER): Timed[] {
  return story
    .trim()
    .split('\n')
    .map((line) => {
      const [time, way, flags, seq, ack, size, window] = line.trim().split(/\s+/)
      const forth = way === '>'
      const bytes = tcp({
        from: forth ? client : server,
        to: forth ? server : client,
        flags: flags!,
        seq: Number(seq),
        ack: Number(ack ?? 0),
        data: 'x'.repeat(Number(size ?? 0)),
        window: Number(window ?? 1000),
      })
      return { time: T + Math.round(Number(time) * 1e6), bytes }
    })
}

function flows(story: string): SeenFlow[] {
  return run(pcap(packets(story))).flows
}

const HANDSHAKE = `
  0     > S  100
  0.1   < SA 500 101
  0.2   > A  101 501`

describe('conn_state and history', () => {
  const stories: [string, string, string, string][] = [
    ['an attempt without reply', '0 > S 100', 'S0', 'S'],
    ['a refused attempt', '0 > S 100\n 0.1 < RA 0 101', 'REJ', 'Sr'],
    ['a handshake, nothing more', HANDSHAKE, 'S1', 'ShA'],
    [
      'a normal connection',
      `${HANDSHAKE}
       0.3 > PA 101 501 10
       0.4 < PA 501 111 20
       0.5 > FA 111 521
       0.6 < FA 521 112
       0.7 > A 112 522`,
      'SF',
      'ShADdFf',
    ],
    ['a reset by the originator', `${HANDSHAKE}\n 0.5 > RA 101 501`, 'RSTO', 'ShAR'],
    ['a reset by the responder', `${HANDSHAKE}\n 0.5 < RA 501 101`, 'RSTR', 'ShAr'],
    ['a SYN, then a reset by the originator', '0 > S 100\n 0.1 > R 101', 'RSTOS0', 'SR'],
    ['a SYN, then a FIN', '0 > S 100\n 0.1 > F 101', 'SH', 'SF'],
    ['half a close by the originator', `${HANDSHAKE}\n 0.5 > FA 101 501`, 'S2', 'ShAF'],
    ['half a close by the responder', `${HANDSHAKE}\n 0.5 < FA 501 101`, 'S3', 'ShAf'],
    ['the middle of a connection', '0 > A 900 700 10\n 0.1 < A 700 910 10', 'OTH', 'Dd'],
    ['SYN and FIN at once', '0 > SF 100', 'SH', 'Q'],
    ['FIN and RST at once', `${HANDSHAKE}\n 0.5 > FR 101`, 'RSTO', 'ShAI'],
    ['a zero window', `${HANDSHAKE}\n 0.5 < A 501 101 0 0`, 'S1', 'ShAaw'],
    [
      'retransmissions, told at the 1st and the 10th',
      `${HANDSHAKE}\n${'0.5 > PA 101 501 10\n'.repeat(11)}`,
      'S1',
      'ShADTT',
    ],
  ]
  test.each(stories)('%s', (_, story, state, history) => {
    const seen = flows(story)
    expect(seen).toHaveLength(1)
    expect([seen[0]!.state, seen[0]!.history]).toEqual([state, history])
  })
})

describe('payload bytes', () => {
  test('come from sequence numbers: a retransmission counts once, a gap counts', () => {
    const [flow] = flows(`${HANDSHAKE}
      0.3 > PA 101 501 10
      0.4 > PA 101 501 10
      0.5 > PA 121 501 10
      0.6 < A  501 131`)
    expect(flow).toMatchObject({ origBytes: 30, respBytes: 0, missed: 10, origPackets: 5 })
    expect(flow!.history).toBe('ShADTaG')
  })

  test('of a segment out of order are no gap when the hole is filled in time', () => {
    const [flow] = flows(`${HANDSHAKE}
      0.3 > PA 111 501 10
      0.4 > PA 101 501 10
      0.5 < A  501 121`)
    expect(flow).toMatchObject({ origBytes: 20, missed: 0 })
  })

  test('go on beyond 4 GB, where sequence numbers begin anew', () => {
    let story = HANDSHAKE
    let seq = 101
    for (let i = 0; i < 6; i++) {
      seq = (seq + 1_000_000_000) % 2 ** 32
      story += `\n 0.${3 + i} < A 501 ${seq}\n 0.${3 + i} > PA ${seq} 501 1`
    }
    expect(flows(story)[0]!.origBytes).toBe(6_000_000_001)
  })
})

describe('how long a connection lasts', () => {
  test('to the packet that closed it; what trails is counted all the same', () => {
    const [flow] = flows(`${HANDSHAKE}
      1 > FA 101 501
      2 < FA 501 102
      4 > A  102 502`)
    expect(flow).toMatchObject({ duration: 2, origPackets: 4, endReason: 'input_end' })
  })

  test('an attempt is over after 5 s: a later SYN is another', () => {
    const seen = flows('0 > S 100\n 3 > S 100\n 6 > S 100')
    expect(seen.map((flow) => [flow.origPackets, flow.endReason])).toEqual([
      [2, 'attempt'],
      [1, 'input_end'],
    ])
    expect(seen[0]!.decidedAt).toBe(T + 5e6)
  })

  test('a closed connection is over 5 s later', () => {
    const seen = flows(`${HANDSHAKE}
      1 > FA 101 501
      1 < FA 501 102
      7 > A  102 502`)
    expect(seen.map((flow) => flow.endReason)).toEqual(['end', 'input_end'])
  })

  test('an open one after 300 s of silence, not before', () => {
    expect(flows(`${HANDSHAKE}\n 300 > A 101 501`)).toHaveLength(1)
    expect(flows(`${HANDSHAKE}\n 300.3 > A 101 501`)).toHaveLength(2)
  })

  test('a new SYN with another number on the same ports begins another', () => {
    const seen = flows(`${HANDSHAKE}\n 0.5 < RA 501 101\n 0.6 > S 7000\n 0.7 < SA 9000 7001`)
    expect(seen.map((flow) => flow.state)).toEqual(['RSTR', 'S1'])
    expect(new Set(seen.map((flow) => flow.uid)).size).toBe(2)
  })

  test('two connections of one moment have two ids', () => {
    const seen = flows('0 > S 100\n 0 > S 200\n 0 > S 300')
    expect(new Set(seen.map((flow) => flow.uid)).size).toBe(3)
  })
})

describe('who is the originator', () => {
  const midway = (client: string, server: string) =>
    run(pcap(packets('0 < A 700 900 10', client, server))).flows[0]!

  test('the sender of a SYN, for sure', () => {
    expect(flows('0 > S 100')[0]).toMatchObject({ orig: CLIENT, resp: SERVER, sure: true })
  })

  test('in the middle, the side without a server port; told by ^, and not sure', () => {
    const flow = midway('10.0.0.1:40000', '10.0.0.2:443')
    expect(flow).toMatchObject({ orig: '10.0.0.1:40000', history: '^d', sure: false })
  })

  test('in the middle without a server port, the first sender; not sure', () => {
    expect(midway('10.0.0.1:40000', '10.0.0.2:50000')).toMatchObject({
      orig: '10.0.0.2:50000',
      history: 'D',
      sure: false,
    })
  })

  test('the sender of the SYN also if the SYN+ACK was captured before it', () => {
    const [flow] = flows('0 < SA 500 101\n 0 > S 100\n 0.2 > A 101 501')
    expect(flow).toMatchObject({ orig: CLIENT, origPackets: 2, respPackets: 1, state: 'S1' })
  })
})

describe('the deciding moment', () => {
  test("is the originator's first payload without a name", () => {
    const [flow] = flows(
      `${HANDSHAKE}\n 0.3 > A 101 501\n 0.4 > PA 101 501 30\n 0.5 > PA 131 501 30`,
    )
    expect(flow).toMatchObject({
      decidedBy: 'no_name',
      decidedAt: T + 400_000,
      handshake: 'completed',
    })
  })

  test('is the third packet without payload after the handshake', () => {
    const [flow] = flows(`${HANDSHAKE}
      1 > A 101 501
      2 < A 501 101
      3 > A 101 501
      4 > PA 101 501 30`)
    expect(flow).toMatchObject({ decidedBy: 'silent', decidedAt: T + 3e6 })
  })

  test('is the refusal', () => {
    const [flow] = flows('0 > S 100\n 0.1 < RA 0 101')
    expect(flow).toMatchObject({
      decidedBy: 'refused',
      decidedAt: T + 100_000,
      handshake: 'refused',
    })
  })

  test('is the end, if nothing came before it', () => {
    expect(flows('0 > S 100\n 1 < SA 500 101')[0]).toMatchObject({
      decidedBy: 'end',
      decidedAt: T + 1e6,
      handshake: 'answered',
    })
    expect(flows('0 > A 900 700\n 1 > A 900 700')[0]).toMatchObject({ handshake: 'unseen' })
  })
})

describe('packets with a wrong checksum', () => {
  const story = packets(`${HANDSHAKE}\n 0.3 > PA 101 501 10`)
  const damaged = story.map((packet, i) => {
    const bytes = Uint8Array.from(packet.bytes)
    if (i === 3) bytes[bytes.length - 1]! ^= 1
    return { ...packet, bytes }
  })

  test('are counted unless asked otherwise', () => {
    expect(run(pcap(damaged)).flows[0]).toMatchObject({ origPackets: 3, history: 'ShAD' })
  })

  test('are left out if asked, which history and coverage tell', () => {
    const result = run(pcap(damaged), { verifyChecksums: true })
    expect(result.flows[0]).toMatchObject({ origPackets: 2, history: 'ShAC' })
    expect(result.coverage.get('parse_error.tcp_checksum')).toBe(1)
  })
})
