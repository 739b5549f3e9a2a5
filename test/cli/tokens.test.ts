// `bailiwick tokens`: who may ask, for a server that runs as for one that will.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { TokenBook } from '../../src/api/tokens.ts'
import { bailiwick } from './asked.ts'
import { RAW_CONTROL } from './heard.ts'

const data = mkdtempSync(path.join(tmpdir(), 'bailiwick-tokens-'))
afterAll(() => rmSync(data, { recursive: true, force: true }))
const tokens = (...args: string[]) => bailiwick(['tokens', ...args, '--data', data])

test('are made, listed and taken away; a book that is open knows within a second', async () => {
  let now = Date.now()
  const book = TokenBook.open(
    data,
    () => {},
    () => now,
  )
  const { code, out } = await tokens('add', 'night shift', '--role', 'approver', '--expires', '90d')
  expect([code, out]).toEqual([0, expect.stringMatching(/^bw_[0-9a-f]{8}_[A-Za-z0-9_-]{43}\n$/)])
  const token = out.trim()
  const id = token.slice(3, 11)
  now += 1500
  expect(book.principalOf(token)).toEqual({ id, name: 'night shift', role: 'approver' })
  const list = await tokens('ls')
  expect(list.out).toMatch(new RegExp(`^${id} +night shift +approver `, 'm'))
  expect(list.out).toContain('first administrator')
  const lines = (await tokens('ls', '--json')).out.trim().split('\n')
  expect(lines.map((line) => JSON.parse(line).role)).toEqual(['admin', 'approver'])
  for (const shown of [list.out, ...lines]) expect(shown).not.toContain(token.slice(12))
  expect((await tokens('rm', id)).code).toBe(0)
  now += 1500
  expect(book.principalOf(token)).toBeUndefined()
  // What expires is out by itself.
  const short = (await tokens('add', 'a day', '--expires', '1d')).out.trim()
  now += 1500
  expect(book.principalOf(short)?.role).toBe('viewer')
  now += 25 * 3_600_000
  expect(book.principalOf(short)).toBeUndefined()
})

test('mistakes are said, and change nothing', async () => {
  expect(await tokens('rm', 'ffffffff')).toMatchObject({
    code: 2,
    err: expect.stringContaining('there is no token ffffffff'),
  })
  expect((await tokens('add', 'x', '--role', 'king')).code).toBe(2)
  expect((await tokens('add', 'x', '--expires', 'soon')).code).toBe(2)
  const hostile = await tokens('add', '\u001b[2Jred')
  expect(hostile.code).toBe(2)
  expect(hostile.err).not.toMatch(RAW_CONTROL)
  const none = await bailiwick(['tokens', 'ls', '--data', path.join(data, 'nowhere')])
  expect([none.code, none.err]).toEqual([2, expect.stringContaining('no data directory')])
})
