// Rows that somebody deleted, or dropped after they were doubled or changed, come back when their chunk comes again and
// they are wanted: exactly once, with all sums as they were. Where nobody wants them, nothing is written.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { runAudit } from '../../src/audit.ts'
import type { Engine } from '../../src/store/engine.ts'
import { insertSlice } from '../../src/store/slice.ts'
import type { EngineStore, SliceChunk } from '../../src/store/store.ts'
import { openEmbeddedStore } from './embedded-store.ts'
import { DAY, judged, MONDAY, sampleChunk } from './samples.ts'

let engine: Engine
let store: EngineStore
beforeAll(async () => {
  ;({ engine, store } = await openEmbeddedStore())
}, 60_000)
afterAll(() => store.close())

const TABLES = ['flow_records', 'coverage', 'rejects', 'judgements', 'findings']

/** Two days of flows with all that a chunk may hold. */
function twoDays(origin: string): SliceChunk {
  const flows = Array.from({ length: 8 }, (_, i) => ({
    name: `${origin} ${i}`,
    ts: MONDAY + (i % 2) * DAY + i,
    orig_bytes: 100 + i,
  }))
  const rejects = [1, 2].map((at) => ({ reason: 'r', at, sample: 's' }))
  return judged(
    sampleChunk({ origin, flows, rejects }),
    flows.map(({ name, ts }) => ({ name, ts, verdict: 'out_of_scope' as const, alert: origin })),
  )
}

const write = (chunk: SliceChunk) => store.insertSlice({ key: 'k', chunks: [chunk] })
/** ALTER TABLE of the rows of one chunk that a condition names. */
const alter = (table: string, what: string, { header }: SliceChunk, rows: string) =>
  engine.command(
    `ALTER TABLE ${table} ${what} WHERE chunk_id = '${header.id}' AND ${rows} SETTINGS mutations_sync = 2`,
  )
const count = async (table: string, { header }: SliceChunk) =>
  (
    (await engine.select(
      `SELECT count() AS rows, uniqExact(row) AS places FROM ${table} WHERE chunk_id = {id:UUID}`,
      { id: header.id },
    )) as { rows: number; places: number }[]
  )[0]

/** What views and sums say of a chunk's flows, and what the auditor finds. */
async function seen({ header }: SliceChunk) {
  const span = { from: MONDAY - DAY, to: MONDAY + 3 * DAY, limit: 100 }
  const report = await runAudit(store, { deep: true, now: Date.now() + 3_600_000 })
  return {
    findings: report.findings.filter(({ chunk }) => chunk === header.id),
    hours: await store.query('soc_by_hour', span),
    uneven: await store.query('audit_hours', { limit: 9 }),
    flows: await engine.select('SELECT count() AS n, sum(orig_bytes) AS bytes FROM flows', {}),
    alerts: await store.query('alerts', { limit: 9 }),
  }
}

test('deleted rows stay away until they are wanted, and come back once', async () => {
  const chunk = twoDays('tap1/deleted')
  await write(chunk)
  const before = await seen(chunk)
  expect(before).toMatchObject({ findings: [], uneven: [] })
  const whole = await Promise.all(TABLES.map((table) => count(table, chunk)))
  for (const table of TABLES) await alter(table, 'DELETE', chunk, 'row IN (0, 1, 5)')

  await write(chunk)
  expect((await seen(chunk)).findings.map(({ table }) => table).sort()).toEqual([...TABLES].sort())

  await store.wantBack([chunk.header.id])
  await Promise.all([write(chunk), write(chunk)])
  await write(chunk)
  expect(await Promise.all(TABLES.map((table) => count(table, chunk)))).toEqual(whole)
  expect(await seen(chunk)).toEqual(before)

  // And again: what the engine remembers of the first time does not hold it up.
  await alter('flow_records', 'DELETE', chunk, 'row IN (0, 1, 5)')
  await store.wantBack([chunk.header.id])
  await write(chunk)
  expect(await seen(chunk)).toEqual(before)
}, 60_000)

test('killed between any two inserts and repeated, it is there once', async () => {
  const chunk = twoDays('tap1/killed')
  await write(chunk)
  const before = await seen(chunk)
  const whole = await Promise.all(TABLES.map((table) => count(table, chunk)))
  for (const table of TABLES) await alter(table, 'DELETE', chunk, 'row != 1')
  await store.wantBack([chunk.header.id])
  let died = 0
  for (let lives = 0; ; lives++) {
    let left = lives
    const dying: Engine = {
      address: engine.address,
      writers: engine.writers,
      select: (sql, params) => engine.select(sql, params),
      command: (sql) => engine.command(sql),
      close: async () => {},
      async insert(blocks, inserts) {
        for (const insert of inserts) {
          await engine.insert(blocks, [insert])
          // It has happened, and whoever asked for it never learns of it.
          if (left-- <= 0) throw new Error('killed')
        }
      },
    }
    try {
      await insertSlice(dying, { key: 'k', chunks: [chunk] })
      break
    } catch (error) {
      expect(String(error)).toContain('killed')
      died++
    }
  }
  expect(died).toBeGreaterThan(1)
  expect(await Promise.all(TABLES.map((table) => count(table, chunk)))).toEqual(whole)
  expect(await seen(chunk)).toEqual(before)
}, 60_000)

test('rows that were doubled and changed are deleted, and come back as they were', async () => {
  const chunk = twoDays('tap1/changed')
  await write(chunk)
  const before = await seen(chunk)
  await engine.command(
    `INSERT INTO flow_records SELECT * FROM flow_records WHERE row = 3 AND chunk_id = '${chunk.header.id}'`,
  )
  await alter('judgements', "UPDATE verdict = 'in_scope'", chunk, 'row = 2')
  const kinds = (await seen(chunk)).findings.map(({ kind }) => kind)
  expect(kinds.sort()).toEqual(['rows_altered', 'rows_doubled'])
  await alter('flow_records', 'DELETE', chunk, 'row = 3')
  await alter('judgements', 'DELETE', chunk, 'row = 2')
  await store.wantBack([chunk.header.id])
  await write(chunk)
  expect((await seen(chunk)).findings).toEqual([])
  expect((await seen(chunk)).flows).toEqual(before.flows)
}, 60_000)

test('judged anew meanwhile, the records come back and the new ruling holds', async () => {
  const chunk = twoDays('tap1/anew')
  await write(chunk)
  await alter('flow_records', 'DELETE', chunk, 'row < 4')
  await store.wantBack([chunk.header.id])
  const names = Array.from({ length: 8 }, (_, i) => ({ name: `tap1/anew ${i}` }))
  await write(
    judged(
      { header: chunk.header, parts: new Map(chunk.parts) },
      names.map(({ name }) => ({ name, verdict: 'in_scope' })),
      1,
      'key1',
    ),
  )
  expect(await count('flow_records', chunk)).toEqual({ rows: 8, places: 8 })
  const states = await store.completed([chunk.header.id])
  expect(states.get(chunk.header.id)?.held).toEqual({ ruling: 1, judgedKey: 'key1' })
}, 60_000)

test('days that retention let go do not come back', async () => {
  const chunk = twoDays('tap1/old')
  await write(chunk)
  const floor = new Date((MONDAY + DAY) / 1000).toISOString().slice(0, 10)
  await engine.command(`INSERT INTO retention (days, floor) VALUES (1, '${floor}')`)
  await alter('flow_records', 'DELETE', chunk, '1')
  await store.wantBack([chunk.header.id])
  await write(chunk)
  expect(await count('flow_records', chunk)).toEqual({ rows: 4, places: 4 })
  await engine.command('TRUNCATE TABLE retention')
}, 60_000)
