// A worker in this process over the embedded journal, with its real store, threads and streams.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { readAgentEndpoints, readAgentFiles } from '../../src/agent-files.ts'
import { CHUNK_STREAM, DEAD_STREAM, laneKey, type Source, type Trouble } from '../../src/bus/bus.ts'
import { type DeadLetter, decodeDeadLetter } from '../../src/bus/dead-letter.ts'
import { Journal } from '../../src/bus/journal.ts'
import { ChunkWriter, chunkInLanes, decodeChunk } from '../../src/chunk.ts'
import { loadAgents } from '../../src/identity/agent-files.ts'
import { loadEndpoints } from '../../src/identity/endpoint-file.ts'
import { readInputs } from '../../src/sensor.ts'
import { compileSnapshot, openSnapshot, type Snapshot, shareSnapshot } from '../../src/snapshot.ts'
import type { Store } from '../../src/store/store.ts'
import type { Observed } from '../../src/telemetry.ts'
import type { Progress } from '../../src/work/progress.ts'
import { StreamLosses } from '../../src/work/stream-losses.ts'
import { runWorker, WORKER_LIMITS, type WorkerParts } from '../../src/work/worker.ts'
import { chunkOf } from '../flows.ts'

const LANES = 4
const FIXTURES = path.join(import.meta.dirname, '..', '..', 'fixtures')

/** The snapshot of a story's agents. */
export async function snapshotOf(story: string): Promise<Snapshot & { bytes: Uint8Array }> {
  const { agents } = loadAgents(await readAgentFiles([path.join(FIXTURES, story, 'agents')]))
  const { endpoints } = loadEndpoints(await readAgentEndpoints())
  const bytes = shareSnapshot(compileSnapshot(agents, endpoints))
  return { ...openSnapshot(bytes), bytes }
}

/** The chunks of a story's input, as this sensor sends them. */
export async function chunksOf(story: string, sensor: string): Promise<Uint8Array<ArrayBuffer>[]> {
  const settings = { sensor, verifyChecksums: false, hashSeed: new Int32Array(4), localNets: [] }
  const chunks: Uint8Array<ArrayBuffer>[] = []
  for await (const event of readInputs([path.join(FIXTURES, story, 'input')], settings, () => {}))
    if (event.type === 'chunk') chunks.push(event.chunk)
  return chunks
}

/** A chunk of flows to these names, from ports that make it another chunk than any before. */
export function chunkTo(names: readonly string[], port: number): Uint8Array {
  return chunkOf(
    names.map((name, i) => ({ orig: `10.1.2.3:${port + i}`, resp: '192.0.2.7:443', name })),
  )
}

let port = 1000

/** Chunks of so many flows each that nobody has seen yet. */
export function freshChunks(count: number, flows: number): Uint8Array[] {
  const flow = () => ({ orig: `10.9.8.7:${port++}`, resp: '192.0.2.7:443', name: 'api.example' })
  return Array.from({ length: count }, () => chunkOf(Array.from({ length: flows }, flow)))
}

/** So many chunks of one origin, each of one row of coverage, as a sensor's spool has them. */
export function numberedChunks(origin: string, count: number): Uint8Array[] {
  const chunks: Uint8Array[] = []
  const writer = new ChunkWriter({ sensor: 'numbered', origin, format: 'pcap' }, (chunk) =>
    chunks.push(chunkInLanes(chunk, LANES)),
  )
  for (let i = 0; i < count; i++) {
    writer.cover({ kind: 'pcap', from: 0, to: i, metric: 'packets', value: i })
    writer.cut()
  }
  return chunks
}

export const idOf = (chunk: Uint8Array) => decodeChunk(chunk).header.id

/** Two journals: chunks and dead letters. */
export class Streams {
  readonly directory: string
  readonly troubles: Trouble[] = []
  chunks: Journal
  dead: Journal

  private constructor(directory: string, chunks: Journal, dead: Journal) {
    this.directory = directory
    this.chunks = chunks
    this.dead = dead
  }

  static async open(): Promise<Streams> {
    const directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-work-'))
    const open = (name: string, stream: string) =>
      Journal.open({ directory: path.join(directory, name), stream }, () => {})
    return new Streams(
      directory,
      await open('chunks', CHUNK_STREAM),
      await open('dead', DEAD_STREAM),
    )
  }

  async send(chunks: readonly Uint8Array[]): Promise<void> {
    const sink = this.chunks.sink()
    for (const bytes of chunks) await sink.send({ key: keyOf(bytes), bytes })
  }

  /** The dead letters so far. */
  async letters(): Promise<{ letter: DeadLetter; bytes: Uint8Array }[]> {
    const source = this.dead.source()
    const letters: { letter: DeadLetter; bytes: Uint8Array }[] = []
    for await (const claim of source.claims()) {
      for (;;) {
        const delivery = await claim.next(100)
        if (delivery === undefined) break
        letters.push(decodeDeadLetter(delivery.bytes))
      }
      break
    }
    await source.close()
    return letters
  }

  async close(): Promise<void> {
    await this.chunks.close()
    await this.dead.close()
    await rm(this.directory, { recursive: true })
  }
}

function keyOf(bytes: Uint8Array): string {
  try {
    return laneKey(decodeChunk(bytes).header, LANES)
  } catch {
    return 'nobody/0'
  }
}

export interface WorkOptions {
  streams: Streams
  store: Store
  threads: WorkerParts['threads']
  snapshot: Snapshot & { bytes: Uint8Array }
  source?: Source
  changes?: Partial<WorkerParts>
  observe?: (part: Observed) => void
}

/** Works until nothing more comes. */
export async function workUntilIdle(options: WorkOptions): Promise<Progress> {
  const { streams, store, threads, snapshot } = options
  return await runWorker({
    source: options.source ?? streams.chunks.source(),
    store,
    dead: streams.dead.sink(),
    losses: new StreamLosses(() => {}),
    threads,
    scopes: () => snapshot,
    limits: { ...WORKER_LIMITS, inFlightBytes: 64 << 20 },
    untilIdleMillis: 300,
    version: 'test',
    log: () => {},
    clock: () => performance.now(),
    now: () => Date.now(),
    signal: new AbortController().signal,
    ...options.changes,
  })
}

/** `store`, with another way to insert a slice. */
export function storeWith(store: Store, insertSlice: Store['insertSlice']): Store {
  return {
    address: store.address,
    temporary: store.temporary,
    completed: (ids) => store.completed(ids),
    insertSlice,
    noteDeadLetters: (letters) => store.noteDeadLetters(letters),
    noteStream: (notes) => store.noteStream(notes),
    wantBack: (ids) => store.wantBack(ids),
    noteRun: (run, ids) => store.noteRun(run, ids),
    query: (name, params) => store.query(name, params),
    close: () => store.close(),
  }
}
