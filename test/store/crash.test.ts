// A process that is killed while it writes, again and again, at places that nobody chose: afterwards the store
// holds exactly what a process that was left alone stores. Each attempt cuts its slices otherwise.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TABLES } from '../../src/flow.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import { readSql } from '../../src/store/sql-files.ts'

const root = join(import.meta.dirname, '../..')
/** Below the package, so that the built child finds sql/ and the packages. */
const built = join(root, 'dist', `crash-${process.pid}`)
const stores = mkdtempSync(join(tmpdir(), 'bailiwick-test-'))
const child = join(built, 'test/store/crash-child.js')

beforeAll(() => {
  mkdirSync(built, { recursive: true })
  writeFileSync(join(built, 'package.json'), '{"type":"module"}')
  const config = {
    extends: relative(built, join(root, 'tsconfig.json')),
    compilerOptions: { noEmit: false, outDir: '.', rootDir: relative(built, root) },
    files: [relative(built, join(root, 'test/store/crash-child.ts'))],
    include: [],
  }
  writeFileSync(join(built, 'tsconfig.json'), JSON.stringify(config))
  const tsc = join(root, 'node_modules/.bin/tsc')
  spawnSync(tsc, ['-p', join(built, 'tsconfig.json')], { stdio: 'inherit' })
})
afterAll(() => {
  rmSync(built, { recursive: true, force: true })
  rmSync(stores, { recursive: true, force: true })
})

/** What a store holds: rows and a hash of all of them, of each table. */
async function content(path: string): Promise<Record<string, unknown>> {
  const engine = await openEmbedded(path, { memoryBytes: 1 << 30, temporary: false })
  const found: Record<string, unknown> = {}
  for (const table of Object.keys(TABLES)) {
    const [row] = await engine.select(
      'SELECT count() AS rows, toString(sum(cityHash64(tuple(*)))) AS hash FROM {table:Identifier}',
      { table },
    )
    found[table] = row
  }
  found.wrong = await engine.select(readSql('queries/audit_chunks'), { limit: 10 })
  await engine.close()
  return found
}

/** Runs the child; kills it once it has told `lines` lines and some milliseconds have passed. */
async function run(path: string, slice: number, lines: number, ms: number): Promise<boolean> {
  const running: ChildProcess = spawn(process.execPath, [child, path, String(slice)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let told = 0
  let done = false
  createInterface({ input: running.stdout! }).on('line', (line) => {
    if (line === 'done') done = true
    if (++told === lines) setTimeout(() => running.kill('SIGKILL'), ms)
  })
  await once(running, 'close')
  return done
}

test('kill -9 at any moment loses nothing and doubles nothing', { timeout: 120_000 }, async () => {
  const [calm, rough] = [join(stores, 'calm'), join(stores, 'rough')]
  expect(await run(calm, 3, Number.POSITIVE_INFINITY, 0)).toBe(true)
  const attempts = [
    [3, 1, 25],
    [5, 2, 60],
    [2, 4, 10],
    [1, 6, 45],
  ] as const
  let killed = 0
  for (const [slice, lines, ms] of attempts) if (!(await run(rough, slice, lines, ms))) killed++
  expect(killed).toBeGreaterThan(2)
  expect(await run(rough, 3, Number.POSITIVE_INFINITY, 0)).toBe(true)
  const expected = await content(calm)
  expect(expected).toMatchObject({ flow_records: { rows: 800 }, wrong: [] })
  expect(await content(rough)).toEqual(expected)
})
