import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LINE_BYTES_MAX, LineReader } from '../../src/logs/lines.ts'

function linesOf(text: string, piece: number): string[] {
  const found: string[] = []
  const reader = new LineReader({
    line: (bytes, start, end, number) =>
      found.push(`${number}:${Buffer.from(bytes.subarray(start, end)).toString('latin1')}`),
    longLine: (_bytes, start, end, number) => found.push(`${number}:long ${end > start}`),
  })
  const bytes = Buffer.from(text, 'latin1')
  for (let at = 0; at < bytes.length; at += piece) {
    const lent = Buffer.from(bytes.subarray(at, at + piece))
    reader.push(lent)
    lent.fill(0)
  }
  reader.end()
  return found
}

test('lines end at a newline, with or without a carriage return, and at the end of the input', () => {
  expect(linesOf('a\r\n\nbc\nd', 100)).toEqual(['1:a', '2:', '3:bc', '4:d'])
})

test('the pieces do not matter', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '\r', '\n'), maxLength: 60 })
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 9 }), (input, piece) => {
      expect(linesOf(input, piece)).toEqual(linesOf(input, 1000))
    }),
  )
})

test.each([LINE_BYTES_MAX * 3, 70_000, 4096])(
  'a line that is too long is told of once and passed over, in pieces of %d',
  (piece) => {
    const text = `a\n${'x'.repeat(LINE_BYTES_MAX + 5)}\nb\n${'y'.repeat(LINE_BYTES_MAX)}\n`
    const found = linesOf(text, piece)
    expect(found.slice(0, 3)).toEqual(['1:a', '2:long true', '3:b'])
    expect(found[3]).toHaveLength(2 + LINE_BYTES_MAX)
    expect(found).toHaveLength(4)
  },
)
