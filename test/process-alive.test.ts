import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { isAlive } from '../src/process-alive.ts'

test('a process lives until it has ended', async () => {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  expect(isAlive(child.pid!)).toBe(true)
  child.stdin.end()
  await once(child, 'exit')
  expect(isAlive(child.pid!)).toBe(false)
})

test('a process of somebody else lives, though it may not be asked', () => {
  expect(isAlive(1)).toBe(true)
})
