import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BusError } from '../../src/bus/bus.ts'
import {
  type DeadLetter,
  deadLetterId,
  decodeDeadLetter,
  encodeDeadLetter,
} from '../../src/bus/dead-letter.ts'

const PLACE = { stream: 'bailiwick.chunks.v1', partition: 3, offset: 17n }
const LETTER: DeadLetter = {
  id: deadLetterId(PLACE, ''),
  reason: 'garbage',
  detail: 'not a chunk',
  stream: PLACE.stream,
  partition: PLACE.partition,
  offset: String(PLACE.offset),
  key: 'edge-1/3',
  acceptedAt: 1_700_000_000_000,
  diedAt: 1_700_000_001_000,
  version: '0.1.0',
}

test('a letter comes back with its bytes as they were', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const read = decodeDeadLetter(encodeDeadLetter(LETTER, bytes))
      expect(read.letter).toEqual(LETTER)
      expect(Buffer.from(read.bytes).equals(bytes)).toBe(true)
    }),
  )
})

test('the same message has the same id, a piece of it another', () => {
  expect(deadLetterId({ ...PLACE }, '')).toBe(LETTER.id)
  expect(deadLetterId(PLACE, '0')).not.toBe(LETTER.id)
  expect(deadLetterId({ ...PLACE, offset: 18n }, '')).not.toBe(LETTER.id)
})

test('what is no letter is refused, and never anything else', () => {
  const whole = encodeDeadLetter(LETTER, Buffer.from('bytes'))
  for (let cut = 0; cut < whole.length - 5; cut++)
    expect(() => decodeDeadLetter(whole.subarray(0, cut))).toThrow(BusError)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(() => decodeDeadLetter(bytes)).toThrow(BusError)
    }),
  )
})

test('hostile text in a detail is printable when it is read', () => {
  const read = decodeDeadLetter(
    encodeDeadLetter({ ...LETTER, detail: '\u001b[2J\u202e' }, Buffer.alloc(0)),
  )
  expect(read.letter.detail).not.toMatch(/[\u0000-\u001f\u202e]/)
})
