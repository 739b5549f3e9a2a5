import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ChunkHeader } from '../../src/chunk-header.ts'
import { type Gap, gapBefore, Watermarks } from '../../src/work/watermarks.ts'

function header(seq: number, more: Partial<ChunkHeader> = {}): ChunkHeader {
  return {
    v: 2,
    id: '',
    sensor: 'tap',
    origin: 'tap/abc',
    seq,
    lanes: 4,
    last: false,
    format: 'pcap',
    hours: [],
    parts: [],
    ...more,
  }
}

/** What is said of these numbers of a sensor with four lanes, in the order in which they come. */
function seen(numbers: readonly number[], marks = new Watermarks()) {
  return numbers.map((seq) => marks.see(header(seq)))
}

const NOTHING = { duplicate: false, gap: undefined }

describe('numbers of a lane', () => {
  test('that go up by the number of lanes are all there', () => {
    expect(seen([0, 1, 2, 3, 4, 5, 6, 7, 8])).toEqual(new Array(9).fill(NOTHING))
  })

  test('with a larger step are a gap, which is told with what is missing', () => {
    expect(seen([0, 4, 16]).at(-1)).toEqual({
      duplicate: false,
      gap: { origin: 'tap/abc', first: 8, last: 12, count: 2 },
    })
  })

  test('that come again are duplicates, and move nothing', () => {
    expect(seen([0, 4, 8, 4, 8, 12])).toEqual([
      NOTHING,
      NOTHING,
      NOTHING,
      { duplicate: true, gap: undefined },
      { duplicate: true, gap: undefined },
      NOTHING,
    ])
  })

  test('pieces of a chunk share its number, and each comes once', () => {
    const marks = new Watermarks()
    const piece = (path: string) => marks.see(header(4, { piece: { of: '', path } }))
    seen([0], marks)
    expect([piece('0'), piece('10'), piece('11')]).toEqual([NOTHING, NOTHING, NOTHING])
    expect(piece('10').duplicate).toBe(true)
    expect(seen([8], marks)).toEqual([NOTHING])
  })

  test('of a sensor that was started again with more lanes are no gap', () => {
    const marks = new Watermarks()
    const at = (seq: number, lanes: number) => marks.see(header(seq, { lanes }))
    expect([0, 4, 8].map((seq) => at(seq, 4))).toEqual([NOTHING, NOTHING, NOTHING])
    expect([24, 25, 40].map((seq) => at(seq, 16))).toEqual([NOTHING, NOTHING, NOTHING])
  })

  test('say nothing where the sensor did not tell its lanes', () => {
    const marks = new Watermarks()
    const { lanes: _, ...untold } = header(0)
    for (const seq of [0, 9, 2, 40]) expect(marks.see({ ...untold, seq })).toEqual(NOTHING)
    expect(marks.takeFirstSights()).toEqual([])
  })
})

describe('a lane that is seen for the first time', () => {
  test('is to be asked about, once', () => {
    const marks = new Watermarks()
    seen([9, 13], marks)
    expect(marks.takeFirstSights()).toEqual([{ origin: 'tap/abc', lane: 1, lanes: 4, seq: 9 }])
    expect(marks.takeFirstSights()).toEqual([])
  })

  test('and begins with its first number is not: nothing comes before that', () => {
    const marks = new Watermarks()
    seen([0, 1, 2, 3], marks)
    expect(marks.takeFirstSights()).toEqual([])
  })

  test('misses what the store has not settled before it', () => {
    const sight = { origin: 'o', lane: 1, lanes: 4, seq: 21 }
    expect(gapBefore(sight, 17)).toBeUndefined()
    expect(gapBefore(sight, 33)).toBeUndefined()
    expect(gapBefore(sight, 9)).toEqual({ origin: 'o', first: 13, last: 17, count: 2 })
    expect(gapBefore(sight, undefined)).toEqual({ origin: 'o', first: 1, last: 17, count: 5 })
    expect(gapBefore({ ...sight, seq: 1 }, undefined)).toBeUndefined()
  })
})

test('whatever is lost on the way is told, number by number, and nothing else', () => {
  const lanes = 3
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: lanes, max: 60 }), { maxLength: 30 }),
      fc.array(fc.nat(60), { maxLength: 10 }),
      (lost, again) => {
        // The first and the last of each lane come.
        const all = Array.from({ length: 61 + lanes }, (_, seq) => seq)
        const came = all.filter((seq) => !lost.includes(seq))
        const marks = new Watermarks()
        const gaps: Gap[] = []
        for (const [i, seq] of came.entries()) {
          const sent = [
            seq,
            ...again
              .filter((_, at) => at % 7 === i % 7)
              .filter((one) => one < seq && came.includes(one)),
          ]
          for (const one of sent) {
            const { gap, duplicate } = marks.see(header(one, { lanes }))
            if (gap !== undefined) gaps.push(gap)
            expect(duplicate).toBe(one !== seq)
          }
        }
        const told = gaps.flatMap(({ first, last }) =>
          all.filter((seq) => seq >= first && seq <= last && (seq - first) % lanes === 0),
        )
        expect(told.sort((a, b) => a - b)).toEqual([...lost].sort((a, b) => a - b))
        expect(gaps.reduce((sum, { count }) => sum + count, 0)).toBe(lost.length)
      },
    ),
  )
})
