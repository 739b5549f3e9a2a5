// `bailiwick alerts` where no server runs: the store that one left is read, unless somebody holds it.

import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStore } from '../../src/store/store.ts'
import { alertId } from '../api/desk.ts'
import { bailiwick, idsIn, storedAlert } from './asked.ts'

const MAIN = path.join(import.meta.dirname, '..', '..', 'dist', 'src', 'cli', 'main.js')
const NOW = Math.floor(Date.now() / 1000) * 1_000_000
let data: string
const open = () => openStore({ kind: 'directory', path: path.join(data, 'store') })

beforeAll(async () => {
  data = mkdtempSync(path.join(tmpdir(), 'bailiwick-left-'))
  const store = await open()
  await store.insertSlice(storedAlert(NOW))
  await store.close()
  // A process that was killed left it; no process has this number.
  const note = { address: 'http://127.0.0.1:9', pid: 4_194_303, started: 0, version: '0' }
  writeFileSync(path.join(data, 'serve.json'), JSON.stringify(note))
})
afterAll(() => rmSync(data, { recursive: true, force: true }))

test('is listed and shown', async () => {
  const { code, out, err } = await bailiwick(['alerts', '--data', data])
  expect([code, err, idsIn(out)]).toEqual([0, '', [alertId('stored')]])
  const shown = await bailiwick(['alerts', 'show', alertId('stored'), '--data', data])
  expect(shown.out).toContain('+40 default deny: no rule names it')
  const none = await bailiwick(['alerts', 'show', alertId('raised'), '--data', data])
  expect(none).toMatchObject({ code: 2, err: expect.stringContaining('there is no such alert') })
})

test('is not read while another process holds it', async () => {
  const held = await open()
  const ran = promisify(execFile)(process.execPath, [MAIN, 'alerts', '--data', data])
  await expect(ran).rejects.toMatchObject({
    code: 4,
    stderr: expect.stringContaining(`is held by process ${process.pid}`),
  })
  await held.close()
})

test('cannot be followed: nothing happens there', async () => {
  const { code, err } = await bailiwick(['alerts', '--follow', '--data', data])
  expect([code, err]).toEqual([4, expect.stringMatching(/no process .* has .* now: start one/)])
})
