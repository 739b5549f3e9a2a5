import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readAgentEndpoints, readAgentFiles } from '../src/agent-files.ts'
import { analyze } from '../src/analyze.ts'
import { decodeChunk } from '../src/chunk.ts'
import { loadAgents } from '../src/identity/agent-files.ts'
import { loadEndpoints } from '../src/identity/endpoint-file.ts'
import { PIPELINE_LIMITS, type PipelineParts, runPipeline } from '../src/pipeline.ts'
import { readInputs } from '../src/sensor.ts'
import { compileSnapshot, openSnapshot, type Snapshot } from '../src/snapshot.ts'
import { openStore, type Store } from '../src/store/store.ts'

const STORY = path.join(import.meta.dirname, '..', 'fixtures', 'document-exfiltration')

let directory = ''
let store: Store
let snapshot: Snapshot
let story: Uint8Array[] = []

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-pipeline-'))
  store = await openStore({ kind: 'directory', path: path.join(directory, 'store') })
  const { agents } = loadAgents(await readAgentFiles([path.join(STORY, 'agents')]))
  const { endpoints } = loadEndpoints(await readAgentEndpoints())
  snapshot = openSnapshot(compileSnapshot(agents, endpoints))
  story = await chunksOf('lab')
})
afterAll(async () => {
  await store.close()
  await rm(directory, { recursive: true })
})

async function chunksOf(sensor: string): Promise<Uint8Array[]> {
  const settings = { sensor, verifyChecksums: false, hashSeed: new Int32Array(4), localNets: [] }
  const chunks: Uint8Array[] = []
  for await (const event of readInputs([path.join(STORY, 'input')], settings, () => {}))
    if (event.type === 'chunk') chunks.push(event.chunk)
  return chunks
}

async function* inOrder(chunks: readonly Uint8Array[]) {
  yield* chunks
}

function parts(chunks: readonly Uint8Array[], changes: Partial<PipelineParts> = {}): PipelineParts {
  return {
    chunks: inOrder(chunks),
    analyze: async (chunk, ruling) => analyze(chunk, snapshot, ruling),
    store,
    judgedKey: snapshot.hash,
    limits: PIPELINE_LIMITS,
    signal: new AbortController().signal,
    ...changes,
  }
}

const idOf = (chunk: Uint8Array) => decodeChunk(chunk).header.id

test('a chunk is complete when its slice is stored, and is known when it comes again', async () => {
  const first = await runPipeline(parts(story))
  expect(first).toEqual({ chunkIds: story.map(idOf), chunksKnown: 0 })
  const states = await store.completed(first.chunkIds)
  for (const id of first.chunkIds)
    expect(states.get(id)).toMatchObject({
      complete: true,
      held: { ruling: 0, judgedKey: snapshot.hash },
    })
  expect((await runPipeline(parts(story))).chunksKnown).toBe(story.length)
})

test('another question about the same chunk is the next ruling, and the first is not asked again', async () => {
  const rulings: number[] = []
  const asked = (judgedKey: string) =>
    runPipeline(
      parts(story, {
        judgedKey,
        analyze: async (chunk, ruling) => {
          rulings.push(ruling)
          return analyze(chunk, snapshot, ruling)
        },
      }),
    )
  await asked('another scope')
  await asked(snapshot.hash)
  expect(rulings).toEqual([...story.map(() => 1), ...story.map(() => 2)])
})

test('a failure of analysis ends the run, and nothing of that chunk is complete', async () => {
  const chunks = await chunksOf('failing')
  const broken = parts(chunks, { analyze: () => Promise.reject(new Error('worker is gone')) })
  await expect(runPipeline(broken)).rejects.toThrow('worker is gone')
  expect((await store.completed(chunks.map(idOf))).size).toBe(0)
})

test('at most so many chunks are in flight', async () => {
  const many: Uint8Array[] = []
  for (let i = 0; i < 12; i++) many.push(...(await chunksOf(`sensor-${i}`)))
  let now = 0
  let most = 0
  await runPipeline(
    parts(many, {
      limits: { chunksInFlight: 3, sliceChunks: 2, sliceRecords: 1000 },
      analyze: async (chunk, ruling) => {
        most = Math.max(most, ++now)
        await new Promise((resolve) => setTimeout(resolve, 50))
        now--
        return analyze(chunk, snapshot, ruling)
      },
    }),
  )
  expect([2, 3]).toContain(most)
  expect((await store.completed(many.map(idOf))).size).toBe(many.length)
})

test('a run that is aborted stops between chunks', async () => {
  const stop = new AbortController()
  stop.abort(new Error('interrupted'))
  await expect(runPipeline(parts(story, { signal: stop.signal }))).rejects.toThrow('interrupted')
})
