// Sums by hour: what they say is what the judgements beneath add up to, whatever was repeated, cut short or judged
// again.

import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Verdict } from '../../src/flow.ts'
import type { BlockInsert, Engine } from '../../src/store/engine.ts'
import { insertSlice, type SliceChunk } from '../../src/store/slice.ts'
import { readMigrations } from '../../src/store/sql-files.ts'
import type { EngineStore } from '../../src/store/store.ts'
import { openEmbeddedStore } from './embedded-store.ts'
import { DAY, judged, MONDAY, type SampleJudgement, sampleChunk } from './samples.ts'

const HOUR = 3_600_000_000
let engine: Engine
let store: EngineStore
beforeAll(async () => {
  ;({ engine, store } = await openEmbeddedStore())
})
afterAll(() => store.close())

/** An engine that dies before its nth INSERT. */
function dyingAt(n: number): Engine {
  let left = n
  const insert = async (blocks: readonly Uint8Array[], inserts: readonly BlockInsert[]) => {
    for (const one of inserts) {
      if (left-- <= 0) throw new Error('killed')
      await engine.insert(blocks, [one])
    }
  }
  return {
    ...{ address: engine.address, writers: 1, close: async () => {}, insert },
    command: (sql) => engine.command(sql),
    select: (sql, params) => engine.select(sql, params),
  }
}

const sample = (seq: number, judgements: SampleJudgement[], ruling = 0): SliceChunk => {
  const flows = judgements.map(({ name, ts }) => ({ name, ts: ts ?? MONDAY }))
  const chunk = sampleChunk({ origin: 'tap1/hours', seq, flows })
  return judged(chunk, judgements, ruling, `key${ruling}`)
}

test('a few judgements by hand: by hour, by verdict, by agent, by destination', async () => {
  const paste = { destination: 'paste.example', alert: 'x', score: 70 }
  const chunk = sample(0, [
    { name: 'a', verdict: 'in_scope', bytes_out: 10, bytes_in: 100 },
    { name: 'b', verdict: 'out_of_scope', ...paste, bytes_out: 5_000_000_000, bytes_in: 7 },
    {
      name: 'c',
      verdict: 'in_scope',
      ts: MONDAY + HOUR,
      agent: 'urn:b',
      bytes_out: 1,
      bytes_in: 2,
    },
    { name: 'd', verdict: 'unregistered', ts: MONDAY + DAY, side: 'none', agent: '', ...paste },
  ])
  await store.insertSlice({ key: 'h', chunks: [chunk] })
  const span = { from: MONDAY, to: MONDAY + 2 * HOUR, limit: 10 }
  const hours = await store.query('soc_by_hour', span)
  expect(hours.map((row) => [row.hour_start, row.verdict, row.judgements, row.findings])).toEqual([
    [MONDAY, 'in_scope', 1, 0],
    [MONDAY, 'out_of_scope', 1, 1],
    [MONDAY + HOUR, 'in_scope', 1, 0],
  ])
  expect(hours[1]).toMatchObject({ bytes_out: 5_000_000_000, bytes_in: 7, records: 1, score: 70 })
  expect(await store.query('soc_by_verdict', span)).toMatchObject([
    { verdict: 'in_scope', grade: 'certain', judgements: 2, agents: 2, bytes_out: 11 },
    { verdict: 'out_of_scope', judgements: 1, agents: 1, destinations: 1 },
  ])
  expect(await store.query('soc_by_agent', { ...span, to: MONDAY + 2 * DAY })).toMatchObject([
    { in_scope: 1, out_of_scope: 1, findings: 1, destinations: 2, bytes_in: 107 },
    { agent: '', unregistered: 1, in_scope: 0, findings: 1, first_hour: MONDAY + DAY },
    { agent: 'urn:b', in_scope: 1, findings: 0 },
  ])
  const where = { ...span, to: MONDAY + 2 * DAY, agent: '' }
  expect(await store.query('soc_by_destination', where)).toMatchObject([
    { destination: 'paste.example', agents: 1, judgements: 2, out_of_scope: 1, findings: 2 },
    { destination: 'api.example.com', agents: 2, judgements: 2 },
  ])
  const ofOne = await store.query('soc_by_destination', { ...where, agent: 'urn:b' })
  expect(ofOne).toMatchObject([{ destination: 'api.example.com', judgements: 1 }])
})

/** Sums of everything, as the rollup tells them. */
async function told(): Promise<unknown> {
  const [row] = await engine.select(
    'SELECT sum(judgements) AS n, sum(findings) AS f, sum(bytes_out) AS b FROM judged_hours_current',
    {},
  )
  return row
}

test('a slice that is cut short, repeated, judged anew or fed to the view twice counts once', async () => {
  const before = (await told()) as { n: number; f: number; b: number }
  const verdicts: Verdict[] = ['in_scope', 'out_of_scope', 'unattributed']
  const judgement = fc.record({
    verdict: fc.constantFrom(...verdicts),
    hour: fc.integer({ min: 0, max: 30 }),
    bytes: fc.integer({ min: 0, max: 2 ** 40 }),
    agent: fc.constantFrom('urn:x', 'urn:y', ''),
    destination: fc.constantFrom('p.example', 'q.example', '10.0.0.1'),
  })
  let seq = 100
  const expected = { ...before }
  const run = fc.asyncProperty(
    fc.array(judgement, { minLength: 1, maxLength: 8 }),
    fc.integer({ min: 0, max: 8 }),
    fc.boolean(),
    async (all, killedAt, again) => {
      const at = seq++
      const judgements = all.map(({ hour, bytes, ...rest }, i) => ({
        ...rest,
        name: `${at}.${i}`,
        ts: MONDAY + hour * HOUR,
        bytes_out: bytes,
        ...(rest.verdict === 'out_of_scope' ? { alert: 'x' } : {}),
      }))
      const first = { key: 'h', chunks: [sample(at, judgements)] }
      await insertSlice(dyingAt(killedAt), first).catch(() => {})
      await store.insertSlice(first)
      await store.insertSlice(first)
      if (again) {
        // Another ruling replaces all of it.
        const { header, parts } = first.chunks[0]!
        const { judgements: rows, findings } = sample(at, judgements.slice(1), 1)
        const chunk = { header, parts, judgements: rows, findings, ruling: 1, judgedKey: 'key1' }
        await store.insertSlice({ key: 'h', chunks: [chunk] })
      }
      const held = again ? judgements.slice(1) : judgements
      expected.n += held.length
      expected.f += held.filter(({ verdict }) => verdict === 'out_of_scope').length
      expected.b += held.reduce((sum, { bytes_out }) => sum + bytes_out, 0)
      expect(await told()).toEqual(expected)
    },
  )
  await fc.assert(run, { numRuns: 5 })
  expect(await store.query('audit_hours', { limit: 9 })).toEqual([])
  // Filling up what is filled changes nothing.
  const filling = readMigrations()
    .flatMap(({ statements }) => statements)
    .filter((sql) => sql.startsWith('INSERT INTO judged_sums'))
  for (const sql of filling) await engine.command(sql)
  expect(filling).toHaveLength(1)
  expect(await told()).toEqual(expected)
  expect(await store.query('audit_hours', { limit: 9 })).toEqual([])
}, 60_000)

test('judgements of a process that died before they reached the sums are summed by whoever repeats', async () => {
  const before = await told()
  const slice = { key: 'h', chunks: [sample(91, [{ name: 'late', verdict: 'in_scope' }])] }
  // All tables are written, and the mark of completion is not.
  const writes = 4
  await insertSlice(dyingAt(writes), slice).catch(() => {})
  const [row] = await engine.select(
    'SELECT count() AS rows FROM judgements WHERE chunk_id = {id:UUID}',
    { id: slice.chunks[0]!.header.id },
  )
  expect(row).toEqual({ rows: 1 })
  await engine.command(
    `ALTER TABLE judged_sums DELETE WHERE chunk_id = '${slice.chunks[0]!.header.id}' SETTINGS mutations_sync = 2`,
  )
  await store.insertSlice(slice)
  expect(await told()).not.toEqual(before)
  expect(await store.query('audit_hours', { limit: 9 })).toEqual([])
})

test('a judgement that was deleted, doubled or altered beneath is found', async () => {
  const chunk = sample(90, [{ name: 'found', verdict: 'in_scope' }])
  const id = chunk.header.id
  await store.insertSlice({ key: 'h', chunks: [chunk] })
  const wrong = async () =>
    (await store.query('audit_hours', { limit: 9 })).map((row) => [
      row.chunk_id,
      row.judged,
      row.told,
    ])
  await engine.command(`INSERT INTO judgements SELECT * FROM judgements WHERE chunk_id = '${id}'`)
  // The view counted what was put in twice as well, and the larger sum holds: the doubled one is seen as it is.
  await engine.command(`DELETE FROM judgements WHERE chunk_id = '${id}'`)
  expect(await wrong()).toEqual([[id, 0, 1]])
})

test('more days than an INSERT may have partitions are filled up', async () => {
  // As many blocks of one day each have put them there.
  await engine.command(
    `INSERT INTO judgements (chunk_id, day, ts)
    SELECT generateUUIDv4(), toDate(20000 + number) AS d, toDateTime64(d, 6) FROM numbers(101)
    SETTINGS max_partitions_per_insert_block = 0`,
  )
  await engine.command('TRUNCATE TABLE judged_sums')
  const [filling] = readMigrations()
    .flatMap(({ statements }) => statements)
    .filter((sql) => sql.startsWith('INSERT INTO judged_sums'))
  await engine.command(filling!)
  const [row] = await engine.select(
    'SELECT uniqExact(day) AS days FROM judged_sums WHERE day >= toDate(20000) AND day < toDate(20101)',
    {},
  )
  expect(row).toEqual({ days: 101 })
}, 60_000)
