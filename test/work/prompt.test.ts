// Findings go out when their chunk is judged, whatever the store does, and a position never passes them.

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { JudgeThreads } from '../../src/judge-threads.ts'
import type { FindingEvent } from '../../src/respond/finding.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { StoreUnreachableError } from '../../src/store/store-error.ts'
import type { Observed } from '../../src/telemetry.ts'
import type { WorkerParts } from '../../src/work/worker.ts'
import { chunkOf } from '../flows.ts'
import { idOf, Streams, snapshotOf, storeWith, workUntilIdle } from './working.ts'

let store: Store
let threads: JudgeThreads
let snapshot: Snapshot & { bytes: Uint8Array }
let streams: Streams
let port = 20_000

beforeAll(async () => {
  store = await openStore({ kind: 'temporary' })
  threads = await JudgeThreads.open({ threads: 2 })
  snapshot = await snapshotOf('document-exfiltration')
})
afterAll(async () => {
  await threads.close()
  await store.close()
})
beforeEach(async () => {
  streams = await Streams.open()
})
afterEach(() => streams.close())

/** So many flows of the document processor that leave its scope. */
function strayed(count = 1): Uint8Array {
  return chunkOf(
    Array.from({ length: count }, () => ({
      orig: `10.1.0.11:${port++}`,
      resp: '203.0.113.66:443',
      name: 'paste.example.net',
    })),
  )
}

/** A promise that somebody else resolves. */
function gate() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await new Promise((resolve) => setTimeout(resolve, 10))
}

const work = (changes: Partial<WorkerParts>, other: Store = store) =>
  workUntilIdle({ streams, store: other, threads, snapshot, changes })

test('while slices before it wait for a store that is stuck, what comes is judged and told', async () => {
  const stuck = gate()
  const waiting = storeWith(store, async (slice) => {
    await stuck.opened
    await store.insertSlice(slice)
  })
  const told: FindingEvent[] = []
  const findings = async (events: readonly FindingEvent[]) => void told.push(...events)
  const limits = { slice: { chunks: 2, records: 100, bytes: 1 << 20, lingerMillis: 50 } }
  const working = work(
    {
      findings,
      limits: {
        ...limits,
        inFlightBytes: 1 << 20,
        fenceMillis: 1000,
        recutMillis: 0,
        drainMillis: 9000,
      },
    },
    waiting,
  )
  const chunks = Array.from({ length: 9 }, () => strayed())
  for (const chunk of chunks) await streams.send([chunk])
  await until(() => told.length === 9)
  expect(streams.chunks.committed).toBe(0n)
  expect(told.map(({ chunkId }) => chunkId).sort()).toEqual(chunks.map(idOf).sort())
  expect(told[0]).toMatchObject({
    agent: 'spiffe://acme.example/agent/doc-processor',
    destination: 'example.net',
    peerName: 'paste.example.net',
    grade: 'certain',
    method: 'address',
    direction: 'egress',
  })
  stuck.open()
  expect((await working).counts).toMatchObject({ chunks: 9, findings: 9 })
  expect(streams.chunks.committed).toBe(9n)
})

test('what is stored is not committed before its findings are durable with others', async () => {
  const durable = gate()
  let stored = 0
  const counting = storeWith(store, async (slice) => {
    await store.insertSlice(slice)
    stored += slice.chunks.length
  })
  let observed: Observed | undefined
  const working = work(
    { findings: () => durable.opened, observe: (part) => void (observed = part) },
    counting,
  )
  await streams.send([strayed()])
  await until(() => stored === 1)
  expect(streams.chunks.committed).toBe(0n)
  const open = () => observed?.samples().find(({ name }) => name === 'findings_open_chunks')?.value
  expect(open()).toBe(1)
  durable.open()
  await working
  expect([streams.chunks.committed, open()]).toEqual([1n, 0])
})

test('a chunk that is stored and was not committed tells its findings again: the same ones', async () => {
  const chunk = strayed(300)
  const told: FindingEvent[][] = []
  await streams.send([chunk])
  const runs = async (events: readonly FindingEvent[]) => void told.push([...events])
  await work({ findings: runs })
  // 300 findings are more than one message of them may hold.
  expect(told.map(({ length }) => length)).toEqual([256, 44])
  const first = told.splice(0).flat()
  await streams.send([chunk])
  const again = await work({ findings: runs })
  expect(told.flat()).toEqual(first)
  expect(again.counts).toMatchObject({ chunks: 0, commits: 1 })
})

test('findings that nobody will ever take end the worker, and are told by the next one', async () => {
  const chunk = strayed()
  await streams.send([chunk])
  const failing = work({ findings: () => Promise.reject(new Error('the outbox is broken')) })
  await expect(failing).rejects.toThrow('the outbox is broken')
  expect(streams.chunks.committed).toBe(0n)
  const told: FindingEvent[] = []
  await work({ findings: async (events) => void told.push(...events) })
  expect(told.map(({ chunkId }) => chunkId)).toEqual([idOf(chunk)])
})

test('a store that is away holds no finding up, and is told of', async () => {
  let away = true
  const passing = new StoreUnreachableError('the store is gone')
  const asked = {
    ...storeWith(store, (slice) => store.insertSlice(slice)),
    completed: (ids: readonly string[]) => (away ? Promise.reject(passing) : store.completed(ids)),
  }
  const told: FindingEvent[] = []
  let observed: Observed | undefined
  const working = work(
    {
      findings: async (events) => void told.push(...events),
      observe: (part) => void (observed = part),
    },
    asked,
  )
  await streams.send([strayed()])
  await until(() => told.length === 1 && observed?.readiness().ready === false)
  expect(observed?.readiness().reason).toContain('the store is gone')
  away = false
  expect((await working).counts.findings).toBe(1)
})

test('what judges may change at any moment: each chunk is judged by one of them, and says by which', async () => {
  const other = await snapshotOf('two-agents')
  const chunks = Array.from({ length: 20 }, () => strayed())
  let asked = 0
  await streams.send(chunks)
  const told: FindingEvent[] = []
  await work({
    scopes: () => (asked++ % 2 === 0 ? snapshot : other),
    findings: async (events) => void told.push(...events),
  })
  const states = await store.completed(chunks.map(idOf))
  const keys = chunks.map((chunk) => states.get(idOf(chunk))?.held?.judgedKey)
  expect(keys).toEqual(chunks.map((_, at) => (at % 2 === 0 ? snapshot.hash : other.hash)))
  // The others' agents are elsewhere: nobody owns that address there.
  const judgedHere = chunks.filter((_, at) => at % 2 === 0).map(idOf)
  expect(told.map(({ chunkId }) => chunkId).sort()).toEqual(judgedHere.sort())
})
