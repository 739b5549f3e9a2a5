// SQL is source code, so it is tested as such: the schema against src/flow.ts, and every query over a small world
// whose answers can be checked by hand.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Columns, TABLES } from '../src/flow.ts'
import { contentUuid, formatUuid } from '../src/hash.ts'
import { clickhouseType } from '../src/native-read.ts'
import { listAlerts } from '../src/respond/alerts.ts'
import { CHUNKS_COLUMNS } from '../src/store/chunk-state.ts'
import type { Engine } from '../src/store/engine.ts'
import { queryNames, readMigrations, readSql, splitStatements } from '../src/store/sql-files.ts'
import type { EngineStore } from '../src/store/store.ts'
import { StoreError } from '../src/store/store-error.ts'
import { openEmbeddedStore } from './store/embedded-store.ts'
import { AGENT, flowIdOf, judged, MONDAY, sampleChunk } from './store/samples.ts'

const RUN = '11111111-1111-4111-8111-111111111111'
const OTHER = 'spiffe://corp.example/agent/ledger'
const SECOND = 1_000_000

let engine: Engine
let store: EngineStore
beforeAll(async () => {
  ;({ engine, store } = await openEmbeddedStore())
  await fill()
})
afterAll(() => store.close())

/**
 * Two chunks of one run, and one chunk of another that must not be seen by the run's queries.
 *   web    in scope          long   two records, in both chunks
 *   post   out of scope x 2  stray  unregistered      odd: a flow to another agent, judged on both sides
 */
async function fill(): Promise<void> {
  const first = sampleChunk({
    flows: [
      { name: 'web', ts: MONDAY, server_name: 'api.example.com' },
      { name: 'post', ts: MONDAY + SECOND, server_name: 'paste.example.net', orig_bytes: 90_000 },
      { name: 'long', ts: MONDAY, rec_no: 0, orig_pkts: 5, resp_pkts: 5, conn_state: 'S1' },
    ],
    rejects: [
      { reason: 'bad_length', at: 17, sample: '\\x00' },
      { reason: 'bad_length', at: 4, sample: '\\x01' },
    ],
  })
  const second = sampleChunk({
    seq: 1,
    flows: [
      { name: 'long', ts: MONDAY, rec_no: 1, orig_pkts: 2, resp_pkts: 1, conn_state: 'SF' },
      { name: 'post2', ts: MONDAY + 2 * SECOND, server_name: 'paste.example.net' },
      { name: 'stray', ts: MONDAY + 3 * SECOND, orig: 77, server_name: 'api.llm.example' },
      { name: 'odd', ts: MONDAY + 4 * SECOND },
    ],
  })
  const paste = { verdict: 'out_of_scope', destination: 'paste.example.net', alert: 'a1' } as const
  await store.insertSlice({
    key: 'tap1/abc:0-1',
    chunks: [
      judged(first, [
        { name: 'web', verdict: 'in_scope' },
        { name: 'post', ...paste, score: 90, ts: MONDAY + SECOND, sentence: 'posted 90 kB' },
        { name: 'long', verdict: 'in_scope' },
      ]),
      judged(second, [
        { name: 'long', verdict: 'in_scope' },
        { name: 'post2', ...paste, score: 60, ts: MONDAY + 2 * SECOND, sentence: 'posted 1 kB' },
        {
          name: 'stray',
          verdict: 'unregistered',
          side: 'none',
          agent: '',
          destination: 'api.llm.example',
          score: 50,
          grade: 'unknown',
          alert: 'a2',
          ts: MONDAY + 3 * SECOND,
        },
        { name: 'odd', verdict: 'in_scope', destination: OTHER },
        { name: 'odd', verdict: 'out_of_scope', side: 'resp', agent: OTHER, destination: AGENT },
      ]),
    ],
  })
  await store.noteRun(RUN, [first.header.id, second.header.id, first.header.id])
  const elsewhere = sampleChunk({ origin: 'tap1/other', flows: [{ name: 'elsewhere' }] })
  await store.insertSlice({
    key: 'tap1/other:0-0',
    chunks: [judged(elsewhere, [{ name: 'elsewhere', ...paste, alert: 'a3', score: 10 }])],
  })
}

describe('schema', () => {
  const ofChunk = { chunk_id: 'UUID', row: 'UInt32', checksum: 'UInt64' }
  const stores: Record<string, Record<string, string>> = {
    flow_records: { ...ofChunk, day: 'Date', community: 'String' },
    coverage: { ...ofChunk, day: 'Date' },
    rejects: ofChunk,
    announced: ofChunk,
    judgements: { ...ofChunk, day: 'Date' },
    findings: { ...ofChunk, day: 'Date' },
    chunks: { stored_at: "DateTime64(3, 'UTC')" },
  }
  test.each(Object.entries<Columns>({ ...TABLES, chunks: CHUNKS_COLUMNS }))(
    '%s has the columns of the code and those of the store',
    async (table, columns) => {
      const rows = await engine.select(
        'SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String} ORDER BY position',
        { table },
      )
      const wanted = Object.entries(columns).map(([name, type]) => ({
        name,
        type: clickhouseType(type),
      }))
      const own = Object.entries(stores[table]!).map(([name, type]) => ({ name, type }))
      // A column that came later stands behind those of the store.
      const sorted = (list: unknown[]) => list.map((one) => JSON.stringify(one)).sort()
      expect(sorted(rows)).toEqual(sorted([...wanted, ...own]))
    },
  )

  test('every table that is inserted into remembers 10,000 tokens', async () => {
    const rows = await engine.select(
      "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'MergeTree' AND create_table_query NOT LIKE '%non_replicated_deduplication_window = 10000%'",
      {},
    )
    expect(rows).toEqual([{ name: 'schema_migrations' }])
  })

  test.each(Object.entries<Columns>(TABLES))(
    'the checksum of %s covers all of its columns, and the place in the chunk',
    async (table, columns) => {
      const [row] = (await engine.select(
        "SELECT default_expression AS sql FROM system.columns WHERE database = currentDatabase() AND table = {table:String} AND name = 'checksum'",
        { table },
      )) as { sql: string }[]
      // Where columns came later, the last of the hashes is that of rows which have them.
      const hashed = /^.*cityHash64\(tuple\(([^()]*)\)\)\)?$/.exec(row!.sql)?.[1]?.split(', ')
      expect(hashed).toEqual([...Object.keys(columns), 'row'])
    },
  )

  test('all migrations can be applied again: they are idempotent', async () => {
    for (const { statements } of readMigrations())
      for (const statement of statements) await engine.command(statement)
    expect(await engine.select(readSql('queries/schema_migrations'), {})).toHaveLength(
      readMigrations().length,
    )
  })

  test('statements are split at semicolons that end a line, without comments', () => {
    expect(splitStatements("-- a; b\nSELECT ';x';\n\nSELECT 2\n-- c\n;\n")).toEqual([
      "SELECT ';x'",
      'SELECT 2',
    ])
  })
})

describe('views', () => {
  test('flows: records add up, state is the last one, each record counts once', async () => {
    // The same file, longer: the last flow has more packets now, and its chunk is another.
    const grown = sampleChunk({
      origin: 'tap1/grown',
      flows: [
        { name: 'long', ts: MONDAY, rec_no: 1, orig_pkts: 20, resp_pkts: 10, conn_state: 'SF' },
      ],
    })
    await store.insertSlice({ key: 'tap1/grown:0-0', chunks: [judged(grown, [])] })
    const [flow] = await engine.select(
      `SELECT orig_pkts, resp_pkts, orig_bytes, missed_bytes, conn_state, records, duration
       FROM flows WHERE flow_id = {id:UUID}`,
      { id: formatUuid(flowIdOf('long')) },
    )
    expect(flow).toEqual({
      orig_pkts: 25,
      resp_pkts: 15,
      orig_bytes: 2000,
      missed_bytes: null,
      conn_state: 'SF',
      records: 2,
      duration: 1.5,
    })
  })

  test('flows: a REJECT on one side holds, anomalies are united', async () => {
    const halves = sampleChunk({
      origin: 'tap1/halves',
      flows: [
        { name: 'half', rec_no: 0, action: 'REJECT', anomalies: ['b'] },
        { name: 'half', rec_no: 1, action: 'ACCEPT', anomalies: ['a', 'b'] },
      ],
    })
    await store.insertSlice({ key: 'tap1/halves:0-0', chunks: [judged(halves, [])] })
    const rows = await engine.select(
      'SELECT action, anomalies FROM flows WHERE flow_id = {id:UUID}',
      { id: formatUuid(flowIdOf('half')) },
    )
    expect(rows).toEqual([{ action: 'REJECT', anomalies: ['a', 'b'] }])
  })

  test('a later ruling replaces all of an earlier one, and its alerts', async () => {
    const chunk = sampleChunk({ origin: 'tap1/re', flows: [{ name: 'again' }] })
    const slice = (ruling: number, key: string, verdict: 'out_of_scope' | 'in_scope') => ({
      key: 'tap1/re:0-0',
      chunks: [
        judged(
          chunk,
          [{ name: 'again', verdict, ...(verdict === 'in_scope' ? {} : { alert: 'a9' }) }],
          ruling,
          key,
        ),
      ],
    })
    const current = () =>
      engine.select(
        'SELECT side, ruling, verdict FROM judgements_current WHERE flow_id = {id:UUID}',
        {
          id: formatUuid(flowIdOf('again')),
        },
      )
    const a9 = formatUuid(contentUuid(['a9']))
    await store.insertSlice(slice(0, 'k0', 'out_of_scope'))
    expect(await current()).toEqual([{ side: 'orig', ruling: 0, verdict: 'out_of_scope' }])
    expect((await listAlerts(store)).map((alert) => alert.id)).toContain(a9)
    await store.insertSlice(slice(1, 'k1', 'in_scope'))
    expect(await current()).toEqual([{ side: 'orig', ruling: 1, verdict: 'in_scope' }])
    expect((await listAlerts(store)).map((alert) => alert.id)).not.toContain(a9)
  })
})

describe('queries over one run', () => {
  const flow = (name: string) => formatUuid(flowIdOf(name))

  test('every query of the folder runs, and gives the columns that the code expects', async () => {
    const params = { run: RUN, limit: 100, agent: AGENT, verdict: '', destination: '', port: 0 }
    const ids = [sampleChunk({ flows: [{ name: 'web' }] }).header.id]
    const span = { from: MONDAY, to: MONDAY + 3_600 * SECOND, floor: '2026-01-01' }
    const lists = { origins: ['tap1/abc'], lanes: 8, streams: [], firsts: [], tables: ['coverage'] }
    const audit = { until: MONDAY, since: 0, due: MONDAY, chunks: 10, chunk: ids[0], ruling: 0 }
    const nil = '00000000-0000-0000-0000-000000000000'
    const api = {
      ...{ recent: MONDAY, id: nil, kind: '', min_score: 0, sensor: '' },
      ...{ before: MONDAY, before_id: nil, before_flow: nil, before_side: '' },
    }
    const tables: Record<string, string> = {
      stored_rulings: 'judgements',
      audit_rows_ruled: 'judgements',
      audit_rows_dayless: 'rejects',
    }
    for (const name of queryNames()) {
      const table = tables[name] ?? 'flow_records'
      await engine.select(readSql(`queries/${name}`), {
        ...params,
        ...lists,
        ...span,
        ...audit,
        ...api,
        ids,
        table,
      })
    }
  })

  test('report_totals', async () => {
    expect(await store.query('report_totals', { run: RUN })).toEqual([
      {
        flows: 6,
        records: 7,
        packets: 5 * 18 + 10 + 3,
        bytes: 90_000 + 6 * 1000 + 7 * 5000,
        judgements: 7,
        findings: 3,
        alerts: 2,
        rejects: 2,
        chunks: 2,
      },
    ])
  })

  test('report_verdicts counts judgements, so a flow between two agents counts twice', async () => {
    expect(await store.query('report_verdicts', { run: RUN })).toEqual([
      { verdict: 'in_scope', judgements: 3, flows: 3 },
      { verdict: 'out_of_scope', judgements: 3, flows: 3 },
      { verdict: 'unregistered', judgements: 1, flows: 1 },
    ])
  })

  test('report_agents: bytes are seen from the agent, no agent is a row of its own', async () => {
    const rows = await store.query('report_agents', { run: RUN })
    expect(rows.map(({ agent, judgements }) => [agent, judgements])).toEqual([
      ['', 1],
      [AGENT, 5],
      [OTHER, 1],
    ])
    expect(rows[1]).toMatchObject({ in_scope: 3, out_of_scope: 2, certain: 5, score_max: 90 })
    expect(rows[1]).toMatchObject({ flows: 5, destinations: 3 })
    expect(rows[1]).toMatchObject({ bytes_out: 90_000 + 5 * 1000, bytes_in: 6 * 5000 })
    expect(rows[2]).toMatchObject({ bytes_out: 5000, bytes_in: 1000, out_of_scope: 1 })
  })

  test('report_destinations groups what agrees, with the earliest flow as example', async () => {
    const rows = await store.query('report_destinations', { run: RUN, limit: 100 })
    expect(
      rows.map((row) => [row.agent, row.direction, row.verdict, row.destination, row.flows]),
    ).toEqual([
      [AGENT, 'egress', 'in_scope', 'api.example.com', 2],
      [AGENT, 'egress', 'in_scope', OTHER, 1],
      [AGENT, 'egress', 'out_of_scope', 'paste.example.net', 2],
      [OTHER, 'ingress', 'out_of_scope', AGENT, 1],
    ])
    expect(rows[2]).toEqual({
      agent: AGENT,
      direction: 'egress',
      destination: 'paste.example.net',
      server_name: 'paste.example.net',
      peer: '10.0.0.9',
      peer_port: 443,
      ip_proto: 6,
      verdict: 'out_of_scope',
      rule: 'default-deny',
      flows: 2,
      flow_id: flow('post'),
      uid: '',
      ts: MONDAY + SECOND,
      orig_h: '10.0.0.5',
      orig_p: 40_000,
      resp_h: '10.0.0.9',
      resp_p: 443,
    })
  })

  test('report_findings: worst first, each with its judgement and its flow', async () => {
    const rows = await store.query('report_findings', { run: RUN, limit: 2 })
    expect(rows.map((row) => [row.score, row.flow_id])).toEqual([
      [90, flow('post')],
      [60, flow('post2')],
    ])
    expect(rows[0]).toMatchObject({
      alert_id: formatUuid(contentUuid(['a1'])),
      kind: 'out_of_scope',
      verdict: 'out_of_scope',
      sentence: 'posted 90 kB',
      direction: 'egress',
      side: 'orig',
      evidence: ['address 10.0.0.5/32'],
      reason_codes: ['default_deny'],
      reason_weights: [40],
      reason_evidence: ['no rule names it'],
      server_name: 'paste.example.net',
      orig_h: '10.0.0.5',
      ts: MONDAY + SECOND,
    })
  })

  test('report_alerts, and the alerts of the whole store', async () => {
    const alerts = await listAlerts(store, RUN)
    expect(alerts.map(({ id, flows, score }) => [id, flows, score])).toEqual([
      [formatUuid(contentUuid(['a1'])), 2, 90],
      [formatUuid(contentUuid(['a2'])), 1, 50],
    ])
    expect(alerts[0]).toEqual({
      id: formatUuid(contentUuid(['a1'])),
      kind: 'out_of_scope',
      rule: 'default-deny',
      agent: AGENT,
      subject: '',
      destination: 'paste.example.net',
      port: 443,
      ipProto: 6,
      first: MONDAY + SECOND,
      last: MONDAY + 2 * SECOND,
      flows: 2,
      score: 90,
      grade: 'certain',
      sentence: 'posted 90 kB',
    })
    const all = (await listAlerts(store)).map((alert) => alert.id)
    expect(all).toContain(formatUuid(contentUuid(['a3'])))
    expect(all).toContain(alerts[0]!.id)
  })

  test('report_unregistered', async () => {
    expect(await store.query('report_unregistered', { run: RUN, limit: 10 })).toEqual([
      {
        address: '10.0.0.5',
        flows: 1,
        first: MONDAY + 3 * SECOND,
        last: MONDAY + 3 * SECOND,
        score: 50,
        destination_count: 1,
        destinations: ['api.llm.example'],
      },
    ])
  })

  test('report_coverage adds up over the chunks', async () => {
    const rows = await store.query('report_coverage', { run: RUN, limit: 10 })
    expect(rows).toMatchObject([{ sensor: 'tap1', metric: 'packets', value: 36, from: MONDAY }])
  })

  test('report_rejects: counts by reason, with the place of the first', async () => {
    expect(await store.query('report_rejects', { run: RUN, limit: 10 })).toEqual([
      {
        source_kind: 'pcap',
        reason: 'bad_length',
        count: 2,
        unit: 'packet',
        first_at: 4,
        detail: 'cut',
        sample: '\\x01',
        origin: 'tap1/abc',
      },
    ])
  })

  test('report_mismatch: the flows of an agent with a verdict, to any or to one destination', async () => {
    const ask = (verdict: '' | 'out_of_scope', destination: string, port: number) =>
      store.query('report_mismatch', {
        run: RUN,
        agent: AGENT,
        verdict,
        destination,
        port,
        limit: 10,
      })
    const names = async (...filter: Parameters<typeof ask>) =>
      (await ask(...filter)).map((row) => row.flow_id)
    expect(await names('out_of_scope', '', 0)).toEqual([flow('post'), flow('post2')])
    expect(await names('', OTHER, 443)).toEqual([flow('odd')])
    expect(await names('', OTHER, 80)).toEqual([])
    expect((await ask('out_of_scope', '', 0))[0]).toMatchObject({
      reason_codes: ['default_deny'],
      server_name: 'paste.example.net',
      grade: 'certain',
      resp_h: '10.0.0.9',
    })
  })

  test('a run of 5,000 chunks is asked about at once', async () => {
    const run = '22222222-2222-4222-8222-222222222222'
    const ids = Array.from({ length: 5000 }, (_, i) => formatUuid(contentUuid([`chunk ${i}`])))
    const real = sampleChunk({ seq: 1, flows: [{ name: 'one' }] })
    await store.insertSlice({ key: 'x', chunks: [judged(real, [])] })
    await store.noteRun(run, [...ids, real.header.id])
    const [totals] = await store.query('report_totals', { run })
    expect(totals).toMatchObject({ chunks: 5001, flows: 1, records: 1 })
    expect((await store.completed([...ids, real.header.id])).size).toBe(1)
  })

  test('the auditor finds nothing wrong', async () => {
    const all = { from: 0, until: Date.UTC(2100, 0), limit: 10 }
    expect(await store.query('audit_contents', all)).toEqual([])
    expect(await store.query('audit_chunks', { limit: 10 })).toEqual([])
  })
})

test('a query may only read: no file, no network, no write, no way out of it', async () => {
  for (const sql of [
    "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString')",
    'DROP TABLE rejects',
    'INSERT INTO rejects (reason) SELECT 1',
    'SET readonly = 0',
    'SET max_memory_usage = 0',
  ])
    await expect(engine.select(sql, {})).rejects.toThrow(StoreError)
})
