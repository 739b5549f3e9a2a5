// Which rows of a chunk were deleted, doubled or changed, found from sums alone: against a model that has the rows.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type AuditFinding,
  changedPlace,
  judgeChunk,
  judgeSequences,
} from '../../src/audit/findings.ts'
import { type Asked, auditSaid } from '../../src/audit/gather.ts'
import type { AuditChunkRow, AuditPlaceRow } from '../../src/store/queries.ts'

const MASK = (1n << 64n) - 1n

interface ModelRow {
  place: number
  hash: bigint
  hour: number
}

const sumsOf = (rows: readonly ModelRow[]) => ({
  sum: rows.reduce((sum, { hash }) => (sum + hash) & MASK, 0n),
  places: rows.reduce((sum, { hash, place }) => (sum + hash * BigInt(place + 1)) & MASK, 0n),
})

/** What the queries say of a chunk that was `before` and is `now`. */
function asked(before: ModelRow[], now: ModelRow[]): [AuditChunkRow, AuditPlaceRow[]] {
  const hours = [...new Set([...before, ...now].map(({ hour }) => hour))].sort((a, b) => a - b)
  const of = (rows: ModelRow[], hour: number) => rows.filter((row) => row.hour === hour)
  const [was, is] = [sumsOf(before), sumsOf(now)]
  const row: AuditChunkRow = {
    chunk_id: 'c',
    table: 'flow_records',
    ruling: 0,
    sensor: 'tap1',
    origin: 'tap1/a',
    seq: 3,
    piece: '',
    stored_at: 0,
    expired: 0,
    announced: before.length,
    inserted: before.length,
    stored: now.length,
    sum: String((is.sum - was.sum) & MASK),
    places: String((is.places - was.places) & MASK),
    hours: hours
      .filter((hour) => {
        const [a, b] = [of(before, hour), of(now, hour)]
        return a.length !== b.length || sumsOf(a).sum !== sumsOf(b).sum
      })
      .map((hour) => [hour, of(before, hour).length, of(now, hour).length]),
  }
  const there = [...new Set(now.map(({ place }) => place))]
    .sort((a, b) => a - b)
    .map((place): AuditPlaceRow => {
      const copies = now.filter((one) => one.place === place)
      return {
        row: place,
        copies: copies.length,
        flow_hour: Math.min(...copies.map(({ hour }) => hour)),
        content: String(copies[0]!.hash),
      }
    })
  return [row, there]
}

const rowsOf = fc
  .array(fc.tuple(fc.bigInt(0n, MASK), fc.integer({ min: 400_000, max: 400_002 })), {
    minLength: 1,
    maxLength: 30,
  })
  .map((rows) => rows.map(([hash, hour], place): ModelRow => ({ place, hash, hour })))

const brief = (findings: AuditFinding[]) =>
  findings.map(({ kind, places, count }) => ({ kind, places, count }))

describe('rows of a chunk, against a model', () => {
  test('deleted and doubled rows are named, and nothing else is said', () => {
    fc.assert(
      fc.property(rowsOf, fc.infiniteStream(fc.integer({ min: 0, max: 2 })), (rows, dice) => {
        const copies = rows.map(() => (dice.next().value as number) % 3)
        // Few rows have another fate than to be there once.
        const fates = copies.map((n, at) => (at % 4 === 0 ? n : 1))
        const now = rows.flatMap((row, at) => Array.from({ length: fates[at]! }, () => row))
        const gone = rows.filter((_, at) => fates[at] === 0).map(({ place }) => place)
        const twice = rows.filter((_, at) => fates[at] === 2).map(({ place }) => place)
        const found = brief(judgeChunk(...asked(rows, now)))
        const wanted = [
          ...(gone.length > 0 ? [{ kind: 'rows_missing', places: gone, count: gone.length }] : []),
          ...(twice.length > 0
            ? [{ kind: 'rows_doubled', places: twice, count: twice.length }]
            : []),
        ]
        expect(found).toEqual(wanted)
      }),
    )
  })

  test('one changed row is named, also beside doubled ones; its hours are those it is of and was of', () => {
    fc.assert(
      fc.property(
        rowsOf,
        fc.nat(),
        fc.nat(),
        fc.bigInt(1n, MASK),
        fc.integer({ min: 400_000, max: 400_002 }),
        (rows, which, other, change, hour) => {
          const at = which % rows.length
          const changed = { ...rows[at]!, hash: (rows[at]!.hash + change) & MASK, hour }
          const now = rows.map((row, i) => (i === at ? changed : row))
          // A doubled row that is not the changed one.
          const twice = rows.length > 1 && other % 3 === 0 ? (at + 1) % rows.length : undefined
          if (twice !== undefined) now.push(now[twice]!)
          const found = judgeChunk(...asked(rows, now))
          const altered = found.find(({ kind }) => kind === 'rows_altered')
          // Half of the bits of a difference may be zeros; then several places fit, and none is named.
          if (altered?.places.length !== 0) expect(altered?.places).toEqual([at])
          expect(found.map(({ kind }) => kind)).toEqual([
            ...(twice === undefined ? [] : ['rows_doubled']),
            'rows_altered',
          ])
          expect(altered?.hours).toContain(hour)
        },
      ),
    )
  })

  test('a row that is gone and another one that is changed are both seen', () => {
    const rows = [1n, 5n, 9n, 12n].map((hash, place): ModelRow => ({ place, hash, hour: 400_000 }))
    const now = [rows[0]!, { ...rows[2]!, hash: 77n }, rows[3]!]
    expect(judgeChunk(...asked(rows, now)).map(({ kind }) => kind)).toEqual([
      'rows_missing',
      'rows_altered',
    ])
  })

  test('several changed rows are no single place', () => {
    const rows = Array.from(
      { length: 9 },
      (_, place): ModelRow => ({
        place,
        hash: BigInt(place) * 0x9e3779b97f4a7c15n,
        hour: 400_000,
      }),
    )
    const now = rows.map((row) =>
      row.place % 2 === 0 ? row : { ...row, hash: row.hash ^ 0xf0f1n },
    )
    expect(judgeChunk(...asked(rows, now))).toMatchObject([
      { kind: 'rows_altered', places: [], count: 2 },
    ])
  })
})

test('the place of a changed row is the quotient of two sums modulo 2^64', () => {
  fc.assert(
    fc.property(fc.nat({ max: 8191 }), fc.bigInt(1n, MASK), (place, change) => {
      const found = changedPlace(change, (change * BigInt(place + 1)) & MASK, 8192)
      // A difference that is a multiple of a large power of two tells only part of the place.
      const twos = change & -change
      if (twos < 1n << 50n) expect(found).toBe(place)
    }),
  )
  expect(changedPlace(0n, 5n, 10)).toBeUndefined()
  expect(changedPlace(2n, 5n, 10)).toBeUndefined()
  expect(changedPlace(1n, 11n, 10)).toBeUndefined()
})

describe('sequence numbers', () => {
  const row = { origin: 'o', sensor: 's', chunks: 20, due: 12, first: 7, last: 15 }
  const nothing = { highest: [], gaps: [], hours: [] }

  test('those that were announced a moment ago are under way', () => {
    expect(judgeSequences(row, nothing)).toMatchObject([
      { kind: 'chunks_late', first: 7, last: 11, count: 5 },
    ])
    expect(judgeSequences({ ...row, due: 7 }, nothing)).toEqual([])
  })

  test('they are missing when their lane has gone on, or a worker saw the gap', () => {
    const highest = [-1, -1, -1, -1, -1, -1, -1, 23]
    expect(judgeSequences(row, { ...nothing, highest })).toMatchObject([{ kind: 'chunks_missing' }])
    expect(judgeSequences(row, { ...nothing, gaps: [{ first: 9, last: 9 }] })).toMatchObject([
      { kind: 'chunks_missing' },
    ])
    expect(judgeSequences(row, { ...nothing, gaps: [{ first: 12, last: 15 }] })).toMatchObject([
      { kind: 'chunks_late' },
    ])
  })
})

describe('what is stored while the auditor asks', () => {
  /** Ten chunks in two lanes; number 4 is lacking, and is stored with those behind it after the first question. */
  const store = (everStored: boolean) => {
    let questions = 0
    const answers: Record<string, () => object[]> = {
      audit_sequences: () => {
        const is = questions++ === 0 || !everStored
        return is ? [{ origin: 'o', sensor: 's', chunks: 10, due: 10, first: 4, last: 4 }] : []
      },
      origin_lanes: () => [{ origin: 'o', lanes: 2 }],
      origin_watermarks: () => [
        { origin: 'o', lane: 0, highest: 8 },
        { origin: 'o', lane: 1, highest: 9 },
      ],
    }
    const query = (name: string) => Promise.resolve(answers[name]?.() ?? [])
    return { query } as unknown as Asked
  }
  const kinds = async (everStored: boolean) => {
    const times = { since: 0, due: 1, floor: '2026-01-01' }
    return (await auditSaid(store(everStored), times)).findings.map(({ kind }) => kind)
  }

  test('is not missing', async () => expect(await kinds(true)).toEqual([]))
  test('what is not, is', async () => expect(await kinds(false)).toEqual(['chunks_missing']))
})
