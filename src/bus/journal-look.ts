// Looks at a journal without touching it, also while its owner writes: segments, checkpoint, owner, what waits. Heads
// of records are read, not their bodies, so a spool of gigabytes is looked at in a moment.

import { stat } from 'node:fs/promises'
import path from 'node:path'
import type { Intent } from './bus.ts'
import { type DiskFile, isMissing, NODE_DISK, readWhole } from './disk.ts'
import { parseIntent } from './intent-text.ts'
import { readCheckpoint } from './journal-checkpoint.ts'
import { parseSegmentName, type SegmentName } from './journal-record.ts'
import { type DamagedPlace, type FoundRecord, SegmentScan } from './journal-scan.ts'

export interface LookedSegment {
  name: string
  bytes: number
  firstId: bigint
  /** The id after the last record. */
  nextId: bigint
  /** Places whose heads cannot be read. */
  damaged: DamagedPlace[]
  /** Behind the last record: damage, or of the last segment what is being written just now. */
  restBytes: number
}

export interface LookedJournal {
  directory: string
  segments: LookedSegment[]
  bytes: number
  /** Everything before this id is done with; undefined if there is no checkpoint that can be read. */
  next: bigint | undefined
  intent: Intent | undefined
  /** Process that has it open, as its lock file says; the process may be gone. */
  owner: string | undefined
  /** Records that are not done with, at most, and when the stream took the oldest (milliseconds since 1970). */
  waiting: bigint
  oldest: number | undefined
  /** The first of them. */
  first: FoundRecord[]
}

/** Beyond every id: the scan steps over all bodies. */
const NO_ID = 2n ** 63n
const LOCK_BYTES_MAX = 4096

/** Does this directory hold a journal? @throws what the disk says */
export async function isJournal(directory: string): Promise<boolean> {
  const names = await NODE_DISK.list(directory)
  return names.some((name) => name === 'checkpoint.json' || parseSegmentName(name) !== undefined)
}

/**
 * @param most how many of the waiting records to read whole
 * @throws what the disk says, if the directory cannot be read
 */
export async function lookAtJournal(directory: string, most: number): Promise<LookedJournal> {
  const checkpoint = await readCheckpoint(NODE_DISK, directory, () => {})
  const names = await namesOf(directory)
  const from = checkpoint?.next ?? 0n
  const journal: LookedJournal = {
    directory,
    segments: [],
    bytes: 0,
    next: checkpoint?.next,
    intent: parseIntent(checkpoint?.intent ?? ''),
    owner: await ownerText(directory),
    waiting: 0n,
    oldest: undefined,
    first: [],
  }
  for (const name of names) {
    const segment = await segmentOf(directory, name)
    // Its owner was done with it meanwhile.
    if (segment === undefined) continue
    journal.segments.push(segment)
    journal.bytes += segment.bytes
    if (segment.nextId <= from) continue
    journal.waiting += segment.nextId - (from > segment.firstId ? from : segment.firstId)
    const wanted = Math.max(1, most) - journal.first.length
    journal.first.push(...(await recordsOf(directory, name, from, wanted)))
  }
  journal.oldest = journal.first[0]?.acceptedAt
  journal.first.splice(most)
  return journal
}

async function namesOf(directory: string): Promise<SegmentName[]> {
  return (await NODE_DISK.list(directory))
    .map(parseSegmentName)
    .filter((name) => name !== undefined)
    .sort((a, b) => (a.firstId < b.firstId ? -1 : 1))
}

/** Every record with at least this id that is whole, damage passed over. @throws what the disk says */
export async function* readJournal(
  directory: string,
  from: bigint,
): AsyncGenerator<FoundRecord, void, void> {
  let next = from
  for (const name of await namesOf(directory))
    for (;;) {
      const [record] = await recordsOf(directory, name, next, 1)
      if (record === undefined) break
      yield record
      next = record.id + 1n
    }
}

/** Ids of the first record and after the last; undefined if there never was one. @throws what the disk says */
export async function idsOf(
  directory: string,
): Promise<{ first: bigint; end: bigint } | undefined> {
  const [first, ...others] = await namesOf(directory)
  if (first === undefined) return undefined
  const last = await segmentOf(directory, others.at(-1) ?? first)
  return { first: first.firstId, end: last?.nextId ?? first.firstId }
}

/** The first records of one segment that are not before `from`. @throws what the disk says */
export async function recordsOf(
  directory: string,
  name: SegmentName,
  from: bigint,
  most: number,
): Promise<FoundRecord[]> {
  const records: FoundRecord[] = []
  await withFile(path.join(directory, name.name), async (file, size) => {
    const scan = new SegmentScan(name, file, () => {})
    while (records.length < most) {
      const record = await scan.next(size, from)
      if (record === undefined) break
      records.push(record)
    }
  })
  return records
}

/** What the heads of a segment say; undefined if there is no such file. @throws what the disk says otherwise */
export async function segmentOf(
  directory: string,
  name: SegmentName,
): Promise<LookedSegment | undefined> {
  return await withFile(path.join(directory, name.name), async (file, size) => {
    const damaged: DamagedPlace[] = []
    const scan = new SegmentScan(name, file, (place) => damaged.push(place))
    await scan.next(size, NO_ID)
    return {
      name: name.name,
      bytes: size,
      firstId: name.firstId,
      nextId: scan.nextId,
      damaged,
      restBytes: scan.restAfter(size),
    }
  })
}

async function withFile<T>(
  name: string,
  work: (file: DiskFile, size: number) => Promise<T>,
): Promise<T | undefined> {
  let file: DiskFile
  try {
    file = await NODE_DISK.open(name, 'read')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  try {
    return await work(file, await file.size())
  } finally {
    await file.close()
  }
}

/** `4711 on edge-1, seen 3 s ago`; undefined where there is no lock file. */
async function ownerText(directory: string): Promise<string | undefined> {
  const name = path.join(directory, 'owner.lock')
  const bytes = await readWhole(NODE_DISK, name, LOCK_BYTES_MAX)
  if (bytes === undefined) return undefined
  const touched = await stat(name).catch(() => undefined)
  const seconds =
    touched === undefined ? '?' : Math.max(0, Math.round((Date.now() - touched.mtimeMs) / 1000))
  try {
    const { pid, place } = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>
    return `${String(pid)} on ${String(place).split(' ')[0]}, seen ${seconds} s ago`
  } catch {
    return `unknown, seen ${seconds} s ago`
  }
}
