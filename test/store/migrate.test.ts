// The schema from every version that ever was, cut short anywhere, and by two at once: always the same in the end.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Engine } from '../../src/store/engine.ts'
import { checkSchema, migrate, pendingMigrations } from '../../src/store/migrate.ts'
import { openServer, type ServerTarget } from '../../src/store/server.ts'
import { readMigrations } from '../../src/store/sql-files.ts'
import { EngineStore, openStore } from '../../src/store/store.ts'
import { StoreSchemaError } from '../../src/store/store-error.ts'
import { parseStoreTarget } from '../../src/store/store-target.ts'
import { type Front, startFront } from './front.ts'
import { DAY, flowIdOf, judged, MONDAY, sampleChunk } from './samples.ts'

const directory = mkdtempSync(join(tmpdir(), 'bailiwick-migrate-'))
let front: Front
beforeAll(async () => {
  front = await startFront({ path: directory })
})
afterAll(async () => {
  await front.kill('SIGTERM')
  rmSync(directory, { recursive: true, force: true })
})

/** Files that were released are never changed again: a change is a new number. */
const RELEASED: Readonly<Record<string, string>> = {
  '001_migrations': '5718a8e70d1065db859a817c2fe0887453189fc094fbe78e7513284ab8256a24',
  '002_records': '8a70ac96a03b2beef10383baf946b3c21ed6b1497238a2dac17d2dba9d102168',
  '003_judgements': '8686edff8ddacd80653fa7c2fec4e730d54f36186432157f5f354d9620a2438f',
  '004_chunks': '59f878b55bf65b664fc3558e927be8493796dfd196770865dbfd2188c6142ee3',
  '005_views': '4c2ac989261759c4f320568081db33e69086eda3b1e778a46bb893c6f2d77ebe',
  '006_run_views': '85cbc1a0d214da9404cd118ab56cad8edb7f721218c77f44c5c9c7c273e23346',
  '007_announced': 'e6664105a6f3d34a5d6cdee0163a4c2ee7b3d4aadd6f152a2a8137c0a94ecb2d',
}

test('released files are as they were', () => {
  const now = Object.fromEntries(readMigrations().map(({ name, sha256 }) => [name, sha256]))
  expect(now).toMatchObject(RELEASED)
})

const targetOf = (database: string) =>
  ({ ...parseStoreTarget(front.store), database }) as ServerTarget

/** A new database on the front, empty. */
async function fresh(database: string): Promise<Engine> {
  const engine = await openServer(targetOf('flows'))
  await engine.command(`CREATE DATABASE ${database}`)
  await engine.close()
  return openServer(targetOf(database))
}

/** All tables, views and columns, whatever the database is called. */
async function schemaOf(engine: Engine): Promise<string[]> {
  const rows = (await engine.select(
    `SELECT replaceAll(create_table_query, currentDatabase(), 'db') AS made
    FROM system.tables WHERE database = currentDatabase() ORDER BY name`,
    {},
  )) as { made: string }[]
  return rows.map(({ made }) => made.replace(/UUID '[^']+'/g, ''))
}

const CHUNK = '11111111-0000-4000-8000-000000000001'
const hex = (name: string) => Buffer.from(flowIdOf(name)).toString('hex')

/** What a program of that time wrote: a chunk of two flows, one of them out of scope. */
async function fillAs(engine: Engine, version: number): Promise<void> {
  const rows = (table: string, columns: string, values: string[]) =>
    engine.command(`INSERT INTO ${table} (${columns}) VALUES ${values.join(', ')}`)
  const ids = ['a', 'b'].map(
    (name) => `toUUID(concat('${hex(name).slice(0, 8)}', '-0000-4000-8000-000000000000'))`,
  )
  const day = Math.floor(MONDAY / DAY)
  const ts = `fromUnixTimestamp64Micro(${MONDAY}, 'UTC')`
  if (version < 2) return
  await rows(
    'flow_records',
    'flow_id, rec_no, sensor, ts, end, orig_bytes, chunk_id, row, day',
    ids.map((id, at) => `(${id}, 0, 'tap1', ${ts}, ${ts}, 700, '${CHUNK}', ${at}, ${day})`),
  )
  if (version < 3) return
  await rows(
    'judgements',
    'flow_id, side, ruling, ts, verdict, agent, grade, destination, score, alert_id, chunk_id, row, day',
    ids.map(
      (id, at) =>
        `(${id}, 'orig', 0, ${ts}, '${at === 0 ? 'in_scope' : 'out_of_scope'}', 'urn:a', 'certain', 'x.example', ${at * 50}, ${at === 0 ? "'00000000-0000-0000-0000-000000000000'" : id}, '${CHUNK}', ${at}, ${day})`,
    ),
  )
  await rows(
    'findings',
    'alert_id, flow_id, side, ruling, ts, kind, agent, score, sentence, chunk_id, row, day',
    [
      `(${ids[1]}, ${ids[1]}, 'orig', 0, ${ts}, 'out_of_scope', 'urn:a', 50, 's', '${CHUNK}', 0, ${day})`,
    ],
  )
  if (version < 4) return
  await rows(
    'chunks',
    'chunk_id, state, origin, seq, sensor, ruling, judged_key, flow_records, judgements, findings',
    ['intent', 'complete'].map(
      (state) => `('${CHUNK}', '${state}', 'tap1/old', 0, 'tap1', 0, 'k', 2, 2, 1)`,
    ),
  )
}

test('a store of every earlier version comes to the newest, with all that was in it', async () => {
  const all = readMigrations()
  const newest = await fresh('newest')
  await migrate(newest)
  const schema = await schemaOf(newest)
  await newest.close()
  // 7 was the first release; those before it are what a migration that was cut short left.
  for (const version of [2, 3, 4, 7, all.length - 1]) {
    const engine = await fresh(`from_${version}`)
    await migrate(engine, { migrations: all.slice(0, version) })
    await fillAs(engine, version)
    await expect(checkSchema(engine)).rejects.toThrow(
      `has an older schema (${all[version]!.name} is missing): run bailiwick migrate --store`,
    )
    expect(await migrate(engine)).toEqual(all.slice(version).map(({ name }) => name))
    await checkSchema(engine)
    expect(await schemaOf(engine), `from ${version}`).toEqual(schema)
    const store = new EngineStore(engine, false)
    const [records] = await engine.select('SELECT count() AS n FROM flow_records', {})
    expect(records).toEqual({ n: version < 2 ? 0 : 2 })
    if (version >= 4) await expectOld(engine, store)
    // And it takes what a program of today writes.
    const chunk = judged(sampleChunk({ flows: [{ name: 'new' }] }), [
      { name: 'new', verdict: 'in_scope' },
    ])
    await store.insertSlice({ key: 'n', chunks: [chunk] })
    expect((await store.completed([chunk.header.id])).get(chunk.header.id)?.complete).toBe(true)
    expect(await store.query('audit_hours', { limit: 9 })).toEqual([])
    await store.close()
  }
}, 120_000)

/** Views and queries of today see what was written then. */
async function expectOld(engine: Engine, store: EngineStore): Promise<void> {
  expect((await store.completed([CHUNK])).get(CHUNK)).toMatchObject({ complete: true, ruling: 0 })
  expect(await engine.select('SELECT sum(orig_bytes) AS n FROM flows', {})).toEqual([{ n: 1400 }])
  expect(await store.query('alerts', { limit: 9 })).toMatchObject([{ score: 50, flows: 1 }])
  const span = { from: MONDAY - DAY, to: MONDAY + DAY, limit: 9 }
  expect(await store.query('soc_by_agent', span)).toMatchObject([
    { agent: 'urn:a', judgements: 2, in_scope: 1, out_of_scope: 1, findings: 1, score: 50 },
  ])
  const marks = await store.query('origin_watermarks', { origins: ['tap1/old'], lanes: 1 })
  expect(marks).toMatchObject([{ next: 1 }])
}

/** An engine that dies after so many statements, like a process that is killed there. */
function dyingAfter(engine: Engine, statements: number): Engine {
  let left = statements
  return {
    address: engine.address,
    writers: engine.writers,
    select: (sql, params) => engine.select(sql, params),
    insert: (blocks, inserts) => engine.insert(blocks, inserts),
    close: () => engine.close(),
    async command(sql) {
      if (left-- <= 0) throw new Error('killed')
      await engine.command(sql)
    },
  }
}

test('killed at any statement and run again, it ends the same, and fills nothing up twice', async () => {
  const all = readMigrations()
  const whole = await openServer(targetOf('newest'))
  const schema = await schemaOf(whole)
  await whole.close()
  const later = all.slice(7).reduce((sum, { statements }) => sum + statements.length + 1, 0)
  // The released files, with rows in them, and then death after one more statement each time.
  const engine = await fresh('killed')
  await migrate(engine, { migrations: all.slice(0, 7) })
  await fillAs(engine, 7)
  for (let n = 1; n <= later; n += 3)
    await migrate(dyingAfter(engine, n)).catch((error) => expect(String(error)).toContain('killed'))
  await migrate(engine)
  expect(await schemaOf(engine)).toEqual(schema)
  await expectOld(engine, new EngineStore(engine, false))
  await engine.close()
}, 60_000)

test('two migrators at once do not harm', async () => {
  const one = await fresh('two')
  const all = readMigrations()
  await migrate(one, { migrations: all.slice(0, 7) })
  await fillAs(one, 7)
  const other = await openServer(targetOf('two'))
  await Promise.all([migrate(one), migrate(other)])
  expect(await pendingMigrations(one)).toEqual([])
  const newest = await openServer(targetOf('newest'))
  expect(await schemaOf(one)).toEqual(await schemaOf(newest))
  await expectOld(one, new EngineStore(one, false))
  for (const engine of [one, other, newest]) await engine.close()
}, 60_000)

test('a server that is killed in between is migrated by the next run', async () => {
  const path = join(directory, 'killed')
  let dying = await startFront({ path })
  for (let kills = 0; kills < 3; kills++) {
    const engine = await openServer(parseStoreTarget(dying.store) as ServerTarget)
    const pending = await pendingMigrations(engine)
    const half = Math.ceil(pending.flatMap(({ statements }) => statements).length / 2)
    let told = 0
    const onStep = () => {
      if (++told === half) void dying.kill('SIGKILL')
    }
    await expect(migrate(engine, { onStep })).rejects.toThrow()
    await dying.gone
    await engine.close()
    dying = await startFront({ path })
  }
  const store = await openStore(parseStoreTarget(dying.store))
  expect(await store.query('audit_hours', { limit: 9 })).toEqual([])
  await store.close()
  await dying.kill('SIGTERM')
}, 60_000)

test('a worker only looks: it refuses an older schema and changes nothing', async () => {
  const engine = await fresh('looked')
  await expect(checkSchema(engine)).rejects.toThrow(StoreSchemaError)
  await expect(openStore(targetOf('looked'), { schema: 'check' })).rejects.toThrow(
    `the store at http://127.0.0.1:${front.port}/looked has no schema yet: run bailiwick migrate --store http://127.0.0.1:${front.port}/looked first`,
  )
  expect(await schemaOf(engine)).toEqual([])
  await engine.close()
  const store = await openStore(targetOf('newest'), { schema: 'check' })
  expect(await store.query('alerts', { limit: 1 })).toEqual([])
  await store.close()
})
