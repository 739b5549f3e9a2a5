// A worker thread that judges chunks: load, call, transfer.

import { move, transferableSymbol, valueSymbol } from 'piscina'
import { analyze } from '../src/analyze.ts'
import { ChunkError, ChunkVersionError, decodeChunk, verifyChunk } from '../src/chunk.ts'
import { splitChunk } from '../src/chunk-split.ts'
import type { Outcome } from '../src/outcome.ts'
import { openSnapshot, type Snapshot } from '../src/snapshot.ts'
import type { AnalyzeTask, Answer, SplitTask } from '../src/threads.ts'

let opened: { hash: string; snapshot: Snapshot } | undefined

/** Answers once this file is loaded. */
export function ready(): true {
  return true
}

/** Judges one chunk. The snapshot is opened once, and again only when another one comes. */
export default function analyzeTask(task: AnalyzeTask): Outcome {
  const outcome = judged(task)
  return transferred(outcome, buffersOf(outcome))
}

/** As above, of a chunk that came from elsewhere: whatever is wrong with it is an answer, not an error. */
export function checked(task: AnalyzeTask): Answer {
  try {
    verifyChunk(decodeChunk(task.chunk))
    const outcome = judged(task)
    return transferred({ outcome }, buffersOf(outcome))
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    if (error instanceof ChunkVersionError) return { refused: { reason: 'version', detail } }
    if (error instanceof ChunkError) return { refused: { reason: 'garbage', detail } }
    return { refused: { reason: 'unreadable', detail } }
  }
}

/** Halves a chunk; nothing if it cannot be divided, or not be read. */
export function split(task: SplitTask): Uint8Array<ArrayBuffer>[] {
  try {
    const halves = splitChunk(task.chunk) ?? []
    return transferred(
      halves,
      halves.map(({ buffer }) => buffer),
    )
  } catch {
    return []
  }
}

function judged(task: AnalyzeTask): Outcome {
  if (opened?.hash !== task.snapshotHash)
    opened = { hash: task.snapshotHash, snapshot: openSnapshot(task.snapshot) }
  return analyze(task.chunk, opened.snapshot, task.ruling)
}

function buffersOf({ judgements, findings }: Outcome): ArrayBuffer[] {
  return [judgements.buffer, findings.buffer]
}

/** `value`, whose memory moves to the other side: what arrives there is the value itself. */
function transferred<T extends object>(value: T, buffers: ArrayBuffer[]): T {
  return move({ [transferableSymbol]: buffers, [valueSymbol]: value }) as unknown as T
}
