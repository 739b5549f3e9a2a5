// What the Dockerfile runs, in a clean directory: the tree that it ships starts.

import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = path.join(import.meta.dirname, '..', '..')
const execute = promisify(execFile)
let dir = ''

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'bailiwick-image-'))
  for (const name of ['package.json', 'package-lock.json', '.npmrc', 'sql', 'data', 'deploy'])
    await cp(path.join(ROOT, name), path.join(dir, name), { recursive: true })
  const args = ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund']
  await execute('npm', args, { cwd: dir, timeout: 600_000 })
  await cp(path.join(ROOT, 'dist'), path.join(dir, 'dist'), { recursive: true })
}, 600_000)
afterAll(() => rm(dir, { recursive: true, force: true }))

test('the program says its version and replays a capture', async () => {
  const main = path.join(dir, 'dist', 'src', 'cli', 'main.js')
  const bailiwick = (...args: string[]) => execute(process.execPath, [main, ...args], { cwd: dir })
  expect((await bailiwick('--version')).stdout).toMatch(/^bailiwick \d+\.\d+\.\d+/)
  const story = path.join(ROOT, 'fixtures', 'day-of-work')
  await symlink(path.join(story, 'input'), path.join(dir, 'inbox'))
  const { stdout } = await bailiwick(
    'replay',
    'inbox',
    '--agents',
    path.join(story, 'agents'),
    '--json',
  )
  expect(JSON.parse(stdout).verdicts.in_scope).toBeGreaterThan(0)
})

test('the health check is 0 when the process is ready, 1 with the reason when it is not', async () => {
  let ready = true
  const server = createServer((_, answer) => {
    answer.statusCode = ready ? 200 : 503
    answer.end('the store does not answer')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const check = () =>
    execute(process.execPath, [path.join(dir, 'deploy', 'healthcheck.mjs')], {
      env: { BAILIWICK_LISTEN: `0.0.0.0:${port}` },
    }).then(
      () => [0, ''],
      ({ code, stderr }) => [code, stderr],
    )
  expect(await check()).toEqual([0, ''])
  ready = false
  expect(await check()).toEqual([1, 'the store does not answer\n'])
  server.close()
  expect(await check()).toEqual([1, expect.stringContaining('does not answer')])
})
