// A ClickHouse server for tests and tries, where none is installed: ClickHouse's HTTP interface, on loopback, in
// front of an embedded engine (chdb). It speaks as much of it as @clickhouse/client does.
//
//   node scripts/clickhouse-front.mjs --path DIR [--port N] [--user U] [--password P] [--database NAME]
//     [--settings FILE]   more settings of the engine, in XML
//
// Prints {"url": …} when it is ready. Faults are made by lines on standard input: scripts/clickhouse-front/faults.mjs.
// With --until-stdin-ends it ends when whoever started it does.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { Engine } from './clickhouse-front/engine.mjs'
import { Faults } from './clickhouse-front/faults.mjs'
import { requestHandler } from './clickhouse-front/http.mjs'

const { values: options } = parseArgs({
  options: {
    path: { type: 'string' },
    port: { type: 'string', default: '0' },
    user: { type: 'string', default: 'default' },
    password: { type: 'string', default: '' },
    database: { type: 'string' },
    settings: { type: 'string' },
    'until-stdin-ends': { type: 'boolean', default: false },
  },
})
if (options.path === undefined || !/^\d{1,5}$/.test(options.port)) {
  process.stderr.write(
    'usage: clickhouse-front.mjs --path DIR [--port N] [--user U] [--password P]\n',
  )
  process.exit(2)
}

const engine = new Engine(options.path, options.settings)
if (options.database !== undefined) engine.createDatabase(options.database)
const faults = new Faults()
const server = createServer(
  { keepAliveTimeout: 10_000 },
  requestHandler(engine, faults, { user: options.user, password: options.password }),
)

async function listen(port) {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
}

function refuse() {
  server.close()
  server.closeAllConnections()
}

const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`)

async function obey(line) {
  if (line === 'refuse') refuse()
  else if (line === 'accept') await listen(port)
  else if (line === 'count') return tell({ requests: faults.requests, inserts: faults.inserts })
  else if (!faults.command(line)) return tell({ unknown: line })
  tell({ done: line })
}

async function end() {
  refuse()
  await engine.close()
  process.exit(0)
}

await listen(Number(options.port))
const { port } = server.address()
const lines = createInterface({ input: process.stdin })
lines.on('line', (line) => void obey(line.trim()))
if (options['until-stdin-ends']) lines.on('close', () => void end())
process.on('SIGTERM', () => void end())
process.on('SIGINT', () => void end())
tell({ url: `http://127.0.0.1:${port}` })
