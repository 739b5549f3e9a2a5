// The auditor over real stores: nothing is found where nothing is wrong, and each kind of wrong is named exactly.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findingText } from '../src/audit/told.ts'
import { type AuditReport, runAudit, startAuditor } from '../src/audit.ts'
import type { TableName } from '../src/flow.ts'
import type { Engine } from '../src/store/engine.ts'
import type { EngineStore, SliceChunk, Store } from '../src/store/store.ts'
import type { LogLevel } from '../src/telemetry.ts'
import { flowsChunk, HOUR, letterOf, sayingOf, statement, storeAll } from './audit/world.ts'
import { openEmbeddedStore } from './store/embedded-store.ts'
import { judged, MONDAY, sampleChunk } from './store/samples.ts'

const SECOND = 1_000_000
/** Of the first flows, in hours since 1970. */
const NINE = MONDAY / HOUR

let engine: Engine
let store: EngineStore
beforeAll(async () => {
  ;({ engine, store } = await openEmbeddedStore())
}, 60_000)
afterAll(() => store.close())
beforeEach(async () => {
  // Also tables that are empty: they remember the INSERTs of rows that a test before has deleted.
  const tables = (await engine.select(
    "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'schema_migrations'",
    {},
  )) as { name: string }[]
  for (const { name } of tables) await engine.command(`TRUNCATE TABLE ${name}`)
})

/** Long after everything that a test stores. */
const LATER = () => Date.now() + 3_600_000

const audit = (options: Parameters<typeof runAudit>[1] = {}): Promise<AuditReport> =>
  runAudit(store, { now: LATER(), deep: true, ...options })

/** Flows of two hours, with rejects, judgements, findings and a statement about themselves. */
async function storeWorld(): Promise<SliceChunk> {
  const chunk = judged(
    sampleChunk({
      flows: Array.from({ length: 6 }, (_, i) => ({
        name: `flow ${i}`,
        ts: MONDAY + (i < 3 ? 0 : HOUR) + i * SECOND,
      })),
      rejects: [
        { reason: 'bad_length', at: 17, sample: 'a' },
        { reason: 'bad_length', at: 18, sample: 'b' },
      ],
    }),
    Array.from({ length: 4 }, (_, i) => ({
      name: `flow ${i}`,
      ts: MONDAY + (i < 3 ? 0 : HOUR) + i * SECOND,
      verdict: 'out_of_scope' as const,
      alert: 'a1',
    })),
  )
  const hours: [number, number][] = [
    [NINE, 3],
    [NINE + 1, 3],
  ]
  await storeAll(store, [
    chunk,
    statement(0, [{ origin: 'tap1/abc', chunks: 1, last: true, flowRecords: 6, hours }]),
  ])
  return chunk
}

describe('rows of a chunk', { timeout: 120_000 }, () => {
  test('where all is well nothing is found, and the hours are equal', async () => {
    await storeWorld()
    const report = await audit()
    expect(report).toMatchObject({ findings: [], unproven: [], truncated: false, chunks: 2 })
    const line = { sensor: 'tap1', announced: 3, stored: 3, unique: 3, dead: 0, missing: 0 }
    expect(report.hours).toMatchObject([
      { hour: NINE, ...line, pending: 0, unannounced: 0 },
      { hour: NINE + 1, ...line, pending: 0, unannounced: 0 },
    ])
  })

  /** A column of each table that may be changed, and another value of it. */
  const tables: Record<TableName, { set: string; row: number; hours: number[] }> = {
    flow_records: { set: "server_name = 'changed.example'", row: 4, hours: [NINE + 1] },
    coverage: { set: 'value = 17', row: 0, hours: [NINE] },
    rejects: { set: "detail = 'changed'", row: 1, hours: [] },
    announced: { set: 'flow_records = 7', row: 2, hours: [] },
    judgements: { set: "verdict = 'in_scope'", row: 3, hours: [NINE + 1] },
    findings: { set: "sentence = 'all is well'", row: 2, hours: [NINE] },
  }
  test.each(Object.entries(tables))(
    '%s: one row that is gone, doubled or changed is named',
    async (name, { set, row, hours }) => {
      const table = name as TableName
      const world = await storeWorld()
      const chunk =
        table === 'announced' ? expect.stringMatching(/^[0-9a-f-]{36}$/) : world.header.id
      const named = { table, chunk, sensor: 'tap1', places: [row], count: 1, hours }

      await engine.command(
        `ALTER TABLE ${table} UPDATE ${set} WHERE row = ${row} SETTINGS mutations_sync = 2`,
      )
      const about = async () =>
        (await audit()).findings.filter(({ kind }) => kind.startsWith('rows_'))
      expect(await about()).toMatchObject([{ ...named, kind: 'rows_altered' }])

      await engine.command(`INSERT INTO ${table} SELECT * FROM ${table} WHERE row = ${row}`)
      expect(await about()).toMatchObject([
        { ...named, kind: 'rows_doubled' },
        { ...named, kind: 'rows_altered' },
      ])

      await engine.command(
        `ALTER TABLE ${table} DELETE WHERE row = ${row} SETTINGS mutations_sync = 2`,
      )
      expect(await about()).toMatchObject([{ ...named, kind: 'rows_missing' }])
    },
  )

  test('a finding says what, where and when in a line', async () => {
    const { header } = await storeWorld()
    await engine.command(
      'ALTER TABLE flow_records DELETE WHERE row = 4 SETTINGS mutations_sync = 2',
    )
    const report = await audit()
    expect(report.findings.map(findingText)).toEqual([
      `1 row of flow_records missing (row 4): chunk ${header.id}, number 0, of tap1/abc, sensor tap1, flows of 2026-01-05 10:00 UTC`,
    ])
    expect(report.hours[1]).toMatchObject({ announced: 3, stored: 2, unique: 2, missing: 1 })
    expect(report.findings[0]!.cause).toContain('ALTER TABLE')
  })

  test('each column of each table is part of the checksum', async () => {
    await storeWorld()
    const columns = (await engine.select(
      `SELECT table, name, type FROM system.columns
       WHERE database = currentDatabase() AND default_kind = ''
         AND table IN ({tables:Array(String)}) AND name NOT IN ('chunk_id', 'day')`,
      { tables: Object.keys(tables) },
    )) as { table: string; name: string; type: string }[]
    const other = (type: string): string => {
      if (type.includes('String)') && type.startsWith('Array')) return "['', 'x']"
      if (type.startsWith('Array')) return '[9, 9]'
      if (type.includes('String')) return "'something else'"
      if (type === 'UUID') return "toUUID('99999999-9999-4999-8999-999999999999')"
      if (type === 'IPv6') return "toIPv6('2001:db8::9')"
      if (type.startsWith('DateTime64'))
        return "toDateTime64('2001-01-01 00:00:00.000001', 6, 'UTC')"
      return '99'
    }
    for (const table of Object.keys(tables)) {
      const names = columns.filter((column) => column.table === table)
      // The checksum of a row as it is, and with each of its columns changed, in turn.
      const hash = (changed: string) =>
        `cityHash64(tuple(${names.map(({ name, type }) => (name === changed ? `CAST(${other(type)}, '${type.replaceAll("'", "\\'")}')` : name)).join(', ')}))`
      const [row] = (await engine.select(
        `SELECT uniqExact(h) AS hashes FROM (SELECT arrayJoin([${['', ...names.map(({ name }) => name)].map(hash).join(', ')}]) AS h FROM (SELECT * FROM ${table} WHERE row = 0 LIMIT 1))`,
        {},
      )) as { hashes: number }[]
      expect([table, row!.hashes]).toEqual([table, names.length + 1])
    }
  })

  test('NULL is not nothing, and lists are not their joined words', async () => {
    const rows = await engine.select(
      `SELECT uniqExact(h) AS hashes FROM (
         SELECT arrayJoin([
           cityHash64(tuple(CAST(NULL, 'Nullable(UInt64)'), ['a', 'b'], ['c'])),
           cityHash64(tuple(CAST(0, 'Nullable(UInt64)'), ['a', 'b'], ['c'])),
           cityHash64(tuple(CAST(0, 'Nullable(UInt64)'), ['a'], ['b', 'c'])),
           cityHash64(tuple(CAST(0, 'Nullable(UInt64)'), ['ab'], ['c'])),
           cityHash64(tuple(CAST(0, 'Nullable(UInt64)'), emptyArrayString(), ['a', 'b', 'c'])),
           cityHash64(tuple(CAST(0, 'Nullable(UInt64)'), [''], ['a', 'b', 'c']))
         ]) AS h)`,
      {},
    )
    expect(rows).toEqual([{ hashes: 6 }])
  })

  test('rows of an unknown chunk are found by a deep audit', async () => {
    await storeWorld()
    await engine.command(
      "INSERT INTO rejects (reason, chunk_id, row) SELECT 'x', toUUID('99999999-9999-4999-8999-999999999999'), 0",
    )
    expect((await audit({ deep: false })).findings).toEqual([])
    expect((await audit()).findings).toMatchObject([
      { kind: 'rows_added', table: 'rejects', chunk: '99999999-9999-4999-8999-999999999999' },
    ])
  })

  test('a chunk that is marked complete and was never inserted is found', async () => {
    await engine.command(
      `INSERT INTO chunks (chunk_id, state, origin, sensor, flow_records)
       SELECT toUUID('88888888-8888-4888-8888-888888888888'), 'complete', 'tap1/x', 'tap1', 3`,
    )
    expect((await audit()).findings).toMatchObject([
      {
        kind: 'rows_missing',
        table: 'flow_records',
        count: 3,
        places: [0, 1, 2],
        cause: expect.stringContaining('never inserted'),
      },
    ])
  })

  test('what retention let go is not missing', async () => {
    const old = flowsChunk('tap1/old', 0, 4, { ts: MONDAY - 40 * 24 * HOUR })
    const over = flowsChunk('tap1/old', 1, 4, { ts: MONDAY - 12 * HOUR, every: 6 * HOUR })
    await storeAll(store, [old, over, statement(0, [sayingOf('tap1/old', [old, over])])])
    const floor = new Date(MONDAY / 1000).toISOString().slice(0, 10)
    const { expire, retentionPlan } = await import('../src/store/retention.ts')
    await expire(engine, await retentionPlan(engine, 30, floor))
    const report = await audit()
    expect(report.findings).toEqual([])
    expect(report.hours.reduce((sum, { stored }) => sum + stored, 0)).toBe(3)
  })

  test('rows that reached their table and not the sums are summed when the slice is repeated', async () => {
    const chunk = flowsChunk('tap1/a', 0, 5)
    await storeAll(store, [chunk])
    // As a process leaves it that is killed between the two.
    for (const sql of [
      'TRUNCATE TABLE chunk_sums',
      "CREATE TABLE begun ENGINE = Memory AS SELECT * FROM chunks WHERE state = 'intent'",
      'TRUNCATE TABLE chunks',
      'INSERT INTO chunks SELECT * FROM begun',
      'DROP TABLE begun',
    ])
      await engine.command(sql)
    await storeAll(store, [chunk])
    expect(await audit()).toMatchObject({ findings: [], unproven: [], chunks: 1 })
    await engine.command('TRUNCATE TABLE chunk_sums')
    expect(await audit()).toMatchObject({ findings: [], unproven: [{ kind: 'rows_unproven' }] })
  })
})

describe('what a sensor announced', { timeout: 120_000 }, () => {
  const origin = 'tap1/live'
  const chunks = Array.from({ length: 20 }, (_, seq) =>
    flowsChunk(origin, seq, 3, { ts: MONDAY + seq * HOUR }),
  )
  const all = sayingOf(origin, chunks)

  test('a chunk in the middle and one at the end that never came are named', async () => {
    await storeAll(
      store,
      chunks.filter(({ header }) => header.seq !== 7 && header.seq !== 19),
    )
    await storeAll(store, [statement(0, [all])])
    const report = await audit()
    expect(report.findings).toMatchObject([
      { kind: 'chunks_missing', origin, first: 7, last: 7, count: 1, hours: [NINE + 7, NINE + 19] },
      { kind: 'chunks_late', origin, first: 19, last: 19, count: 1 },
    ])
    expect(report.hours.filter(({ missing }) => missing > 0)).toMatchObject([
      { hour: NINE + 7, announced: 3, stored: 0, missing: 3 },
      { hour: NINE + 19, announced: 3, stored: 0, missing: 3 },
    ])
  })

  test('a chunk is missing if what came later in its lane is there, of as many lanes as its sensor has', async () => {
    const few = chunks.map((_, seq) => flowsChunk(origin, seq, 3, { ts: MONDAY, lanes: 3 }))
    // 16 is in the lane of 19; of 17 and 18 nothing came later.
    await storeAll(
      store,
      few.filter(({ header }) => ![16, 17, 18].includes(header.seq)),
    )
    await storeAll(store, [statement(0, [sayingOf(origin, few)])])
    expect((await audit()).findings).toMatchObject([
      { kind: 'chunks_missing', first: 16, last: 18, count: 3 },
    ])
    await storeAll(store, [few[16]!])
    expect((await audit()).findings).toMatchObject([{ kind: 'chunks_late', first: 17, last: 18 }])
  })

  test('what was announced a moment ago is under way', async () => {
    await storeAll(store, [...chunks.slice(0, 5), statement(0, [all])])
    const soon = await runAudit(store, { now: Date.now() + 60_000 })
    expect(soon.findings).toEqual([])
    expect(soon.hours.reduce((sum, { pending }) => sum + pending, 0)).toBe(45)
    const late = await runAudit(store, { now: Date.now() + 180_000 })
    expect(late.findings).toMatchObject([{ kind: 'chunks_late', first: 5, last: 19, count: 15 }])
  })

  test('a statement may come before or after its chunks, again, and late', async () => {
    const half = sayingOf(origin, chunks.slice(0, 10))
    await storeAll(store, [statement(1, [all])])
    await storeAll(store, [...chunks])
    await storeAll(store, [statement(0, [half]), statement(1, [all])])
    expect((await audit()).findings).toEqual([])
    // What comes behind the last statement is announced by nobody yet.
    await storeAll(store, [flowsChunk(origin, 20, 3, { ts: MONDAY })])
    const report = await audit()
    expect(report.findings).toEqual([])
    expect(report.hours[0]).toMatchObject({ announced: 6, stored: 6, unannounced: 3, missing: 0 })
  })

  test('a statement that never came is missing as any chunk', async () => {
    await storeAll(store, [...chunks, statement(0, [all]), statement(9, [all])])
    expect((await audit()).findings).toMatchObject([
      { kind: 'chunks_missing', origin: 'tap1/said/e1', first: 1, last: 8, hours: [] },
    ])
  })

  test('a dead letter is accounted for, until it is sent again', async () => {
    const [dead, ...living] = chunks
    await storeAll(store, [...living, statement(0, [all])])
    await store.noteDeadLetters([letterOf(dead!, 5)])
    const report = await audit()
    expect(report.findings).toEqual([])
    expect(report.hours[0]).toMatchObject({ announced: 3, stored: 0, dead: 3, missing: 0 })
    expect(report.dead).toMatchObject([{ reason: 'unreadable', letters: 1, flow_records: 3 }])
    await storeAll(store, [dead!])
    const again = await audit()
    expect(again.findings).toEqual([])
    expect(again.hours[0]).toMatchObject({ announced: 3, stored: 3, dead: 0, unannounced: 0 })
    expect(again.dead).toEqual([])
  })

  test('pieces of a chunk count as the chunk, stored or dead', async () => {
    const left = flowsChunk(origin, 0, 2, { piece: '0' })
    const rightLeft = flowsChunk(origin, 0, 1, { piece: '10' })
    const rightRight = flowsChunk(origin, 0, 1, { piece: '11', ts: MONDAY + HOUR })
    const whole = { origin, chunks: 1, flowRecords: 4 }
    const hours: [number, number][] = [
      [NINE, 3],
      [NINE + 1, 1],
    ]
    await storeAll(store, [left, rightLeft, statement(0, [{ ...whole, hours }])])
    expect((await audit()).findings).toMatchObject([{ kind: 'chunks_late', first: 0, last: 0 }])
    await store.noteDeadLetters([letterOf(rightRight, 8)])
    const report = await audit()
    expect(report.findings).toEqual([])
    expect(report.hours).toMatchObject([
      { hour: NINE, stored: 3, dead: 0 },
      { hour: NINE + 1, stored: 0, dead: 1 },
    ])
  })

  test('fewer records than the sensor counted, in chunks that are all there', async () => {
    const saying = { ...all, hours: all.hours.map(([hour, n]): [number, number] => [hour, n + 1]) }
    await storeAll(store, [...chunks, statement(0, [saying])])
    expect((await audit()).findings).toMatchObject([
      { kind: 'records_missing', origin, count: 20, table: 'flow_records' },
    ])
  })

  test('records of no known hour are compared as a whole', async () => {
    await storeAll(store, [...chunks, statement(0, [{ ...all, hours: [[0, 60]] }])])
    const report = await audit()
    expect(report.findings).toEqual([])
    expect(report.hours).toMatchObject([{ hour: 0, announced: 60, stored: 60, missing: 0 }])
  })

  test('a gap that a worker saw is known as one', async () => {
    await storeAll(store, [...chunks.slice(0, 19), statement(0, [all])])
    await store.noteStream([
      {
        stream: 'bailiwick.chunks.v1',
        partition: 0,
        kind: 'gap',
        detail: origin,
        first: 19,
        last: 19,
        count: 1,
      },
    ])
    const report = await audit()
    expect(report.findings).toMatchObject([{ kind: 'chunks_missing', first: 19 }])
    expect(report.findings[0]!.cause).toContain('a worker saw')
  })

  test('only origins of the time that is asked for', async () => {
    await storeAll(store, [...chunks.slice(0, 5), statement(0, [all])])
    const now = Date.now() + 5 * 3_600_000
    expect((await runAudit(store, { now, since: 10 })).findings).toHaveLength(1)
    expect((await runAudit(store, { now, since: 2 })).findings).toEqual([])
  })
})

test('always on: a finding is logged once, counted while it holds, and gone when it is mended', async () => {
  await storeWorld()
  const logged: [LogLevel, string][] = []
  const auditor = startAuditor(store, (level, message) => logged.push([level, message]), {
    everySeconds: 0.05,
    now: LATER,
  })
  const value = (name: string) => auditor.samples().find((one) => one.name === name)!.value
  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const passes = (more: number) => {
    const before = value('audit_passes_total')
    return until(() => value('audit_passes_total') >= before + more)
  }
  try {
    await passes(2)
    expect(logged).toEqual([])
    await engine.command('INSERT INTO findings SELECT * FROM findings WHERE row = 1')
    await until(() => value('audit_duplicate_rows') === 1)
    await passes(2)
    expect(logged).toMatchObject([['error', expect.stringContaining('1 row of findings doubled')]])
    expect(auditor.readiness().ready).toBe(true)
    await engine.command('TRUNCATE TABLE findings')
    await until(() => value('audit_missing_rows') === 4)
    expect(value('audit_duplicate_rows')).toBe(0)
    expect(value('audit_failures_total')).toBe(0)
  } finally {
    await auditor.close()
  }
}, 60_000)

test('always on: while nothing is new four of five turns are one small question', async () => {
  await storeWorld()
  let [passes, looks] = [0, 0]
  const counting: Pick<Store, 'query'> = {
    query: (name, params) => {
      if (name === 'audit_clock') passes++
      // Passes look for 64 chunks at a time.
      if (name === 'audit_span' && 'chunks' in params && params.chunks === 16) looks++
      return store.query(name, params)
    },
  }
  const auditor = startAuditor(counting, () => {}, { everySeconds: 0.01, now: LATER })
  try {
    while (passes < 4) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(looks).toBe(4 * 3)
  } finally {
    await auditor.close()
  }
}, 60_000)
