import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { decodeChunk } from '../../src/chunk.ts'
import { JudgeThreads } from '../../src/judge-threads.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { chunkTo, idOf, Streams, snapshotOf, workUntilIdle } from './working.ts'

let store: Store
let snapshot: Snapshot & { bytes: Uint8Array }
let streams: Streams
let threads: JudgeThreads

beforeAll(async () => {
  store = await openStore({ kind: 'temporary' })
  snapshot = await snapshotOf('document-exfiltration')
})
beforeEach(async () => {
  streams = await Streams.open()
  threads = await JudgeThreads.open({
    threads: 2,
    file: new URL('killer.mjs', import.meta.url),
    // The start of a thread counts, too.
    answerMillis: 5000,
    suspectMillis: 5000,
    heapMegabytes: 64,
  })
})
afterEach(async () => {
  await threads.close()
  await streams.close()
})
afterAll(async () => {
  await store.close()
})

const harmless = (count: number) => Array.from({ length: count }, (_, i) => `site-${i}.example`)

/** What the store has of chunk and pieces of it, by flow records. */
async function storedOf(ids: readonly string[]): Promise<boolean[]> {
  const states = await store.completed(ids)
  return ids.map((id) => states.get(id)?.complete === true)
}

test.each([
  // 16 flows, the sixth of which kills: in the pieces 0, 01, 010 and 0101.
  {
    word: 'exit.example',
    why: 'worker exited with code: 3',
    port: 1000,
    flows: 16,
    killer: 5,
    path: '0101',
  },
  { word: 'memory.example', why: 'memory limit', port: 2000, flows: 16, killer: 5, path: '0101' },
  { word: 'loop.example', why: 'no answer in 5 s', port: 3000, flows: 2, killer: 1, path: '1' },
])(
  'of a chunk with $word the one record that kills is dead, the rest is stored',
  async (given) => {
    const names = harmless(given.flows)
    names[given.killer] = given.word
    const killer = chunkTo(names, given.port)
    const before = chunkTo(harmless(3), given.port + 100)
    const after = chunkTo(harmless(3), given.port + 200)
    await streams.send([before, killer, after])
    const progress = await workUntilIdle({ streams, store, threads, snapshot })

    const letters = await streams.letters()
    expect(letters).toHaveLength(1)
    const { letter, bytes } = letters[0]!
    expect(letter).toMatchObject({
      reason: 'killed_worker',
      offset: '1',
      chunk: { piece: given.path },
    })
    expect(letter.detail).toContain(given.why)
    const dead = decodeChunk(bytes).header
    expect(dead.piece?.of).toBe(idOf(killer))
    expect(dead.parts).toMatchObject([{ table: 'flow_records', rows: 1 }])

    // The two neighbours, and of the chunk everything else: of 16 in pieces of 8, 4, 2 and 1.
    expect(progress.counts.records).toBe(3 + 3 + given.flows - 1)
    expect(progress.counts.chunks).toBe(2 + given.path.length)
    expect(await storedOf([idOf(before), idOf(killer), idOf(after)])).toEqual([true, false, true])
    expect(await store.query('audit_chunks', { limit: 10 })).toEqual([])
    // Twice as a whole, then once on each step down.
    expect(threads.deaths).toBe(2 + given.path.length)
  },
  90_000,
)
