import { describe, expect, test } from 'vitest'
import { flowIdOfUid } from '../../src/flow-id.ts'
import { formatUuid } from '../../src/hash.ts'
import { type Row, readLog } from './read-log.ts'
import { CONN_ROW, type ZeekFields, zeekHeader, zeekTsv } from './zeek-writer.ts'

function conn(...rows: ZeekFields[]): Row[] {
  const { flows, stats } = readLog(
    'zeek-tsv',
    zeekTsv(
      'conn',
      rows.map((row) => ({ ...CONN_ROW, ...row })),
    ),
  )
  expect(stats.errors).toEqual([])
  return flows
}

test('a connection row is a flow record, its direction as Zeek says', () => {
  const [flow] = conn({})
  const id = new Uint8Array(16)
  flowIdOfUid('lab', 'CHhAvVGS1DHFjwGM9', id, 0)
  expect(flow).toMatchObject({
    flow_id: formatUuid(id),
    rec_no: 0,
    uid: 'CHhAvVGS1DHFjwGM9',
    sensor: 'lab',
    source_kind: 'zeek',
    ts: 1_517_336_042_090_842,
    end: 1_517_336_045_091_000,
    duration: 3.000158,
    orig_h: '10.55.182.100',
    orig_p: 14291,
    resp_h: '93.184.216.34',
    resp_p: 443,
    ip_proto: 6,
    service: 'ssl',
    orig_bytes: 517,
    resp_bytes: 4096,
    missed_bytes: 0,
    orig_pkts: 9,
    orig_ip_bytes: 897,
    resp_pkts: 8,
    resp_ip_bytes: 4424,
    conn_state: 'SF',
    history: 'ShADadFf',
    direction_sure: 1,
    handshake: 'completed',
    decided_by: 'reported',
    decided_at: 1_517_336_042_090_842,
    end_reason: 'reported',
    tunnel_parents: [],
    anomalies: [],
  })
  expect(flow!.community_id).toMatch(/^1:.{28}$/)
})

describe('values', () => {
  test('unset is not zero', () => {
    const [flow] = conn({
      duration: undefined,
      orig_bytes: undefined,
      resp_bytes: undefined,
      service: undefined,
    })
    for (const column of ['duration', 'orig_bytes', 'resp_bytes'])
      expect(flow).not.toHaveProperty(column)
    expect(flow).toMatchObject({ service: '', end: flow!.ts, orig_pkts: 9 })
  })

  test('a real `-` is escaped by Zeek and is not unset; reserved tokens are compared before unescaping', () => {
    expect(conn({ service: '-' })[0]!.service).toBe('-')
    expect(conn({ service: '(empty)' })[0]!.service).toBe('(empty)')
  })

  test('a set is split before its elements are unescaped', () => {
    const [flow] = conn({ tunnel_parents: ['Ca,b', 'C2', 'C\\x'] })
    expect(flow!.tunnel_parents).toEqual(['Ca,b', 'C2', 'C\\\\x'])
    expect(conn({ tunnel_parents: [] })[0]!.tunnel_parents).toEqual([])
  })

  test('UTF-8 is kept, control characters are not', () => {
    expect(conn({ service: 'é\u0007' })[0]!.service).toBe('é\\x07')
  })

  test.each([
    ['tcp', undefined, '10.0.0.1', 6],
    ['udp', undefined, '10.0.0.1', 17],
    ['icmp', undefined, '10.0.0.1', 1],
    ['icmp', undefined, 'fe80::1', 58],
    ['unknown_transport', 47, '10.0.0.1', 47],
    ['unknown_transport', undefined, '10.0.0.1', 0],
    ['sctp', undefined, '10.0.0.1', 132],
  ])('proto %s with ip_proto %s from %s is %d', (proto, ip_proto, host, number) => {
    const [flow] = conn({ proto, ip_proto, 'id.orig_h': host, 'id.resp_h': host })
    expect(flow!.ip_proto).toBe(number)
  })

  test('VLANs, a given Community ID, and counters beyond 2^53', () => {
    const [flow] = conn({
      vlan: 12,
      inner_vlan: 7,
      community_id: '1:given',
      orig_bytes: '18446744073709551615',
    })
    expect(flow).toMatchObject({
      vlan: 12,
      inner_vlan: 7,
      community_id: '1:given',
      anomalies: ['count_too_large'],
    })
    expect(flow).not.toHaveProperty('orig_bytes')
  })

  test('ICMP keeps type and code in the place of ports', () => {
    const [flow] = conn({
      proto: 'icmp',
      'id.orig_p': 8,
      'id.resp_p': 0,
      conn_state: 'OTH',
      history: undefined,
    })
    expect(flow).toMatchObject({ orig_p: 8, resp_p: 0, direction_sure: 1 })
  })
})

describe('states', () => {
  test.each([
    ['SF', 'completed', 1],
    ['S1', 'completed', 1],
    ['S2', 'completed', 1],
    ['S3', 'completed', 1],
    ['RSTO', 'completed', 1],
    ['RSTR', 'completed', 1],
    ['REJ', 'refused', 1],
    ['S0', 'unanswered', 1],
    ['RSTOS0', 'unanswered', 1],
    ['SH', 'unanswered', 1],
    ['SHR', 'unseen', 0],
    ['RSTRH', 'unseen', 0],
    ['OTH', 'unseen', 0],
  ])('%s: handshake %s, direction sure %d', (conn_state, handshake, direction_sure) => {
    expect(conn({ conn_state, history: 'S' })[0]).toMatchObject({ handshake, direction_sure })
  })

  test('a flipped connection is not sure', () => {
    expect(conn({ history: '^hADaFf' })[0]).toMatchObject({ direction_sure: 0, history: '^hADaFf' })
  })
})

describe('headers', () => {
  const fields = Object.keys(CONN_ROW)

  test('columns are found by name, in any order, also after a header in the middle', () => {
    const turned = Object.fromEntries(Object.entries(CONN_ROW).reverse())
    const text =
      zeekTsv('conn', [CONN_ROW]) + zeekTsv('conn', [{ ...turned, uid: 'C2', 'id.resp_p': 80 }])
    const { flows, stats } = readLog('zeek-tsv', text)
    expect(flows.map((flow) => [flow.uid, flow.resp_p])).toEqual([
      ['CHhAvVGS1DHFjwGM9', 443],
      ['C2', 80],
    ])
    expect(stats).toMatchObject({ lines: 20, accepted: 2, skipped: 18, rejected: 0 })
  })

  test('the header decides on separators and on what unset and empty look like', () => {
    const text = zeekTsv('conn', [
      { ...CONN_ROW, service: undefined, tunnel_parents: ['C1', 'C2'] },
    ])
      .replace('\\x09', '\\x7c')
      .replaceAll('\t', '|')
      .replace('#unset_field|-', '#unset_field|NULL')
      .replace('#set_separator|,', '#set_separator|;')
      .replace('|tcp|-|', '|tcp|NULL|')
      .replace('C1,C2', 'C1;C2')
    const { flows, stats } = readLog('zeek-tsv', text)
    expect(stats.errors).toEqual([])
    expect(flows[0]).toMatchObject({ service: '', tunnel_parents: ['C1', 'C2'], resp_p: 443 })
  })

  test('one bare header line is enough (tsv=T), and may come again', () => {
    const row = zeekTsv('conn', [CONN_ROW]).split('\n').at(-3)!
    const text = [fields.join('\t'), row, fields.join('\t'), row].join('\n')
    const { flows, stats } = readLog('zeek-tsv', text)
    expect(flows).toHaveLength(2)
    expect(stats).toMatchObject({ lines: 4, accepted: 2, skipped: 2 })
  })

  test('rows without a header are rejected, aloud', () => {
    const row = zeekTsv('conn', [CONN_ROW]).split('\n').at(-3)!
    const { flows, stats } = readLog('zeek-tsv', `${row}\n`)
    expect(flows).toEqual([])
    expect(stats).toMatchObject({ rejected: 1, broken: true })
    expect(stats.errors[0]).toMatch(/no #fields line/)
  })

  test('a connection log with renamed columns is refused by name', () => {
    const text = zeekTsv('conn', [CONN_ROW])
      .replace('id.orig_h', 'src_ip')
      .replace('id.resp_h', 'dst_ip')
    const { stats } = readLog('zeek-tsv', text)
    expect(stats).toMatchObject({ rejected: 1, accepted: 0, broken: true })
    expect(stats.errors[0]).toBe(
      'line 9: missing_columns: a connection log without id.orig_h, id.resp_h',
    )
  })

  test('rows of other streams are skipped', () => {
    const text = zeekHeader('dns', ['ts', 'uid', 'query']) + '1517336042.0\tC1\texample.com\n'
    expect(readLog('zeek-tsv', text).stats).toMatchObject({ accepted: 0, rejected: 0, skipped: 9 })
  })

  test('a path made by a filter is still a connection log, by its columns', () => {
    for (const path of ['conn-2', 'conntimelast', 'local'])
      expect(readLog('zeek-tsv', zeekTsv(path, [CONN_ROW])).flows).toHaveLength(1)
  })

  test('a file cut in its last line keeps what was before it', () => {
    const text = zeekTsv('conn', [CONN_ROW, { ...CONN_ROW, uid: 'C2' }]).split('#close')[0]!
    const { flows, stats } = readLog('zeek-tsv', text.slice(0, -20))
    expect(flows).toHaveLength(1)
    expect(stats).toMatchObject({ lines: 10, accepted: 1, rejected: 1, skipped: 8 })
  })
})

test.each([
  [{ ts: 'XXXXXXXXXX.XXXXXX' }, 'bad_time'],
  [{ 'id.orig_h': 'nowhere' }, 'bad_address'],
  [{ 'id.resp_p': 65536 }, 'bad_field'],
  [{ orig_pkts: -1 }, 'bad_field'],
  [{ duration: 'long' }, 'bad_field'],
])('a row with %j is rejected as %s', (fields, reason) => {
  const { flows, rejects, stats } = readLog(
    'zeek-tsv',
    zeekTsv('conn', [{ ...CONN_ROW, ...fields }, CONN_ROW]),
  )
  expect(flows).toHaveLength(1)
  expect(rejects).toMatchObject([{ at: 9, reason, unit: 'line', source_kind: 'zeek' }])
  expect(stats).toMatchObject({ lines: 11, accepted: 1, rejected: 1, skipped: 9 })
})
