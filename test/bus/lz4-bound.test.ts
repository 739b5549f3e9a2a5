import fc from 'fast-check'
import { compressFrame, decompressFrame } from 'lz4-napi'
import { expect, test } from 'vitest'
import { lz4Bound } from '../../src/bus/lz4-bound.ts'

/** Bytes that compress more or less well. */
const content = fc
  .tuple(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 0, max: 3000 }))
  .map(([bytes, times]) => Buffer.concat(new Array<Uint8Array>(times).fill(bytes)))

test('a frame never holds more than its bound, which its blocks keep close', async () => {
  await fc.assert(
    fc.asyncProperty(content, async (bytes) => {
      const frame = await compressFrame(bytes)
      const bound = lz4Bound(frame)!
      expect(bound).toBeGreaterThanOrEqual(bytes.length)
      expect(bound).toBeLessThanOrEqual(255 * frame.length)
      expect((await decompressFrame(frame)).length).toBe(bytes.length)
    }),
    { numRuns: 60 },
  )
})

test('a frame that is cut has none, wherever it is cut', async () => {
  const frame = await compressFrame(Buffer.alloc(70_000, 'some text to compress, '))
  for (let cut = 0; cut < frame.length - 4; cut++)
    expect(lz4Bound(frame.subarray(0, cut))).toBeUndefined()
})

test('a bomb shows in its blocks', async () => {
  const bomb = await compressFrame(Buffer.alloc(64 << 20))
  expect(bomb.length).toBeLessThan(300_000)
  expect(lz4Bound(bomb)).toBeGreaterThanOrEqual(64 << 20)
})

test('bytes that are no frame have none, and whatever they are, it is said at once', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const bound = lz4Bound(Buffer.concat([Buffer.from('04224d18', 'hex'), bytes]))
      expect(bound === undefined || bound <= 255 * bytes.length).toBe(true)
      expect(lz4Bound(bytes)).toBeUndefined()
    }),
  )
})
