// The pipeline: chunks from a source, judged by worker threads, stored in slices. It holds the one bounded queue
// of the system, and a chunk is marked complete only after everything that came of it is stored.

import type { Outcome } from './analyze.ts'
import { type ChunkHeader, decodeChunk } from './chunk.ts'
import type { ChunkState, Slice, SliceChunk, Store } from './store/store.ts'

export interface PipelineParts {
  /** Chunks in order; of one origin they are contiguous. */
  chunks: AsyncIterable<Uint8Array>
  /** Judges one chunk on a worker thread. */
  analyze: (chunk: Uint8Array, ruling: number) => Promise<Outcome>
  store: Store
  /** Names what the judgement rests on (the snapshot): another key is another ruling. */
  judgedKey: string
  limits: PipelineLimits
  signal: AbortSignal
}

export interface PipelineLimits {
  /** Chunks that are being analyzed or wait for their slice. */
  chunksInFlight: number
  /** Chunks, and flow records, that are inserted together at most; small inputs share a slice. */
  sliceChunks: number
  sliceRecords: number
}

/** 131,072 records make large inserts, yet stay far below the engine's block. */
export const PIPELINE_LIMITS: PipelineLimits = {
  chunksInFlight: 16,
  sliceChunks: 64,
  sliceRecords: 131_072,
}

/** What a run judged, in order. */
export interface PipelineResult {
  chunkIds: string[]
  /** How many of them the store held already, judged as they are now. */
  chunksKnown: number
}

/**
 * Runs until the chunks end. The first failure, of analysis or of the store, ends it and is thrown; what was
 * inserted before stays, and a run over the same chunks completes it.
 */
export async function runPipeline(parts: PipelineParts): Promise<PipelineResult> {
  const { store, limits, signal } = parts
  const result: PipelineResult = { chunkIds: [], chunksKnown: 0 }
  const inFlight: Promise<Judged>[] = []
  let slice: SliceChunk[] = []
  let records = 0

  const insert = async () => {
    if (slice.length === 0) return
    const whole: Slice = { key: sliceKey(slice), chunks: slice }
    slice = []
    records = 0
    await store.insertSlice(whole)
  }
  const take = async () => {
    const { chunk, known } = await inFlight.shift()!
    const more = recordsOf(chunk.header)
    if (records + more > limits.sliceRecords) await insert()
    slice.push(chunk)
    records += more
    if (known) result.chunksKnown++
    if (slice.length === limits.sliceChunks) await insert()
  }

  for await (const bytes of parts.chunks) {
    signal.throwIfAborted()
    while (inFlight.length >= limits.chunksInFlight) await take()
    const judging = judge(parts, bytes)
    // Awaited later, in order; a failure meanwhile must not count as unhandled.
    judging.catch(() => {})
    inFlight.push(judging)
    result.chunkIds.push(decodeChunk(bytes).header.id)
  }
  while (inFlight.length > 0) {
    signal.throwIfAborted()
    await take()
  }
  await insert()
  return result
}

interface Judged {
  chunk: SliceChunk
  known: boolean
}

/** Flow records of a chunk. */
export function recordsOf({ parts }: ChunkHeader): number {
  return parts.find(({ table }) => table === 'flow_records')?.rows ?? 0
}

/** The name of a slice, for people: a function of its chunks. */
export function sliceKey(slice: readonly Pick<SliceChunk, 'header'>[]): string {
  const [first, last] = [slice[0]!.header, slice.at(-1)!.header]
  return `${first.origin}:${first.seq} to ${last.origin}:${last.seq}`
}

/**
 * The number of the ruling that judges a chunk now. The same question as last time keeps its ruling; another question
 * is the next one.
 * @param state what the store knows of the chunk
 */
export function rulingOf(state: ChunkState | undefined, judgedKey: string): number {
  if (state === undefined) return 0
  return state.judgedKey === judgedKey ? state.ruling : state.ruling + 1
}

async function judge(parts: PipelineParts, bytes: Uint8Array): Promise<Judged> {
  const { header, parts: tables } = decodeChunk(bytes)
  const state = (await parts.store.completed([header.id])).get(header.id)
  const ruling = rulingOf(state, parts.judgedKey)
  const outcome = await parts.analyze(bytes, ruling)
  const { judgements, findings } = outcome
  return {
    chunk: { header, parts: tables, judgements, findings, ruling, judgedKey: parts.judgedKey },
    known: state?.held?.judgedKey === parts.judgedKey,
  }
}
