// Kills `bailiwick replay --store` at random moments, again and again, then lets it finish: the store must hold
// exactly what an undisturbed run stores. Real processes, the real engine, SIGKILL.

import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { uniformNumbers, writeCrawler, writeManyFlows } from './many-flows.ts'

const ROOT = path.join(import.meta.dirname, '..', '..')
const PROGRAM = path.join(ROOT, 'dist', 'src', 'cli', 'main.js')
const COUNTER = path.join(import.meta.dirname, 'count-rows.mjs')
const run = promisify(execFile)

/** 13 chunks in two slices: killing meets the first, the second, and the moment between. */
const FLOWS = 200_000
const KILLS = 6

let directory = ''
let capture = ''
let agents = ''

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-kill-'))
  capture = path.join(directory, 'many.pcap')
  agents = path.join(directory, 'agents.yaml')
  await writeManyFlows(capture, FLOWS)
  await writeCrawler(agents)
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const replayArgs = (store: string) => [
  PROGRAM,
  'replay',
  capture,
  '--agents',
  agents,
  '--store',
  store,
  '--json',
]

/** Runs a replay and kills it after `millis`; true if it was over before. */
function killedReplay(store: string, millis: number): Promise<boolean> {
  const child = spawn(process.execPath, replayArgs(store), { stdio: 'ignore' })
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), millis)
    child.on('exit', (_, signal) => {
      clearTimeout(timer)
      resolve(signal !== 'SIGKILL')
    })
  })
}

async function finishedReplay(store: string) {
  const { stdout } = await run(process.execPath, replayArgs(store), { maxBuffer: 256 << 20 })
  return JSON.parse(stdout)
}

/** Rows, distinct (chunk, row) pairs and a hash of the content, by table. */
async function countRows(store: string) {
  const { stdout } = await run(process.execPath, [COUNTER, store])
  return JSON.parse(stdout)
}

test('a replay that was killed again and again stores what an undisturbed one does', async () => {
  const calm = path.join(directory, 'calm')
  const stormy = path.join(directory, 'stormy')
  const started = performance.now()
  const undisturbed = await finishedReplay(calm)
  const millis = performance.now() - started
  expect(undisturbed.totals.flows).toBe(FLOWS)
  const calmRows = await countRows(calm)

  // From the seed that is printed when this fails, the same moments come again.
  const seed = Date.now() & 0xffff
  const random = uniformNumbers(seed)
  const moments: number[] = []
  for (let i = 0; i < KILLS; i++) {
    const moment = Math.floor(millis * (0.15 + 0.8 * random()))
    moments.push(moment)
    await killedReplay(stormy, moment)
  }
  const finished = await finishedReplay(stormy)
  const told = `seed ${seed}, killed after ${moments.join(', ')} ms`
  expect(await countRows(stormy), told).toEqual(calmRows)
  expect(finished.verdicts, told).toEqual(undisturbed.verdicts)
  expect(finished.alerts, told).toEqual(undisturbed.alerts)

  // And once more, with nothing left to do.
  const again = await finishedReplay(stormy)
  expect(again.store.chunks_known).toBe(again.store.chunks)
  expect(again.verdicts).toEqual(undisturbed.verdicts)
  expect(await countRows(stormy)).toEqual(calmRows)
}, 240_000)
