import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { countText, isPlain, microsText, quadText, uuidText } from '../../src/cli/cell-text.ts'
import { formatUuid } from '../../src/hash.ts'

describe('countText', () => {
  it('is what JavaScript writes', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (value) => countText(value) === String(value)))
    for (const value of [0, 9999, 10_000, 2 ** 32, Number.MAX_SAFE_INTEGER])
      expect(countText(value)).toBe(String(value))
  })
})

describe('microsText', () => {
  it('is seconds with six digits', () => {
    expect(microsText(1_767_603_600_000_250)).toBe('1767603600.000250')
    expect(microsText(0)).toBe('0.000000')
    expect(microsText(-1_500_000)).toBe('-1.500000')
  })

  it('loses no microsecond', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const text = microsText(value)
        expect(text).toMatch(/^-?\d+\.\d{6}$/)
        expect(BigInt(text.replace('.', ''))).toBe(BigInt(value))
      }),
    )
  })
})

it('writes addresses and ids', () => {
  expect(quadText(Uint8Array.of(9, 10, 0, 255, 7), 1)).toBe('10.0.255.7')
  const id = Uint8Array.from({ length: 17 }, (_, i) => (i * 16 + 3) & 255)
  expect(uuidText(id, 1)).toBe(formatUuid(id.subarray(1)))
})

it('knows text that needs no escape', () => {
  const safe = new Uint8Array(128).fill(1, 0x20, 0x7f)
  expect(isPlain('plain', safe)).toBe(true)
  expect(isPlain('not\nplain', safe)).toBe(false)
  expect(isPlain('größer', safe)).toBe(false)
})
