// Threads that judge chunks: what waits for one can be taken back, and nobody pays for that.

import { setMaxListeners } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { JudgeThreads } from '../src/judge-threads.ts'
import type { Snapshot } from '../src/snapshot.ts'
import type { AnalyzeTask } from '../src/threads.ts'
import { freshChunks, snapshotOf } from './work/working.ts'

let threads: JudgeThreads
let snapshot: Snapshot & { bytes: Uint8Array }
beforeAll(async () => {
  threads = await JudgeThreads.open({ threads: 1 })
  snapshot = await snapshotOf('document-exfiltration')
})
afterAll(() => threads.close())

const tasks = (count: number): AnalyzeTask[] =>
  freshChunks(count, 50).map((chunk) => ({
    chunk,
    snapshot: snapshot.bytes,
    snapshotHash: snapshot.hash,
    ruling: 0,
  }))

test('what nobody wants any more is not judged; what a thread has, and what others want, is', async () => {
  const gone = new AbortController()
  // As many wait with it as there are tasks.
  setMaxListeners(0, gone.signal)
  const unwanted = tasks(20).map((task) => threads.judge(task, false, gone.signal))
  const wanted = tasks(10).map((task) => threads.judge(task))
  gone.abort(new Error('nobody wants it'))
  const ends = await Promise.allSettled(unwanted)
  const judged = ends.filter(({ status }) => status === 'fulfilled').length
  expect(judged).toBeGreaterThan(0)
  expect(judged).toBeLessThan(6)
  for (const end of ends)
    if (end.status === 'rejected') expect(end.reason).toEqual(new Error('nobody wants it'))
  for (const answer of await Promise.all(wanted)) expect(answer.outcome?.judgementRows).toBe(50)
  await expect(threads.judge(tasks(1)[0]!, false, gone.signal)).rejects.toThrow('nobody wants it')
  expect(threads.deaths).toBe(0)
})

test('a pool that is closed ends those that wait, and blames no chunk', async () => {
  const pool = await JudgeThreads.open({ threads: 1 })
  const waiting = tasks(20).map((task) => pool.judge(task))
  const ends = Promise.allSettled(waiting)
  await pool.close()
  for (const end of await ends)
    if (end.status === 'rejected') expect(end.reason.message).toBe('the worker threads were closed')
  expect(pool.deaths).toBe(0)
})
