// The files behind the paths of a command line: found, opened, decompressed and read in pieces. What cannot be
// read is said per file; nothing here throws for one bad file among many.

import { createReadStream, fstatSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { lstat, open, readdir, stat } from 'node:fs/promises'
import { Socket } from 'node:net'
import path from 'node:path'
import { createGunzip } from 'node:zlib'

/** Bytes that formats are told apart by, and that name a file's origin. */
export const HEAD_BYTES = 64 * 1024
/** Size of one read. Larger pieces fall out of the processor's cache. */
const PIECE_BYTES = 256 * 1024
/** Files that one directory tree may hold before the rest is refused. */
const FILES_MAX = 100_000
/** How deep a directory tree is followed. */
const DEPTH_MAX = 32

export interface InputFile {
  /** As given on the command line, or the path found below a directory that was. */
  source: string
  foundInDirectory: boolean
}

export interface FoundFiles {
  files: InputFile[]
  /** Paths that could not be listed, in words. */
  problems: { source: string; message: string }[]
}

/** The words for a failed file operation, with the cure where there is one. */
export function explainFileError(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  switch (code) {
    case 'ENOENT':
      return 'no such file or directory'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied: this user may not read it'
    case 'EISDIR':
      return 'is a directory'
    case 'EMFILE':
    case 'ENFILE':
      return 'too many open files: raise the limit (ulimit -n)'
    case 'ENOSPC':
      return 'no space left on the device: free some and run again'
    case 'ELOOP':
      return 'too many symbolic links'
    default:
      return message ?? String(error)
  }
}

/** Files for the paths: a file is itself, `-` is standard input, a directory all files below it, by name. */
export async function findFiles(paths: readonly string[]): Promise<FoundFiles> {
  const found: FoundFiles = { files: [], problems: [] }
  for (const given of paths) {
    if (given === '-') {
      found.files.push({ source: '-', foundInDirectory: false })
      continue
    }
    try {
      const info = await stat(given)
      if (info.isDirectory()) await findBelow(given, 0, found)
      else found.files.push({ source: given, foundInDirectory: false })
    } catch (error) {
      found.problems.push({ source: given, message: explainFileError(error) })
    }
  }
  return found
}

async function findBelow(directory: string, depth: number, found: FoundFiles): Promise<void> {
  let names: string[]
  try {
    names = (await readdir(directory)).sort()
  } catch (error) {
    found.problems.push({ source: directory, message: explainFileError(error) })
    return
  }
  for (const name of names) {
    if (name.startsWith('.')) continue
    const source = path.join(directory, name)
    const info = await lstat(source).catch(() => undefined)
    if (info === undefined) continue
    if (info.isDirectory()) {
      if (depth < DEPTH_MAX) await findBelow(source, depth + 1, found)
      else found.problems.push({ source, message: `more than ${DEPTH_MAX} directories deep` })
    } else if (info.isFile() || info.isSymbolicLink()) {
      if (info.isSymbolicLink() && !(await stat(source).catch(() => undefined))?.isFile()) continue
      if (found.files.length === FILES_MAX) {
        found.problems.push({ source: directory, message: `more than ${FILES_MAX} files` })
        return
      }
      found.files.push({ source, foundInDirectory: true })
    }
  }
}

/** The files beside this one, by name; none if its directory cannot be listed. */
export async function siblingsOf(file: InputFile): Promise<InputFile[]> {
  const directory = path.dirname(file.source)
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => ({ source: path.join(directory, entry.name), foundInDirectory: true }))
    .sort((a, b) => (a.source < b.source ? -1 : 1))
}

/** Compressions that are recognised; only gzip is undone. */
const FOREIGN_COMPRESSION: readonly [name: string, magic: readonly number[]][] = [
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
  ['zip', [0x50, 0x4b, 0x03, 0x04]],
]

/** The name of a compression that is not undone here, if these bytes start with one. */
export function foreignCompression(head: Uint8Array): string | undefined {
  return FOREIGN_COMPRESSION.find(([, magic]) => magic.every((byte, i) => head[i] === byte))?.[0]
}

/** One opened input: its first bytes, then all of them in pieces. */
export interface OpenInput {
  /** The first HEAD_BYTES after decompression, or all there is. */
  head: Uint8Array
  /** Bytes on disk, 0 if unknown (standard input). */
  size: number
  /** Bytes read from disk so far. */
  read: () => number
  /**
   * All bytes from the start, decompressed, each piece lent until the next is asked for. Ends early, with
   * `problem` set, when the file cannot be read further.
   */
  pieces: AsyncGenerator<Uint8Array, void, void>
  /** Why reading ended early, in words. */
  problem: () => string | undefined
  close: () => Promise<void>
}

/** Opens a file or standard input (`-`). @throws the error of the file system. */
export async function openInput(source: string): Promise<OpenInput> {
  const state = { read: 0, problem: undefined as string | undefined }
  let size = 0
  let raw: AsyncGenerator<Uint8Array, void, void>
  let handle: FileHandle | undefined
  if (source === '-') {
    raw = readStandardInput(state)
  } else {
    handle = await open(source, 'r')
    const info = await handle.stat()
    size = info.isFile() ? info.size : 0
    raw = readFile(handle, size, state)
  }
  const first = await raw.next()
  const firstBytes = first.done === true ? new Uint8Array(0) : first.value
  const gzip = firstBytes[0] === 0x1f && firstBytes[1] === 0x8b
  const whole = prepend(firstBytes, raw)
  const content = gzip ? gunzip(whole, state) : whole
  const { head, rest } = await readHead(content)
  return {
    head,
    size,
    read: () => state.read,
    pieces: rest,
    problem: () => state.problem,
    close: async () => {
      await rest.return()
      await handle?.close()
    },
  }
}

interface ReadState {
  read: number
  problem: string | undefined
}

/** Reads what the file held when it was opened: bytes that are appended meanwhile are for the next run. */
async function* readFile(
  handle: FileHandle,
  size: number,
  state: ReadState,
): AsyncGenerator<Uint8Array, void, void> {
  const buffer = Buffer.allocUnsafe(PIECE_BYTES)
  for (;;) {
    const want = size > 0 ? Math.min(PIECE_BYTES, size - state.read) : PIECE_BYTES
    if (want === 0) return
    try {
      const { bytesRead } = await handle.read(buffer, 0, want, null)
      if (bytesRead === 0) {
        if (state.read < size) state.problem = 'the file became shorter while it was read'
        return
      }
      state.read += bytesRead
      yield buffer.subarray(0, bytesRead)
    } catch (error) {
      state.problem = `read failed after ${state.read} bytes: ${explainFileError(error)}`
      return
    }
  }
}

async function* readStandardInput(state: ReadState): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const piece of openStandardInput()) {
      state.read += (piece as Buffer).length
      yield piece as Buffer
    }
  } catch (error) {
    state.problem = `standard input failed after ${state.read} bytes: ${explainFileError(error)}`
  }
}

/**
 * By its descriptor: process.stdin is empty in a worker thread. A pipe is not read as a file is: such a read waits in
 * a thread that nothing wakes, and the process cannot end before somebody writes.
 */
function openStandardInput(): AsyncIterable<unknown> {
  const info = fstatSync(0)
  return info.isFIFO() || info.isSocket()
    ? new Socket({ fd: 0, readable: true, writable: false })
    : createReadStream('', { fd: 0, autoClose: false, highWaterMark: PIECE_BYTES })
}

async function* prepend(
  first: Uint8Array,
  rest: AsyncGenerator<Uint8Array, void, void>,
): AsyncGenerator<Uint8Array, void, void> {
  if (first.length > 0) yield first
  yield* rest
}

/**
 * Undoes gzip as a stream: memory is bounded whatever the ratio. What was inflated before a damaged or cut place
 * is delivered; the place is reported.
 */
async function* gunzip(
  compressed: AsyncGenerator<Uint8Array, void, void>,
  state: ReadState,
): AsyncGenerator<Uint8Array, void, void> {
  const stream = createGunzip({ chunkSize: 64 * 1024 })
  // Taken by hand: an async iterator over the stream would drop what it has buffered when an error comes.
  const ready: Buffer[] = []
  let failed: Error | undefined
  stream.on('data', (piece: Buffer) => ready.push(piece))
  stream.on('error', (error) => {
    failed = error
  })
  const settle = (act: (done: () => void) => void) =>
    new Promise<void>((resolve) => {
      stream.once('error', () => resolve())
      act(resolve)
    })
  try {
    for await (const piece of compressed) {
      // A copy: the piece is lent, and zlib works on another thread.
      await settle((done) => stream.write(Buffer.from(piece), () => done()))
      stream.removeAllListeners('error').on('error', (error) => {
        failed = error
      })
      while (ready.length > 0) yield ready.shift()!
      if (failed !== undefined) break
    }
    if (failed === undefined) await settle((done) => stream.once('end', () => done()).end())
    while (ready.length > 0) yield ready.shift()!
    if (failed !== undefined)
      state.problem ??= `gzip data is cut or damaged (${failed.message}) within its first ${state.read} bytes`
  } finally {
    stream.destroy()
  }
}

async function readHead(
  content: AsyncGenerator<Uint8Array, void, void>,
): Promise<{ head: Uint8Array; rest: AsyncGenerator<Uint8Array, void, void> }> {
  const taken: Buffer[] = []
  let length = 0
  while (length < HEAD_BYTES) {
    const piece = await content.next()
    if (piece.done === true) break
    taken.push(Buffer.from(piece.value))
    length += piece.value.length
  }
  const start = Buffer.concat(taken)
  return { head: start.subarray(0, HEAD_BYTES), rest: prepend(start, content) }
}
