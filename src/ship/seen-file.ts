// Files as they are seen by their paths, and what can be said of two of them.

import { open, stat } from 'node:fs/promises'
import path from 'node:path'
import { explainFileError, findFiles } from '../inputs.ts'
import { printable } from '../wire-text.ts'
import { COPY_BYTES_MIN, hasHead, readHead } from './heads.ts'
import type { LedgerEntry } from './ledger-entry.ts'

export interface SeenFile {
  path: string
  dev: string
  ino: string
  size: number
  /** Milliseconds since 1970. */
  changedAt: number
}

/** Names a file whatever it is called. */
export const keyOf = ({ dev, ino }: { dev: string; ino: string }) => `${dev}:${ino}`
export const versionOf = ({ size, changedAt }: SeenFile) => `${size} ${changedAt}`

/**
 * The files behind these paths now.
 * @param unreadable is told of what cannot be listed or looked at
 */
export async function seeFiles(
  paths: readonly string[],
  unreadable: (source: string, words: string) => void,
): Promise<SeenFile[]> {
  const { files, problems } = await findFiles(paths)
  for (const { source, message } of problems) unreadable(source, message)
  const seen: SeenFile[] = []
  for (const { source } of files)
    try {
      const { dev, ino, size, mtimeMs } = await stat(source, { bigint: true })
      const [bytes, changedAt] = [Number(size), Number(mtimeMs)]
      seen.push({ path: source, dev: String(dev), ino: String(ino), size: bytes, changedAt })
    } catch (error) {
      // Between the list and this look it may have gone.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') unreadable(source, fileProblem(error))
    }
  return seen
}

export function fileProblem(error: unknown): string {
  return printable(explainFileError(error))
}

/** Files of one series have names that differ in numbers only. */
const seriesOf = (name: string) =>
  path.join(path.dirname(name), path.basename(name).replace(/\d+/g, '#'))

/** Does a later file of the same series stand beside it? */
export function hasSuccessor(
  one: { path: string; changedAt: number },
  files: readonly SeenFile[],
): boolean {
  const series = seriesOf(one.path)
  return files.some(
    (file) =>
      file.changedAt > one.changedAt && file.path !== one.path && seriesOf(file.path) === series,
  )
}

/** Does a file begin with these bytes, and are they enough to say so? */
export async function beginsAs(file: SeenFile, start: Buffer): Promise<boolean> {
  if (start.length < COPY_BYTES_MIN) return false
  const handle = await open(file.path, 'r').catch(() => undefined)
  if (handle === undefined) return false
  try {
    return (await readHead(handle, start.length)).equals(start)
  } finally {
    await handle.close()
  }
}

/** Is the file of this entry, or a copy of it, among these? Compressed ones are not looked into. */
export async function isAmong(entry: LedgerEntry, seen: readonly SeenFile[]): Promise<boolean> {
  const key = keyOf(entry.file ?? { dev: '', ino: '' })
  const directory = path.dirname(entry.source)
  const beside = seen.filter((file) => path.dirname(file.path) === directory)
  for (const file of [...seen.filter((one) => keyOf(one) === key), ...beside])
    if (await isOfEntry(file, entry, keyOf(file) === key)) return true
  return false
}

async function isOfEntry(file: SeenFile, entry: LedgerEntry, same: boolean): Promise<boolean> {
  if (!same && (entry.file?.head ?? 0) < COPY_BYTES_MIN) return false
  const handle = await open(file.path, 'r').catch(() => undefined)
  if (handle === undefined) return false
  try {
    return hasHead(entry, await readHead(handle))
  } finally {
    await handle.close()
  }
}
