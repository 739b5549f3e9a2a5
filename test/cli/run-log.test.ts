// The log of a long-running process: nothing from outside forges a line, and no secret stands in one.

import { expect, it } from 'vitest'
import { openLog } from '../../src/cli/run-log.ts'
import { HOSTILE, Memory, RAW_CONTROL } from './heard.ts'

function opened(secrets: string[] = []) {
  const out = new Memory()
  const log = openLog(out, { level: 'info', name: 'worker', version: '1.2.3', secrets })
  const lines = () =>
    out.text
      .split('\n')
      .filter((line) => line !== '')
      .map((line): Record<string, unknown> => JSON.parse(line))
  return { out, log, lines }
}

it('writes one JSON object a line, from its level up', () => {
  const { log, lines } = opened()
  log('debug', 'not this')
  log('warn', 'lag grows', { partition: 3, offset: 12n, lag: Number.NaN, bytes: Buffer.alloc(7) })
  expect(lines()).toEqual([
    {
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      name: 'worker',
      pid: process.pid,
      version: '1.2.3',
      msg: 'lag grows',
      partition: 3,
      offset: '12',
      lag: 'NaN',
      bytes: '7 bytes',
    },
  ])
})

it('cannot be made to hold a second line, a control character, or another level', () => {
  const { out, log, lines } = opened()
  for (const text of HOSTILE) log('info', text, { [text]: text, level: 'error', msg: text })
  expect(lines()).toHaveLength(HOSTILE.length)
  expect(out.text.replaceAll('\n', '')).not.toMatch(RAW_CONTROL)
  expect(lines().every(({ level, level_ }) => level === 'info' && level_ === 'error')).toBe(true)
})

it('holds no secret: not by its name, nor where it stands in a text', () => {
  const { out, log, lines } = opened(['hunter2'])
  const error = new Error('refused hunter2', { cause: new Error('user:hunter2@host') })
  log('error', 'login with hunter2', {
    password: 'x1',
    sasl: { username: 'sensor', password: 'x2', nested: [{ private_key: 'x3' }] },
    authorization: 'Bearer x4',
    url: 'http://u:hunter2@h/',
    hunter2: 1,
    err: error,
  })
  expect(out.text).not.toMatch(/hunter2|x[1-4]"/)
  expect(lines()[0]).toMatchObject({
    msg: 'login with ***',
    password: '***',
    sasl: { username: 'sensor', password: '***' },
    err: { type: 'Error', message: 'refused ***', cause: { message: 'user:***@host' } },
  })
})

it('bounds what a line holds', () => {
  const { out, log } = opened()
  const deep = { a: { b: { c: { d: { e: { f: 'far down' } } } } } }
  const round: Record<string, unknown> = { text: 'x'.repeat(100_000), list: Array(1e5).fill(1) }
  round.itself = round
  log('info', 'y'.repeat(100_000), { deep, round })
  expect(out.text.length).toBeLessThan(40_000)
  expect(out.text).not.toContain('far down')
})
