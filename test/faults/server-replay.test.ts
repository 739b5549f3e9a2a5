// `bailiwick replay --store http://…` as a whole program: it says the same and stores the same as with a directory,
// also when the server is killed in the middle and started anew; and it says what is wrong when there is none.

import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Report } from '../../src/report.ts'
import { contentOf, type Front, startFront } from '../store/front.ts'
import { givenStore, PROGRAM, plainEnvironment } from './program.ts'

const ROOT = path.join(import.meta.dirname, '..', '..')
/** Ten inputs, of all kinds, with findings, alerts and coverage. */
const STORY = path.join(ROOT, 'fixtures', 'told-three-times')
const PATIENCE = 120_000

interface Run {
  code: number
  stdout: string
  stderr: string
}

/** A server that has the schema already, so that inserts count from the first intent on. */
async function prepared(name: string): Promise<Front> {
  const server = await front(name)
  const { store, env } = givenStore(server.store)
  await promisify(execFile)(process.execPath, [PROGRAM, 'migrate', '--store', store], {
    timeout: PATIENCE,
    env: { ...plainEnvironment(), ...env },
  })
  return server
}

/** The password of a URL goes in the environment: in the URL it would be warned of. */
function replay(where: string): Promise<Run> {
  const { store, env } = where.includes('@') ? givenStore(where) : { store: where, env: {} }
  const args = [path.join(STORY, 'input'), '--agents', path.join(STORY, 'agents'), '--store', store]
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [PROGRAM, 'replay', ...args, '--json'],
      { timeout: PATIENCE, maxBuffer: 64 << 20, env: { ...plainEnvironment(), ...env } },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    )
  })
}

/** What a report says, whatever the store and the day. */
function said(run: Run): Partial<Report> {
  expect(run).toMatchObject({ code: 0, stderr: '' })
  const { timings, store, ...rest } = JSON.parse(run.stdout) as Report
  expect(timings.total_seconds).toBeGreaterThan(0)
  return rest
}

/** How much of the store a run found already done. */
const known = (run: Run) => (JSON.parse(run.stdout) as Report).store

let directory = ''
const fronts: Front[] = []

async function front(name: string, port?: number): Promise<Front> {
  const where = path.join(directory, name)
  const started = await startFront(port === undefined ? { path: where } : { path: where, port })
  fronts.push(started)
  return started
}

/** What a replay into a directory says and stores. */
let calm: { report: Partial<Report>; content: Record<string, unknown> }

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-server-'))
  const run = await replay(path.join(directory, 'calm'))
  // The tables of an embedded store are in the database `default`.
  const reader = await startFront({ path: path.join(directory, 'calm'), database: 'default' })
  calm = { report: said(run), content: await contentOf(reader) }
  await reader.kill('SIGKILL')
}, PATIENCE)
afterAll(async () => {
  await Promise.all(fronts.map((one) => one.kill('SIGKILL')))
  await rm(directory, { recursive: true, force: true })
})

/** The rows that do not depend on how many runs there were. */
function rowsOf(content: Record<string, unknown>) {
  const { run_chunks: _, run_doubles: __, ...rows } = content
  return rows
}

describe('a replay into a server', () => {
  test(
    'says and stores what one into a directory does, and nothing more the second time',
    async () => {
      expect(calm.report.totals).toMatchObject({ inputs: 10, flows: 46, findings: 11, alerts: 4 })
      const server = await front('same')
      const run = await replay(server.store)
      expect(said(run)).toEqual(calm.report)
      expect(known(run)).toMatchObject({
        address: `http://127.0.0.1:${server.port}/flows`,
        temporary: false,
        chunks_known: 0,
      })
      expect(await contentOf(server)).toEqual(calm.content)

      const again = await replay(server.store)
      expect(said(again)).toEqual(calm.report)
      expect(known(again).chunks_known).toBe(known(again).chunks)
      expect(rowsOf(await contentOf(server))).toEqual(rowsOf(calm.content))
    },
    PATIENCE,
  )

  test(
    'that loses answers, and is overrun, and is gone for a moment, ends well all the same',
    async () => {
      const server = await prepared('shaky')
      // One after the other: records, coverage, judgements, findings, and the marker of completeness.
      await server.tell('cut 1 1')
      await server.tell('fail 252 2 1')
      await server.tell('drop 1 1')
      await server.tell('die-late 1')
      const running = replay(server.store)
      await Promise.race([server.gone, running])
      const next = await front('shaky', server.port)
      expect(said(await running)).toEqual(calm.report)
      expect(await contentOf(next)).toEqual(calm.content)
    },
    PATIENCE,
  )
})

// Mostly waiting: for servers that do not come back, and for one that never answers.
describe.concurrent('a server that fails', () => {
  test.each([
    ['before it stores what was sent', 'die 2'],
    ['after it stored, before it said so', 'die-late 3'],
  ])(
    'since it was killed %s is told, and the next run completes it',
    async (_, fault) => {
      const server = await prepared(fault)
      await server.tell(fault)
      const run = await replay(server.store)
      expect(run).toMatchObject({ code: 4, stdout: '' })
      expect(run.stderr).toBe(
        `bailiwick: the store at http://127.0.0.1:${server.port}/flows cannot be reached (ECONNREFUSED): start the ClickHouse server or correct the URL; tried 6 times in 8 seconds; what is stored stays, run again to complete it\n`,
      )
      const next = await front(fault)
      expect(rowsOf(await contentOf(next))).not.toEqual(rowsOf(calm.content))
      expect(said(await replay(next.store))).toEqual(calm.report)
      expect(await contentOf(next)).toEqual(calm.content)
    },
    PATIENCE,
  )

  test(
    'or was none is told in one line, with the cure',
    async () => {
      const server = await front('told')
      const silent = await front('silent')
      await silent.tell('hang')
      const other = createServer((_, response) => response.end('<h1>welcome</h1>'))
      await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
      const { port } = other.address() as AddressInfo
      const cases = [
        [
          `http://watcher:wrong@127.0.0.1:${server.port}/flows`,
          `the store at http://127.0.0.1:${server.port}/flows refused the user or the password (code 516): correct them in the URL`,
        ],
        [
          server.store.replace(/flows$/, 'nowhere'),
          `the store at http://127.0.0.1:${server.port}/nowhere has no such database: create it or name another in the URL`,
        ],
        [
          `http://127.0.0.1:${port}/flows`,
          `the store at http://127.0.0.1:${port}/flows answers, but not as ClickHouse does: correct the URL`,
        ],
        [
          'http://127.0.0.1:1/flows',
          'the store at http://127.0.0.1:1/flows cannot be reached (ECONNREFUSED): start the ClickHouse server or correct the URL',
        ],
        [
          silent.store,
          `the store at http://127.0.0.1:${silent.port}/flows does not answer in time: correct the URL or start the ClickHouse server`,
        ],
      ] as const
      const runs = await Promise.all(cases.map(([store]) => replay(store)))
      for (const [at, [, words]] of cases.entries())
        expect(runs[at]).toEqual({ code: 4, stdout: '', stderr: `bailiwick: ${words}\n` })
      other.close()
    },
    PATIENCE,
  )
})
