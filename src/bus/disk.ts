// The few things that the journal asks of a file system, so that tests can make each of them fail, and the one way
// to replace a file so that after a power cut either the old or the new one is there.

import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises'
import path from 'node:path'

export interface DiskFile {
  /** Writes all of the pieces one after the other from `at` on. */
  write(pieces: readonly Uint8Array[], at: number): Promise<void>
  /** Fills `into` from `at` on; the bytes read, fewer only at the end of the file. */
  read(into: Uint8Array, at: number): Promise<number>
  /** Resolves when the content is on the medium. */
  sync(): Promise<void>
  truncate(length: number): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

export interface Disk {
  create(name: string): Promise<DiskFile>
  open(name: string, how: 'read' | 'change'): Promise<DiskFile>
  rename(from: string, to: string): Promise<void>
  remove(name: string): Promise<void>
  /** Makes names in a directory durable: what was created, renamed and removed. */
  syncDirectory(directory: string): Promise<void>
  list(directory: string): Promise<string[]>
  makeDirectory(directory: string): Promise<void>
}

class NodeFile implements DiskFile {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async write(pieces: readonly Uint8Array[], at: number): Promise<void> {
    let left = pieces.filter((piece) => piece.length > 0)
    let position = at
    while (left.length > 0) {
      const { bytesWritten } = await this.#handle.writev(left.slice(0, 1000), position)
      if (bytesWritten === 0) throw new Error('nothing was written')
      position += bytesWritten
      left = without(left, bytesWritten)
    }
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    let done = 0
    while (done < into.length) {
      const { bytesRead } = await this.#handle.read(into, done, into.length - done, at + done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return done
  }

  sync = () => this.#handle.sync()
  truncate = (length: number) => this.#handle.truncate(length)
  size = async () => (await this.#handle.stat()).size
  close = () => this.#handle.close()
}

/** The pieces after the first `bytes` bytes. */
function without(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes
  const left: Uint8Array[] = []
  for (const piece of pieces) {
    if (skip >= piece.length) skip -= piece.length
    else {
      left.push(skip === 0 ? piece : piece.subarray(skip))
      skip = 0
    }
  }
  return left
}

/** The real one. */
export const NODE_DISK: Disk = {
  create: async (name) => new NodeFile(await open(name, 'wx+', 0o640)),
  open: async (name, how) => new NodeFile(await open(name, how === 'read' ? 'r' : 'r+')),
  rename,
  remove: unlink,
  async syncDirectory(directory) {
    const handle = await open(directory, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
  list: (directory) => readdir(directory),
  async makeDirectory(directory) {
    await mkdir(directory, { recursive: true, mode: 0o750 })
  },
}

/**
 * Replaces a file: the new content beside it, fsync, rename, fsync of the directory. The one before stays as
 * `NAME.old`, and its blocks are used for the next one: where the disk is full, this still works.
 * @throws whatever the disk says; then the file may be the old or the new one
 */
export async function replaceFile(disk: Disk, name: string, bytes: Uint8Array): Promise<void> {
  const fresh = `${name}.new`
  const file = await openForReplacement(disk, name, fresh)
  try {
    await file.write([bytes], 0)
    await file.truncate(bytes.length)
    await file.sync()
  } finally {
    await file.close()
  }
  await renameIfThere(disk, name, `${name}.old`)
  await disk.rename(fresh, name)
  await disk.syncDirectory(path.dirname(name))
}

async function openForReplacement(disk: Disk, name: string, fresh: string): Promise<DiskFile> {
  for (const from of [fresh, `${name}.old`])
    try {
      if (from !== fresh) await disk.rename(from, fresh)
      return await disk.open(fresh, 'change')
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  return await disk.create(fresh)
}

async function renameIfThere(disk: Disk, from: string, to: string): Promise<void> {
  try {
    await disk.rename(from, to)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

/** All bytes of a file, or undefined if there is none. */
export async function readWhole(
  disk: Disk,
  name: string,
  most: number,
): Promise<Buffer | undefined> {
  let file: DiskFile
  try {
    file = await disk.open(name, 'read')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  try {
    const bytes = Buffer.alloc(Math.min(await file.size(), most))
    return bytes.subarray(0, await file.read(bytes, 0))
  } finally {
    await file.close()
  }
}

export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT'
}

/** No room now; there may be some later. */
export function isNoSpace(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(errorCode(error))
}
