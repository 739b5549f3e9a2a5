import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Row, readLog } from './read-log.ts'
import { CONN_ROW, type ZeekFields, zeekJson, zeekJsonRow, zeekTsv } from './zeek-writer.ts'

function json(text: string): Row[] {
  const { flows, stats } = readLog('zeek-json', text)
  expect(stats.errors).toEqual([])
  return flows
}

const [EXPECTED] = readLog('zeek-tsv', zeekTsv('conn', [CONN_ROW])).flows

test('JSON gives the same flow as TSV', () => {
  expect(json(zeekJson([CONN_ROW]))).toEqual([EXPECTED])
})

const LINE = zeekJsonRow(CONN_ROW)

describe('the dialects', () => {
  test.each([
    [
      'spaces between',
      JSON.stringify(
        { ...CONN_ROW, ts: 1517336042.090842, duration: 3.000158 },
        null,
        1,
      ).replaceAll('\n', ' '),
    ],
    ['ISO 8601', LINE.replace('1517336042.090842', '"2018-01-30T18:14:02.090842Z"')],
    ['unset fields as null', LINE.replace('}', ',"tunnel_parents":null,"inner_vlan":null}')],
    ['tagged with its stream', `{"conn":${LINE}}`],
    ['tagged, with members of the collector', `{"conn":${LINE},"site":"a"}`],
    ['a duplicate path', `{"conn-2":${LINE}}`],
    ['stream named in the row', LINE.replace('{', '{"_path":"conn","_write_ts":1.5,')],
    ['empty list of parents', LINE.replace('}', ',"tunnel_parents":[]}')],
    ['exponent', LINE.replace('517,', '5.17e2,')],
    [
      'things nobody asked for',
      LINE.replace('}', ',"a":{"b":[1,{"c":"}"}]},"d":[[]],"e":-1.5e-3,"f":true}'),
    ],
    ['carriage return', `${LINE}\r`],
  ])('%s', (_, text) => expect(json(`${text}\n`)).toEqual([EXPECTED]))

  test('nested ids', () => {
    const {
      'id.orig_h': orig_h,
      'id.orig_p': orig_p,
      'id.resp_h': resp_h,
      'id.resp_p': resp_p,
      ...rest
    } = CONN_ROW
    const nested = zeekJsonRow(rest).replace(
      '{',
      `{"id":${JSON.stringify({ orig_h, orig_p, resp_h, resp_p })},`,
    )
    expect(json(nested)).toEqual([EXPECTED])
  })

  test('VLANs that are part of the key, flat and nested', () => {
    const flat = LINE.replace('{', '{"id.ctx.vlan":12,"id.ctx.inner_vlan":7,')
    expect(json(flat)[0]).toMatchObject({ vlan: 12, inner_vlan: 7, resp_p: 443 })
    const nested = LINE.replace('{', '{"id":{"ctx":{"vlan":12}},')
    expect(json(nested)[0]).toMatchObject({ vlan: 12, inner_vlan: 0, resp_p: 443 })
  })

  test('milliseconds', () => {
    const [flow] = json(LINE.replace('1517336042.090842', '1517336042090'))
    expect(flow!.ts).toBe(1_517_336_042_090_000)
  })

  test('keys may change their order from line to line', () => {
    const turned = zeekJsonRow(Object.fromEntries(Object.entries(CONN_ROW).reverse()))
    const short = zeekJsonRow({ ...CONN_ROW, service: undefined, duration: undefined })
    const flows = json([LINE, turned, short, LINE].join('\n'))
    expect(flows[1]).toEqual(EXPECTED)
    expect(flows[2]).toMatchObject({ service: '', resp_ip_bytes: 4424 })
    expect(flows[3]).toEqual(EXPECTED)
  })

  test('rows of other streams are skipped, whatever names them', () => {
    const dns =
      '{"ts":1.5,"uid":"C1","id.orig_h":"10.0.0.1","id.orig_p":1,"id.resp_h":"10.0.0.2","id.resp_p":53,"proto":"udp","query":"a"}'
    const { stats } = readLog(
      'zeek-json',
      [dns, `{"dns":${dns}}`, '{"_path":"weird","ts":1.5,"uid":"C1","name":"odd"}'].join('\n'),
    )
    expect(stats).toMatchObject({ lines: 3, skipped: 3, rejected: 0 })
  })

  test('a stream known from outside serves rows that name none', () => {
    const bare =
      '{"ts":1.5,"uid":"C1","id.orig_h":"10.0.0.1","id.orig_p":1,"id.resp_h":"10.0.0.2","id.resp_p":53,"proto":"udp"}'
    expect(readLog('zeek-json', bare).flows).toHaveLength(0)
    expect(readLog('zeek-json', bare, { zeekPath: 'conn' }).flows).toHaveLength(1)
  })
})

describe('broken lines', () => {
  test.each([
    '{"ts":XXXXXXXXXX.XXXXXX,"uid":"C1"}',
    '{"ts":1.5',
    '{"ts":1.5,}',
    '{"ts" 1.5}',
    '{"a":"open',
    '{"a":[1,2',
    '{"a":nul}',
    '{"a":1} trailing',
    'text',
    '[1]',
    `{"a":${'['.repeat(100)}${']'.repeat(100)}}`,
  ])('%s', (text) => {
    const { stats, flows } = readLog('zeek-json', `${text}\n${LINE}\n`)
    expect(flows).toHaveLength(1)
    expect(stats).toMatchObject({ lines: 2, accepted: 1, rejected: 1 })
    expect(stats.errors[0]).toMatch(/^line 1: bad_json: .* at byte \d+$/)
  })
})

// Values that both writers can hold without loss: Zeek's JSON cannot tell a backslash from an escape.
const text = fc.string({
  unit: fc.constantFrom('a', 'Z', '0', ',', '"', '\t', '\u0001', 'é', '-', ' '),
  maxLength: 8,
})
const count = fc.option(fc.nat(2 ** 48), { nil: undefined })
const row: fc.Arbitrary<ZeekFields> = fc.record({
  ts: fc
    .tuple(fc.nat(2_000_000_000), fc.nat(999_999))
    .map(([s, us]) => `${s}.${String(us).padStart(6, '0')}`),
  uid: fc.stringMatching(/^C[0-9A-Za-z]{1,17}$/),
  'id.orig_h': fc.oneof(fc.ipV4(), fc.ipV6()),
  'id.orig_p': fc.nat(65535),
  'id.resp_h': fc.oneof(fc.ipV4(), fc.ipV6()),
  'id.resp_p': fc.nat(65535),
  proto: fc.constantFrom('tcp', 'udp', 'icmp'),
  service: fc.option(text, { nil: undefined }),
  duration: fc.option(
    fc.nat(9_999_999).map((us) => (us / 1e6).toFixed(6)),
    { nil: undefined },
  ),
  orig_bytes: count,
  resp_bytes: count,
  conn_state: fc.constantFrom('SF', 'S0', 'REJ', 'OTH'),
  history: fc.option(fc.stringMatching(/^[ShADadFf^]{1,8}$/), { nil: undefined }),
  orig_pkts: count,
  orig_ip_bytes: count,
  tunnel_parents: fc.option(fc.array(fc.stringMatching(/^C[0-9a-z,]{1,6}$/), { maxLength: 3 }), {
    nil: undefined,
  }),
  vlan: fc.option(fc.nat(4095), { nil: undefined }),
})

test('what the writers wrote is read alike, value by value, in pieces of any size', () => {
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 300 }),
      (rows, piece) => {
        const tsv = readLog('zeek-tsv', zeekTsv('conn', rows), {}, piece)
        const js = readLog('zeek-json', zeekJson(rows), {}, piece)
        expect(js.stats.errors).toEqual([])
        expect(tsv.stats.errors).toEqual([])
        expect(js.flows).toEqual(tsv.flows)
        for (const [i, flow] of tsv.flows.entries()) {
          const { ts, uid, orig_bytes, conn_state } = rows[i]!
          const micros = Number(BigInt(String(ts).replace('.', '')))
          expect(flow).toMatchObject({ ts: micros, uid, conn_state })
          expect(flow.orig_bytes).toBe(orig_bytes)
        }
      },
    ),
    { numRuns: 60 },
  )
})
