// Trying again: what may be over soon is tried until the pauses are used up, everything else is thrown at once.

import { expect, test } from 'vitest'
import { steadfast } from '../../src/store/steadfast.ts'
import type { Store } from '../../src/store/store.ts'
import {
  RETRIABLE_CODES,
  StoreAccessError,
  StoreError,
  StoreSilentError,
  StoreUnreachableError,
  storeError,
} from '../../src/store/store-error.ts'

const TOO_MANY_PARTS = new StoreError('inserting failed', { code: 252 })
const SLICE = { key: 'lab:0-0', chunks: [] }

/** A store that fails with these errors, one after the other, and then works. */
function failing(errors: Error[]) {
  const asked: string[] = []
  const answer = async (what: string) => {
    asked.push(what)
    const error = errors.shift()
    if (error !== undefined) throw error
  }
  const store: Store = {
    address: 'http://127.0.0.1:8123/db',
    temporary: false,
    completed: () => answer('completed').then(() => new Map()),
    insertSlice: () => answer('insertSlice'),
    noteRun: () => answer('noteRun'),
    noteDeadLetters: () => answer('noteDeadLetters'),
    noteStream: () => answer('noteStream'),
    wantBack: () => answer('wantBack'),
    query: () => answer('query').then(() => []),
    close: () => answer('close'),
  }
  return { store, asked }
}

const never = new AbortController().signal

test('each question is asked again after a failure that may be over soon', async () => {
  const questions: ((store: Store) => Promise<unknown>)[] = [
    (store) => store.completed([]),
    (store) => store.insertSlice(SLICE),
    (store) => store.noteRun('r', []),
    (store) => store.noteDeadLetters([]),
    (store) => store.noteStream([]),
    (store) => store.wantBack([]),
    (store) => store.query('alerts', { limit: 1 }),
  ]
  for (const question of questions) {
    const { store, asked } = failing([TOO_MANY_PARTS, new StoreUnreachableError('gone')])
    await question(steadfast(store, never, [1, 1]))
    expect(asked.length).toBe(3)
  }
})

test('after the last pause the failure is told, with what to do', async () => {
  const gone = () => new StoreUnreachableError('the store cannot be reached (ECONNREFUSED)')
  const { store, asked } = failing([gone(), gone(), gone(), gone()])
  const trying = steadfast(store, never, [1, 1, 998]).insertSlice(SLICE)
  await expect(trying).rejects.toThrow(StoreUnreachableError)
  await expect(trying).rejects.toThrow(
    'the store cannot be reached (ECONNREFUSED); tried 4 times in 1 seconds; what is stored stays, run again to complete it',
  )
  expect(asked.length).toBe(4)
})

test.each([
  new StoreAccessError('refused', { code: 516 }),
  new StoreError('a mistake in the statement', { code: 62 }),
  new StoreError('no ClickHouse'),
  new RangeError('a fault of our own'),
])('%s is thrown at once', async (error) => {
  const { store, asked } = failing([error])
  await expect(steadfast(store, never, [1, 1]).insertSlice(SLICE)).rejects.toBe(error)
  expect(asked.length).toBe(1)
})

test('a server that took a slice and never answered is asked again; a query was waited for long enough', async () => {
  const silent = () =>
    storeError(new Error('Timeout error.'), 'http://127.0.0.1:8123/db', 'reading')
  expect(silent()).toBeInstanceOf(StoreSilentError)
  const writing = failing([silent()])
  await steadfast(writing.store, never, [1]).insertSlice(SLICE)
  expect(writing.asked.length).toBe(2)
  const reading = failing([silent()])
  const trying = steadfast(reading.store, never, [1]).query('alerts', { limit: 1 })
  await expect(trying).rejects.toBeInstanceOf(StoreSilentError)
  expect(reading.asked.length).toBe(1)
})

test('what passes by itself is tried again; wrong statements, names, passwords and full disks are not', () => {
  for (const code of [202, 209, 241, 242, 252, 999]) expect(RETRIABLE_CODES).toContain(code)
  for (const code of [62, 81, 243, 516]) expect(RETRIABLE_CODES).not.toContain(code)
})

test('an interrupt ends the pause, and is what is thrown', async () => {
  const stop = new AbortController()
  const { store } = failing([TOO_MANY_PARTS])
  const trying = steadfast(store, stop.signal, [60_000]).insertSlice(SLICE)
  setTimeout(() => stop.abort(new Error('interrupted')), 10)
  await expect(trying).rejects.toThrow('interrupted')
})

test('closing ends the pause, and the failure that was met is thrown', async () => {
  const { store, asked } = failing([TOO_MANY_PARTS])
  const patient = steadfast(store, never, [60_000])
  const trying = patient.insertSlice(SLICE)
  // Closed while the pause lasts.
  await new Promise((resolve) => setTimeout(resolve, 10))
  await Promise.all([expect(trying).rejects.toBe(TOO_MANY_PARTS), patient.close()])
  expect(asked).toEqual(['insertSlice', 'close'])
})
