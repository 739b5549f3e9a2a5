import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { JudgeThreads } from '../../src/judge-threads.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { chunksOf, idOf, Streams, snapshotOf, workUntilIdle } from './working.ts'

const STORY = 'document-exfiltration'

let directory = ''
let store: Store
let threads: JudgeThreads
let snapshot: Snapshot & { bytes: Uint8Array }

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-worker-'))
  store = await openStore({ kind: 'directory', path: path.join(directory, 'store') })
  threads = await JudgeThreads.open({ threads: 2 })
  snapshot = await snapshotOf(STORY)
})
afterAll(async () => {
  await threads.close()
  await store.close()
  await rm(directory, { recursive: true })
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
  await streams.close()
})
