// The data directory: one process has it, nobody else reads it, and it says where that process can be asked.

import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DataDirectory, dataPaths, readServeNote } from '../../src/serve/data-directory.ts'

let scratch = ''
beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-data-'))
})
afterEach(() => rmSync(scratch, { recursive: true }))

const NOTE = { address: 'http://127.0.0.1:7650', pid: process.pid, started: 1, version: '1' }

test('is made with all above it, and read by its owner alone', async () => {
  const name = path.join(scratch, 'not', 'yet', 'there')
  const held = await DataDirectory.hold(name, () => {})
  expect(held.paths).toEqual(dataPaths(name))
  expect(statSync(name).mode & 0o777).toBe(0o700)
  await held.release()
})

test('is held by one; the other is told by whom, and may have it afterwards', async () => {
  const held = await DataDirectory.hold(scratch, () => {})
  await expect(DataDirectory.hold(scratch, () => {})).rejects.toMatchObject({
    kind: 'in_use',
    message: expect.stringMatching(
      new RegExp(`is in use by process ${process.pid} on .*: end it, or give another --data$`),
    ),
  })
  await held.release()
  await (await DataDirectory.hold(scratch, () => {})).release()
})

test('says where to ask while it is held; what a killed process said is taken away', async () => {
  const held = await DataDirectory.hold(scratch, () => {})
  await held.note(NOTE)
  expect(statSync(held.paths.note).mode & 0o777).toBe(0o600)
  expect(readServeNote(scratch)).toEqual(NOTE)
  await held.release()
  expect(readServeNote(scratch)).toBeUndefined()

  writeFileSync(dataPaths(scratch).note, JSON.stringify(NOTE))
  const next = await DataDirectory.hold(scratch, () => {})
  expect(existsSync(next.paths.note)).toBe(false)
  await next.release()
})

test('a note that is none is none', () => {
  for (const text of ['', '{}', '[1]', 'null', '{"address":1}']) {
    writeFileSync(dataPaths(scratch).note, text)
    expect(readServeNote(scratch)).toBeUndefined()
  }
})

test('a place where it cannot be is refused in words', async () => {
  const file = path.join(scratch, 'file')
  writeFileSync(file, '')
  for (const wrong of [file, path.join(file, 'below'), '/proc/there-is-no-room-here'])
    await expect(DataDirectory.hold(wrong, () => {})).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(
        /^the data directory .* cannot be used \(E[A-Z]+\): give one that you may write to, with room, by --data$/,
      ),
    })
})
