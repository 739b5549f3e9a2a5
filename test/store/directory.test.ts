import { existsSync, mkdtempSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../src/store/directory.ts'

const HOUR = 3_600_000

test('temporary stores that killed processes left behind are swept, young and foreign ones are not', () => {
  const parent = mkdtempSync(path.join(tmpdir(), 'bailiwick-sweep-'))
  const now = Date.now()
  const made = ['bailiwick-store-old', 'bailiwick-store-young', 'something-else-old'].map((name) =>
    mkdtempSync(path.join(parent, name)),
  )
  for (const [i, directory] of made.entries()) {
    const age = i === 1 ? HOUR / 2 : 2 * HOUR
    utimesSync(directory, (now - age) / 1000, (now - age) / 1000)
  }
  const fresh = temporaryDirectory(parent, now)
  expect([...made, fresh].map((directory) => existsSync(directory))).toEqual([
    false,
    true,
    true,
    true,
  ])
  rmSync(parent, { recursive: true })
})
