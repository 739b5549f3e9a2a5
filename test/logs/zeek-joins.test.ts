import { describe, expect, test } from 'vitest'
import { ChunkWriter, chunkPart, decodeChunk } from '../../src/chunk.ts'
import { type LogFormat, ZeekJoins, zeekJoinDecoder } from '../../src/logs/logs.ts'
import type { NameClaim } from '../../src/logs/zeek-joins.ts'
import { pushAll, type Row, readLog } from './read-log.ts'
import { CONN_ROW, type ZeekFields, zeekJson, zeekTsv } from './zeek-writer.ts'

const ORIGIN = { sensor: 'lab', origin: 'lab/0' }

/** For logs that are read for their names alone. */
const nowhere = (format: LogFormat) => new ChunkWriter({ ...ORIGIN, format }, () => {})

type Stream = 'ssl' | 'dns' | 'http' | 'quic'

/** Reads rows of other logs, then one connection; both as TSV or as JSON. */
function named(
  logs: Partial<Record<Stream, ZeekFields[]>>,
  conn: ZeekFields = {},
  format: LogFormat = 'zeek-tsv',
): Row {
  const joins = new ZeekJoins()
  const write = (path: string, rows: ZeekFields[]) =>
    format === 'zeek-tsv' ? zeekTsv(path, rows) : zeekJson(rows)
  for (const [stream, rows] of Object.entries(logs)) {
    const decoder = zeekJoinDecoder(stream as Stream, format, joins, nowhere(format))
    pushAll(decoder, Buffer.from(write(stream, rows)), 13)
    expect(decoder.stats.errors).toEqual([])
    expect(decoder.stats.accepted).toBeGreaterThanOrEqual(1)
    expect(decoder.stats.accepted + decoder.stats.skipped).toBe(decoder.stats.lines)
  }
  const { flows, stats } = readLog(format, write('conn', [{ ...CONN_ROW, ...conn }]), { joins })
  expect(stats.errors).toEqual([])
  return flows[0]!
}

const { ts, uid } = CONN_ROW
const SSL = {
  ts,
  uid,
  cipher: 'TLS_AES_128_GCM_SHA256',
  server_name: 'API.Example.com',
  next_protocol: 'h2',
  ja3: 'j3',
  ja4: 'j4',
}
const HTTP = {
  ts,
  uid,
  trans_depth: 1,
  method: 'GET',
  host: 'www.example.com:8080',
  user_agent: 'curl/8.1',
  username: 'bob',
  proxied: undefined,
}

/** Answers 2 s before the connection. */
const DNS = {
  ts: '1517336040.000000',
  uid: 'CDNS',
  'id.orig_h': CONN_ROW['id.orig_h'],
  'id.orig_p': 5000,
  'id.resp_h': '10.55.182.1',
  'id.resp_p': 53,
  trans_id: 7,
  query: 'api.example.com',
  answers: ['edge.cdn.net', CONN_ROW['id.resp_h'], '93.184.216.35'],
  TTLs: ['300.000000', '60.000000', '60.000000'],
}

describe.each(['zeek-tsv', 'zeek-json'] as const)('%s', (format) => {
  test('a server name of ssl.log, in one form, with fingerprints', () => {
    expect(named({ ssl: [SSL] }, {}, format)).toMatchObject({
      server_name: 'api.example.com',
      name_source: 'sni',
      name_proof: 'unconfirmed',
      ja3: 'j3',
      ja4: 'j4',
      alpn: 'h2',
    })
  })

  test('a name of quic.log', () => {
    const quic = [
      { ts, uid, client_initial_dcid: 'aa', server_name: 'q.example.com', client_protocol: 'h3' },
    ]
    expect(named({ quic }, {}, format)).toMatchObject({
      server_name: 'q.example.com',
      name_source: 'quic_sni',
      alpn: 'h3',
    })
  })

  test('the host of http.log without its port; a user of the server is no user of a proxy', () => {
    expect(named({ http: [HTTP] }, {}, format)).toMatchObject({
      server_name: 'www.example.com',
      name_source: 'http_host',
      user_agent: 'curl/8.1',
      proxy_user: '',
    })
  })

  test('CONNECT names the real destination, and its user is that of a proxy', () => {
    const http = [{ ...HTTP, method: 'CONNECT', host: 'api.example.com:443' }]
    expect(named({ ssl: [{ ...SSL, ts: '1517336042.000000' }], http }, {}, format)).toMatchObject({
      server_name: 'api.example.com',
      name_source: 'connect',
      proxy_user: 'bob',
      ja4: 'j4',
      anomalies: [],
    })
  })

  test('DNS: aliases lead to the name asked for; a payload name is confirmed by it', () => {
    expect(named({ dns: [DNS], ssl: [SSL] }, {}, format)).toMatchObject({
      server_name: 'api.example.com',
      name_source: 'sni',
      name_proof: 'confirmed',
      dns_names: ['api.example.com'],
    })
  })
})

test('a name in DNS stands in where the payload gives none', () => {
  expect(named({ dns: [DNS] })).toMatchObject({
    server_name: 'api.example.com',
    name_source: 'dns',
    name_proof: 'confirmed',
  })
})

test('a name whose DNS answers were other addresses is contradicted', () => {
  const dns = [{ ...DNS, answers: ['192.0.2.1'], TTLs: ['60.0'] }]
  expect(named({ dns, ssl: [SSL] })).toMatchObject({ name_proof: 'contradicted', dns_names: [] })
})

describe('answers count from when they came until they are long out', () => {
  test.each([
    ['an hour and a minute old', '1517332400.000000', { rtt: undefined }, ['api.example.com']],
    ['older than TTL and slack', '1517332300.000000', { rtt: undefined }, []],
    ['asked for after the connection', '1517336043.000000', { rtt: undefined }, []],
    ['asked for before, answered after', '1517336042.000000', { rtt: '0.500000' }, []],
    ['of another client', '1517336040.000000', { 'id.orig_h': '10.0.0.9' }, []],
  ])('%s', (_, asked, fields, names) => {
    expect(named({ dns: [{ ...DNS, ...fields, ts: asked }] }).dns_names).toEqual(names)
  })

  test('a later answer does not hide what was true at the time, and the newest comes first', () => {
    const other = { ...DNS, query: 'other.example.com' }
    const dns = [
      { ...DNS, ts: '1517336030.0' },
      { ...other, ts: '1517336031.0' },
      { ...DNS, ts: '1517396030.0' },
    ]
    expect(named({ dns }).dns_names).toEqual(['other.example.com', 'api.example.com'])
    expect(named({ dns }, { ts: '1517396031.0' }).dns_names).toEqual(['api.example.com'])
  })
})

test('an outer name of Encrypted ClientHello is told as such', () => {
  expect(named({ ssl: [{ ...SSL, ech_kdf_id: 1 }] }).name_source).toBe('ech_outer')
})

test('the first of several names stands, and that they differ is told', () => {
  const http = [
    { ...HTTP, ts: '1517336044.0', host: 'late.example.com' },
    { ...HTTP, ts: '1517336043.0', host: 'first.example.com' },
  ]
  expect(named({ http })).toMatchObject({
    server_name: 'first.example.com',
    anomalies: ['name_changed'],
  })
})

test('hostile names are escaped', () => {
  expect(named({ ssl: [{ ...SSL, server_name: 'a\u0007\u00e9\u202e.example' }] })).toMatchObject({
    server_name: 'a\\x07\\xc3\\xa9\\xe2\\x80\\xae.example',
    anomalies: ['odd_name'],
  })
})

test('connections of other uids get nothing', () => {
  expect(named({ ssl: [SSL], http: [HTTP] }, { uid: 'Cother' })).toMatchObject({
    server_name: '',
    ja3: '',
    user_agent: '',
  })
})

test('another stream is not taken for this one, though it shares columns', () => {
  const joins = new ZeekJoins()
  const decoder = zeekJoinDecoder('dns', 'zeek-tsv', joins, nowhere('zeek-tsv'))
  pushAll(decoder, Buffer.from(zeekTsv('dhcp', [DNS])))
  expect(decoder.stats).toMatchObject({ accepted: 0, rejected: 0, skipped: 10 })
})

test('bad rows of a joined log are counted and kept, and the good ones are read', () => {
  const joins = new ZeekJoins()
  const chunks: Uint8Array[] = []
  const writer = new ChunkWriter({ ...ORIGIN, format: 'zeek-tsv' }, (chunk) => chunks.push(chunk))
  const decoder = zeekJoinDecoder('ssl', 'zeek-tsv', joins, writer)
  pushAll(decoder, Buffer.from(zeekTsv('ssl', [{ ...SSL, ts: 'never' }, SSL])))
  writer.end()
  expect(decoder.stats).toMatchObject({ lines: 11, accepted: 1, rejected: 1, skipped: 9 })
  expect(joins.size).toBe(1)
  const rejects = chunkPart(decodeChunk(chunks[0]!), 'rejects')
  expect([rejects?.rows, rejects?.columns.at[0], rejects?.columns.unit.get(0)]).toEqual([
    1,
    9,
    'line',
  ])
})

test('the oldest connection is given up when there are too many, and that is counted', () => {
  const joins = new ZeekJoins(2)
  const claim: NameClaim = {
    time: 1,
    name: 'a.example',
    source: 'sni',
    ja3: '',
    ja4: '',
    alpn: '',
    userAgent: '',
    proxyUser: '',
    anomalies: [],
  }
  for (const id of ['C1', 'C2', 'C3']) joins.claim(id, claim)
  expect([joins.size, joins.evicted]).toEqual([2, 1])
  const { flows } = readLog(
    'zeek-tsv',
    zeekTsv(
      'conn',
      ['C1', 'C3'].map((id) => ({ ...CONN_ROW, uid: id })),
    ),
    { joins },
  )
  expect(flows.map((flow) => flow.server_name)).toEqual(['', 'a.example'])
})
