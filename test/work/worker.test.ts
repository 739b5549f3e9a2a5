import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Source } from '../../src/bus/bus.ts'
import { JudgeThreads } from '../../src/judge-threads.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import type { Observed } from '../../src/telemetry.ts'
import { StreamLosses } from '../../src/work/stream-losses.ts'
import { WORKER_LIMITS } from '../../src/work/worker.ts'
import {
  chunksOf,
  chunkTo,
  idOf,
  numberedChunks,
  Streams,
  snapshotOf,
  storeWith,
  workUntilIdle,
} from './working.ts'

const STORY = 'document-exfiltration'

let store: Store
let threads: JudgeThreads
let snapshot: Snapshot & { bytes: Uint8Array }

beforeAll(async () => {
  store = await openStore({ kind: 'temporary' })
  threads = await JudgeThreads.open({ threads: 2 })
  snapshot = await snapshotOf(STORY)
})
afterAll(async () => {
  await threads.close()
  await store.close()
})

test('chunks of a stream are stored, once, and the stream is committed', async () => {
  const streams = await Streams.open()
  const chunks = await chunksOf(STORY, 'plain')
  await streams.send([...chunks, ...chunks])
  const progress = await workUntilIdle({ streams, store, threads, snapshot })
  const states = await store.completed(chunks.map(idOf))
  for (const chunk of chunks)
    expect(states.get(idOf(chunk))).toMatchObject({
      complete: true,
      held: { ruling: 0, judgedKey: snapshot.hash },
    })
  expect(progress.counts.commits).toBeGreaterThan(0)
  expect(progress.open).toBe(0)
  expect(await store.query('audit_chunks', { limit: 10 })).toEqual([])
  // Nothing is left for the next worker.
  const again = await workUntilIdle({ streams, store, threads, snapshot })
  expect(again.counts.slices).toBe(0)
  await streams.close()
})

test('what is no chunk, and what was altered, are dead letters with their bytes and place', async () => {
  const streams = await Streams.open()
  const [first, ...rest] = await chunksOf(STORY, 'poison')
  const altered = Uint8Array.from(first!)
  altered[altered.length - 40]! ^= 1
  const newer = Buffer.from(
    Buffer.from(first!).toString('latin1').replace('"v":2', '"v":9'),
    'latin1',
  )
  await streams.send([Buffer.from('garbage'), first!, altered, newer, ...rest])
  const progress = await workUntilIdle({ streams, store, threads, snapshot })
  expect([...progress.dead]).toEqual(
    expect.arrayContaining([
      ['garbage', 2],
      ['version', 1],
    ]),
  )
  const letters = await streams.letters()
  expect(letters.map(({ letter }) => [letter.reason, letter.offset])).toEqual(
    expect.arrayContaining([
      ['garbage', '0'],
      ['garbage', '2'],
      ['version', '3'],
    ]),
  )
  const of = (offset: string) => letters.find(({ letter }) => letter.offset === offset)!.bytes
  expect(Buffer.from(of('0')).toString()).toBe('garbage')
  expect(Buffer.from(of('2')).equals(altered)).toBe(true)
  const states = await store.completed([first!, ...rest].map(idOf))
  expect([...states.values()].every(({ complete }) => complete)).toBe(true)

  // Also where what it says it is was stored long ago.
  await streams.send([altered, first!])
  const later = await workUntilIdle({ streams, store, threads, snapshot })
  expect([...later.dead]).toEqual([['garbage', 1]])
  await streams.close()
})

test('told to end, it stores and commits what it has taken, and takes no more', async () => {
  const streams = await Streams.open()
  const chunks = Array.from({ length: 30 }, (_, i) => chunkTo(['api.example'], 20_000 + i))
  await streams.send(chunks)
  const end = new AbortController()
  const ending = storeWith(store, async (slice) => {
    end.abort()
    await store.insertSlice(slice)
  })
  const slice = { ...WORKER_LIMITS.slice, chunks: 4 }
  const limits = { ...WORKER_LIMITS, slice, inFlightBytes: 64 << 20 }
  const progress = await workUntilIdle({
    ...{ streams, store: ending, threads, snapshot },
    changes: { limits, signal: end.signal, untilIdleMillis: undefined },
  })
  expect(progress.open).toBe(0)
  expect(progress.readiness()).toMatchObject({
    ready: false,
    reason: expect.stringContaining('ends'),
  })
  const states = await store.completed(chunks.map(idOf))
  expect(states.size).toBe(progress.counts.chunks)
  expect([...states.values()].every(({ complete }) => complete)).toBe(true)
  expect(progress.counts.chunks).toBeLessThan(chunks.length)
  // The next one goes on where it ended.
  const rest = await workUntilIdle({ streams, store, threads, snapshot })
  expect(rest.counts.chunks).toBe(chunks.length - progress.counts.chunks)
  expect(await store.query('audit_chunks', { limit: 10 })).toEqual([])
  await streams.close()
})

test('chunks that never came are counted, and a row; what comes again is counted', async () => {
  const streams = await Streams.open()
  const chunks = numberedChunks('gaps/1', 24)
  const lost = [9, 13]
  await streams.send([...chunks.filter((_, seq) => !lost.includes(seq)), chunks[20]!])
  const losses = new StreamLosses(() => {})
  const { counts } = await workUntilIdle({ streams, store, threads, snapshot, changes: { losses } })
  expect(counts).toMatchObject({ gaps: 2, duplicates: 1, chunks: 22 })
  const rows = await store.query('origin_watermarks', { origins: ['gaps/1'], lanes: 4 })
  expect(rows.find(({ lane }) => lane === 1)).toMatchObject({ next: 9, highest: 21 })
  await streams.close()
})

test('after a long quiet it is ready when something comes, and not if that waits for a minute', async () => {
  const streams = await Streams.open()
  const [first, second] = [chunkTo(['api.example'], 30_000), chunkTo(['api.example'], 30_001)]
  await streams.send([first])
  const end = new AbortController()
  let observed: Observed | undefined
  const readiness = () => observed?.readiness()
  let ahead = 0
  const said: unknown[] = []
  const slow = storeWith(store, async (slice) => {
    said.push(readiness()?.ready)
    ahead += 61_000
    said.push(readiness()?.reason)
    await store.insertSlice(slice)
  })
  const working = workUntilIdle({
    ...{ streams, store: slow, threads, snapshot },
    changes: {
      signal: end.signal,
      untilIdleMillis: undefined,
      clock: () => performance.now() + ahead,
      observe: (part) => {
        observed = part
      },
    },
  })
  const nothingWaits = { ready: true, reason: 'nothing waits' }
  await expect.poll(readiness, { timeout: 10_000 }).toEqual(nothingWaits)
  ahead += 300_000
  // The store is asked whether it is there still.
  await expect.poll(readiness, { timeout: 10_000 }).toEqual(nothingWaits)
  await streams.send([second])
  await expect.poll(() => said.length, { timeout: 10_000 }).toBe(4)
  end.abort()
  await working
  const late = expect.stringMatching(/^nothing was committed for 6\d s, and 1 messages wait/)
  expect(said).toEqual([true, late, true, late])
  await streams.close()
})

test('when most of what comes is bad, it says so, and goes on slowly', async () => {
  const streams = await Streams.open()
  await streams.send(Array.from({ length: 60 }, (_, i) => Buffer.from(`garbage ${i}`)))
  const end = new AbortController()
  let observed: Observed | undefined
  const waits = setInterval(() => {
    if (observed?.readiness().reason.includes('could not be worked on')) end.abort()
  }, 20)
  const progress = await workUntilIdle({
    ...{ streams, store, threads, snapshot },
    changes: {
      signal: end.signal,
      untilIdleMillis: undefined,
      observe: (part) => {
        observed = part
      },
    },
  })
  clearInterval(waits)
  expect(end.signal.aborted).toBe(true)
  expect(progress.dead.get('garbage')).toBeGreaterThan(50)
  expect((await streams.letters()).length).toBe(progress.dead.get('garbage'))
  await streams.close()
})

test('of many partitions nothing warns that listeners are left', async () => {
  const many = await Promise.all(Array.from({ length: 16 }, () => Streams.open()))
  const sources = many.map(({ chunks }) => chunks.source())
  const source: Source = {
    counters: sources[0]!.counters,
    lag: () => sources.flatMap((one) => one.lag()),
    close: async () => void (await Promise.all(sources.map((one) => one.close()))),
    async *claims() {
      const claims = sources.map((one) => one.claims()[Symbol.asyncIterator]())
      for (const one of claims) {
        const { value } = await one.next()
        if (value !== undefined) yield value
      }
      await Promise.all(claims.map((one) => one.next()))
    },
  }
  const warnings: string[] = []
  const heard = ({ name }: Error) => void warnings.push(name)
  process.on('warning', heard)
  await workUntilIdle({ streams: many[0]!, source, store, threads, snapshot })
  // Warnings are told in a turn of their own.
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', heard)
  expect(warnings).toEqual([])
  await Promise.all(many.map((one) => one.close()))
})
