// What a fetch brings, in every shape in which a producer may have written it.

import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { compressFrame } from 'lz4-napi'
import { expect, test } from 'vitest'
import { BATCH_BYTES_MAX, BATCH_RECORDS_MAX, recordsOf } from '../../src/bus/kafka-records.ts'
import { batchBytes, recordBytes } from './record-writer.ts'

const records = [
  { key: 'edge-1/0', value: Buffer.from('one') },
  { value: null },
  { key: '', value: Buffer.alloc(200, 7) },
]

test.each(['none', 'gzip', 'lz4'] as const)('records of a batch, %s', async (codec) => {
  const plain = recordBytes(records)
  const body = { none: plain, gzip: gzipSync(plain), lz4: await compressFrame(plain) }[codec]
  const messages = await recordsOf(batchBytes(40, 3, codec, body))
  expect(messages.map(({ offset, key, value }) => [offset, key?.toString(), value])).toEqual([
    ['40', 'edge-1/0', Buffer.from('one')],
    ['41', undefined, null],
    ['42', '', Buffer.alloc(200, 7)],
  ])
  expect(messages[2]!.timestamp).toBe('1700000000002')
  expect(messages.every(({ unreadable }) => unreadable === undefined)).toBe(true)
})

const text = Buffer.from('some text')
const zeros = Buffer.alloc(BATCH_BYTES_MAX + 1)
test.each([
  ['an LZ4 bomb', 1, 'lz4', () => compressFrame(zeros), /more than 16777216 bytes/],
  ['a gzip bomb', 1, 'gzip', () => gzipSync(zeros), /more than 16777216 bytes/],
  ['garbage as LZ4', 1, 'lz4', () => text, /no LZ4 frame/],
  ['garbage as gzip', 1, 'gzip', () => text, /does not decompress/],
  ['a cut LZ4 block', 1, 'lz4', () => cutBlock(), /does not decompress/],
  ['snappy', 1, 'snappy', () => text, /codec is snappy/],
  ['zstd', 1, 'zstd', () => text, /codec is zstd/],
  ['fewer records than it says', 4, 'none', () => recordBytes(records), /cut/],
  ['countless records', BATCH_RECORDS_MAX + 1, 'none', () => text, /16385 records, more than/],
] as const)(
  '%s is one message that says why, with the bytes of the batch',
  async (_, count, codec, made, why) => {
    const bad = batchBytes(10, count, codec, await made())
    const good = batchBytes(10 + count, 1, 'none', recordBytes([{ value: text }]))
    const [first, second, ...rest] = await recordsOf(Buffer.concat([bad, good]))
    expect(rest).toEqual([])
    // At the place of its last record, so that what follows is read next.
    expect(first).toMatchObject({
      offset: String(10 + count - 1),
      unreadable: expect.stringMatching(why),
    })
    expect(first!.value!.equals(bad)).toBe(true)
    expect(second).toMatchObject({ offset: String(10 + count), value: text })
  },
)

async function cutBlock(): Promise<Buffer> {
  const frame = await compressFrame(recordBytes(records))
  frame[11] = frame[11]! ^ 0xff
  return frame
}

test('a batch of the format before Kafka 0.11 is told as well', async () => {
  const old = batchBytes(5, 1, 'none', text)
  old.writeInt8(1, 16)
  const told = { offset: '5', unreadable: expect.stringMatching(/0\.11/) }
  expect(await recordsOf(old)).toMatchObject([told])
})

test('batches that would not fit in memory together come one after the other', async () => {
  const half = await compressFrame(recordBytes([{ value: Buffer.alloc(BATCH_BYTES_MAX - 4096) }]))
  const batches = [0, 1, 2].map((base) => batchBytes(base, 1, 'lz4', half))
  expect((await recordsOf(Buffer.concat(batches))).map(({ offset }) => offset)).toEqual(['0'])
  expect((await recordsOf(Buffer.concat(batches.slice(1)))).map(({ offset }) => offset)).toEqual([
    '1',
  ])
})

test('what the broker cut off at the end is left for the next fetch', async () => {
  const whole = batchBytes(7, 3, 'none', recordBytes(records))
  const both = Buffer.concat([whole, whole])
  for (let cut = whole.length; cut < both.length; cut++)
    expect(await recordsOf(both.subarray(0, cut))).toHaveLength(3)
})

test('whatever stands in a batch, it ends, and each offset is answered for', async () => {
  const plain = recordBytes(records)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(plain.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      async (changes) => {
        const body = Buffer.from(plain)
        for (const [at, byte] of changes) body[at] = byte
        const messages = await recordsOf(batchBytes(0, 3, 'none', body))
        expect(messages.length === 3 || messages[0]!.unreadable !== undefined).toBe(true)
      },
    ),
    { numRuns: 500 },
  )
})
