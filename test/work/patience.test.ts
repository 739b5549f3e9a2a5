// How a store that is away, slow or full is waited for: nobody sleeps on when it is back.

import { expect, test } from 'vitest'
import { StoreError, StoreUnreachableError } from '../../src/store/store-error.ts'
import { Patience, pause } from '../../src/work/patience.ts'

const never = new AbortController().signal
const full = () => new StoreError('full', { code: 243 })
const busy = () => new StoreError('busy', { code: 252 })

/** Patience whose pauses take no time, or for ever; and what it was told, and how long it wanted to pause. */
function patient(takes: 'no time' | 'for ever') {
  const told: (string | undefined)[] = []
  const pauses: number[] = []
  const patience = new Patience({
    clock: () => performance.now(),
    tell: (trouble) => told.push(trouble),
    pause: async (millis, signal) => {
      pauses.push(millis)
      await pause(takes === 'for ever' ? 1 << 30 : 0, signal)
    },
  })
  return { patience, told, pauses }
}

/** Asks something that fails so often, then answers. */
function failing(patience: Patience, times: number, error: () => Error) {
  let asked = 0
  return patience.ask(async () => {
    if (++asked <= times) throw error()
    return asked
  }, never)
}

test('pauses grow; a store that nobody answers for is asked every second', async () => {
  const of = async (error: () => Error) => {
    const { patience, pauses } = patient('no time')
    expect(await failing(patience, 8, error)).toBe(9)
    expect(patience.slow).toBe(error === busy)
    return pauses
  }
  expect(await of(full)).toEqual([250, 500, 1000, 2000, 5000, 10_000, 10_000, 10_000])
  expect(await of(busy)).toEqual([1000, 2000, 5000, 10_000, 20_000, 30_000, 30_000, 30_000])
  const nobody = () => new StoreUnreachableError('nobody')
  expect(await of(nobody)).toEqual([250, 500, 1000, 1000, 1000, 1000, 1000, 1000])
})

test('whoever is answered first wakes all others, but those who were asked to go slower', async () => {
  const { patience, told, pauses } = patient('for ever')
  const waiting = [failing(patience, 1, full), failing(patience, 1, full)]
  let slower: number | undefined
  void failing(patience, 1, busy).then((asked) => {
    slower = asked
  })
  while (pauses.length < 3) await pause(1, never)
  await patience.ask(async () => 'answer', never)
  expect(await Promise.all(waiting)).toEqual([2, 2])
  expect(slower).toBeUndefined()
  expect(told).toEqual(['full', 'busy', undefined])
})

test('what waiting cannot mend is thrown, and whoever ends it has the last word', async () => {
  const { patience } = patient('for ever')
  const data = new StoreError('data', { code: 33 })
  await expect(patience.ask(() => Promise.reject(data), never)).rejects.toBe(data)
  const end = new AbortController()
  const waits = patience.ask(() => Promise.reject(full()), end.signal)
  while (patience.retries === 0) await pause(1, never)
  end.abort(new Error('over'))
  await expect(waits).rejects.toThrow('over')
  expect(patience.trouble).toBe('full')
})
