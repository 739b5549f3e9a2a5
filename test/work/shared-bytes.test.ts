// Memory that threads share: copies are right, whatever the memory held before, and nobody gets what another holds.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { giveBack, isShared, sharedCopy } from '../../src/work/shared-bytes.ts'

test('a copy holds its bytes until it is given back, whoever comes and goes meanwhile', () => {
  const sizes = fc.array(fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.boolean()), {
    maxLength: 60,
  })
  fc.assert(
    fc.property(sizes, (steps) => {
      const held: { copy: Uint8Array; value: number; size: number }[] = []
      for (const [i, [size, back]] of steps.entries()) {
        const value = (i % 255) + 1
        const copy = sharedCopy(new Uint8Array(size).fill(value))
        expect(isShared(copy)).toBe(true)
        held.push({ copy, value, size })
        if (back) giveBack(held.splice(i % held.length, 1)[0]!.copy)
        for (const one of held) {
          expect(one.copy.length).toBe(one.size)
          expect(one.copy.every((byte) => byte === one.value)).toBe(true)
        }
        expect(new Set(held.map(({ copy }) => copy.buffer)).size).toBe(held.length)
      }
      for (const { copy } of held) giveBack(copy)
    }),
  )
})

test('memory is used again for what is about as large', () => {
  const first = sharedCopy(new Uint8Array(1_700_000))
  giveBack(first)
  expect(sharedCopy(new Uint8Array(1_650_000)).buffer).toBe(first.buffer)
})

test('memory that is not shared is let go of', () => {
  const own = new Uint8Array(100)
  expect(isShared(own)).toBe(false)
  giveBack(own)
  expect(own.length).toBe(0)
})
