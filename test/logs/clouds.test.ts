import { describe, expect, test } from 'vitest'
import { readLog } from './read-log.ts'

describe('CloudWatch subscriptions', () => {
  const V2 =
    '2 123456789010 eni-1 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK'
  const message = (...lines: string[]) =>
    JSON.stringify({
      messageType: 'DATA_MESSAGE',
      logEvents: lines.map((text, id) => ({ id, message: text })),
    })

  test('every log event is a line', () => {
    const { flows, stats } = readLog(
      'aws-cloudwatch',
      `${message(V2, V2.replace('20641', '20642'))}\n${message('2 x')}`,
    )
    expect(flows.map((flow) => flow.orig_p)).toEqual([20641, 20642])
    expect(stats).toMatchObject({ lines: 3, accepted: 2, rejected: 1, skipped: 0 })
    expect(stats.errors).toEqual(['line 2: field_count: 2 fields, the format has 14'])
  })

  test('control messages are skipped, other objects rejected', () => {
    const control = JSON.stringify({
      messageType: 'CONTROL_MESSAGE',
      logEvents: [{ message: 'test' }],
    })
    const { stats } = readLog('aws-cloudwatch', `${control}{"a":1}`)
    expect(stats).toMatchObject({ lines: 2, skipped: 1, rejected: 1 })
  })
})

const GCP = {
  jsonPayload: {
    reporter: 'SRC',
    bytes_sent: '19680',
    packets_sent: '60',
    start_time: '2025-09-27T21:12:57.083366649Z',
    end_time: '2025-09-27T21:12:58.512821056Z',
    src_instance: { vm_name: 'web-1', project_id: 'shop' },
    connection: {
      dest_port: 52388,
      src_ip: '10.0.0.2',
      src_port: 22,
      dest_ip: '203.0.113.2',
      protocol: 6,
    },
  },
}

describe('GCP', () => {
  test('one direction; what was sent by the server fills the responder; bytes are payload', () => {
    const [flow] = readLog('gcp-vpc', JSON.stringify(GCP)).flows
    expect(flow).toMatchObject({
      source_kind: 'gcp',
      vantage: 'shop/web-1',
      interface_id: '',
      ts: 1_759_007_577_083_366,
      end: 1_759_007_578_512_821,
      orig_h: '203.0.113.2',
      orig_p: 52388,
      resp_h: '10.0.0.2',
      resp_p: 22,
      resp_pkts: 60,
      resp_bytes: 19680,
      rec_no: 1,
      direction_sure: 0,
    })
    expect(flow).not.toHaveProperty('resp_ip_bytes')
  })

  test.each([
    ['lines', (entry: string) => `${entry}\n${entry}\n`],
    ['an array', (entry: string) => `[\n${entry},\n${entry}\n]\n`],
    [
      'indented',
      (entry: string) =>
        `[${JSON.stringify([JSON.parse(entry), JSON.parse(entry)], null, 2).slice(1)}`,
    ],
    ['one after another', (entry: string) => entry + entry],
  ])('entries as %s', (_, wrap) => {
    const { flows, stats } = readLog('gcp-vpc', wrap(JSON.stringify(GCP)), {}, 7)
    expect(flows).toHaveLength(2)
    expect(stats).toMatchObject({ lines: 2, accepted: 2, errors: [] })
  })

  test('other logs of the project are skipped, bad entries rejected with their line', () => {
    const bad = JSON.parse(JSON.stringify(GCP)) as typeof GCP
    bad.jsonPayload.connection.dest_ip = 'example.com'
    const { stats } = readLog(
      'gcp-vpc',
      `{"textPayload":"x"}\n${JSON.stringify(bad)}\n{"jsonPayload":\n${JSON.stringify(GCP)}\n`,
    )
    expect(stats).toMatchObject({ lines: 4, accepted: 1, rejected: 2, skipped: 1 })
    expect(stats.errors).toEqual([
      'line 2: bad_field: src_ip and dest_ip are not addresses',
      'line 3: bad_json: not a JSON object',
    ])
  })
})

const nsg = (...flowTuples: string[]) => ({
  category: 'NetworkSecurityGroupFlowEvent',
  properties: { Version: 2, flows: [{ rule: 'r', flows: [{ mac: '000D3AF87856', flowTuples }] }] },
})
const vnet = (...flowTuples: string[]) => ({
  macAddress: '0022487bC205',
  flowRecords: { flows: [{ aclID: 'a', flowGroups: [{ rule: 'r', flowTuples }] }] },
})

describe('Azure', () => {
  test('a security group tuple: seconds, letters for protocols, both directions', () => {
    const [flow] = readLog(
      'azure-flow',
      JSON.stringify(nsg('1542110379,10.0.0.4,13.67.143.118,44931,443,T,O,A,E,25,1500,30,45000')),
    ).flows
    expect(flow).toMatchObject({
      source_kind: 'azure',
      ts: 1_542_110_379_000_000,
      orig_h: '10.0.0.4',
      resp_h: '13.67.143.118',
      ip_proto: 6,
      orig_pkts: 25,
      orig_ip_bytes: 1500,
      resp_pkts: 30,
      resp_ip_bytes: 45000,
      action: 'ACCEPT',
      handshake: 'completed',
      interface_id: '000D3AF87856',
      interface_side: 'orig',
      direction_sure: 1,
    })
  })

  test('a virtual network tuple: milliseconds, protocol numbers; a denied one is refused', () => {
    const [udp, denied] = readLog(
      'azure-flow',
      JSON.stringify(
        vnet(
          '1663146003606,10.0.0.4,10.0.0.5,36776,53,17,I,E,NX,22,2217,33,0',
          '1663146003606,10.0.0.4,10.0.0.5,36777,445,6,O,D,NX,0,0,0,0',
        ),
      ),
    ).flows
    expect(udp).toMatchObject({
      ts: 1_663_146_003_606_000,
      ip_proto: 17,
      interface_side: 'resp',
      handshake: 'completed',
    })
    expect(denied).toMatchObject({ action: 'REJECT', handshake: 'refused' })
  })

  test('begin, continue and end are records of one flow; a begin has no counters', () => {
    const tuple = (time: number, rest: string) =>
      `${time},10.0.0.4,10.0.0.5,36776,443,T,O,A,${rest}`
    const { flows } = readLog(
      'azure-flow',
      JSON.stringify(
        {
          records: [
            nsg(tuple(100, 'B,,,,'), tuple(160, 'C,1,60,2,120')),
            nsg(tuple(220, 'E,3,180,4,240')),
            nsg(tuple(221, 'B,,,,')),
          ],
        },
        null,
        1,
      ),
      {},
      11,
    )
    expect(flows.map((flow) => [flow.rec_no, flow.orig_pkts, flow.ts, flow.end])).toEqual([
      [0, undefined, 100e6, 100e6],
      [1, 1, 100e6, 160e6],
      [2, 3, 100e6, 220e6],
      [0, undefined, 221e6, 221e6],
    ])
    expect(new Set(flows.map((flow) => flow.flow_id)).size).toBe(2)
  })

  test('bad tuples are rejected one by one', () => {
    const { flows, stats } = readLog(
      'azure-flow',
      JSON.stringify(
        nsg(
          'x',
          '1,10.0.0.4,nowhere,1,2,T,O,A',
          '1542110379,10.0.0.4,10.0.0.5,44931,443,T,O,A,B,,,,',
          '1,10.0.0.4,10.0.0.5,1,2,T,O,A,E,-5,,,',
        ),
      ),
    )
    expect(flows).toHaveLength(1)
    expect(stats).toMatchObject({ lines: 4, accepted: 1, rejected: 3 })
  })
})

test('text around and a cut end cost only themselves', () => {
  const entry = JSON.stringify(GCP)
  const { flows, stats } = readLog(
    'gcp-vpc',
    `garbage here\n${entry}\n${entry.slice(0, 90)}`,
    {},
    5,
  )
  expect(flows).toHaveLength(1)
  expect(stats.errors).toEqual([
    'line 1: not_json: not a JSON object',
    'line 3: cut: the input ends inside this object',
  ])
})
