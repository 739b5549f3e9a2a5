// A ClickHouse server as far as the store needs one, for tests: the HTTP interface in front of an embedded engine,
// in a process of its own. Statements, parameters, settings, errors and results are the engine's; only the body
// of an INSERT takes a way round, through a file. Run: node server-process.mjs DIRECTORY PASSWORD

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Session } from 'chdb'

const [directory, password] = process.argv.slice(2)
const keep = new Session(directory)
const bodies = mkdtempSync(join(tmpdir(), 'bodies-'))
let files = 0

const NOT_SETTINGS = new Set(['query', 'query_id', 'database', 'session_id', 'role'])
const HTTP_ONLY = /^(wait_end_of_query|send_progress_in_http_headers|enable_http_compression|http_)/

function run(url, body) {
  const session = new Session(directory)
  try {
    const params = {}
    const settings = []
    for (const [name, value] of url.searchParams) {
      if (name.startsWith('param_')) params[name.slice('param_'.length)] = value
      else if (!NOT_SETTINGS.has(name) && !HTTP_ONLY.test(name)) settings.push([name, value])
    }
    settings.sort((a) => (a[0] === 'readonly' ? 1 : -1))
    for (const [name, value] of settings) session.query(`SET ${name} = '${value}'`)
    let query = url.searchParams.get('query') ?? ''
    if (query === '') query = body.toString()
    else if (body.length > 0) {
      const file = join(bodies, `${++files}.native`)
      writeFileSync(file, body)
      query = query.replace('input(', `file('${file}', 'Native', `).replace(/FORMAT Native\s*$/, '')
    }
    return Object.keys(params).length === 0
      ? session.query(query, 'TabSeparated')
      : session.queryBind(query, params, 'TabSeparated')
  } finally {
    session.close()
  }
}

const server = createServer(async (request, response) => {
  const pieces = []
  for await (const piece of request) pieces.push(piece)
  const [, pass] = Buffer.from((request.headers.authorization ?? '').slice(6), 'base64')
    .toString()
    .split(':')
  const answer = (status, text, code) => {
    if (code !== undefined) response.setHeader('X-ClickHouse-Exception-Code', code)
    response.writeHead(status).end(text)
  }
  if (pass !== password)
    return answer(
      401,
      'Code: 516. DB::Exception: default: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED) (version 26.7)',
      516,
    )
  try {
    answer(200, run(new URL(request.url, 'http://x'), Buffer.concat(pieces)))
  } catch (error) {
    answer(500, error.message, error.clickhouseCode)
  }
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`))
process.on('SIGTERM', () => {
  keep.close()
  rmSync(bodies, { recursive: true, force: true })
  process.exit(0)
})
