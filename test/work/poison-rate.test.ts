import { expect, test } from 'vitest'
import { PoisonRate } from '../../src/work/poison-rate.ts'

function after(notes: readonly boolean[]): PoisonRate {
  const rate = new PoisonRate()
  for (const good of notes) rate.note(good)
  return rate
}

test('one bad message in a hundred is bad data, for ever', () => {
  expect(after(Array.from({ length: 20_000 }, (_, i) => i % 100 !== 0)).slow).toBe(false)
})

test('fifty bad ones at the very beginning are not many yet; one more is', () => {
  expect(after(new Array(50).fill(false)).slow).toBe(false)
  expect(after(new Array(51).fill(false)).slow).toBe(true)
})

test('one in ten is a bad deployment', () => {
  const notes = Array.from({ length: 1000 }, (_, i) => i % 10 !== 0)
  expect(after(notes).slow).toBe(true)
})

test('bad ones are forgotten a thousand messages later', () => {
  const rate = after([...new Array(40).fill(false), ...new Array(1000).fill(true)])
  expect(rate.bad).toBe(0)
})

test('twenty good ones in a row end it, and what was before counts no more', () => {
  const rate = after(new Array(60).fill(false))
  for (let i = 0; i < 19; i++) rate.note(true)
  expect(rate.slow).toBe(true)
  rate.note(true)
  expect([rate.slow, rate.bad]).toEqual([false, 0])
})
