// No false alarm: replays into a store are killed again and again, and over HTTP the store fails on purpose, too. After
// each of them, and at the end, the auditor looks at everything and must find nothing. Then one row is taken away.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { uniformNumbers, writeCrawler, writeManyFlows } from '../faults/many-flows.ts'
import { startFront } from '../store/front.ts'

const PROGRAM = path.join(import.meta.dirname, '..', '..', 'dist', 'src', 'cli', 'main.js')
const FLOWS = 100_000
const KILLS = 8
/** Lines of scripts/clickhouse-front/faults.mjs. */
const FAULTS = ['cut 2 3', 'drop 2 1', 'fail 252 3 2', 'cut 1 6']

let directory = ''
let capture = ''
let agents = ''
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-audit-'))
  capture = path.join(directory, 'many.pcap')
  agents = path.join(directory, 'agents.yaml')
  await writeManyFlows(capture, FLOWS)
  await writeCrawler(agents)
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const replayOf = (store: string) => [
  PROGRAM,
  'replay',
  capture,
  '--agents',
  agents,
  '--store',
  store,
]

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.on('exit', () => resolve()))
}

/** A statement without a result, past bailiwick. */
async function commandOf(port: number, sql: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/?database=flows`, {
    method: 'POST',
    headers: { 'X-ClickHouse-User': 'watcher', 'X-ClickHouse-Key': 'p w:%' },
    body: sql,
  })
  if (!response.ok) throw new Error(await response.text())
}

interface Reconciled {
  chunks: number
  findings: unknown[]
  unproven: unknown[]
}

/** The auditor's answer, and its exit code. */
function reconcile(store: string): Promise<[code: number, Reconciled]> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [PROGRAM, 'reconcile', '--store', store, '--deep', '--json'],
      { maxBuffer: 64 << 20 },
      (error, stdout, stderr) => {
        if (stdout === '') reject(new Error(stderr))
        else resolve([typeof error?.code === 'number' ? error.code : 0, JSON.parse(stdout)])
      },
    )
  })
}

async function storm(store: string, disturb: (kill: number) => Promise<unknown>): Promise<number> {
  await ended(spawn(process.execPath, [PROGRAM, 'migrate', '--store', store], { stdio: 'ignore' }))
  const seed = Date.now() & 0xffff
  const random = uniformNumbers(seed)
  for (let kill = 0; kill < KILLS; kill++) {
    const child = spawn(process.execPath, replayOf(store), { stdio: 'ignore' })
    const timer = setTimeout(() => child.kill('SIGKILL'), 1500 + 5000 * random())
    await disturb(kill)
    await ended(child)
    clearTimeout(timer)
    const [code, report] = await reconcile(store)
    expect([seed, kill, code, report.findings, report.unproven]).toEqual([seed, kill, 0, [], []])
  }
  const last = spawn(process.execPath, replayOf(store), { stdio: 'ignore' })
  await ended(last)
  const [code, report] = await reconcile(store)
  expect([seed, code, report.findings, report.unproven]).toEqual([seed, 0, [], []])
  return report.chunks
}

test('embedded: replays that were killed leave nothing to find', async () => {
  expect(await storm(path.join(directory, 'store'), async () => {})).toBeGreaterThan(5)
}, 600_000)

test('over HTTP: neither do inserts whose answer was lost; a row that is taken away is found', async () => {
  const front = await startFront({ path: path.join(directory, 'front') })
  try {
    await storm(front.store, (kill) => front.tell(FAULTS[kill % FAULTS.length]!))
    await front.tell('calm')
    const [first] = await front.rows('SELECT toString(min(flow_id)) AS id FROM judgements')
    await commandOf(
      front.port,
      `ALTER TABLE judgements DELETE WHERE flow_id = '${first!.id}' SETTINGS mutations_sync = 2`,
    )
    const [code, report] = await reconcile(front.store)
    expect([code, report.findings]).toMatchObject([
      1,
      [{ kind: 'rows_missing', table: 'judgements', count: 1 }],
    ])
  } finally {
    await front.kill('SIGTERM')
  }
}, 600_000)
