// Long-running commands as processes: how they end when they are told to, when they cannot begin, and when they
// fail. No broker is needed for any of it.

import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'
import { LoggedProcess } from './logged-process.ts'

const ROOT = path.join(import.meta.dirname, '..', '..')
const CAPTURE = path.join(ROOT, 'fixtures', 'day-of-work', 'input')

// Each starts processes, which takes its time where others use the processors.
vi.setConfig({ testTimeout: 120_000 })

let scratch = ''
beforeAll(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-long-process-'))
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const running: LoggedProcess[] = []
afterEach(() => {
  for (const { child } of running.splice(0)) child.kill('SIGKILL')
})

let spools = 0
/** A sensor whose broker is not there: what it reads stays in its spool. */
function sensor(args: string[], env?: Record<string, string>): LoggedProcess {
  const spool = path.join(scratch, `spool-${spools++}`)
  const one = new LoggedProcess(
    ['sensor', ...args, '--kafka', '127.0.0.1:1', '--spool', spool],
    scratch,
    env,
  )
  running.push(one)
  return one
}

it.each(['SIGTERM', 'SIGINT'] as const)(
  'ends with 0 at %s, also while it waits for standard input',
  async (signal) => {
    const one = sensor(['-'])
    await one.line(/^started$/)
    one.child.kill(signal)
    expect(await one.ended).toEqual([0, null])
    expect(one.lines.map(({ msg }) => msg)).toContain('told to end: finishing what was begun')
    expect(one.lines.at(-1)!.msg).toBe('ended')
    expect(one.words).toEqual([])
  },
)

it('ends at once at the second signal', async () => {
  // The read of the input takes a minute: the first signal has to wait for it.
  const one = sensor([CAPTURE], { BAILIWICK_FAILPOINTS: 'F1_read_journal=sleep@1:60000' })
  expect(await one.line(/failpoints are armed/)).toMatchObject({ level: 'warn' })
  await one.line(/^started$/)
  one.child.kill('SIGTERM')
  await one.line(/^told to end/)
  one.child.kill('SIGTERM')
  expect(await one.ended).toEqual([143, null])
})

it('ends with 70 and the stack when it fails in a way that nobody expected', async () => {
  const one = sensor([CAPTURE], { BAILIWICK_FAILPOINTS: 'F1_read_journal=throw@1' })
  expect(await one.ended).toEqual([70, null])
  expect(one.lines.at(-1)).toMatchObject({
    level: 'error',
    exit: 70,
    msg: 'this is a fault of bailiwick: Error: failpoint F1_read_journal',
    err: { type: 'Error', stack: expect.stringContaining('at ') },
  })
})

it('ends with 70 and tells, in its log, a fault that nothing caught', async () => {
  // A signal lets a promise be refused that nobody waits for.
  const fault = 'process.on("SIGUSR2",()=>{Promise.reject(new Error("nobody waits"))})'
  const env = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(fault)}` }
  const one = sensor(['-'], env)
  await one.line(/^started$/)
  one.child.kill('SIGUSR2')
  expect(await one.ended).toEqual([70, null])
  expect(one.lines.at(-1)).toMatchObject({
    level: 'error',
    msg: 'this is a fault of bailiwick',
    err: { type: 'Error', message: 'nobody waits' },
  })
  expect(one.words).toEqual([])
})

it('ends with 2 where somebody else listens, and where failpoints cannot be read', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as { port: number }
  const taken = sensor([CAPTURE, '--listen', String(port)])
  expect(await taken.ended).toEqual([2, null])
  expect(taken.lines.at(-1)).toMatchObject({
    level: 'error',
    exit: 2,
    msg: `cannot listen at 127.0.0.1:${port}: it is taken by another process: give another port with --listen, or end that process`,
  })
  other.close()
  const wrong = sensor([CAPTURE], { BAILIWICK_FAILPOINTS: 'F99=kill@1' })
  expect(await wrong.ended).toEqual([2, null])
  expect(wrong.words.join()).toContain('BAILIWICK_FAILPOINTS: RangeError: no failpoint: F99=kill@1')
})

it('ends with 4 and the cure where there can be no spool', async () => {
  writeFileSync(path.join(scratch, 'file'), '')
  const spool = path.join(scratch, 'file', 'spool')
  const wrong = new LoggedProcess(
    ['sensor', CAPTURE, '--kafka', '127.0.0.1:1', '--spool', spool],
    scratch,
  )
  running.push(wrong)
  expect(await wrong.ended).toEqual([4, null])
  expect(wrong.lines.at(-1)).toMatchObject({
    exit: 4,
    msg: `the spool ${spool} cannot be used (ENOTDIR): give one that you may write to, with room, by --spool`,
  })
})

it('waits for a store that is not there, not ready and saying why, and ends well', async () => {
  const agents = path.join(ROOT, 'fixtures', 'day-of-work', 'agents')
  const args = ['--kafka', '127.0.0.1:1', '--store', 'http://writer@127.0.0.1:1/flows']
  const one = new LoggedProcess(['worker', '--agents', agents, ...args, '--listen', '0'], scratch)
  running.push(one)
  const { listen } = await one.line(/^started$/)
  const { reason } = await one.line(/^not reachable/)
  expect(reason).toBe(
    'the store at http://127.0.0.1:1/flows cannot be reached (ECONNREFUSED): start the ClickHouse server or correct the URL',
  )
  const ready = await fetch(`${String(listen)}/ready`)
  expect([ready.status, await ready.json()]).toEqual([503, { ready: false, reason }])
  expect((await fetch(`${String(listen)}/health`)).status).toBe(200)
  one.child.kill('SIGTERM')
  expect(await one.ended).toEqual([0, null])
})

it('shows over HTTP that it lives', async () => {
  const one = sensor(['-', '--listen', '127.0.0.1:0'])
  const { listen } = await one.line(/^started$/)
  const health = await fetch(`${String(listen)}/health`)
  expect(await health.json()).toEqual({ status: 'alive', name: 'sensor' })
  one.child.kill('SIGTERM')
  expect(await one.ended).toEqual([0, null])
})
