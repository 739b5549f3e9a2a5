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
import {
  type LogFormat,
  logDecoder,
  RunningTotals,
  sniffLog,
  ZeekJoins,
  type ZeekStream,
  zeekJoinDecoder,
} from './logs/logs.ts'
import { printable } from './wire-text.ts'

export interface SensorSettings {
  /** Names this observation point; part of every flow's identity. */
  sensor: string
  /** Leave packets with a wrong checksum out. Off by default: captures on the sending host have none. */
  verifyChecksums: boolean
  /** Secret of the hash tables: four 32-bit words. Changes no output. */
  hashSeed: Int32Array
  localNets: readonly Network[]
  /** Over how many lanes chunks are dealt, where that is known already: it stands in their headers. */
  lanes?: number
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
const NAMING = /^(dns|ssl|http|quic)[._-].*(log|json)/
const CONNECTIONS = /^(conn|open_conn|conn_long)[._-].*(log|json)/
/** Running totals of a connection come before its last word. */
const RUNNING_FIRST = [/^open_conn[._-]/, /^conn_long[._-]/]

/** What the Zeek logs of one directory know of each other. */
export interface ZeekDirectory {
  joins: ZeekJoins
  running: RunningTotals
}

export function newZeekDirectory(): ZeekDirectory {
  return { joins: new ZeekJoins(), running: new RunningTotals() }
}

const baseName = (file: InputFile) => path.basename(file.source)

/** Position of a file in its directory: logs that name, running totals, everything else; within one, as found. */
export function readingRank(name: string): number {
  if (NAMING.test(name)) return 0
  const running = RUNNING_FIRST.findIndex((pattern) => pattern.test(name))
  return running < 0 ? 3 : running + 1
}

async function* readGroup(
  group: readonly InputFile[],
  settings: SensorSettings,
  progress: (at: Progress) => void,
): AsyncGenerator<SensorEvent, void, void> {
  const zeek = newZeekDirectory()
  // A connection log that is named alone still has its neighbours: they are read, but not reported.
  const connections = group.find((file) => CONNECTIONS.test(baseName(file)))
  if (connections !== undefined && connections.source !== '-') {
    const named = new Set(group.map((file) => path.normalize(file.source)))
    for (const file of await siblingsOf(connections))
      if (NAMING.test(baseName(file)) && !named.has(path.normalize(file.source)))
        for await (const event of readOne(file, settings, zeek, progress)) void event
  }
  const inOrder = [...group].sort((a, b) => readingRank(baseName(a)) - readingRank(baseName(b)))
  for (const file of inOrder) yield* readOne(file, settings, zeek, progress)
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
  zeek: ZeekDirectory,
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
    const decoding = startDecoder(source, input.head, settings, zeek, (chunk) =>
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
    chunks.end()
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

/** Why bytes that are no input of ours are none. */
export function unknownFormat(head: Uint8Array): string {
  if (head.length === 0) return 'the file is empty'
  const compression = foreignCompression(head)
  if (compression !== undefined) return `compressed with ${compression}: decompress it first`
  return 'format not recognised: neither pcap, pcapng, a cloud flow log nor a Zeek log'
}

/** What an input is. */
export interface InputFormat {
  format: 'pcap' | 'pcapng' | LogFormat
  /** Zeek: which stream. */
  stream?: ZeekStream
}

/**
 * What these first bytes are, or undefined if they are nothing of ours.
 * @param name of the file, without directories: a hint
 */
export function sniffInput(head: Uint8Array, name: string): InputFormat | undefined {
  const capture = sniffCapture(head)
  if (capture !== undefined) return { format: capture }
  const log = sniffLog(head, name)
  if (log === undefined) return undefined
  return { format: log.format, ...(log.zeekPath && { stream: log.zeekPath }) }
}

/** The decoder of an input; records go to `chunks`. */
export function inputDecoder(
  { format, stream }: InputFormat,
  settings: SensorSettings,
  zeek: ZeekDirectory,
  chunks: ChunkWriter,
): Decoder {
  if (format === 'pcap' || format === 'pcapng') return captureDecoder(format, settings, chunks)
  const { sensor, localNets } = settings
  return isNaming(stream)
    ? zeekJoinDecoder(stream, format, zeek.joins, chunks)
    : logDecoder(
        format,
        { sensor, localNets, ...zeek, ...(stream && { zeekPath: stream }) },
        chunks,
      )
}

/** What the first bytes of an input name it. A copy or a renamed file is the same origin; so is a capture and its gzip. */
export function originOf(sensor: string, head: Uint8Array): string {
  return `${sensor}/${sha256Hex(head).slice(0, 32)}`
}

/** The decoder for what these first bytes look like. */
function startDecoder(
  source: string,
  head: Uint8Array,
  settings: SensorSettings,
  zeek: ZeekDirectory,
  emit: (chunk: Uint8Array<ArrayBuffer>) => void,
): { decoder: Decoder; chunks: ChunkWriter } | undefined {
  const input = sniffInput(head, path.basename(source))
  if (input === undefined) return undefined
  const { sensor, lanes } = settings
  const origin = originOf(sensor, head)
  const place = { sensor, origin, format: input.format, ...(lanes === undefined ? {} : { lanes }) }
  const chunks = new ChunkWriter(place, emit)
  return { decoder: inputDecoder(input, settings, zeek, chunks), chunks }
}

function isNaming(stream: string | undefined): stream is 'ssl' | 'dns' | 'http' | 'quic' {
  return stream === 'ssl' || stream === 'dns' || stream === 'http' || stream === 'quic'
}
