// What stands in a journal's directory when it is opened: segments, the checkpoint, and at the end of the last segment
// perhaps the rest of a write that a crash cut short, which is cut off.

import path from 'node:path'
import type { TellTrouble } from './bus.ts'
import type { Disk } from './disk.ts'
import { parseIntent } from './intent-text.ts'
import { type Checkpoint, readCheckpoint, writeCheckpoint } from './journal-checkpoint.ts'
import {
  parseSegmentHead,
  parseSegmentName,
  RECORD_HEAD_BYTES,
  SEGMENT_HEAD_BYTES,
  type SegmentName,
} from './journal-record.ts'
import { SegmentScan } from './journal-scan.ts'
import type { Segment } from './journal-writer.ts'

export interface FoundJournal {
  /** All sealed: what is written from now on begins a new one. */
  segments: Segment[]
  checkpoint: Checkpoint
  /** The id after the last record that was written, as far as that can be known. */
  follows: bigint
  /** The id of the next record. Ids that a cut record may have had are not used again: an intent may name them. */
  nextId: bigint
  /** Bytes cut off the end. */
  tornBytes: number
}

export async function findJournal(
  disk: Disk,
  directory: string,
  tell: TellTrouble,
): Promise<FoundJournal> {
  const names = (await disk.list(directory))
    .map(parseSegmentName)
    .filter((name) => name !== undefined)
    .sort((a, b) => (a.firstId < b.firstId ? -1 : a.firstId > b.firstId ? 1 : 0))
  const segments: Segment[] = []
  let end = { follows: 0n, tornBytes: 0 }
  for (const [at, name] of names.entries()) {
    const isLast = at === names.length - 1
    const { segment, ...rest } = await openSegment(disk, directory, name, isLast, tell)
    end = rest
    segments.push(segment)
  }
  const checkpoint = (await readCheckpoint(disk, directory, (name) =>
    tell({
      kind: 'damage',
      where: path.join(directory, name),
      detail: 'the checkpoint cannot be read; the one before is used',
    }),
  )) ?? { next: segments[0]?.firstId ?? 0n, intent: '' }
  const intended = parseIntent(checkpoint.intent)?.slices.at(-1)?.last ?? -1n
  const follows = largest(end.follows, checkpoint.next, intended + 1n)
  const nextId = follows + BigInt(Math.ceil(end.tornBytes / RECORD_HEAD_BYTES))
  // Twice, so that the file and the one before it both have their blocks on the disk.
  await writeCheckpoint(disk, directory, checkpoint)
  await writeCheckpoint(disk, directory, checkpoint)
  return {
    segments: await withoutEmpty(disk, directory, segments),
    checkpoint,
    follows,
    nextId,
    tornBytes: end.tornBytes,
  }
}

function largest(...numbers: readonly bigint[]): bigint {
  let most = 0n
  for (const number of numbers) if (number > most) most = number
  return most
}

async function openSegment(
  disk: Disk,
  directory: string,
  name: SegmentName,
  isLast: boolean,
  tell: TellTrouble,
): Promise<{ segment: Segment; follows: bigint; tornBytes: number }> {
  const where = path.join(directory, name.name)
  const file = await disk.open(where, 'change')
  try {
    const size = await file.size()
    const head = Buffer.alloc(SEGMENT_HEAD_BYTES)
    const headBytes = await file.read(head, 0)
    const follows = parseSegmentHead(head.subarray(0, headBytes), name)
    // A head that was cut short is a segment that was never used.
    if (follows === undefined && size >= SEGMENT_HEAD_BYTES)
      tell({ kind: 'damage', where, detail: 'the head of the segment is damaged; its name serves' })
    const segment: Segment = { ...name, durable: size, follows, sealed: true }
    if (!isLast) return { segment, follows: name.firstId, tornBytes: 0 }
    // What is damaged in the middle is told when it is read.
    const scan = new SegmentScan(name, file, () => {})
    while ((await scan.next(size, 0n)) !== undefined);
    const tornBytes = scan.restAfter(size)
    if (tornBytes > 0) {
      await file.truncate(scan.at)
      await file.sync()
      segment.durable = scan.at
      tell({ kind: 'notice', where, detail: `cut ${tornBytes} bytes of an unfinished write` })
    }
    return { segment, follows: scan.nextId, tornBytes }
  } finally {
    await file.close()
  }
}

async function withoutEmpty(
  disk: Disk,
  directory: string,
  segments: readonly Segment[],
): Promise<Segment[]> {
  const empty = segments.filter(({ durable }) => durable <= SEGMENT_HEAD_BYTES)
  for (const { name } of empty) await disk.remove(path.join(directory, name))
  if (empty.length > 0) await disk.syncDirectory(directory)
  return segments.filter((segment) => !empty.includes(segment))
}
