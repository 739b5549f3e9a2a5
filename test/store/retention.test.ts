// Letting go: whole days of all tables together, what belongs to them follows, and a killed run is simply repeated.

import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Engine } from '../../src/store/engine.ts'
import { maintenanceOf } from '../../src/store/maintenance.ts'
import { DAY_TABLES, expire, retentionFloor, retentionPlan } from '../../src/store/retention.ts'
import type { EngineStore, SliceChunk } from '../../src/store/store.ts'
import { openEmbeddedStore } from './embedded-store.ts'
import { DAY, judged, MONDAY, sampleChunk } from './samples.ts'

let engine: Engine
let store: EngineStore
beforeAll(async () => {
  ;({ engine, store } = await openEmbeddedStore())
})
afterAll(() => store.close())

/** A chunk with a flow, its judgement and a finding on each of these days, and a reject. */
function chunkOf(origin: string, seq: number, days: readonly number[]): SliceChunk {
  const at = days.map((day) => ({ name: `${origin}${seq}.${day}`, ts: MONDAY + day * DAY }))
  const chunk = sampleChunk({
    origin,
    seq,
    flows: at,
    rejects: [{ reason: 'r', at: 1, sample: '' }],
  })
  const verdict = { verdict: 'out_of_scope', alert: 'x' } as const
  return judged(
    chunk,
    at.map(({ name, ts }) => ({ name, ts, ...verdict })),
  )
}

const write = (chunks: SliceChunk[]) => store.insertSlice({ key: 'r', chunks })

/** Rows of a chunk in each table. */
async function rowsOf({ header }: SliceChunk): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const table of ['chunks', 'rejects', ...DAY_TABLES]) {
    const [row] = await engine.select(
      'SELECT count() AS n FROM {table:Identifier} FINAL WHERE chunk_id = {id:UUID}'.replace(
        ' FINAL',
        table === 'judged_sums' ? ' FINAL' : '',
      ),
      { table, id: header.id },
    )
    found[table] = (row as { n: number }).n
  }
  return found
}

/** What is left of a chunk of which only the coverage is of a day that went: with its sum. */
const withoutCoverage = (rows: Record<string, number>) => ({
  ...rows,
  coverage: 0,
  chunk_sums: rows.chunk_sums! - 1,
})

async function letGo(floor: string): Promise<void> {
  await expire(engine, await retentionPlan(engine, 1, floor))
}

const day = (n: number) => new Date((MONDAY + n * DAY) / 1000).toISOString().slice(0, 10)

test('the first day that stays is so many days before today', () => {
  expect(retentionFloor(90, Date.UTC(2026, 3, 1, 23, 59))).toBe('2026-01-01')
  expect(() => retentionFloor(0, 0)).toThrow(RangeError)
  expect(() => retentionFloor(1.5, 0)).toThrow(RangeError)
})

test('days go together, chunks over several days in part, and nothing of it is called lost', async () => {
  const [old, both, fresh] = [[0], [0, 1], [1, 2]].map((days, seq) =>
    chunkOf('tap1/days', seq, days),
  ) as [SliceChunk, SliceChunk, SliceChunk]
  // Of too many days to have a partition each.
  const scattered = chunkOf(
    'tap1/days',
    3,
    Array.from({ length: 40 }, (_, i) => i * 400),
  )
  await write([old, both, fresh, scattered])
  const before = { fresh: await rowsOf(fresh), scattered: await rowsOf(scattered) }
  await letGo(day(1))
  expect(await rowsOf(old)).toEqual({
    ...{ chunks: 2, rejects: 1, judged_sums: 0, findings: 0, judgements: 0, flow_records: 0 },
    // The sum of the rejects has no day.
    chunk_sums: 1,
    coverage: 0,
  })
  expect(await rowsOf(both)).toMatchObject({ judged_sums: 1, findings: 1, flow_records: 1 })
  // But for coverage: the row of each sample is of the first day.
  expect(await rowsOf(fresh)).toEqual(withoutCoverage(before.fresh))
  expect(await rowsOf(scattered)).toEqual(withoutCoverage(before.scattered))
  const expired = await engine.select('SELECT chunk_id FROM expired_chunks FINAL', {})
  expect(expired.map((row) => (row as { chunk_id: string }).chunk_id).sort()).toEqual(
    [old, both, fresh, scattered].map(({ header }) => header.id).sort(),
  )
  expect(await engine.select('SELECT floor FROM retention_floor', {})).toEqual([{ floor: day(1) }])
  expect(await store.query('audit_hours', { limit: 9 })).toEqual([])
  // It was stored lately, so it is still known: whoever delivers it again writes nothing.
  await write([old])
  expect((await rowsOf(old)).flow_records).toBe(0)
})

test('a chunk whose days are gone and that was stored long ago is forgotten, but not its sequence number', async () => {
  const chunks = [0, 1, 2].map((seq) => chunkOf('tap1/gone', seq, [seq]))
  await write(chunks)
  await store.noteDeadLetters([
    {
      ...{ id: '00000000-0000-4000-8000-000000000001', reason: 'garbage', detail: '' },
      ...{ stream: 's', partition: 0, offset: '1', key: 'k', version: '0' },
      ...{ acceptedAt: 1, diedAt: Date.now() },
    },
  ])
  await letGo('2100-01-01')
  for (const chunk of chunks)
    expect(Object.values(await rowsOf(chunk)).reduce((a, b) => a + b)).toBe(0)
  for (const table of ['dead_letters', 'expired_chunks', 'rejects', 'announced', 'chunk_sums'])
    expect(await engine.select('SELECT 1 FROM {table:Identifier} LIMIT 1', { table })).toEqual([])
  const marks = await store.query('origin_watermarks', { origins: ['tap1/gone'], lanes: 2 })
  expect(marks.map(({ lane, next }) => [lane, next])).toEqual([
    [0, 4],
    [1, 3],
  ])
  // What comes afterwards goes on from there.
  await write([chunkOf('tap1/gone', 3, [3]), chunkOf('tap1/gone', 6, [3])])
  const later = await store.query('origin_watermarks', { origins: ['tap1/gone'], lanes: 2 })
  expect(later.map(({ lane, next, highest }) => [lane, next, highest])).toEqual([
    [0, 4, 6],
    [1, 5, 3],
  ])
})

test('killed after any statement and run again, it has done the same', async () => {
  const [first, last] = [1000, 1021]
  for (let n = first; n <= last; n += 7) {
    const [old, fresh] = [chunkOf('tap1/kill', n, [n]), chunkOf('tap1/kill', n + 1, [n + 9])]
    await write([old, fresh])
    const before = await rowsOf(fresh)
    const plan = await retentionPlan(engine, 1, day(n + 1))
    await expire(engine, plan.slice(0, n - first))
    await letGo(day(n + 1))
    const gone = { flow_records: 0, judgements: 0, judged_sums: 0, findings: 0, coverage: 0 }
    expect(await rowsOf(old), `after ${n - first} of ${plan.length}`).toMatchObject(gone)
    expect(await rowsOf(fresh)).toEqual(withoutCoverage(before))
  }
  expect(await store.query('audit_hours', { limit: 9 })).toEqual([])
}, 120_000)

test('the plan is what is run, and planning changes nothing', async () => {
  await write([chunkOf('tap1/plan', 0, [2000])])
  const now = () => Date.parse(day(2011))
  const maintenance = maintenanceOf(engine, undefined, now)
  const plan = await maintenance.retentionPlan(10)
  expect(plan).toContain(
    `ALTER TABLE flow_records DROP PARTITION '${day(2000)}' SETTINGS max_partition_size_to_drop = 0`,
  )
  expect(await maintenance.retentionPlan(10)).toEqual(plan)
  const steps: number[] = []
  await maintenance.expire(plan, ({ step }) => steps.push(step))
  expect(steps).toEqual(plan.map((_, at) => at + 1))
  expect(await maintenance.retentionPlan(10)).not.toContain(plan[2])
  expect(await maintenance.pending()).toEqual([])
})
