import { expect, test } from 'vitest'
import {
  StoreAccessError,
  StoreError,
  StoreInconsistentError,
  StoreUnreachableError,
  storeError,
} from '../../src/store/store-error.ts'

const failure = (code: string | number, message = 'words that change') =>
  Object.assign(new Error(message), { code })
const told = (error: unknown) => storeError(error, 'ch:8123/db', 'inserting')

test('errors are told apart by code, not by words', () => {
  expect(told(failure('516'))).toBeInstanceOf(StoreAccessError)
  expect(told(failure('81'))).toBeInstanceOf(StoreAccessError)
  expect(told(failure('ECONNREFUSED'))).toBeInstanceOf(StoreUnreachableError)
  expect(told(failure('243')).message).toMatch(/disk .* is full/)
  expect(told(failure('ENOSPC')).message).toMatch(/disk .* is full/)
  expect(told(failure('241')).message).toMatch(/memory limit while inserting/)
  expect(told(failure('62')).message).toBe(
    'inserting failed at ch:8123/db (code 62): words that change',
  )
  expect(told(new Error('odd\nand long')).message).toBe('inserting: odd')
  expect(told('thrown text').message).toBe('inserting: thrown text')
})

test('every failure has words', () => {
  const silent =
    'inserting: it was refused without a word: see the log of the ClickHouse server, and of a proxy before it'
  expect(told(new Error('')).message).toBe(silent)
  expect(told('').message).toBe(silent)
  expect(told(failure('HPE_ODD', '')).message).toMatch('without a word (HPE_ODD): see')
  expect(told(failure('62', ' \n')).message).toMatch('(code 62): it was refused without a word')
  expect(told(new Error('\r\n\nlate words\nmore')).message).toBe('inserting: late words')
  expect(told(new Error('', { cause: new Error('why') })).message).toBe('inserting: why')
  expect(told(new AggregateError([new Error('first'), new Error('second')])).message).toBe(
    'inserting: first',
  )
})

test('what may go away by itself may be tried again', () => {
  expect([252, 241, 159, 425].map((code) => told(failure(code)).retriable)).toEqual([
    true,
    true,
    true,
    true,
  ])
  expect([62, 243, 516].map((code) => told(failure(code)).retriable)).toEqual([false, false, false])
  expect(told(failure('ETIMEDOUT')).retriable).toBe(true)
})

test('a failure says what it means for whoever waits with more work', () => {
  const kinds = (codes: (number | string)[]) => codes.map((code) => told(failure(code)).kind)
  expect(kinds([252, 241, 202, 159, 209, 745])).toEqual(Array(6).fill('busy'))
  expect(kinds([3, 242, 425, 999, 'ECONNRESET', 'EPIPE'])).toEqual(Array(6).fill('passing'))
  // A disk that is full, rights, a database: the data is good, and somebody has to do something.
  expect(kinds([243, 'ENOSPC', 516, 81, 62, 60, 12345])).toEqual(Array(7).fill('operator'))
  expect(kinds([33, 53, 117])).toEqual(Array(3).fill('data'))
  expect(told(new Error('Timeout error.')).kind).toBe('busy')
  expect(new StoreInconsistentError('x').kind).toBe('contradiction')
  expect(new StoreError('is closed').kind).toBe('operator')
})

test('an error of the store stays what it is, and keeps its cause', () => {
  const own = new StoreError('x')
  expect(told(own)).toBe(own)
  const cause = failure('62')
  expect(told(cause).cause).toBe(cause)
  expect(told(cause).name).toBe('StoreError')
  expect(told(failure('516')).name).toBe('StoreAccessError')
})
