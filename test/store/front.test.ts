// The server of these tests is held to what ClickHouse does, as its own client sees it.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { type ClickHouseClient, createClient } from '@clickhouse/client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Front, startFront } from './front.ts'

const directory = mkdtempSync(join(tmpdir(), 'bailiwick-front-'))
let front: Front
let client: ClickHouseClient

beforeAll(async () => {
  front = await startFront({ path: directory })
  client = createClient({
    url: `http://127.0.0.1:${front.port}`,
    username: 'watcher',
    password: 'p w:%',
    database: 'flows',
    compression: { request: true, response: true },
  })
  await client.command({
    query: "CREATE TABLE t (a UInt8, b String DEFAULT 'none') ENGINE = MergeTree ORDER BY a",
  })
})
afterAll(async () => {
  await client.close()
  await front.kill('SIGTERM')
  rmSync(directory, { recursive: true, force: true })
})

/** What the interface itself answers. */
async function asked(search: string, body = '', headers: Record<string, string> = {}) {
  const response = await fetch(`http://127.0.0.1:${front.port}/?${search}`, {
    method: 'POST',
    headers: { 'X-ClickHouse-User': 'watcher', 'X-ClickHouse-Key': 'p w:%', ...headers },
    body,
  })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

async function rows(query: string, params: Record<string, unknown> = {}) {
  const result = await client.query({ query, format: 'JSONEachRow', query_params: params })
  return result.json()
}

test('rows of an INSERT come as text or as bytes, compressed or not, with columns left out', async () => {
  await client.insert({
    table: 't',
    values: [{ a: 1, b: 'é\n\nSELECT 1;' }, { a: 2 }],
    format: 'JSONEachRow',
  })
  // One block: two columns, one row.
  const native = Buffer.from('\x02\x01\x01a\x05UInt8\x03\x01b\x06String\x01n', 'latin1')
  await client.exec({
    query:
      "INSERT INTO t (a, b) SELECT a, concat(b, '!') FROM input('a UInt8, b String') WHERE 1\nFORMAT Native",
    values: Readable.from([native, native], { objectMode: false }),
  })
  const statement = encodeURIComponent('INSERT INTO t (a) FORMAT Native')
  const only = Buffer.from('\x01\x01\x01a\x05UInt8\x04', 'latin1')
  const sent = await fetch(`http://127.0.0.1:${front.port}/?database=flows&query=${statement}`, {
    method: 'POST',
    headers: {
      Authorization: `Basic ${Buffer.from('watcher:p w:%').toString('base64')}`,
      'Content-Encoding': 'gzip',
    },
    body: new Uint8Array(gzipSync(only)),
  })
  expect([sent.status, await sent.text()]).toEqual([200, ''])
  await client.command({ query: "INSERT INTO t VALUES (5, 'v;\n\nFORMAT')" })
  expect(await rows('SELECT * FROM t ORDER BY a, b')).toEqual([
    { a: 1, b: 'é\n\nSELECT 1;' },
    { a: 2, b: 'none' },
    { a: 3, b: 'n!' },
    { a: 3, b: 'n!' },
    { a: 4, b: 'none' },
    { a: 5, b: 'v;\n\nFORMAT' },
  ])
})

test('parameters are values, never part of the text', async () => {
  const hostile = "'; DROP TABLE t; --\t\\N"
  expect(
    await rows('SELECT {x:String} AS x, {y:Array(UInt8)} AS y', { x: hostile, y: [1, 2] }),
  ).toEqual([{ x: hostile, y: [1, 2] }])
})

test('parameters that are too long for a URL come as a form', async () => {
  const long = Array.from({ length: 3000 }, (_, i) => `é'\r\n--${i}`)
  const asked = { query: 'SELECT {x:Array(String)} AS x', query_params: { x: long } }
  const form = { ...asked, format: 'JSONEachRow', use_multipart_params_auto: true } as const
  expect(await (await client.query(form)).json()).toEqual([{ x: long }])
  // Nor does any other server take such a URL: this one says nothing, or ends the connection while it is written.
  await expect(client.query(asked)).rejects.toThrow()
})

test.each(['', '--b\r\n', '--b\r\nno name\r\n--b--', 'x--b--'])(
  'a form that is none is refused: %j',
  async (body) => {
    const answer = await asked('', body, { 'Content-Type': 'multipart/form-data; boundary=b' })
    expect([answer.status, answer.headers.get('x-clickhouse-exception-code')]).toEqual([400, '36'])
  },
)

test('settings are of one request alone, unless a session is named', async () => {
  const setting = "SELECT getSetting('max_result_rows')"
  expect((await asked('max_result_rows=7', setting)).text).toBe('7\n')
  expect((await asked('', setting)).text).toBe('0\n')
  expect((await asked('session_id=s&max_result_rows=7', setting)).text).toBe('7\n')
  expect((await asked('session_id=s', setting)).text).toBe('7\n')
})

test('answers carry the headers that clients look for', async () => {
  const good = await asked('query_id=q1&default_format=JSONEachRow', 'SELECT 1 AS one')
  expect([good.status, good.text]).toEqual([200, '{"one":1}\n'])
  expect(good.headers.get('x-clickhouse-query-id')).toBe('q1')
  expect(good.headers.get('x-clickhouse-format')).toBe('JSONEachRow')
  expect(JSON.parse(good.headers.get('x-clickhouse-summary') ?? '')).toMatchObject({
    result_rows: '1',
  })
})

test.each([
  ['', 'SELECT nothing', {}, 404, 47],
  ['', 'SELECT 1; SELECT 2', {}, 400, 62],
  ['', '', {}, 400, 62],
  ['database=nowhere', 'SELECT 1', {}, 404, 81],
  ['made_up=1', 'SELECT 1', {}, 404, 115],
  ['readonly=1', 'DROP TABLE flows.t', {}, 500, 164],
  ['', 'SELECT 1', { 'X-ClickHouse-Key': 'wrong' }, 403, 516],
  ['', 'SELECT 1', { 'X-ClickHouse-User': 'nobody' }, 403, 516],
] as const)(
  'errors have a status and a code: %j %j',
  async (search, body, headers, status, code) => {
    const answer = await asked(search, body, headers)
    expect(answer.status).toBe(status)
    expect(answer.headers.get('x-clickhouse-exception-code')).toBe(String(code))
    expect(answer.text).toMatch(
      new RegExp(`^Code: ${code}\\. DB::Exception: .+ \\([A-Z_]+\\) \\(version \\S+\\)\n$`),
    )
  },
)

test('what is asked with GET can only read', async () => {
  const get = (query: string) =>
    fetch(
      `http://127.0.0.1:${front.port}/?user=watcher&password=p%20w:%25&query=${encodeURIComponent(query)}`,
    )
  expect(await (await get('SELECT 1')).text()).toBe('1\n')
  const refused = await get('DROP TABLE flows.t')
  expect(refused.headers.get('x-clickhouse-exception-code')).toBe('164')
  expect(await (await fetch(`http://127.0.0.1:${front.port}/ping`)).text()).toBe('Ok.\n')
})
