// What is noted of losses is noted once, and sequence numbers are settled by what is stored or dead.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { decodeChunk, encodeChunk } from '../../src/chunk.ts'
import { splitChunk } from '../../src/chunk-split.ts'
import type { Engine } from '../../src/store/engine.ts'
import type { DeadLetterNote, EngineStore, StreamNote } from '../../src/store/store.ts'
import { openEmbeddedStore } from './embedded-store.ts'
import { judged, MONDAY, sampleChunk } from './samples.ts'

let engine: Engine
let store: EngineStore
beforeAll(async () => {
  ;({ engine, store } = await openEmbeddedStore())
})
afterAll(() => store.close())

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

function letter(n: number, chunk?: Partial<NonNullable<DeadLetterNote['chunk']>>): DeadLetterNote {
  const known = { sensor: 'tap1', origin: 'o', seq: n, piece: '', flowRecords: 3 }
  return {
    id: id(n),
    reason: 'garbage',
    detail: `it's \\ no chunk\n`,
    stream: 'bailiwick.chunks.v1',
    partition: 3,
    offset: String(2 ** 40 + n),
    key: 'tap1/3',
    acceptedAt: MONDAY / 1000,
    diedAt: MONDAY / 1000 + 5,
    version: '0.2.0',
    ...(chunk === undefined
      ? {}
      : {
          chunk: {
            id: id(900 + n),
            hours: [
              [491000, 2],
              [-1, 1],
            ],
            ...known,
            ...chunk,
          },
        }),
  }
}

test('a dead letter is noted once, whoever notes it again, in whichever batch', async () => {
  await store.noteDeadLetters([])
  await store.noteDeadLetters([letter(1), letter(2, {})])
  await store.noteDeadLetters([letter(2, {}), letter(2, {}), { ...letter(3), diedAt: 1 }])
  await store.noteDeadLetters([{ ...letter(3), diedAt: 2 }])
  const rows = await engine.select(
    `SELECT id, reason, detail, partition, offset, toUnixTimestamp64Milli(accepted_at) AS accepted,
      chunk_id, origin, seq, flow_records, hours
    FROM dead_letters ORDER BY id`,
    {},
  )
  const common = { reason: 'garbage', detail: `it's \\ no chunk\n`, partition: 3 }
  const empty = { chunk_id: id(0).replace('4000-8000', '0000-0000'), origin: '', seq: 0 }
  const unknown = { ...common, accepted: MONDAY / 1000, ...empty, flow_records: 0, hours: [] }
  expect(rows).toEqual([
    { id: id(1), ...unknown, offset: 2 ** 40 + 1 },
    {
      id: id(2),
      ...unknown,
      offset: 2 ** 40 + 2,
      chunk_id: id(902),
      origin: 'o',
      seq: 2,
      flow_records: 3,
      hours: [
        [491000, 2],
        [-1, 1],
      ],
    },
    { id: id(3), ...unknown, offset: 2 ** 40 + 3 },
  ])
})

test('a loss that was seen is noted once', async () => {
  const note = (first: number, kind: StreamNote['kind'] = 'gap'): StreamNote => ({
    ...{ stream: 'bailiwick.chunks.v1', partition: 1, kind, detail: 'tap1/é' },
    ...{ first, last: first + 4, count: 5 },
  })
  await store.noteStream([note(10), note(10), note(20)])
  await store.noteStream([note(20), note(30), note(30, 'hole')])
  await store.noteStream([])
  const rows = await engine.select(
    `SELECT kind, first, count, noted_at > now() - INTERVAL 1 HOUR AS now
    FROM stream_notes ORDER BY first, kind`,
    {},
  )
  expect(rows).toEqual([
    { kind: 'gap', first: 10, count: 5, now: 1 },
    { kind: 'gap', first: 20, count: 5, now: 1 },
    { kind: 'gap', first: 30, count: 5, now: 1 },
    { kind: 'hole', first: 30, count: 5, now: 1 },
  ])
})

test('watermarks: what is stored or dead is settled, lane by lane; a split chunk by all of its pieces', async () => {
  const origin = 'tap1/marks'
  const whole = (seq: number) =>
    sampleChunk({
      origin,
      seq,
      flows: ['a', 'b', 'c', 'd'].map((name) => ({ name: `${seq}${name}` })),
    })
  const write = (chunks: ReturnType<typeof whole>[]) =>
    store.insertSlice({ key: 'w', chunks: chunks.map((chunk) => judged(chunk, [])) })
  const marks = async (lanes: number) =>
    (await store.query('origin_watermarks', { origins: [origin, 'unheard of'], lanes })).map(
      ({ lane, next, highest }) => [lane, next, highest],
    )
  expect(await marks(4)).toEqual([])
  await write([0, 1, 4, 6, 8].map(whole))
  expect(await marks(1)).toEqual([[0, 2, 8]])
  expect(await marks(4)).toEqual([
    [0, 12, 8],
    [1, 5, 1],
    [2, 2, 6],
  ])
  await store.noteDeadLetters([letter(50, { origin, seq: 2 })])
  expect(await marks(4)).toContainEqual([2, 10, 6])
  // Number 3 comes in three pieces: '0', '10' and '11'.
  const three = whole(3)
  const blocks = three.header.parts.map((part) => three.parts.get(part.table)!)
  const [left, right] = splitChunk(encodeChunk(three.header, blocks))!
  const [rightLeft, rightRight] = splitChunk(right)!
  await write([decodeChunk(left), decodeChunk(rightLeft)])
  // The left half of the left half adds nothing to it.
  await write([decodeChunk(splitChunk(left)![0])])
  expect(await marks(1)).toEqual([[0, 3, 8]])
  await write([decodeChunk(rightRight)])
  expect(await marks(1)).toEqual([[0, 5, 8]])
})
