import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Block } from '../../src/block.ts'
import type { Columns } from '../../src/flow.ts'
import { encodeBlock } from '../../src/native.ts'
import { BlockError } from '../../src/native-read.ts'
import { blockDays } from '../../src/store/block-days.ts'

const DAY = 86_400_000_000

/** Every type of column before `ts`, and one after it. */
const SPEC = {
  small: 'u8',
  port: 'u16',
  wide: 'u32',
  bytes: 'count',
  duration: 'seconds',
  seen: 'time',
  host: 'address',
  id: 'uuid',
  state: 'word',
  name: 'text',
  names: 'words',
  weights: 'bytes',
  ts: 'time',
  after: 'text',
} as const satisfies Columns

const row = fc.record({
  ts: fc.integer({ min: -(2 ** 52), max: 2 ** 52 }),
  word: fc.string(),
  names: fc.array(fc.stringMatching(/^[a-z.]{0,9}$/), { maxLength: 3 }),
})

function blockOf(rows: { ts: number; word: string; names: string[] }[]): Uint8Array {
  const block = new Block(SPEC)
  for (const { ts, word, names } of rows) {
    const i = block.add()
    block.columns.state.set(i, word)
    block.columns.name.set(i, word)
    block.columns.names.set(i, names)
    block.columns.weights.set(
      i,
      names.map((name) => name.length),
    )
    block.columns.ts[i] = ts
  }
  return encodeBlock(block)
}

test('days are counted as they are, whatever columns come before', () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 30 }), (rows) => {
      const expected = new Map<number, number>()
      for (const { ts } of rows) {
        const day = Math.min(65_535, Math.max(0, Math.trunc(ts / DAY)))
        expected.set(day, (expected.get(day) ?? 0) + 1)
      }
      const found = blockDays(blockOf(rows))
      expect(found.rows).toBe(rows.length)
      expect(found.byDay).toEqual(expected)
      expect([...found.byDay.keys()]).toEqual([...found.byDay.keys()].sort((a, b) => a - b))
    }),
  )
})

test('a block without a time has rows and no days; no bytes are no rows', () => {
  const block = new Block({ port: 'u16' })
  block.add()
  expect(blockDays(encodeBlock(block))).toEqual({ rows: 1, byDay: new Map() })
  expect(blockDays(new Uint8Array(0))).toEqual({ rows: 0, byDay: new Map() })
})

test('cut or scrambled bytes are a BlockError, never another failure', () => {
  const bytes = blockOf(fc.sample(row, { numRuns: 5, seed: 1 }))
  const attempt = (bad: Uint8Array) => {
    try {
      blockDays(bad)
    } catch (error) {
      expect(error).toBeInstanceOf(BlockError)
    }
  }
  for (let cut = 1; cut < bytes.length; cut++) attempt(bytes.subarray(0, cut))
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bad = bytes.slice()
      bad[at]! ^= flip
      attempt(bad)
    }),
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), attempt))
})
