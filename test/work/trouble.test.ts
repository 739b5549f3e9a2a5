// A store, a stream or a chunk that makes trouble: nothing is lost, and what is wrong is said.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Claim, Intent } from '../../src/bus/bus.ts'
import { JudgeThreads } from '../../src/judge-threads.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import { openStore, type Slice, type Store } from '../../src/store/store.ts'
import {
  StoreError,
  StoreInconsistentError,
  StoreUnreachableError,
} from '../../src/store/store-error.ts'
import type { Observed, Readiness } from '../../src/telemetry.ts'
import { WORKER_LIMITS } from '../../src/work/worker.ts'
import { freshChunks, idOf, Streams, snapshotOf, storeWith, workUntilIdle } from './working.ts'

let store: Store
let threads: JudgeThreads
let snapshot: Snapshot & { bytes: Uint8Array }
let streams: Streams

beforeAll(async () => {
  store = await openStore({ kind: 'temporary' })
  threads = await JudgeThreads.open({ threads: 2 })
  snapshot = await snapshotOf('document-exfiltration')
})
beforeEach(async () => {
  streams = await Streams.open()
})
afterEach(() => streams.close())
afterAll(async () => {
  await threads.close()
  await store.close()
})

const parts = () => ({ streams, store, threads, snapshot })

async function completeOf(chunks: readonly Uint8Array[]): Promise<boolean[]> {
  const states = await store.completed(chunks.map(idOf))
  return chunks.map((chunk) => states.get(idOf(chunk))?.complete === true)
}

const reasonsOf = async () =>
  (await streams.letters()).map(({ letter }) => [letter.offset, letter.reason])

describe('a store that', () => {
  test('is away is waited for, and the worker says that it is not ready, and why', async () => {
    const chunks = freshChunks(2, 2)
    await streams.send(chunks)
    let tries = 0
    let observed: Observed | undefined
    const said: Readiness[] = []
    const away = storeWith(store, async (slice) => {
      if (tries++ > 0 && observed !== undefined) said.push(observed.readiness())
      if (tries < 3)
        throw new StoreUnreachableError('the store at x cannot be reached (ECONNREFUSED)')
      await store.insertSlice(slice)
    })
    const observe = (part: Observed) => {
      observed = part
    }
    const progress = await workUntilIdle({ ...parts(), store: away, changes: { observe } })
    expect(said).toEqual(
      [1, 2].map(() => ({
        ready: false,
        reason: 'waits for the store: the store at x cannot be reached (ECONNREFUSED)',
      })),
    )
    expect(await completeOf(chunks)).toEqual([true, true])
    expect(progress.samples()).toContainEqual(
      expect.objectContaining({ name: 'store_retries_total', value: 2 }),
    )
  })

  test('refuses the rows of one chunk takes the others, and that one is a dead letter', async () => {
    const chunks = freshChunks(4, 2)
    await streams.send(chunks)
    const bad = idOf(chunks[2]!)
    const refusing = storeWith(store, async (slice) => {
      if (slice.chunks.some(({ header }) => header.id === bad))
        throw new StoreError('inserting failed: cannot parse', { code: 27 })
      await store.insertSlice(slice)
    })
    const { counts } = await workUntilIdle({ ...parts(), store: refusing })
    expect(await reasonsOf()).toEqual([['2', 'refused']])
    expect(await completeOf(chunks)).toEqual([true, true, false, true])
    expect(counts.chunks).toBe(3)
  })

  test('holds rows that contradict a chunk keeps them, and the chunk is a dead letter', async () => {
    const chunks = freshChunks(3, 2)
    await streams.send(chunks)
    const bad = idOf(chunks[0]!)
    const contradicting = storeWith(store, async (slice) => {
      if (slice.chunks.some(({ header }) => header.id === bad))
        throw new StoreInconsistentError('1 rows are there where 2 or none should be')
      await store.insertSlice(slice)
    })
    await workUntilIdle({ ...parts(), store: contradicting })
    expect(await reasonsOf()).toEqual([['0', 'contradicted']])
    expect(await completeOf(chunks)).toEqual([false, true, true])
  })

  test('was judged by another worker meanwhile gets the next ruling, and no dead letter', async () => {
    const chunks = freshChunks(2, 2)
    await streams.send(chunks)
    const other = await snapshotOf('two-agents')
    let first = true
    const racing = storeWith(store, async (slice) => {
      if (first) {
        first = false
        const elsewhere = slice.chunks.map((one) => ({ ...one, judgedKey: other.hash }))
        await store.insertSlice({ key: 'elsewhere', chunks: elsewhere })
      }
      await store.insertSlice(slice)
    })
    await workUntilIdle({ ...parts(), store: racing })
    expect(await reasonsOf()).toEqual([])
    const states = await store.completed(chunks.map(idOf))
    for (const chunk of chunks)
      expect(states.get(idOf(chunk))?.held).toEqual({ ruling: 1, judgedKey: snapshot.hash })
  })
})

describe('a slice that workers died of', () => {
  /** Leaves an intent of these chunks behind, and their beginning in the store where `begun` says so. */
  async function leave(attempt: number, chunks: readonly Uint8Array[], begun: readonly boolean[]) {
    await streams.send(chunks)
    const intents: Intent[] = []
    const source = streams.chunks.source()
    const giveUp = storeWith(store, async (slice: Slice) => {
      for (const [i, chunk] of slice.chunks.entries()) {
        if (begun[i] !== true) continue
        let fences = 0
        const fence = async () => {
          if (fences++ > 0) throw new Error('died')
        }
        await store.insertSlice({ ...slice, chunks: [chunk], fence }).catch(() => {})
      }
      throw new Error('died')
    })
    await expect(workUntilIdle({ ...parts(), source, store: giveUp })).rejects.toThrow('died')
    // The same intent, as if it had been tried so often.
    for await (const claim of streams.chunks.source().claims()) {
      intents.push(claim.intent!)
      await takeAll(claim, chunks.length)
      await claim.intend({ ...claim.intent!, attempt })
      break
    }
    return intents[0]!
  }

  async function takeAll(claim: Claim, count: number): Promise<void> {
    for (let i = 0; i < count; i++) await claim.next(5000)
  }

  /** Works, and notes every intent. */
  async function work(): Promise<Intent[]> {
    const intents: Intent[] = []
    const onClaim = (claim: Claim) => {
      const { intend } = claim
      claim.intend = (intent) => {
        intents.push(intent)
        return intend.call(claim, intent)
      }
    }
    const limits = { ...WORKER_LIMITS, inFlightBytes: 64 << 20, recutMillis: 0 }
    await workUntilIdle({ ...parts(), changes: { onClaim, limits } })
    return intents
  }

  const spans = (intents: readonly Intent[]) =>
    intents.map(({ attempt, slices }) => [attempt, `${slices[0]!.first}-${slices[0]!.last}`])

  test('once is repeated as it was, and the count goes up', async () => {
    const chunks = freshChunks(3, 2)
    const left = await leave(1, chunks, [true, true, true])
    const [repeated] = await work()
    expect(repeated).toEqual({ attempt: 2, slices: left.slices })
    expect(await completeOf(chunks)).toEqual([true, true, true])
  })

  test('that was refused as a whole before is not tried as a whole again', async () => {
    const chunks = freshChunks(3, 2)
    const left = await leave(1, chunks, [true, false, false])
    for await (const claim of streams.chunks.source().claims()) {
      await takeAll(claim, chunks.length)
      const slices = left.slices.map((one) => ({ ...one, token: `each:${one.token}` }))
      await claim.intend({ attempt: 1, slices })
      break
    }
    const sizes: number[] = []
    const counting = storeWith(store, async (slice) => {
      sizes.push(slice.chunks.length)
      await store.insertSlice(slice)
    })
    const { counts } = await workUntilIdle({ ...parts(), store: counting })
    expect(sizes).toEqual([1, 1, 1])
    expect(counts).toMatchObject({ replayed: 1, commits: 1, chunks: 3 })
    expect(await completeOf(chunks)).toEqual([true, true, true])
  })

  test('three times is stored chunk by chunk, each with an intent of its own', async () => {
    const chunks = freshChunks(3, 2)
    await leave(3, chunks, [true, false, false])
    expect(spans(await work())).toEqual([
      [1, '0-0'],
      [1, '1-1'],
      [1, '2-2'],
    ])
    expect(await completeOf(chunks)).toEqual([true, true, true])
    expect(await store.query('audit_chunks', { limit: 10 })).toEqual([])
  })

  test('three times, but never with its chunks in hand, is repeated as it was', async () => {
    const chunks = freshChunks(3, 2)
    await leave(3, chunks, [false, false, false])
    expect(spans(await work())).toEqual([[4, '0-2']])
    expect(await completeOf(chunks)).toEqual([true, true, true])
  })

  test('three times, and is one chunk, is tried again: whoever is killed for another reason counts, too', async () => {
    const chunks = freshChunks(1, 2)
    await leave(3, chunks, [true])
    expect(spans(await work())).toEqual([[4, '0-0']])
    expect(await completeOf(chunks)).toEqual([true])
  })

  test('five times, and is one chunk, is a dead letter', async () => {
    const chunks = freshChunks(1, 2)
    await leave(5, chunks, [true])
    expect(await work()).toEqual([])
    expect(await reasonsOf()).toEqual([['0', 'killed_worker']])
    expect(await completeOf(chunks)).toEqual([false])
  })
})
