import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineBytes } from '../../src/cli/line-bytes.ts'
import { formatUuid } from '../../src/hash.ts'

const written = (write: (lines: LineBytes) => void): string => {
  const lines = new LineBytes()
  write(lines)
  return lines.take().toString('latin1')
}

describe('LineBytes', () => {
  it('writes whole numbers as JavaScript does', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        expect(written((lines) => lines.integer(value))).toBe(String(value))
      }),
    )
    for (const value of [0, 9, 10, 999_999_999, 1_000_000_000, 2 ** 32, Number.MAX_SAFE_INTEGER])
      expect(written((lines) => lines.integer(value))).toBe(String(value))
  })

  it('writes microseconds as seconds without a trace of binary fractions', () => {
    expect(written((lines) => lines.micros(1_767_603_600_000_250))).toBe('1767603600.000250')
    expect(written((lines) => lines.micros(0))).toBe('0.000000')
    expect(written((lines) => lines.micros(-1_500_000))).toBe('-1.500000')
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const text = written((lines) => lines.micros(value))
        expect(text).toMatch(/^-?\d+\.\d{6}$/)
        expect(BigInt(text.replace('.', ''))).toBe(BigInt(value))
      }),
    )
  })

  it('writes addresses and ids', () => {
    expect(written((lines) => lines.quad(Uint8Array.of(9, 10, 0, 255, 7), 1))).toBe('10.0.255.7')
    const id = Uint8Array.from({ length: 16 }, (_, i) => i * 16 + 3)
    expect(written((lines) => lines.uuid(id, 0))).toBe(formatUuid(id))
  })

  it('grows, and gives each batch away', () => {
    const lines = new LineBytes()
    const piece = Buffer.alloc(50_000, 0x61)
    for (let i = 0; i < 20; i++) lines.put(piece)
    const first = lines.take()
    lines.put(Buffer.from('next'))
    expect(first.length).toBe(1_000_000)
    expect(first.every((byte) => byte === 0x61)).toBe(true)
    expect(lines.take().toString()).toBe('next')
  })

  it('leaves text alone that is not plain', () => {
    const safe = new Uint8Array(128).fill(1, 0x20, 0x7f)
    const lines = new LineBytes()
    expect(lines.plain('plain', safe)).toBe(true)
    expect(lines.plain('not\nplain', safe)).toBe(false)
    expect(lines.plain('größer', safe)).toBe(false)
    expect(lines.take().toString()).toBe('plain')
  })
})
