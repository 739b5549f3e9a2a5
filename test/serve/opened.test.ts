// How what was opened is closed, whatever fails on the way.

import { expect, test } from 'vitest'
import { openLateStore } from '../../src/serve/answering.ts'
import { Opened, overOpened } from '../../src/serve/opened.ts'
import type { Running } from '../../src/serve/running.ts'
import { parseStoreTarget } from '../../src/store/store-target.ts'
import { aborted } from '../../src/until-aborted.ts'

function running(stop = new AbortController()) {
  const said: string[] = []
  const one: Running = {
    log: (level, message, fields) =>
      said.push(`${level}: ${message}${fields?.part === undefined ? '' : ` (${fields.part})`}`),
    signal: stop.signal,
    observe: () => () => true,
    observed: new Set(),
  }
  return { running: one, said, stop }
}

test('parts are closed in the opposite order, also after one that cannot be, or does not end', async () => {
  const { running: given, said } = running()
  const opened = new Opened(given.log, 10)
  const closed: string[] = []
  const close = (name: string) => async () => void closed.push(name)
  opened.closing('first', close('first'))
  opened.closing('rejects', () => Promise.reject(new Error('stuck')))
  opened.closing('second', close('second'))
  opened.closing('hangs', () => new Promise(() => {}))
  opened.closing('throws', () => {
    throw new Error('at once')
  })
  // Nothing came of it.
  opened.closing('never opened', () => undefined)
  opened.closing('third', close('third'))
  await opened.close()
  expect(closed).toEqual(['third', 'second', 'first'])
  expect(said).toEqual([
    'error: could not be closed (throws)',
    'warn: does not close in time; it is left (hangs)',
    'error: could not be closed (rejects)',
  ])
  await opened.close()
  expect(closed).toHaveLength(3)
})

test('what went wrong first is what is said, not what followed from it', async () => {
  const { running: given, said } = running()
  const closed: string[] = []
  const over = overOpened(given, async ({ signal }, { opened, fail }) => {
    opened.closing('part', async () => {
      closed.push('part')
      throw new Error('cannot be closed')
    })
    setImmediate(() => fail(new Error('the disk failed')))
    await aborted(signal)
    fail(new Error('and so did this'))
    throw new Error('interrupted')
  })
  await expect(over).rejects.toThrow('the disk failed')
  expect(closed).toEqual(['part'])
  expect(said).toEqual(['error: could not be closed (part)'])
})

test('work that is told to end, or is done, ends without an error', async () => {
  const { running: given, stop } = running()
  let inner: AbortSignal | undefined
  await overOpened(given, async ({ signal }) => {
    inner = signal
    setImmediate(() => stop.abort())
    await aborted(signal)
  })
  const done = running()
  await overOpened(done.running, async ({ signal }) => {
    inner = signal
  })
  expect([inner?.aborted, done.stop.signal.aborted]).toEqual([true, false])
})

test('a store that never came is not waited for when something else failed', async () => {
  const { running: given, said } = running()
  const target = parseStoreTarget('http://127.0.0.1:1/flows')
  const over = overOpened(given, async (running, tools) => {
    openLateStore({ target, schema: 'check' }, running, tools)
    throw new Error('the port is taken')
  })
  await expect(over).rejects.toThrow('the port is taken')
  expect(said.filter((line) => line.includes('close'))).toEqual([])
})

test('a store that will never open ends all of it, with the reason', async () => {
  const { running: given } = running()
  const target = parseStoreTarget('/dev/null/store')
  const over = overOpened(given, async (running, tools) => {
    openLateStore({ target, schema: 'apply' }, running, tools)
    await aborted(running.signal)
  })
  await expect(over).rejects.toThrow(/dev.null.store/)
})
