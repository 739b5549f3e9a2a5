import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sniffLog } from '../../src/logs/sniff.ts'
import { CONN_ROW, zeekHeader, zeekJsonRow, zeekTsv } from './zeek-writer.ts'

const V2_HEADER =
  'version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status'
const V2 =
  '2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK'

function sniff(text: string | Uint8Array, name = 'input'): string | undefined {
  const found = sniffLog(typeof text === 'string' ? Buffer.from(text) : text, name)
  return (
    found && (found.zeekPath === undefined ? found.format : `${found.format}/${found.zeekPath}`)
  )
}

const JSON_ROW = zeekJsonRow(CONN_ROW)

test.each([
  [zeekTsv('conn', [CONN_ROW]), 'x', 'zeek-tsv/conn'],
  [zeekTsv('conn', [CONN_ROW]), 'open_conn.log', 'zeek-tsv/open_conn'],
  [zeekTsv('conn_long', [CONN_ROW]), 'x', 'zeek-tsv/conn_long'],
  [zeekTsv('conn-2', [CONN_ROW]), 'x', 'zeek-tsv/conn'],
  [zeekTsv('local', [CONN_ROW]), 'x', 'zeek-tsv/conn'],
  [`### a remark\n${zeekTsv('conn', [CONN_ROW])}`, 'x', 'zeek-tsv/conn'],
  [zeekHeader('ssl', ['ts', 'uid']), 'open_ssl.log', 'zeek-tsv/ssl'],
  [zeekHeader('weird', ['ts', 'uid']), 'conn.log', 'zeek-tsv/other'],
  [
    zeekHeader('dns', ['ts', 'uid']).replace('\\x09', '\\x2c').replaceAll('\t', ','),
    'x',
    'zeek-tsv/dns',
  ],
  // Streams that share columns with those that are read.
  [zeekHeader('dhcp', ['ts', 'trans_id', 'host_name']), 'x', 'zeek-tsv/other'],
  [zeekHeader('files', ['ts', 'uid', 'id.orig_h', 'local_orig']), 'x', 'zeek-tsv/other'],
  [
    '{"ts":1.5,"uid":"C1","trans_depth":0,"method":"INVITE","status_code":200}',
    'sip.log',
    'zeek-json/other',
  ],
  [`${Object.keys(CONN_ROW).join('\t')}\n`, 'x', 'zeek-tsv/conn'],
  ['1517336042.090842\tCi85EB2YjUI9a2eql6\t10.55.182.100\t14291', 'conn_top.log', 'zeek-tsv/conn'],
  [JSON_ROW, 'x', 'zeek-json/conn'],
  [`\ufeff${JSON_ROW}`, 'x', 'zeek-json/conn'],
  [`{"conn_long":${JSON_ROW}}`, 'x', 'zeek-json/conn_long'],
  ['{"_path":"dns","ts":1.5,"uid":"C1"}', 'conn.log', 'zeek-json/dns'],
  ['{"ts":1.5,"uid":"C1","id.orig_h":"10.0.0.1"}', 'conn.12:00:00-13:00:00.log', 'zeek-json/conn'],
  ['{"ts":1.5,"uid":"C1","name":"x"}', 'weird.log', 'zeek-json/other'],
  [`${V2_HEADER}\n`, 'x', 'aws-vpc'],
  [`${V2_HEADER.replaceAll('-', '_')}\n`, 'x', 'aws-vpc'],
  [V2, 'conn.log', 'aws-vpc'],
  ['2 1234 eni-0 - - - - - - - 1742570089 1742570142 - NODATA', 'x', 'aws-vpc'],
  ['eni-1 172.31.16.139 172.31.16.21 22 6 20 ACCEPT', 'x', 'aws-vpc'],
  [`{"messageType":"DATA_MESSAGE","logEvents":[{"message":"${V2}"}]}`, 'x', 'aws-cloudwatch'],
  ['{"jsonPayload":{"connection":{"src_ip":"10.0.0.1"}}}', 'x', 'gcp-vpc'],
  ['[\n {"jsonPayload": {"connection": {"dest_ip": "10.0.0.1"}}}\n]', 'x', 'gcp-vpc'],
  ['{"records":[{"properties":{"flows":[{"flows":[{"flowTuples":[]}]}]}}]}', 'x', 'azure-flow'],
] as const)('%.40s… named %s is %s', (text, name, format) => expect(sniff(text, name)).toBe(format))

test.each([
  '',
  '\n\n',
  'some text about networks',
  '# a markdown page\n\nwith text',
  '#!/bin/sh\necho version account-id\n',
  'a,b,c\n1,2,3\n',
  '{"hello":"world"}',
  '[1,2,3]',
  '<html>',
  'name\tvalue\n',
  '10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326',
  'Nov 23 03:13:00 host sshd[1]: Accepted password for x from 10.0.0.1',
  'PK\u0003\u0004\0\0',
])('%j is none of ours, whatever its name', (text) => {
  expect(sniff(text, 'x.txt')).toBeUndefined()
  expect(sniff(text, 'conn.log')).toBeUndefined()
})

test('any bytes are answered', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.string({ maxLength: 12 }), (bytes, name) => {
      sniffLog(bytes, name)
    }),
  )
})
