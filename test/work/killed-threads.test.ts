import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { decodeChunk } from '../../src/chunk.ts'
import { JudgeThreads } from '../../src/judge-threads.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { chunkOf } from '../flows.ts'
import { idOf, Streams, snapshotOf, workUntilIdle } from './working.ts'

let directory = ''
let store: Store
let snapshot: Snapshot & { bytes: Uint8Array }
let streams: Streams
let threads: JudgeThreads

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-killed-'))
  store = await openStore({ kind: 'directory', path: path.join(directory, 'store') })
  snapshot = await snapshotOf('document-exfiltration')
})
beforeEach(async () => {
  streams = await Streams.open()
  threads = await JudgeThreads.open({
    threads: 2,
    file: new URL('killer.mjs', import.meta.url),
    // The start of a thread counts, too.
    answerMillis: 5000,
    heapMegabytes: 64,
  })
})
afterEach(async () => {
  await threads.close()
  await streams.close()
})
afterAll(async () => {
  await store.close()
  await rm(directory, { recursive: true })
})

/** A chunk of flows to these names, from ports that make it another chunk than any before. */
function chunkTo(names: readonly string[], port: number): Uint8Array {
  return chunkOf(
    names.map((name, i) => ({ orig: `10.1.2.3:${port + i}`, resp: '192.0.2.7:443', name })),
  )
}

const harmless = (count: number) => Array.from({ length: count }, (_, i) => `site-${i}.example`)

/** What the store has of chunk and pieces of it, by flow records. */
async function storedOf(ids: readonly string[]): Promise<boolean[]> {
  const states = await store.completed(ids)
  return ids.map((id) => states.get(id)?.complete === true)
}

test.each([
  ['exit.example', 'worker exited with code: 3', 1000],
  ['memory.example', 'memory limit', 2000],
  ['loop.example', 'no answer in 5 s', 3000],
])(
  'of a chunk with %s the one record that kills is dead, the rest is stored',
  async (word, why, port) => {
    const names = harmless(16)
    names[5] = word
    const killer = chunkTo(names, port)
    const before = chunkTo(harmless(3), port + 100)
    const after = chunkTo(harmless(3), port + 200)
    await streams.send([before, killer, after])
    const progress = await workUntilIdle({ streams, store, threads, snapshot })

    const letters = await streams.letters()
    expect(letters).toHaveLength(1)
    const { letter, bytes } = letters[0]!
    expect(letter).toMatchObject({ reason: 'killed_worker', offset: '1', chunk: { piece: '0101' } })
    expect(letter.detail).toContain(why)
    const dead = decodeChunk(bytes).header
    expect(dead.piece?.of).toBe(idOf(killer))
    expect(dead.parts).toMatchObject([{ table: 'flow_records', rows: 1 }])

    // 3 and 3 of the neighbours, and 15 of 16 in pieces of 8, 4, 2 and 1.
    expect(progress.counts.records).toBe(21)
    expect(progress.counts.chunks).toBe(6)
    expect(await storedOf([idOf(before), idOf(killer), idOf(after)])).toEqual([true, false, true])
    expect(await store.query('audit_chunks', { limit: 10 })).toEqual([])
    // Twice as a whole, then once on each way down.
    expect(threads.deaths).toBe(6)
  },
  60_000,
)
