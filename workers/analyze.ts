// A worker thread that judges chunks: load, call, transfer.

import { move, transferableSymbol, valueSymbol } from 'piscina'
import { analyze } from '../src/analyze.ts'
import type { Outcome } from '../src/outcome.ts'
import { openSnapshot, type Snapshot } from '../src/snapshot.ts'
import type { AnalyzeTask } from '../src/threads.ts'

let opened: { hash: string; snapshot: Snapshot } | undefined

/** Judges one chunk. The snapshot is opened once, and again only when another one comes. */
export default function analyzeTask(task: AnalyzeTask): Outcome {
  if (opened?.hash !== task.snapshotHash)
    opened = { hash: task.snapshotHash, snapshot: openSnapshot(task.snapshot) }
  const outcome = analyze(task.chunk, opened.snapshot, task.ruling)
  const transfer = [outcome.judgements.buffer, outcome.findings.buffer]
  // What arrives at the other side is the outcome itself.
  return move({ [transferableSymbol]: transfer, [valueSymbol]: outcome }) as unknown as Outcome
}
