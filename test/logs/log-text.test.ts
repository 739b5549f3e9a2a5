import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Escapes, logBytes, logText, TEXT_BYTES_MAX } from '../../src/logs/log-text.ts'

function text(value: string | Uint8Array, escapes: Escapes): string {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : Buffer.from(value)
  return logText(bytes, 0, bytes.length, escapes)
}

test.each([
  // What Zeek wrote, how it wrote it, what is kept.
  ['plain', 'hex', 'plain'],
  ['\\x2d', 'hex', '-'],
  ['\\x28empty)', 'hex', '(empty)'],
  ['a\\x09b', 'hex', 'a\\x09b'],
  ['LivePerson\\\\, Inc.', 'hex', 'LivePerson\\\\, Inc.'],
  ['\\xc3\\xa9', 'hex', 'é'],
  ['\\xff\\xfe', 'hex', '\\xff\\xfe'],
  ['\\xzz', 'hex', '\\\\xzz'],
  ['a\\"b\\/c', 'json', 'a"b/c'],
  ['a\\tb', 'json', 'a\\x09b'],
  ['\\u00e9', 'json', 'é'],
  ['\\ud83d\\ude04', 'json', '😄'],
  ['\\ud83d', 'json', '\ufffd'],
  ['\\\\xff', 'json', '\\xff'],
  ['\\\\x41', 'json', '\\\\x41'],
  ['a\\b', 'none', 'a\\\\b'],
] as [string, Escapes, string][])('%s (%s) is kept as %s', (written, escapes, kept) => {
  expect(text(written, escapes)).toBe(kept)
})

test('bidirectional and zero-width characters are shown, not kept', () => {
  expect(text(Buffer.from('a\u202eb\u200b'), 'none')).toBe('a\\u{202e}b\\u{200b}')
})

test('TSV and JSON of one value give one text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      // A literal backslash cannot be told from an escape in Zeek's JSON.
      const value = Buffer.from(bytes.filter((byte) => byte !== 0x5c))
      const hex = [...value]
        .map((byte) =>
          byte >= 0x20 && byte <= 0x7e
            ? String.fromCharCode(byte)
            : `\\x${byte.toString(16).padStart(2, '0')}`,
        )
        .join('')
      expect(text(JSON.stringify(hex).slice(1, -1), 'json')).toBe(text(hex, 'hex'))
      expect(Buffer.from(logBytes(Buffer.from(hex), 0, hex.length, 'hex'))).toEqual(value)
    }),
  )
})

test('nothing unprintable and nothing long comes out of anything', () => {
  const escapes = fc.constantFrom<Escapes>('none', 'hex', 'json')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000, size: 'max' }), escapes, (bytes, how) => {
      const kept = text(bytes, how)
      expect(kept).not.toMatch(
        /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e]|\p{Surrogate}/u,
      )
      expect(kept.length).toBeLessThanOrEqual(9 * TEXT_BYTES_MAX)
    }),
  )
  expect(text('x'.repeat(5000), 'none')).toBe(`${'x'.repeat(TEXT_BYTES_MAX)}…`)
})
