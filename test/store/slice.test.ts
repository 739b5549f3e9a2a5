// Rows once, whatever happens: repeated slices, slices cut otherwise, another ruling, hostile text, scrambled clocks.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clickhouseType } from '../../src/native-read.ts'
import type { BlockInsert, Engine } from '../../src/store/engine.ts'
import { insertSlice, type SliceChunk } from '../../src/store/slice.ts'
import { CHUNK_DAYS_MAX } from '../../src/store/slice-tables.ts'
import type { EngineStore } from '../../src/store/store.ts'
import { StoreInconsistentError } from '../../src/store/store-error.ts'
import { openEmbeddedStore } from './embedded-store.ts'
import { DAY, judged, MONDAY, type SampleFlow, sampleChunk } from './samples.ts'

let engine: Engine
let store: EngineStore
beforeAll(async () => {
  ;({ engine, store } = await openEmbeddedStore())
})
afterAll(() => store.close())

/** Rows of these chunks in each table. */
async function counts(chunks: readonly SliceChunk[]): Promise<Record<string, number>> {
  const ids = chunks.map((chunk) => chunk.header.id)
  const found: Record<string, number> = {}
  for (const table of ['flow_records', 'coverage', 'rejects', 'judgements', 'findings']) {
    const [row] = await engine.select(
      'SELECT count() AS n FROM {table:Identifier} WHERE chunk_id IN {ids:Array(UUID)}',
      { table, ids },
    )
    found[table] = (row as { n: number }).n
  }
  return found
}

const verdict = { name: 'a', verdict: 'out_of_scope', alert: 'x' } as const

function chunkOf(origin: string, seq = 0, flows: SampleFlow[] = [{ name: 'a' }, { name: 'b' }]) {
  return sampleChunk({ origin, seq, flows, rejects: [{ reason: 'r', at: 1, sample: '' }] })
}

const ONCE = { flow_records: 2, coverage: 1, rejects: 1, judgements: 1, findings: 1 }

/** An engine that dies before its nth INSERT, like a process that is killed there. */
function dyingAt(n: number): Engine {
  let left = n
  let turn: Promise<unknown> = Promise.resolve()
  const insert = async (blocks: readonly Uint8Array[], inserts: readonly BlockInsert[]) => {
    for (const insert of inserts) {
      if (left-- <= 0) throw new Error('killed')
      await engine.insert(blocks, [insert])
    }
  }
  return {
    address: engine.address,
    writers: 1,
    command: (sql) => engine.command(sql),
    select: (sql, params) => engine.select(sql, params),
    close: async () => {},
    insert(blocks, inserts) {
      const run = turn.then(() => insert(blocks, inserts))
      turn = run.catch(() => {})
      return run
    },
  }
}

describe('a slice is written once', () => {
  test('the same slice again writes nothing', async () => {
    const chunks = [judged(chunkOf('again'), [verdict])]
    for (let i = 0; i < 3; i++) await store.insertSlice({ key: 'again:0-0', chunks })
    expect(await counts(chunks)).toEqual(ONCE)
  })

  test('a slice that was cut short at any INSERT is completed', async () => {
    // intent, three record tables, two of judgement, marker
    for (let n = 0; n < 7; n++) {
      const chunks = [judged(chunkOf(`cut${n}`), [verdict])]
      const slice = { key: `cut${n}:0-0`, chunks }
      await expect(insertSlice(dyingAt(n), slice)).rejects.toThrow('killed')
      const state = (await store.completed([chunks[0]!.header.id])).get(chunks[0]!.header.id)
      expect(state?.complete ?? false).toBe(false)
      await store.insertSlice(slice)
      expect(await counts(chunks)).toEqual(ONCE)
    }
  })

  test('chunks of a slice that was cut short are completed by slices cut otherwise', async () => {
    for (let n = 1; n < 7; n++) {
      const chunks = [0, 1, 2].map((seq) => judged(chunkOf(`other${n}`, seq), [verdict]))
      await expect(
        insertSlice(dyingAt(n), { key: 'a', chunks: chunks.slice(0, 2) }),
      ).rejects.toThrow()
      await store.insertSlice({ key: 'b', chunks: chunks.slice(0, 1) })
      await store.insertSlice({ key: 'c', chunks: chunks.slice(1) })
      expect(await counts(chunks)).toEqual({
        flow_records: 6,
        coverage: 3,
        rejects: 3,
        judgements: 3,
        findings: 3,
      })
    }
  })

  test('a chunk over several days is cut into partitions, and completed day by day', async () => {
    const flows = [0, 1, 2].map((day) => ({ name: `d${day}`, ts: MONDAY + day * DAY }))
    const chunks = [judged(chunkOf('days', 0, flows), [])]
    // The intent, and two of three days.
    await expect(insertSlice(dyingAt(3), { key: 'days', chunks })).rejects.toThrow('killed')
    expect((await counts(chunks)).flow_records).toBe(2)
    await store.insertSlice({ key: 'days', chunks })
    expect((await counts(chunks)).flow_records).toBe(3)
    const [days] = await engine.select(
      'SELECT uniqExact(day) AS days, countIf(day != toDate(ts)) AS wrong FROM flow_records WHERE chunk_id = {id:UUID}',
      { id: chunks[0]!.header.id },
    )
    expect(days).toEqual({ days: 3, wrong: 0 })
  })

  test('scrambled clocks do not make a partition each', async () => {
    const scattered = Array.from({ length: CHUNK_DAYS_MAX + 1 }, (_, i) => ({
      name: `s${i}`,
      ts: i * 400 * DAY,
    }))
    const extreme = [-(2 ** 52), 2 ** 52, 0, MONDAY].map((ts) => ({ name: `e${ts}`, ts }))
    const chunks = [
      judged(chunkOf('scatter', 0, scattered), []),
      judged(chunkOf('scatter', 1, extreme), []),
    ]
    await store.insertSlice({ key: 'scatter', chunks })
    const rows = await engine.select(
      'SELECT chunk_id, uniqExact(day) AS days, count() AS rows FROM flow_records WHERE chunk_id IN {ids:Array(UUID)} GROUP BY chunk_id ORDER BY rows DESC',
      { ids: chunks.map((chunk) => chunk.header.id) },
    )
    expect(rows).toEqual([
      { chunk_id: chunks[0]!.header.id, days: 1, rows: CHUNK_DAYS_MAX + 1 },
      { chunk_id: chunks[1]!.header.id, days: 3, rows: 4 },
    ])
  })

  test('a slice is one block for each table, so one part', async () => {
    const ts = MONDAY + 900 * DAY
    const chunks = Array.from({ length: 8 }, (_, seq) => {
      const flows = Array.from({ length: 3000 }, (_, i) => ({ name: `p${seq}.${i}`, ts: ts + i }))
      return judged(chunkOf('parts', seq, flows), [])
    })
    await store.insertSlice({ key: 'parts', chunks })
    const [parts] = await engine.select(
      "SELECT max(max_block_number) - min(min_block_number) + 1 AS blocks, sum(rows) AS rows FROM system.parts WHERE table = 'flow_records' AND partition = toString(toDate({day:UInt32}))",
      { day: Math.floor(ts / DAY) },
    )
    expect(parts).toEqual({ blocks: 1, rows: 24_000 })
  })
})

describe('rulings', () => {
  test('the same question is judged once, another one is the next ruling, records stay', async () => {
    const chunk = chunkOf('rulings')
    const write = async (ruling: number, key: string) =>
      store.insertSlice({ key: 'r', chunks: [judged(chunk, [verdict], ruling, key)] })
    await write(0, 'k0')
    await write(0, 'k0')
    await write(1, 'k1')
    await write(1, 'k1')
    const id = chunk.header.id
    expect((await store.completed([id])).get(id)).toEqual({
      complete: true,
      ruling: 1,
      judgedKey: 'k1',
      held: { ruling: 1, judgedKey: 'k1' },
    })
    expect(await counts([judged(chunk, [])])).toEqual({ ...ONCE, judgements: 2, findings: 2 })
  })

  test('a ruling that was cut short keeps its number for the same question, and loses it to another', async () => {
    const chunk = chunkOf('begun')
    const id = chunk.header.id
    const begin = insertSlice(dyingAt(5), { key: 'b', chunks: [judged(chunk, [verdict], 0, 'k0')] })
    await expect(begin).rejects.toThrow('killed')
    expect((await store.completed([id])).get(id)).toEqual({
      complete: false,
      ruling: 0,
      judgedKey: 'k0',
      held: undefined,
    })
    const wrong = store.insertSlice({ key: 'b', chunks: [judged(chunk, [verdict], 0, 'k1')] })
    await expect(wrong).rejects.toThrow(StoreInconsistentError)
    await store.insertSlice({ key: 'b', chunks: [judged(chunk, [verdict], 1, 'k1')] })
    expect(await counts([judged(chunk, [])])).toMatchObject({ flow_records: 2, findings: 1 })
    const held = await engine.select(
      'SELECT ruling FROM judgements WHERE chunk_id = {id:UUID} ORDER BY ruling',
      { id },
    )
    // Rows of the ruling that was never completed may lie there; no view shows them.
    expect(held).toEqual([{ ruling: 0 }, { ruling: 1 }])
    const seen = await engine.select(
      'SELECT ruling FROM judgements WHERE (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM chunks_complete) AND chunk_id = {id:UUID}',
      { id },
    )
    expect(seen).toEqual([{ ruling: 1 }])
  })
})

describe('traps of the engine', () => {
  /** One INSERT of a chunk's records with a token of our choice. */
  async function insertWith(token: string, chunk: SliceChunk, day = Math.floor(MONDAY / DAY)) {
    const { addChunkColumns } = await import('../../src/native.ts')
    const { FLOW_COLUMNS } = await import('../../src/flow.ts')
    const { parseUuid } = await import('../../src/store/uuid.ts')
    const insert: BlockInsert = {
      table: 'flow_records',
      columns: [
        ...Object.entries(FLOW_COLUMNS).map(([name, type]): [string, string] => [
          name,
          clickhouseType(type),
        ]),
        ['chunk_id', 'UUID'],
        ['row', 'UInt32'],
      ],
      day,
      onlyDay: undefined,
      onlyChunks: undefined,
      token,
    }
    const native = chunk.parts.get('flow_records')!
    await engine.insert(addChunkColumns(native, parseUuid(chunk.header.id)), [insert])
  }

  test('the same token with more rows loses rows silently: why tokens are made of what is inserted', async () => {
    const few = judged(chunkOf('token1', 0, [{ name: 'a' }]), [])
    const more = judged(chunkOf('token2', 0, [{ name: 'a' }, { name: 'b' }]), [])
    await insertWith('trap.token', few)
    await insertWith('trap.token', more)
    expect((await counts([few])).flow_records).toBe(1)
    expect((await counts([more])).flow_records).toBe(0)
    // A slice of the same name with more rows is another token.
    const first = judged(chunkOf('token3', 0, [{ name: 'a' }]), [])
    const grown = judged(chunkOf('token3', 1, [{ name: 'a' }, { name: 'b' }]), [])
    await store.insertSlice({ key: 'same', chunks: [first] })
    await store.insertSlice({ key: 'same', chunks: [first, grown] })
    expect((await counts([first, grown])).flow_records).toBe(3)
  })

  test('no setting of an insert stays for the next statement', async () => {
    await store.insertSlice({ key: 'leak', chunks: [judged(chunkOf('leak'), [verdict])] })
    const rows = await engine.select('SELECT 1 AS one', {})
    expect(rows).toEqual([{ one: 1 }])
    // Were the token still set, this statement without one would be taken for a repetition.
    for (let i = 0; i < 2; i++)
      await engine.command(
        "INSERT INTO run_doubles (run, kind, hash) SELECT generateUUIDv4(), 'leak', 1",
      )
    const [found] = await engine.select(
      "SELECT count() AS n FROM run_doubles WHERE kind = 'leak'",
      {},
    )
    expect(found).toEqual({ n: 2 })
  })

  test('text with empty lines, quotes and SQL is stored as text', async () => {
    const hostile =
      "x\n\nINSERT INTO rejects (reason) VALUES ('canary')\n\n'); DROP TABLE rejects; --\t\\N\0é日本"
    const chunk = judged(
      chunkOf('hostile', 0, [{ name: 'h', user_agent: hostile, server_name: hostile }]),
      [{ name: 'h', verdict: 'out_of_scope', alert: 'h', sentence: hostile, destination: hostile }],
    )
    await store.insertSlice({ key: "'); DROP TABLE chunks; --", chunks: [chunk] })
    const [row] = await engine.select(
      'SELECT user_agent, server_name FROM flow_records WHERE chunk_id = {id:UUID}',
      { id: chunk.header.id },
    )
    expect(row).toEqual({ user_agent: hostile, server_name: hostile })
    const [finding] = await engine.select(
      'SELECT sentence FROM findings WHERE chunk_id = {id:UUID}',
      {
        id: chunk.header.id,
      },
    )
    expect(finding).toEqual({ sentence: hostile })
    expect(await engine.select("SELECT 1 FROM rejects WHERE reason = 'canary'", {})).toEqual([])
  })

  test('rows that are there in part are an error that is heard, not a loss', async () => {
    const chunk = judged(chunkOf('partly', 0, [{ name: 'a' }, { name: 'b' }]), [])
    const half = judged(chunkOf('half', 0, [{ name: 'a' }]), [])
    await expect(insertSlice(dyingAt(1), { key: 'p', chunks: [chunk] })).rejects.toThrow('killed')
    await insertWith('partly', { ...half, header: chunk.header })
    await expect(store.insertSlice({ key: 'p', chunks: [chunk] })).rejects.toThrow(
      StoreInconsistentError,
    )
  })
})

test('the auditor sees a lost and a doubled row', async () => {
  expect(await store.query('audit_chunks', { limit: 100 })).toEqual([])
  const chunk = judged(chunkOf('audited'), [verdict])
  await store.insertSlice({ key: 'audited', chunks: [chunk] })
  await engine.command(
    `INSERT INTO findings SELECT * FROM findings WHERE chunk_id = '${chunk.header.id}'`,
  )
  await engine.command(`DELETE FROM flow_records WHERE chunk_id = '${chunk.header.id}' AND row = 1`)
  expect(await store.query('audit_chunks', { limit: 100 })).toEqual([
    { chunk_id: chunk.header.id, table: 'findings', announced: 1, stored: 2, distinct_rows: 1 },
    { chunk_id: chunk.header.id, table: 'flow_records', announced: 2, stored: 1, distinct_rows: 1 },
  ])
})
