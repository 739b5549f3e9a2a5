import { expect, test } from 'vitest'
import { contentUuid, formatUuid, sipHash128 } from '../src/hash.ts'

// Published vectors of the SipHash reference implementation (vectors_sip128): key 00..0f, message 00..n-1.
const VECTORS: readonly [length: number, hex: string][] = [
  [0, 'a3817f04ba25a8e66df67214c7550293'],
  [1, 'da87c1d86b99af44347659119b22fc45'],
  [2, '8177228da4a45dc7fca38bdef60affe4'],
  [7, 'a1f1ebbed8dbc153c0b84aa61ff08239'],
  [8, '3b62a9ba6258f5610f83e264f31497b4'],
  [15, '5493e99933b0a8117e08ec0f97cfc3d9'],
  [23, 'c9d184ddd5a9f5e0cf8ce29a9abf691c'],
]

test('SipHash-2-4-128 gives the published values', () => {
  const key = new Int32Array(Uint8Array.from({ length: 16 }, (_, i) => i).buffer)
  const message = new DataView(Uint8Array.from({ length: 64 }, (_, i) => i).buffer)
  for (const [length, hex] of VECTORS) {
    const out = new Uint8Array(16)
    sipHash128(message, length, key, out, 0)
    expect([length, Buffer.from(out).toString('hex')]).toEqual([length, hex])
  }
})

test('a content UUID depends on where one part ends and the next begins', () => {
  expect(formatUuid(contentUuid(['ab', 'c']))).not.toBe(formatUuid(contentUuid(['a', 'bc'])))
  expect(formatUuid(contentUuid(['ab']))).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab]/)
})
