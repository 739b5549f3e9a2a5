// The store over HTTP, and what is said when there is none: the same rows and queries as embedded.

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { migrate } from '../../src/store/migrate.ts'
import { openServer, SERVER_PATIENCE, type ServerTarget } from '../../src/store/server.ts'
import { steadfast } from '../../src/store/steadfast.ts'
import { EngineStore, openStore, type Slice } from '../../src/store/store.ts'
import { StoreAccessError, StoreError, StoreUnreachableError } from '../../src/store/store-error.ts'
import { parseStoreTarget } from '../../src/store/store-target.ts'
import { type Front, startFront } from './front.ts'
import { DAY, judged, MONDAY, sampleChunk } from './samples.ts'

const RUN = '11111111-1111-4111-8111-111111111111'
const directory = mkdtempSync(join(tmpdir(), 'bailiwick-test-'))
let front: Front

beforeAll(async () => {
  front = await startFront({ path: directory })
})
afterEach(() => front.tell('calm'))
afterAll(async () => {
  await front.kill('SIGTERM')
  rmSync(directory, { recursive: true, force: true })
})

const target = (change: Partial<ServerTarget> = {}) =>
  ({ ...parseStoreTarget(front.store), ...change }) as ServerTarget
const address = () => `http://127.0.0.1:${front.port}/flows`

function sliceOf(origin: string): Slice & { id: string } {
  const chunk = sampleChunk({
    origin,
    flows: [
      { name: 'a', user_agent: 'é日本\n\nSELECT 1' },
      { name: 'b', ts: MONDAY + DAY, orig_bytes: 2 ** 40 },
    ],
    rejects: [{ reason: 'r', at: 1, sample: '' }],
  })
  const chunks = [judged(chunk, [{ name: 'a', verdict: 'out_of_scope', alert: 'x', score: 7 }])]
  return { key: `${origin}:0-0`, chunks, id: chunk.header.id }
}

/** Rows of a chunk, by table. */
async function counts(id: string): Promise<Record<string, number>> {
  const tables = Object.keys(ONCE).map(
    (table) =>
      `SELECT '${table}' AS name, toUInt32(count()) AS n FROM ${table} WHERE chunk_id = '${id}'`,
  )
  const rows = await front.rows(tables.join(' UNION ALL '))
  return Object.fromEntries(rows.map((row) => [String(row.name), Number(row.n)]))
}
/** What is sliceOf()'s. */
const ONCE = { flow_records: 2, coverage: 1, rejects: 1, judgements: 1, findings: 1 }
/** Of a slice: intent; records of two days, coverage, rejects; judgements, findings; marker. */
const INSERTS = 8

describe('a server', () => {
  test('takes slices once and answers queries', async () => {
    const store = await openStore(target())
    const slice = sliceOf('http')
    const before = Number((await front.tell('count')).inserts)
    for (let i = 0; i < 2; i++) await store.insertSlice(slice)
    expect((await front.tell('count')).inserts).toBe(before + INSERTS)
    expect(await counts(slice.id)).toEqual(ONCE)
    await store.noteRun(RUN, [slice.id])
    const [totals] = await store.query('report_totals', { run: RUN })
    expect(totals).toMatchObject({ flows: 2, records: 2, judgements: 1, alerts: 1, rejects: 1 })
    expect(totals?.bytes).toBe(2 ** 40 + 1000 + 10_000)
    expect(await store.query('audit_chunks', { limit: 10 })).toEqual([])
    await store.close()
    await expect(store.query('alerts', { limit: 1 })).rejects.toThrow('is closed')

    const again = await openStore(target())
    expect((await again.completed([slice.id])).get(slice.id)?.complete).toBe(true)
    expect(await again.query('alerts', { limit: 1 })).toMatchObject([{ score: 7 }])
    await again.close()
  })

  test('that refuses the password is told apart, and the password is not shown', async () => {
    const opening = openStore(target({ password: 'wrong-password' }))
    await expect(opening).rejects.toThrow(StoreAccessError)
    await expect(opening).rejects.toThrow(
      `the store at ${address()} refused the user or the password (code 516): correct them in the URL`,
    )
  })

  test('without the database is told apart', async () => {
    const opening = openStore(target({ database: 'nowhere' }))
    await expect(opening).rejects.toThrow(StoreAccessError)
    await expect(opening).rejects.toThrow(
      `the store at http://127.0.0.1:${front.port}/nowhere has no such database: create it or name another in the URL`,
    )
  })

  test('that was killed while the schema was made is opened the next time', async () => {
    const path = join(directory, 'killed')
    const dying = await startFront({ path })
    await dying.tell('die-late 3')
    await expect(openStore(parseStoreTarget(dying.store))).rejects.toThrow(StoreUnreachableError)
    await dying.gone
    const next = await startFront({ path })
    const store = await openStore(parseStoreTarget(next.store))
    expect(await store.query('audit_chunks', { limit: 1 })).toEqual([])
    await store.close()
    await next.kill('SIGKILL')
  }, 60_000)

  test('is asked for very many things at once: URLs have an end', async () => {
    const store = await openStore(target())
    const origins = Array.from({ length: 1000 }, (_, i) => `vpc/${i}/${'é'.repeat(100)}`)
    expect(await store.query('origin_lanes', { origins })).toEqual([])
    expect(await store.query('origin_watermarks', { origins, lanes: 64 })).toEqual([])
    await store.close()
  })

  test('refuses what a query should not do: the reader can only read', async () => {
    const engine = await openServer(target())
    const writing = engine.select('CREATE TABLE x (a UInt8) ENGINE = Memory', {})
    await expect(writing).rejects.toMatchObject({ code: 164 })
    await engine.close()
  })
})

describe('several slices at once', () => {
  test('are written side by side, each once; those with a chunk in common one after the other', async () => {
    const store = await openStore(target())
    const slices = Array.from({ length: 12 }, (_, i) => sliceOf(`beside ${i % 8}`))
    const common = { key: 'common', chunks: slices.slice(0, 8).flatMap((slice) => slice.chunks) }
    await front.tell('slow 20')
    await Promise.all([...slices, common].map((slice) => store.insertSlice(slice)))
    for (const slice of slices) expect(await counts(slice.id)).toEqual(ONCE)
    expect(await store.query('audit_chunks', { limit: 10 })).toEqual([])
    await store.close()
  })

  test('that lose their answers here and there are all there once', async () => {
    const store = steadfast(await openStore(target()), new AbortController().signal, [5, 10, 20])
    for (const line of ['cut 1 3', 'drop 1 9', 'fail 252 2 4', 'cut 2 5', 'fail 241 1 2'])
      await front.tell(line)
    const slices = Array.from({ length: 8 }, (_, i) => sliceOf(`rough ${i}`))
    await Promise.all(slices.map((slice) => store.insertSlice(slice)))
    for (const slice of slices) expect(await counts(slice.id)).toEqual(ONCE)
    expect(await store.query('audit_chunks', { limit: 10 })).toEqual([])
    await store.close()
  })
})

describe('an insert that fails', () => {
  /** A store that tries again after these milliseconds. */
  async function patient(pauses: readonly number[]) {
    return steadfast(await openStore(target()), new AbortController().signal, pauses)
  }

  test('with its answer lost is not doubled, at whichever INSERT', async () => {
    const store = await patient([10])
    for (let n = 0; n < INSERTS; n++) {
      const slice = sliceOf(`answer lost ${n}`)
      await front.tell(`cut 1 ${n}`)
      await store.insertSlice(slice)
      expect(await counts(slice.id), `INSERT ${n}`).toEqual(ONCE)
    }
    expect(await store.query('audit_chunks', { limit: 10 })).toEqual([])
    await store.close()
  })

  test('with the request lost is not left out, at whichever INSERT', async () => {
    const store = await patient([10])
    for (let n = 0; n < INSERTS; n++) {
      const slice = sliceOf(`request lost ${n}`)
      await front.tell(`drop 1 ${n}`)
      await store.insertSlice(slice)
      expect(await counts(slice.id), `INSERT ${n}`).toEqual(ONCE)
    }
    expect(await store.query('audit_chunks', { limit: 10 })).toEqual([])
    await store.close()
  })

  test.each(['stall', 'mute'])(
    'with no answer at all is given up in time and not doubled: %s',
    async (fault) => {
      const engine = await openServer(target(), { ...SERVER_PATIENCE, insert: 1500 })
      await migrate(engine)
      const store = steadfast(
        new EngineStore(engine, false),
        new AbortController().signal,
        [10, 10],
      )
      for (const n of [0, 3, INSERTS - 1]) {
        const slice = sliceOf(`${fault} ${n}`)
        await front.tell(`${fault} 1 ${n}`)
        await store.insertSlice(slice)
        expect(await counts(slice.id), `INSERT ${n}`).toEqual(ONCE)
      }
      expect(await store.query('audit_chunks', { limit: 10 })).toEqual([])
      await store.close()
    },
  )

  test('that keeps failing in several tables is known by what will not pass by itself', async () => {
    const store = await openStore(target())
    await front.tell('fail 252 1 1')
    await front.tell('fail 243 1 0')
    const inserting = store.insertSlice(sliceOf('two failures'))
    await expect(inserting).rejects.toMatchObject({ code: 243, kind: 'operator' })
    // Nothing of it is under way any more: closing has nothing to wait for.
    await store.close()
  })

  test('with too many parts is tried again until it passes', async () => {
    const store = await patient([10, 10, 10])
    const slice = sliceOf('parts')
    await front.tell('fail 252 3 2')
    await store.insertSlice(slice)
    expect(await counts(slice.id)).toEqual(ONCE)
    await store.close()
  })

  test('with a full disk ends at once, and can be taken up again', async () => {
    const store = await patient([60_000])
    const slice = sliceOf('full')
    await front.tell('fail 243 1 1')
    await expect(store.insertSlice(slice)).rejects.toThrow(
      `the disk of the store at ${address()} is full: free some space`,
    )
    expect((await store.completed([slice.id])).get(slice.id)?.complete).toBe(false)
    await store.insertSlice(slice)
    expect(await counts(slice.id)).toEqual(ONCE)
    await store.close()
  })

  test('since nobody listens for a while is tried again', async () => {
    const store = await patient([100, 1000, 1000, 1000])
    const slice = sliceOf('away')
    await front.tell('refuse')
    const inserting = store.insertSlice(slice)
    await new Promise((resolve) => setTimeout(resolve, 200))
    await front.tell('accept')
    await inserting
    expect(await counts(slice.id)).toEqual(ONCE)
    await store.close()
  })
})

describe('a server that does not answer', () => {
  test('at all', async () => {
    await front.tell('hang')
    const opening = openServer(target(), { ...SERVER_PATIENCE, hello: 300 })
    await expect(opening).rejects.toThrow(StoreUnreachableError)
    await expect(opening).rejects.toThrow(
      `the store at ${address()} does not answer in time: correct the URL or start the ClickHouse server`,
    )
  })

  test('any more', async () => {
    const engine = await openServer(target(), { ...SERVER_PATIENCE, request: 300 })
    await front.tell('hang')
    await expect(engine.select('SELECT 1', {})).rejects.toThrow(
      `the store at ${address()} does not answer any more: see what the ClickHouse server does, start it anew and run again`,
    )
    await engine.close()
  })

  test('when it is asked what is there: that is not waited for as long as a report', async () => {
    const engine = await openServer(target(), { ...SERVER_PATIENCE, lookup: 300 })
    await migrate(engine)
    const store = new EngineStore(engine, false)
    await front.tell('hang')
    await expect(store.completed([RUN])).rejects.toMatchObject({ kind: 'busy' })
    await expect(store.insertSlice(sliceOf('silent'))).rejects.toMatchObject({ kind: 'busy' })
    await front.tell('calm')
    expect(await store.completed([RUN])).toEqual(new Map())
    await store.close()
  })

  test('at once is waited for', async () => {
    const engine = await openServer(target())
    await migrate(engine)
    const store = new EngineStore(engine, false)
    await front.tell('slow 200')
    expect(await store.completed([RUN])).toEqual(new Map())
    await store.close()
  })
})

describe('no server', () => {
  test('nobody listens', async () => {
    const opening = openStore(parseStoreTarget('http://127.0.0.1:1/db'))
    await expect(opening).rejects.toThrow(StoreUnreachableError)
    await expect(opening).rejects.toThrow(
      'the store at http://127.0.0.1:1/db cannot be reached (ECONNREFUSED): start the ClickHouse server or correct the URL',
    )
  })

  test.each([
    [404, '<h1>not here</h1>'],
    [200, '<h1>welcome</h1>'],
    [200, ''],
    [200, '{"one":2}\n'],
  ])('something else answers, with %i and %j', async (status, body) => {
    const other = createServer((_, response) => response.writeHead(status).end(body))
    await once(other.listen(0, '127.0.0.1'), 'listening')
    const { port } = other.address() as AddressInfo
    const opening = openStore(parseStoreTarget(`http://127.0.0.1:${port}`))
    await expect(opening).rejects.toThrow(StoreUnreachableError)
    await expect(opening).rejects.toThrow(
      `the store at http://127.0.0.1:${port}/default answers, but not as ClickHouse does: correct the URL`,
    )
    other.close()
  })

  test('a name that is no host', async () => {
    const opening = openStore(parseStoreTarget('http://no-such-host.invalid:8123'))
    await expect(opening).rejects.toThrow(StoreError)
    await expect(opening).rejects.toThrow(StoreUnreachableError)
  })
})
