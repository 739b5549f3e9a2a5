// How far the journal's consumer has come: one small file, replaced whole. If it cannot be read, the one before
// takes its place; that one is older by one step, so at worst an intent is repeated.
//
//   {"v":1,"next":"4711","intent":""}\n<CRC-32C of the line in hex>\n

import path from 'node:path'
import { crc32c } from './crc32c.ts'
import { type Disk, readWhole, replaceFile } from './disk.ts'

export interface Checkpoint {
  /** Everything before this id is stored. */
  next: bigint
  /** As `formatIntent` wrote it; empty if none. */
  intent: string
}

const CHECKPOINT_NAME = 'checkpoint.json'
const CHECKPOINT_BYTES_MAX = 16_384

export function checkpointPath(directory: string): string {
  return path.join(directory, CHECKPOINT_NAME)
}

export async function writeCheckpoint(
  disk: Disk,
  directory: string,
  { next, intent }: Checkpoint,
): Promise<void> {
  const line = JSON.stringify({ v: 1, next: String(next), intent })
  const sum = crc32c(Buffer.from(line)).toString(16).padStart(8, '0')
  await replaceFile(disk, checkpointPath(directory), Buffer.from(`${line}\n${sum}\n`))
}

/**
 * The newest checkpoint that can be read, or undefined if there is none.
 * @param unreadable is told of each file that is there and cannot be read
 */
export async function readCheckpoint(
  disk: Disk,
  directory: string,
  unreadable: (name: string) => void,
): Promise<Checkpoint | undefined> {
  for (const name of [CHECKPOINT_NAME, `${CHECKPOINT_NAME}.old`]) {
    const bytes = await readWhole(disk, path.join(directory, name), CHECKPOINT_BYTES_MAX)
    if (bytes === undefined) continue
    const checkpoint = parseCheckpoint(bytes.toString('utf8'))
    if (checkpoint !== undefined) return checkpoint
    unreadable(name)
  }
  return undefined
}

function parseCheckpoint(text: string): Checkpoint | undefined {
  const match = /^(.*)\n([0-9a-f]{8})\n$/.exec(text)
  if (match === null || crc32c(Buffer.from(match[1]!)) !== Number.parseInt(match[2]!, 16))
    return undefined
  const value: unknown = JSON.parse(match[1]!)
  const { v, next, intent } = value as Record<string, unknown>
  if (v !== 1 || typeof next !== 'string' || typeof intent !== 'string') return undefined
  return { next: BigInt(next), intent }
}
