// The sensor: inputs in, chunks out. Opens each file, sniffs its format, and drives the decoder of that format;
// Zeek logs of one directory are read together, so that names meet the connections they belong to.

import path from 'node:path'
import type { Network } from './address.ts'
import { captureDecoder, sniffCapture } from './capture/capture.ts'
import { ChunkWriter } from './chunk.ts'
import { type Decoder, type DecodeStats, newStats, noteError } from './decoder.ts'
import { sha256Hex } from './hash.ts'
import {
  explainFileError,
  findFiles,
  foreignCompression,
  type InputFile,
  type OpenInput,
  openInput,
  siblingsOf,
} from './inputs.ts'
import { logDecoder, sniffLog, ZeekJoins, zeekJoinDecoder } from './logs/logs.ts'
import { printable } from './wire-text.ts'

export interface SensorSettings {
  /** Names this observation point; part of every flow's identity. */
  sensor: string
  /** Leave packets with a wrong checksum out. Off by default: captures on the sending host have none. */
  verifyChecksums: boolean
  /** Secret of the hash tables: four 32-bit words. Changes no output. */
  hashSeed: Int32Array
  localNets: readonly Network[]
}

export type SensorEvent =
  | { type: 'chunk'; source: string; chunk: Uint8Array<ArrayBuffer> }
  | {
      /** One input is over. */
      type: 'input'
      source: string
      stats: DecodeStats
      /** Bytes read from disk. */
      bytesRead: number
      foundInDirectory: boolean
      /** False if its format is not one of ours, or it could not be opened. */
      known: boolean
    }

export interface Progress {
  source: string
  bytesRead: number
  /** Bytes on disk, 0 if unknown. */
  bytesTotal: number
}

/**
 * Decodes every input behind `paths`, in an order that depends on the names alone. Bad inputs become events
 * with `broken` statistics; this generator throws only for faults of our own.
 */
export async function* readInputs(
  paths: readonly string[],
  settings: SensorSettings,
  progress: (at: Progress) => void,
): AsyncGenerator<SensorEvent, void, void> {
  const { files, problems } = await findFiles(paths)
  for (const { source, message } of problems) yield unreadable(source, false, message)
  for (const group of groupByDirectory(files)) yield* readGroup(group, settings, progress)
}

/** Files of one directory, together; single files and standard input alone. */
function groupByDirectory(files: readonly InputFile[]): InputFile[][] {
  const groups: InputFile[][] = []
  const byDirectory = new Map<string, InputFile[]>()
  for (const file of files) {
    const directory = path.dirname(file.source)
    const group = file.source === '-' ? undefined : byDirectory.get(directory)
    if (group !== undefined) {
      group.push(file)
      continue
    }
    const fresh = [file]
    groups.push(fresh)
    if (file.source !== '-') byDirectory.set(directory, fresh)
  }
  return groups
}

/** Zeek streams that name what a connection was for, by the start of their file name. */
const JOINED = /^(dns|ssl|http|quic)[._-].*(log|json)/
const JOINABLE = /^(conn|open_conn|conn_long)[._-].*(log|json)/

async function* readGroup(
  group: readonly InputFile[],
  settings: SensorSettings,
  progress: (at: Progress) => void,
): AsyncGenerator<SensorEvent, void, void> {
  const base = (file: InputFile) => path.basename(file.source)
  const joined = group.filter((file) => JOINED.test(base(file)))
  const others = group.filter((file) => !JOINED.test(base(file)))
  // A connection log that is named alone still has its neighbours: they are read, but not reported.
  const neighbours: InputFile[] = []
  const joinable = group.find((file) => JOINABLE.test(base(file)))
  if (joinable !== undefined && joinable.source !== '-') {
    const named = new Set(group.map((file) => path.normalize(file.source)))
    for (const file of await siblingsOf(joinable))
      if (JOINED.test(base(file)) && !named.has(path.normalize(file.source))) neighbours.push(file)
  }
  const joins = joined.length + neighbours.length > 0 ? new ZeekJoins(settings.hashSeed) : undefined
  for (const file of neighbours)
    for await (const event of readOne(file, settings, joins, progress)) void event
  for (const file of [...joined, ...others]) yield* readOne(file, settings, joins, progress)
}

function unreadable(source: string, foundInDirectory: boolean, message: string): SensorEvent {
  const stats = newStats('')
  stats.broken = true
  noteError(stats, printable(message))
  return { type: 'input', source, stats, bytesRead: 0, foundInDirectory, known: false }
}

async function* readOne(
  file: InputFile,
  settings: SensorSettings,
  joins: ZeekJoins | undefined,
  progress: (at: Progress) => void,
): AsyncGenerator<SensorEvent, void, void> {
  const { source, foundInDirectory } = file
  let input: OpenInput
  try {
    input = await openInput(source)
  } catch (error) {
    yield unreadable(source, foundInDirectory, explainFileError(error))
    return
  }
  try {
    const pending: Uint8Array<ArrayBuffer>[] = []
    const decoding = startDecoder(source, input.head, settings, joins, (chunk) =>
      pending.push(chunk),
    )
    if (decoding === undefined) {
      const stats = newStats('')
      noteError(stats, input.problem() ?? unknownFormat(input.head))
      stats.broken = input.head.length > 0 || input.problem() !== undefined
      yield {
        type: 'input',
        source,
        stats,
        bytesRead: input.read(),
        foundInDirectory,
        known: false,
      }
      return
    }
    const { decoder, chunks } = decoding
    for await (const piece of input.pieces) {
      decoder.push(piece)
      while (pending.length > 0) yield { type: 'chunk', source, chunk: pending.shift()! }
      progress({ source, bytesRead: input.read(), bytesTotal: input.size })
    }
    decoder.end()
    const problem = input.problem()
    if (problem !== undefined) {
      noteError(decoder.stats, printable(problem))
      decoder.stats.broken = true
    }
    chunks?.end()
    while (pending.length > 0) yield { type: 'chunk', source, chunk: pending.shift()! }
    yield {
      type: 'input',
      source,
      stats: decoder.stats,
      bytesRead: input.read(),
      foundInDirectory,
      known: true,
    }
  } finally {
    await input.close()
  }
}

function unknownFormat(head: Uint8Array): string {
  if (head.length === 0) return 'the file is empty'
  const compression = foreignCompression(head)
  if (compression !== undefined) return `compressed with ${compression}: decompress it first`
  return 'format not recognised: neither pcap, pcapng, a cloud flow log nor a Zeek log'
}

/** The decoder for what these first bytes look like; `chunks` is missing where only joins are filled. */
function startDecoder(
  source: string,
  head: Uint8Array,
  settings: SensorSettings,
  joins: ZeekJoins | undefined,
  emit: (chunk: Uint8Array<ArrayBuffer>) => void,
): { decoder: Decoder; chunks: ChunkWriter | undefined } | undefined {
  const { sensor } = settings
  // A copy or a renamed file is the same origin; so is a capture and its gzip.
  const origin = `${sensor}/${sha256Hex(head).slice(0, 32)}`
  const capture = sniffCapture(head)
  if (capture !== undefined) {
    const chunks = new ChunkWriter({ sensor, origin, format: capture }, emit)
    return { decoder: captureDecoder(capture, settings, chunks), chunks }
  }
  const log = sniffLog(head, path.basename(source))
  if (log === undefined) return undefined
  if (joins !== undefined && isJoined(log.zeekPath))
    return { decoder: zeekJoinDecoder(log.zeekPath, log.format, joins), chunks: undefined }
  const chunks = new ChunkWriter({ sensor, origin, format: log.format }, emit)
  return {
    decoder: logDecoder(log.format, { sensor, ...(joins === undefined ? {} : { joins }) }, chunks),
    chunks,
  }
}

function isJoined(zeekPath: string | undefined): zeekPath is 'ssl' | 'dns' | 'http' | 'quic' {
  return zeekPath === 'ssl' || zeekPath === 'dns' || zeekPath === 'http' || zeekPath === 'quic'
}
