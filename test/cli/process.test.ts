// The program as a process: exit codes, pipes that close, signals.

import { execFile, spawn } from 'node:child_process'
import path from 'node:path'
import { expect, it } from 'vitest'

const ROOT = path.join(import.meta.dirname, '..', '..')
const MAIN = path.join(ROOT, 'dist', 'src', 'cli', 'main.js')
const CAPTURE = path.join(ROOT, 'fixtures', 'day-of-work', 'input')

function bailiwick(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    )
  })
}

it('ends with the exit code, data on stdout and words on stderr', async () => {
  const good = await bailiwick(['flows', CAPTURE])
  expect([good.code, good.stderr]).toEqual([0, ''])
  expect(good.stdout.trimEnd().split('\n').length).toBeGreaterThan(100)
  const bad = await bailiwick(['flows', CAPTURE, '/nowhere'])
  expect(bad).toEqual({
    ...good,
    code: 3,
    stderr: 'bailiwick: /nowhere: no such file or directory\n',
  })
})

it('is silent when nobody reads any more', async () => {
  const child = spawn(process.execPath, [MAIN, 'flows', CAPTURE, CAPTURE, CAPTURE])
  child.stdout.once('data', () => child.stdout.destroy())
  let words = ''
  child.stderr.on('data', (piece) => {
    words += piece
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  expect([code, words]).toEqual([0, ''])
})

it('stops when interrupted, also while it waits for standard input', async () => {
  // Standard input stays open: after the capture there is always more to wait for.
  const child = spawn(process.execPath, [MAIN, 'flows', CAPTURE, '-'])
  child.stdin.write(Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex'))
  let words = ''
  child.stderr.on('data', (piece) => {
    words += piece
  })
  const ended = new Promise<[unknown, unknown]>((resolve) =>
    child.once('close', (...how) => resolve(how)),
  )
  await new Promise((resolve) => child.stdout.on('data', resolve))
  child.kill('SIGINT')
  const [code, signal] = await ended
  expect(words.trim()).toBe('bailiwick: stopping; again to stop at once')
  // A shell tells both as 130.
  expect(code === 130 || signal === 'SIGINT').toBe(true)
})
