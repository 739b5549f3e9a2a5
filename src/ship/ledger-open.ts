// The ledger when a sensor starts: read, compared with the journal, and completed by what stands in it.

import type { Delivery } from '../bus/bus.ts'
import type { Disk } from '../bus/disk.ts'
import type { Log } from '../telemetry.ts'
import { Ledger } from './ledger.ts'
import {
  type ChunkFacts,
  countChunk,
  factsOf,
  type LedgerEntry,
  newEntry,
  rowsOf,
} from './ledger-entry.ts'
import { type LedgerFile, readLedger } from './ledger-file.ts'
import { generationName } from './match.ts'

/** What is asked of the journal. */
export interface JournalEnds {
  readonly committed: bigint
  readonly nextId: bigint
  recordsFrom(id: bigint): AsyncIterable<Delivery>
}

export async function openLedger(
  disk: Disk,
  directory: string,
  journal: JournalEnds,
  log: Log,
): Promise<Ledger> {
  const found = await readLedger(disk, directory, (name) =>
    log('error', 'the ledger cannot be read; the one before is used, or inputs are sent again', {
      file: name,
    }),
  )
  const believed = believe(found ?? { next: journal.committed, entries: [] }, journal, log)
  const entries = new Map(believed.entries.map((entry) => [entry.origin, entry]))
  const next = await complete(entries, believed.next, journal, log)
  const ledger = new Ledger(disk, directory, log, { next, entries: [...entries.values()] })
  // Twice, so that the file and the one before it both have their blocks on the disk.
  await ledger.begun()
  await ledger.begun()
  return ledger
}

/** Without what the journal contradicts. */
function believe(found: LedgerFile, journal: JournalEnds, log: Log): LedgerFile {
  const { committed, nextId } = journal
  if (found.next > nextId) {
    log('error', 'the spool is not the one that its ledger speaks of: all inputs are sent again', {
      ledger: String(found.next),
      journal: String(nextId),
    })
    return { next: committed, entries: [] }
  }
  if (found.next >= committed) return found
  log('warn', 'the ledger is older than the spool: inputs that grew are sent again', {
    ledger: String(found.next),
    journal: String(committed),
  })
  return { next: committed, entries: found.entries.map(renewed).filter((one) => one !== undefined) }
}

/**
 * What is left of an entry when chunks may have been sent that it does not know. A file that is read again gives the
 * same chunks. One that grew was cut by the clock and does not; it begins anew, and so does what cannot be read again.
 */
function renewed(entry: LedgerEntry): LedgerEntry | undefined {
  if (entry.kind === 'file' || entry.over) return entry
  if (entry.kind === 'tail') return undefined
  const { base, kind, format, source, touchedAt } = entry
  return newEntry({ origin: generationName(base), base, kind, format, source, touchedAt })
}

/** Counts what went into the journal after the ledger was written. @returns the place after it */
async function complete(
  entries: Map<string, LedgerEntry>,
  from: bigint,
  journal: JournalEnds,
  log: Log,
): Promise<bigint> {
  const pieces = new Map<string, ChunkFacts>()
  let next = from
  let counted = 0
  for await (const { offset, bytes, acceptedAt } of journal.recordsFrom(from)) {
    next = offset + 1n
    const facts = wholeOf(factsOf(bytes), pieces)
    if (facts === undefined || facts.header.format === 'statement') continue
    const { origin, seq, format } = facts.header
    if (!entries.has(origin) && seq === 0)
      entries.set(origin, newEntry({ origin, kind: 'file', format, source: origin }))
    const entry = entries.get(origin)
    if (entry === undefined) continue
    if (countChunk(entry, facts, acceptedAt)) counted++
    // Damage took a chunk out of the journal. Only a file that is read again gives it once more.
    else if (seq > entry.chunks && entry.kind === 'tail') entries.delete(origin)
  }
  if (counted > 0)
    log('info', 'the ledger was behind the spool, as after a crash', { chunks: counted })
  return next
}

/** A chunk that went into the journal in pieces counts when its last piece is there. */
function wholeOf(facts: ChunkFacts, pieces: Map<string, ChunkFacts>): ChunkFacts | undefined {
  const { piece } = facts.header
  if (piece === undefined) return facts
  const before = pieces.get(piece.of)
  const sum = before === undefined ? facts : addPiece(before, facts)
  if (!/^1+$/.test(piece.path)) {
    pieces.set(piece.of, sum)
    return undefined
  }
  pieces.delete(piece.of)
  return { key: '', header: { ...sum.header, id: piece.of, last: facts.header.last } }
}

function addPiece(sum: ChunkFacts, { header }: ChunkFacts): ChunkFacts {
  const tables = [...new Set([...sum.header.parts, ...header.parts].map(({ table }) => table))]
  const parts = tables.map((table) => ({
    table,
    rows: rowsOf(sum.header, table) + rowsOf(header, table),
    bytes: 0,
  }))
  const hours = new Map(sum.header.hours)
  for (const [hour, records] of header.hours) hours.set(hour, (hours.get(hour) ?? 0) + records)
  return { key: '', header: { ...sum.header, parts, hours: [...hours] } }
}
