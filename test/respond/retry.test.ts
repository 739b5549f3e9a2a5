// When a message is tried again.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  Allowance,
  RETRY_AFTER_MAX,
  RETRY_SCHEDULE,
  retryAfter,
  retryPause,
} from '../../src/respond/retry.ts'

test('the published schedule: ten tries in 75 hours and a half', () => {
  expect(RETRY_SCHEDULE.map((pause) => pause / 1000)).toEqual([
    0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400,
  ])
  expect(RETRY_SCHEDULE.reduce((sum, pause) => sum + pause, 0) / 3_600_000).toBeCloseTo(75.58, 1)
  expect(retryPause(RETRY_SCHEDULE, 1, undefined, 0)).toBe(5000)
  expect(retryPause(RETRY_SCHEDULE, 1, undefined, 1)).toBe(6000)
  expect(retryPause(RETRY_SCHEDULE, RETRY_SCHEDULE.length, undefined, 0)).toBeUndefined()
})

test('a receiver may ask for a longer pause, within bounds, not for a shorter one', () => {
  expect(retryPause(RETRY_SCHEDULE, 1, 60_000, 0)).toBe(60_000)
  expect(retryPause(RETRY_SCHEDULE, 2, 1000, 0)).toBe(300_000)
  expect(retryPause(RETRY_SCHEDULE, 1, Number.MAX_VALUE, 0)).toBe(RETRY_AFTER_MAX)
})

test.each([
  ['120', 120_000],
  [' 0 ', 0],
  ['999999999', RETRY_AFTER_MAX],
  ['Tue, 14 Nov 2023 22:14:20 GMT', 60_000],
  ['Tue, 14 Nov 2000 22:14:20 GMT', 0],
  ['soon', undefined],
  ['-5', undefined],
  ['1e9', undefined],
  ['Infinity', undefined],
  ['Mon, nonsense', undefined],
  [undefined, undefined],
])('Retry-After: %s', (header, millis) => {
  expect(retryAfter(header, 1_700_000_000_000)).toBe(millis)
})

test('Retry-After is never negative, endless or no number', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (header) => {
      const wait = retryAfter(header, 1_700_000_000_000)
      expect(wait === undefined || (wait >= 0 && wait <= RETRY_AFTER_MAX)).toBe(true)
    }),
  )
})

test('an allowance: so many at once, and so many each second', () => {
  const allowance = new Allowance(2, 1, 0)
  expect([0, 0, 0].map((now) => allowance.take(now))).toEqual([true, true, false])
  expect(allowance.wait(0)).toBe(1000)
  expect(allowance.wait(400)).toBe(600)
  expect([1000, 1000].map((now) => allowance.take(now))).toEqual([true, false])
  allowance.give(5)
  expect([1000, 1000, 1000].map((now) => allowance.take(now))).toEqual([true, true, false])
})
