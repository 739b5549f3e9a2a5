import fc from 'fast-check'
import { expect, test } from 'vitest'
import { printable, printableJson, wireText } from '../src/wire-text.ts'

test('wire text is printable ASCII, and the bytes can be had back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const text = wireText(bytes, 0, bytes.length)
      expect(text).toMatch(/^[\x20-\x7e]*$/)
      const back = text.replace(/\\(\\|x[0-9a-f]{2})/g, (_, code: string) =>
        code === '\\' ? '\\' : String.fromCharCode(Number.parseInt(code.slice(1), 16)),
      )
      expect(Buffer.from(back, 'latin1')).toEqual(Buffer.from(bytes))
    }),
  )
})

test('long text is cut where it was told to be, and shows it', () => {
  expect(wireText(Buffer.from('abcdef'), 0, 6, 3)).toBe('abc…')
})

test('nothing that steers a terminal survives', () => {
  const hostile = 'a\u001b[31m\u009b2J\u202egpj.exe\u200b\u2028\ud800\nb'
  const shown = printable(hostile)
  expect(shown).toBe('a\\u{1b}[31m\\u{9b}2J\\u{202e}gpj.exe\\u{200b}\\u{2028}\\u{d800}\\u{a}b')
  const json = printableJson({ [hostile]: hostile })
  expect(json).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u200b\u2028\u202e]/)
  expect(JSON.parse(json)).toEqual({ [hostile]: hostile })
})
