// The schema of a cluster: every statement is one to the engine, and over Distributed tables the same queries give the
// same answers, slices are stored once, and days go as on one server. One shard of one server runs here, in one
// process, with plain tables: replicas need servers that talk to each other.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ClusterSql } from '../../src/store/cluster-sql.ts'
import type { Engine } from '../../src/store/engine.ts'
import { type Maintenance, maintenanceOf } from '../../src/store/maintenance.ts'
import { migrate } from '../../src/store/migrate.ts'
import { retentionPlan } from '../../src/store/retention.ts'
import { openServer, type ServerTarget } from '../../src/store/server.ts'
import { queryNames, readMigrations, readSql } from '../../src/store/sql-files.ts'
import { steadfast } from '../../src/store/steadfast.ts'
import { EngineStore, openStore, type Slice } from '../../src/store/store.ts'
import { parseStoreTarget } from '../../src/store/store-target.ts'
import { type Front, startFront } from './front.ts'
import { DAY, judged, MONDAY, sampleChunk } from './samples.ts'

/** Milliseconds. */
const PATIENCE = 120_000
const RUN = '11111111-1111-4111-8111-111111111111'
/** The engine takes itself for the only server of the cluster `main`. */
const SETTINGS = `
<tcp_port>9000</tcp_port>
<remote_servers><main><shard><internal_replication>true</internal_replication>
  <replica><host>127.0.0.1</host><port>9000</port></replica>
</shard></main></remote_servers>
`
const database = `sharded_${process.pid}`
const sharded = () =>
  new ClusterSql({
    cluster: 'main',
    database,
    replicated: false,
    onCluster: false,
  })

const directory = mkdtempSync(join(tmpdir(), 'bailiwick-cluster-'))
let front: Front
let engine: Engine
let maintenance: Maintenance
let store: EngineStore
beforeAll(async () => {
  front = await startFront({ path: directory, settings: SETTINGS, database: 'flows' })
  const first = await openServer(targetOf('flows'))
  await first.command(`CREATE DATABASE ${database}`)
  await first.close()
  engine = await openServer(targetOf(database))
  maintenance = maintenanceOf(engine, sharded(), () => MONDAY / 1000 + 40 * 86_400_000)
  await maintenance.migrate(() => {})
  store = new EngineStore(engine, false)
}, PATIENCE)
afterAll(async () => {
  await store.close()
  await front.kill('SIGTERM')
  rmSync(directory, { recursive: true, force: true })
})

const targetOf = (name: string) =>
  ({ ...parseStoreTarget(front.store), database: name }) as ServerTarget

const paste = {
  verdict: 'out_of_scope',
  destination: 'paste.example',
  alert: 'x',
  score: 40,
} as const
function sliceOf(origin: string): Slice & { ids: string[] } {
  const chunks = [0, 1, 2].map((seq) =>
    judged(
      sampleChunk({
        origin,
        seq,
        flows: [
          { name: `${origin}${seq}` },
          { name: `${origin}b`, rec_no: seq, ts: MONDAY + seq * DAY },
        ],
        rejects: [{ reason: 'r', at: 1, sample: '' }],
      }),
      [
        { name: `${origin}${seq}`, ...paste },
        { name: `${origin}b`, verdict: 'in_scope', ts: MONDAY + seq * DAY },
      ],
    ),
  )
  return { key: `${origin}:0-2`, chunks, ids: chunks.map(({ header }) => header.id) }
}
const ONCE = { flow_records: 6, coverage: 3, rejects: 3, judgements: 6, findings: 3 }

async function counts(ids: readonly string[]): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const table of Object.keys(ONCE)) {
    const [row] = await engine.select(
      'SELECT count() AS n FROM {table:Identifier} WHERE chunk_id IN {ids:Array(UUID)}',
      { table, ids },
    )
    found[table] = (row as { n: number }).n
  }
  return found
}

test('every statement of a replicated cluster is one to the engine', async () => {
  const sql = new ClusterSql({
    cluster: 'main',
    database: 'flows',
    replicated: true,
    onCluster: true,
  })
  const statements = sql.migrations(readMigrations()).flatMap((migration) => migration.statements)
  for (const plan of await retentionPlan(engine, 1, '2100-01-01'))
    statements.push(...sql.statements(plan))
  const parse = (text: string) => engine.select('SELECT formatQuery({text:String})', { text })
  for (const statement of statements) await parse(statement)
  const all = statements.join('\n')
  expect(all).toContain(
    "ReplicatedMergeTree('/clickhouse/tables/{shard}/flows/flow_records_local', '{replica}')",
  )
  expect(all).toContain("'/clickhouse/tables/everywhere/flows/dead_letters', '{shard}-{replica}'")
  expect(all).toContain(
    "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/flows/expired_chunks_local', '{replica}', floor)",
  )
  expect(all).not.toContain('non_replicated')
  // Nothing is left to the server that happens to be asked.
  for (const statement of statements)
    if (/^(CREATE|ALTER)/.test(statement)) expect(statement).toContain('ON CLUSTER main')
  await expect(parse('CREATE TABLE x ON CLUSTER (')).rejects.toMatchObject({ code: 62 })
})

test('a name that could end its quotes is no cluster, and what no rule knows is refused', () => {
  const named = (cluster: string) => () =>
    new ClusterSql({ cluster, database: 'd', replicated: true, onCluster: true })
  expect(named("a'b")).toThrow(RangeError)
  expect(named('')).toThrow(RangeError)
  expect(() => sharded().statements('DROP TABLE x')).toThrow(/no rule/)
})

test(
  'the same queries give the same answers as one server gives',
  async () => {
    const plain = await openStore(targetOf('flows'))
    const plainEngine = await openServer(targetOf('flows'))
    for (const one of [store, plain]) {
      const slice = sliceOf('tap1/same')
      await one.insertSlice(slice)
      await one.noteRun(RUN, slice.ids)
      await one.noteStream([
        { stream: 's', partition: 0, kind: 'gap', detail: 'o', first: 3, last: 4, count: 2 },
      ])
    }
    const ids = sliceOf('tap1/same').ids
    const params = {
      ...{ run: RUN, limit: 100, agent: '', verdict: '', destination: '', port: 0, ids },
      ...{ origins: ['tap1/same'], lanes: 2, streams: ['s'], firsts: [3], table: 'judgements' },
      ...{ from: MONDAY - DAY, to: MONDAY + 9 * DAY },
    }
    let asked = 0
    for (const name of queryNames()) {
      // Not of what is stored.
      if (/^(schema_|expired_days|audit_clock)/.test(name)) continue
      const sql = readSql(`queries/${name}`)
      const wanted = [...sql.matchAll(/\{(\w+):/g)].map((match) => match[1]!)
      if (!wanted.every((word) => word in params)) continue
      const [here, there] = await Promise.all([
        engine.select(sql, params),
        plainEngine.select(sql, params),
      ])
      const stored = (rows: unknown[]) =>
        JSON.stringify(rows).replace(/"(\w+_at|at|age\w*)":[^,}]+/g, '')
      expect(stored(here), name).toBe(stored(there))
      asked++
    }
    expect(asked).toBeGreaterThan(20)
    await plainEngine.close()
    await plain.close()
  },
  PATIENCE,
)

test(
  'slices go through the doors once, whichever answer is lost; tokens reach the shards',
  async () => {
    const patient = steadfast(store, new AbortController().signal, [10, 10])
    for (const [at, fault] of [
      'cut 1 0',
      'cut 1 3',
      'drop 1 4',
      'fail 252 1 2',
      'cut 2 5',
    ].entries()) {
      const slice = sliceOf(`tap1/door${at}`)
      await front.tell(fault)
      await patient.insertSlice(slice)
      expect(await counts(slice.ids), fault).toEqual(ONCE)
    }
    await front.tell('calm')
    // As a zombie would: the same INSERT with the same token again, without looking first.
    const slice = sliceOf('tap1/zombie')
    const blind: Engine = {
      ...{ address: engine.address, writers: 1, close: async () => {} },
      command: (sql) => engine.command(sql),
      insert: (blocks, inserts) => engine.insert(blocks, inserts),
      select: async (sql, params) =>
        sql.includes('FROM chunks') ? [] : engine.select(sql, params),
    }
    for (let i = 0; i < 2; i++) await new EngineStore(blind, false).insertSlice(slice)
    expect(await counts(slice.ids)).toEqual(ONCE)
    expect(await store.query('audit_hours', { limit: 9 })).toEqual([])
    const rows = await engine.select(
      "SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = 'flow_records_local'",
      {},
    )
    expect(rows).toEqual([{ engine: 'MergeTree' }])
  },
  PATIENCE,
)

test(
  'days go from the shards',
  async () => {
    const slice = sliceOf('tap1/days')
    await store.insertSlice(slice)
    // Forty days after: Monday's and Tuesday's go, Wednesday's stays.
    const plan = await maintenance.retentionPlan(38)
    await maintenance.expire(plan, () => {})
    expect(await counts(slice.ids)).toEqual({
      ...ONCE,
      flow_records: 1,
      coverage: 0,
      judgements: 1,
      findings: 0,
    })
    expect(await store.query('audit_hours', { limit: 9 })).toEqual([])
  },
  PATIENCE,
)

test('a store of one server does not become one of a cluster, nor the other way round', async () => {
  const plain = await openServer(targetOf('flows'))
  const wrong = maintenanceOf(plain, sharded(), Date.now)
  const refusal = 'is of one server: leave out --cluster'
  // Not even where nothing would be done: it would look as if it were one.
  await expect(wrong.pending()).rejects.toThrow(refusal)
  await plain.command('TRUNCATE TABLE schema_migrations')
  await expect(wrong.pending()).rejects.toThrow(refusal)
  await plain.close()
  await engine.command('TRUNCATE TABLE schema_migrations')
  await expect(migrate(engine)).rejects.toThrow(
    'lies on a cluster: run bailiwick migrate with --cluster NAME',
  )
})
