// The ledger on disk: one file, replaced whole, in the directory of the spool.
//
//   {"v":1,"next":"4711","entries":2}      everything before this place of the journal is in here
//   {"origin":"edge-1/9f2c…",...}          one line an origin, the one that was longest silent first
//   ...
//   (spaces)                                so that the file has its blocks before it needs them
//   8d3f01aa                                CRC-32C of everything above

import path from 'node:path'
import { crc32c } from '../bus/crc32c.ts'
import { type Disk, readWhole, replaceFile } from '../bus/disk.ts'
import { type LedgerEntry, parseEntry } from './ledger-entry.ts'

export const LEDGER_NAME = 'ledger.json'
const LEDGER_BYTES_MAX = 256 << 20
/** The file is filled up to a multiple of this. */
const FILL_BYTES = 64 << 10

export interface LedgerFile {
  /** The place in the journal after the last chunk that is counted. */
  next: bigint
  entries: LedgerEntry[]
}

export function formatLedger(next: bigint, lines: readonly string[]): Buffer {
  const head = JSON.stringify({ v: 1, next: String(next), entries: lines.length })
  const text = Buffer.from(`${[head, ...lines].join('\n')}\n`)
  // The line of spaces ends with a line feed; the checksum and its line feed are nine bytes.
  const fill = FILL_BYTES - ((text.length + 10) % FILL_BYTES)
  const whole = Buffer.concat([text, Buffer.from(`${' '.repeat(fill)}\n`)])
  return Buffer.concat([whole, Buffer.from(`${crc32c(whole).toString(16).padStart(8, '0')}\n`)])
}

/** Undefined if this is not all of a ledger, or one of a later version. */
export function parseLedger(bytes: Buffer): LedgerFile | undefined {
  const whole = bytes.subarray(0, -9)
  const sum = bytes.subarray(-9).toString('latin1')
  if (!/^[0-9a-f]{8}\n$/.test(sum) || crc32c(whole) !== Number.parseInt(sum, 16)) return undefined
  const lines = whole.toString('utf8').split('\n')
  const head = JSON.parse(lines[0]!) as Record<string, unknown>
  if (head.v !== 1 || typeof head.next !== 'string' || typeof head.entries !== 'number')
    return undefined
  const entries = lines.slice(1, 1 + head.entries).map(parseEntry)
  if (entries.length !== head.entries || entries.includes(undefined)) return undefined
  return { next: BigInt(head.next), entries: entries.filter((one) => one !== undefined) }
}

/**
 * The newest ledger that can be read, or undefined if there is none.
 * @param unreadable is told of each file that is there and cannot be read
 */
export async function readLedger(
  disk: Disk,
  directory: string,
  unreadable: (name: string) => void,
): Promise<LedgerFile | undefined> {
  for (const name of [LEDGER_NAME, `${LEDGER_NAME}.old`]) {
    const bytes = await readWhole(disk, path.join(directory, name), LEDGER_BYTES_MAX)
    if (bytes === undefined) continue
    const ledger = parseLedger(bytes)
    if (ledger !== undefined) return ledger
    unreadable(name)
  }
  return undefined
}

export async function writeLedger(
  disk: Disk,
  directory: string,
  next: bigint,
  entries: Iterable<string>,
): Promise<void> {
  await replaceFile(disk, path.join(directory, LEDGER_NAME), formatLedger(next, [...entries]))
}
