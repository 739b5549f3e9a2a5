// Inputs that an earlier process left unfinished and that cannot be gone on with: they get a last chunk, which says in
// a row of coverage that something is missing there.

import path from 'node:path'
import { ChunkWriter } from '../chunk.ts'
import { CHUNK_START } from '../chunk-resume.ts'
import type { Log } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import type { LedgerEntry } from './ledger-entry.ts'
import type { Shipper } from './shipper.ts'

/** The last chunk of an origin whose last chunks were sent by somebody else. */
function lastChunk(entry: LedgerEntry, metric: string, now: number): Uint8Array<ArrayBuffer> {
  const { origin, format, chunks, touchedAt } = entry
  const sensor = origin.slice(0, origin.indexOf('/'))
  const made: Uint8Array<ArrayBuffer>[] = []
  // The chunk before is made empty, only to be passed over: it is there already.
  const behind = { seq: chunks - 1, from: CHUNK_START, to: CHUNK_START }
  const writer = new ChunkWriter(
    { sensor, origin, format },
    (chunk) => made.push(chunk),
    chunks === 0 ? undefined : behind,
  )
  const from = (touchedAt === 0 ? now : touchedAt) * 1000
  writer.cover({ kind: 'sensor', metric, value: 1, from, to: now * 1000 })
  writer.end()
  return made.at(-1)!
}

/** Ends the origin of a live capture whose process was killed. */
export async function closeLiveOrigin(
  entry: LedgerEntry,
  metric: 'sensor_restart' | 'capture_restart',
  shipper: Shipper,
): Promise<void> {
  await shipper.send(lastChunk(entry, metric, Date.now()), true)
}

/** Ends every standard input that an earlier process was reading when it died: `sensor_restart`. */
export async function closeStandardInputs(shipper: Shipper, log: Log): Promise<void> {
  for (const entry of [...shipper.ledger.entries()]) {
    if (entry.kind !== 'stdin' || entry.over) continue
    log(
      'warn',
      'the process before ended while it read standard input: what was not decoded is lost',
      {
        origin: printable(entry.origin),
      },
    )
    await shipper.send(lastChunk(entry, 'sensor_restart', Date.now()))
  }
}

/**
 * Ends every growing file below these paths that has gone, or was replaced, since an earlier process followed it:
 * `input_gone`.
 */
export async function closeGoneFiles(
  paths: readonly string[],
  isThere: (entry: LedgerEntry) => Promise<boolean>,
  shipper: Shipper,
  log: Log,
): Promise<void> {
  const given = paths.map((one) => path.resolve(one))
  for (const entry of [...shipper.ledger.entries()]) {
    if (entry.kind !== 'tail' || entry.over || entry.file === undefined) continue
    const source = path.resolve(entry.source)
    if (!given.some((one) => source === one || source.startsWith(`${one}${path.sep}`))) continue
    if (await isThere(entry)) continue
    log('warn', 'a file that was followed is gone: what was not read of it is lost', {
      input: printable(entry.source),
    })
    await shipper.send(lastChunk(entry, 'input_gone', Date.now()))
    delete entry.file
    shipper.ledger.changed(entry, entry.touchedAt)
  }
}
