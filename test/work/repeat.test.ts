// What happens to a slice whose worker dies, stalls or is replaced in the middle of it.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { JudgeThreads } from '../../src/judge-threads.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import type { Engine } from '../../src/store/engine.ts'
import { migrate } from '../../src/store/migrate.ts'
import { EngineStore, type Store } from '../../src/store/store.ts'
import { freshChunks, idOf, Streams, snapshotOf, storeWith, workUntilIdle } from './working.ts'

let directory = ''
let engine: Engine
let store: Store
/** The same rows, as another process sees them. */
let otherStore: Store
let threads: JudgeThreads
let snapshot: Snapshot & { bytes: Uint8Array }
let streams: Streams

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-repeat-'))
  engine = await openEmbedded(path.join(directory, 'store'), {
    memoryBytes: 2 ** 30,
    temporary: true,
  })
  await migrate(engine)
  store = new EngineStore(engine, false)
  otherStore = new EngineStore(engine, false)
  threads = await JudgeThreads.open({ threads: 2 })
  snapshot = await snapshotOf('document-exfiltration')
})
beforeEach(async () => {
  streams = await Streams.open()
})
afterEach(() => streams.close())
afterAll(async () => {
  await threads.close()
  await engine.close()
  await rm(directory, { recursive: true })
})

const parts = () => ({ streams, store, threads, snapshot })

/** Something that is waited for, and let go. */
function gate() {
  let arrive = () => {}
  let open = () => {}
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve
  })
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const pass = () => {
    arrive()
    return opened
  }
  return { arrived, open, pass }
}

async function expectStoredOnce(chunks: readonly Uint8Array[]): Promise<void> {
  const states = await store.completed(chunks.map(idOf))
  expect(chunks.map((chunk) => states.get(idOf(chunk))?.complete)).toEqual(chunks.map(() => true))
  expect(await store.query('audit_chunks', { limit: 10 })).toEqual([])
}

describe('a worker that is stopped, and goes on when another one is done', () => {
  // Before it looks what is known; after it passed the fence of its intents, of a table, of what is complete: then
  // only what is counted and the tokens are left to hold.
  test.each([0, 1, 2, 3, 4])('at INSERT %i writes nothing twice', async (at) => {
    const chunks = freshChunks(4, 3)
    await streams.send(chunks)
    const stopped = gate()
    let inserts = 0
    const slow = storeWith(store, async (slice) => {
      if (at === 0) await stopped.pass()
      await store.insertSlice({
        ...slice,
        fence: async () => {
          await slice.fence?.()
          if (++inserts === at) await stopped.pass()
        },
      })
    })
    const zombie = workUntilIdle({ ...parts(), store: slow })
    await stopped.arrived
    const source = streams.chunks.source()
    const { counts } = await workUntilIdle({ ...parts(), store: otherStore, source })
    stopped.open()
    const dropped = (await zombie).counts
    expect(counts).toMatchObject({ replayed: 1, slices: 1, chunks: 4, records: 12 })
    expect(dropped).toMatchObject({ dropped: 1, slices: 0, commits: 0 })
    await expectStoredOnce(chunks)
  })

  test('does not judge twice by its own agent files, if those of the other are newer', async () => {
    const chunks = freshChunks(2, 3)
    await streams.send(chunks)
    const stopped = gate()
    const slow = storeWith(store, (slice) =>
      store.insertSlice({
        ...slice,
        fence: async () => {
          await stopped.pass()
          await slice.fence?.()
        },
      }),
    )
    const zombie = workUntilIdle({ ...parts(), store: slow })
    await stopped.arrived
    const source = streams.chunks.source()
    const newer = await snapshotOf('two-agents')
    await workUntilIdle({ ...parts(), store: otherStore, source, snapshot: newer })
    stopped.open()
    await zombie
    const states = await store.completed(chunks.map(idOf))
    for (const chunk of chunks)
      expect(states.get(idOf(chunk))).toMatchObject({
        ruling: 0,
        held: { ruling: 0, judgedKey: newer.hash },
      })
    await expectStoredOnce(chunks)
  })
})
