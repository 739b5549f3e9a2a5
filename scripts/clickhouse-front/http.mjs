// The HTTP interface: a request becomes a statement with its settings, parameters and rows; a result or an error
// becomes an answer with the headers that clients look for. Results are whole before the first byte is sent, so
// every answer is as with wait_end_of_query.

import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, readFile, rm, stat, truncate } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { createBrotliDecompress, createGunzip, createInflate, gzipSync } from 'node:zlib'
import { answerOf, FrontError } from './errors.mjs'
import { boundaryOf, readForm } from './form.mjs'
import { HEAD_BYTES_MAX, readStatement } from './statement.mjs'

const BODY_BYTES_MAX = 1 << 30
const QUERY_BYTES_MAX = 16 << 20

/** URL parameters that are no settings of the engine. */
const OWN = new Set([
  'query',
  'query_id',
  'database',
  'session_id',
  'session_timeout',
  'session_check',
  'default_format',
  'user',
  'password',
  'role',
  'quota_key',
  'compress',
  'decompress',
  'wait_end_of_query',
  'buffer_size',
  'send_progress_in_http_headers',
  'http_headers_progress_interval_ms',
  'enable_http_compression',
  'http_zlib_compression_level',
])
const DECODERS = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
}

/**
 * @param {import('./engine.mjs').Engine} engine
 * @param {import('./faults.mjs').Faults} faults
 * @param {{user: string, password: string}} account
 * @returns {(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) => Promise<void>}
 */
export function requestHandler(engine, faults, account) {
  return async (request, response) => {
    faults.requests++
    const url = new URL(request.url ?? '/', 'http://front')
    const queryId = url.searchParams.get('query_id') || randomUUID()
    response.setHeader('X-ClickHouse-Server-Display-Name', 'clickhouse-front')
    response.setHeader('X-ClickHouse-Timezone', 'UTC')
    const body = path.join(engine.bodies, randomUUID())
    try {
      if (faults.hanging) return void request.resume()
      if (faults.slowMillis > 0) await sleep(faults.slowMillis)
      if (plainAnswer(request, response, url)) return
      response.setHeader('X-ClickHouse-Query-Id', queryId)
      checkAccount(request, url, account)
      await receive(request, body)
      await takeForm(request, url, body)
      await answer(request, response, { engine, faults, url, body })
    } catch (error) {
      if (response.headersSent || response.destroyed) return void response.destroy()
      const { code, status, text } = answerOf(error, engine.version)
      response.setHeader('X-ClickHouse-Exception-Code', code)
      if (!request.complete) response.setHeader('Connection', 'close')
      send(request, response, url, status, 'text/plain; charset=UTF-8', Buffer.from(text))
    } finally {
      await rm(body, { force: true })
    }
  }
}

/** Answers that need no statement. */
function plainAnswer(request, response, url) {
  const ok = url.pathname === '/ping' || (url.pathname === '/' && !url.search)
  if (url.pathname === '/' && !(ok && request.method === 'GET')) {
    if (request.method === 'GET' || request.method === 'POST') return false
    response.writeHead(405, { Allow: 'GET, POST' }).end()
    return true
  }
  response.setHeader('Content-Type', 'text/html; charset=UTF-8')
  if (ok) response.writeHead(200).end('Ok.\n')
  else response.writeHead(404).end(`There is no handle ${url.pathname}\n`)
  return true
}

function checkAccount(request, url, account) {
  const [user, password] = accountOf(request.headers, url.searchParams)
  if (user === account.user && password === account.password) return
  throw new FrontError(
    516,
    'AUTHENTICATION_FAILED',
    `${user}: Authentication failed: password is incorrect, or there is no user with such name`,
  )
}

function accountOf(headers, params) {
  const basic = /^Basic (.+)$/i.exec(headers.authorization ?? '')?.[1]
  if (basic !== undefined) {
    const text = Buffer.from(basic, 'base64').toString()
    const colon = text.indexOf(':')
    return colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)]
  }
  if (headers['x-clickhouse-user'] !== undefined)
    return [headers['x-clickhouse-user'], headers['x-clickhouse-key'] ?? '']
  return [params.get('user') ?? 'default', params.get('password') ?? '']
}

/** The body, decompressed, into a file. */
async function receive(request, file) {
  const encoding = request.headers['content-encoding']
  const decoder = encoding === undefined ? undefined : DECODERS[encoding]
  if (encoding !== undefined && decoder === undefined)
    throw new FrontError(48, 'NOT_IMPLEMENTED', `Unknown HTTP content encoding: ${encoding}`)
  let bytes = 0
  await pipeline([
    request,
    ...(decoder === undefined ? [] : [decoder()]),
    async function* bounded(pieces) {
      for await (const piece of pieces) {
        bytes += piece.length
        if (bytes > BODY_BYTES_MAX)
          throw new FrontError(
            298,
            'QUERY_IS_TOO_LARGE',
            `The body exceeds ${BODY_BYTES_MAX} bytes`,
          )
        yield piece
      }
    },
    createWriteStream(file, { flags: 'wx', mode: 0o600 }),
  ])
}

/** What a form in the body says is as if it stood in the URL. */
async function takeForm(request, url, body) {
  const boundary = boundaryOf(request.headers['content-type'] ?? '')
  if (boundary === undefined) return
  const { size } = await stat(body)
  if (size > QUERY_BYTES_MAX)
    throw new FrontError(298, 'QUERY_IS_TOO_LARGE', `The form exceeds ${QUERY_BYTES_MAX} bytes`)
  for (const [name, value] of readForm(await readFile(body), boundary))
    url.searchParams.set(name, value)
  await truncate(body)
}

/** Runs what the request asks for and answers. */
async function answer(request, response, { engine, faults, url, body }) {
  const params = url.searchParams
  const asked = await statementOf(params.get('query') ?? '', body)
  const { insert, format } = asked.statement
  const fault = insert ? faults.insert() : { kind: 'good' }
  if (fault.kind === 'die') process.kill(process.pid, 'SIGKILL')
  if (fault.kind === 'stall') return
  if (fault.kind === 'drop') return void request.socket.destroy()
  const resultFormat =
    (insert ? undefined : format) ??
    params.get('default_format') ??
    request.headers['x-clickhouse-format'] ??
    'TabSeparated'
  try {
    const settings = [...params].filter(([name]) => !OWN.has(name) && !name.startsWith('param_'))
    // As in ClickHouse: what is asked with GET can only read, though it may still set something.
    if (request.method === 'GET' && !params.has('readonly')) settings.push(['readonly', '2'])
    const result = await engine.run({
      sql: asked.sql,
      format: resultFormat,
      database: params.get('database') ?? request.headers['x-clickhouse-database'],
      session: params.get('session_id') ?? undefined,
      settings: settings.filter(([name]) => checkName(name)),
      params: [...params].filter(([name]) => name.startsWith('param_') && checkName(name)),
    })
    if (fault.kind === 'die-late') process.kill(process.pid, 'SIGKILL')
    if (fault.kind === 'mute') return
    if (fault.kind === 'cut') return void request.socket.destroy()
    const summary = JSON.stringify({
      result_rows: String(result.rows),
      result_bytes: String(result.rowBytes),
      elapsed_ns: String(Math.round(result.seconds * 1e9)),
    })
    response.setHeader('X-ClickHouse-Format', resultFormat)
    if (params.get('send_progress_in_http_headers') === '1')
      response.setHeader('X-ClickHouse-Progress', summary)
    response.setHeader('X-ClickHouse-Summary', summary)
    const type = resultFormat.startsWith('JSON') ? 'application/x-ndjson' : 'text/plain'
    send(request, response, url, 200, `${type}; charset=UTF-8`, Buffer.from(result.bytes))
  } finally {
    await rm(`${body}.rows`, { force: true })
  }
}

function checkName(name) {
  if (/^\w{1,128}$/.test(name)) return true
  throw new FrontError(115, 'UNKNOWN_SETTING', `Unknown setting '${name}'`)
}

/** The statement as the engine takes it: rows that came along are in a file. */
async function statementOf(query, body) {
  const { size } = await stat(body)
  const inBody = query.trim() === ''
  const head = inBody
    ? await readBytes(body, 0, Math.min(size, HEAD_BYTES_MAX))
    : Buffer.from(query)
  const statement = readStatement(head)
  if (statement.statements > 1)
    throw new FrontError(62, 'SYNTAX_ERROR', 'Syntax error (Multi-statements are not allowed)')
  const { data, rewrite } = statement
  const inline = data === undefined ? 0 : head.length - data
  const behind = inBody ? size - head.length : size
  const values = statement.format === 'Values' && behind === 0 && head.length <= HEAD_BYTES_MAX
  if (rewrite !== undefined && !values) {
    // The rows: what stands behind the statement, then the rest of the body.
    const rows = `${body}.rows`
    const file = createWriteStream(rows, { flags: 'wx', mode: 0o600 })
    if (inline > 0) file.write(head.subarray(data))
    await pipeline(createReadStream(body, { start: inBody ? head.length : 0 }), file)
    if (inline + behind === 0 && statement.format === 'Native')
      return { statement, sql: 'SELECT 1 WHERE 0' }
    return { statement, sql: rewrite(rows).toString() }
  }
  if (head.length + behind > QUERY_BYTES_MAX)
    throw new FrontError(298, 'QUERY_IS_TOO_LARGE', `The query exceeds ${QUERY_BYTES_MAX} bytes`)
  const rest = await readBytes(body, inBody ? head.length : 0, behind)
  const whole = Buffer.concat(rest.length === 0 ? [head] : [head, rest]).toString()
  if (whole.trim() === '') throw new FrontError(62, 'SYNTAX_ERROR', 'Syntax error: Empty query')
  return { statement, sql: whole }
}

async function readBytes(file, from, length) {
  if (length === 0) return Buffer.alloc(0)
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, from)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

function send(request, response, url, status, type, bytes) {
  const gzip =
    url.searchParams.get('enable_http_compression') === '1' &&
    /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))
  response.setHeader('Content-Type', type)
  if (gzip) response.setHeader('Content-Encoding', 'gzip')
  response.writeHead(status)
  response.end(gzip ? gzipSync(bytes, { level: 1 }) : bytes)
}
