import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Message } from '../../src/work/message.ts'
import { SliceCutter, type SliceLimits } from '../../src/work/slice-cutter.ts'

function message(offset: number, records: number, bytes: number): Message {
  return {
    delivery: {
      stream: 'chunks',
      partition: 0,
      offset: BigInt(offset),
      key: 's/0',
      bytes: new Uint8Array(bytes),
      acceptedAt: 0,
    },
    header: undefined,
    refused: undefined,
    records,
  }
}

const LIMITS: SliceLimits = { chunks: 3, records: 100, bytes: 1000, lingerMillis: 250 }

describe('a slice ends', () => {
  test('when it has enough messages', () => {
    const cutter = new SliceCutter(() => LIMITS)
    for (let i = 0; i < 3; i++) expect(cutter.add(message(i, 1, 1), 0)).toBeUndefined()
    expect(cutter.due(0)).toBe(0)
    expect(cutter.cut()).toHaveLength(3)
    expect(cutter.empty).toBe(true)
  })

  test('before a message that does not fit, which begins the next', () => {
    const cutter = new SliceCutter(() => LIMITS)
    cutter.add(message(0, 60, 1), 0)
    expect(cutter.add(message(1, 60, 1), 10)).toMatchObject([{ records: 60 }])
    expect(cutter.due(20)).toBe(240)
  })

  test('when its first message has waited long enough', () => {
    const cutter = new SliceCutter(() => LIMITS)
    cutter.add(message(0, 1, 1), 1000)
    cutter.add(message(1, 1, 1), 1200)
    expect(cutter.due(1200)).toBe(50)
    expect(cutter.due(1251)).toBe(0)
  })

  test('with one message, however large that is', () => {
    const cutter = new SliceCutter(() => LIMITS)
    expect(cutter.add(message(0, 1_000_000, 5000), 0)).toBeUndefined()
    expect(cutter.due(0)).toBe(0)
    expect(cutter.full).toBe(true)
  })

  test('when it has waited, though it is not full: whether to wait on is up to the caller', () => {
    const cutter = new SliceCutter(() => LIMITS)
    cutter.add(message(0, 1, 1), 0)
    expect([cutter.due(LIMITS.lingerMillis), cutter.full]).toEqual([0, false])
  })
})

test('whatever comes, all of it is in slices, in order, and no slice of several is too large', () => {
  const sizes = fc.array(
    fc.record({ records: fc.nat(150), bytes: fc.nat(1500), after: fc.nat(400) }),
    { maxLength: 60 },
  )
  fc.assert(
    fc.property(sizes, (given) => {
      const cutter = new SliceCutter(() => LIMITS)
      const slices: Message[][] = []
      let now = 0
      for (const [i, { records, bytes, after }] of given.entries()) {
        now += after
        if (!cutter.empty && cutter.due(now) === 0) slices.push(cutter.cut())
        const before = cutter.add(message(i, records, bytes), now)
        if (before !== undefined) slices.push(before)
      }
      if (!cutter.empty) slices.push(cutter.cut())
      expect(slices.flat().map(({ delivery }) => Number(delivery.offset))).toEqual(
        given.map((_, i) => i),
      )
      for (const slice of slices) {
        expect(slice.length).toBeGreaterThan(0)
        if (slice.length === 1) continue
        const sum = (of: (one: Message) => number) => slice.reduce((all, one) => all + of(one), 0)
        expect(slice.length).toBeLessThanOrEqual(LIMITS.chunks)
        expect(sum(({ records }) => records)).toBeLessThanOrEqual(LIMITS.records)
        expect(sum(({ delivery }) => delivery.bytes.length)).toBeLessThanOrEqual(LIMITS.bytes)
      }
    }),
  )
})
