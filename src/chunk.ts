// The chunk: a bounded batch of what a sensor saw, with an id that is a function of its content. It is the
// unit of a bus message, of a worker's task, of commit and of retry.
//
//   "BWC1" | u32 length of the header | header (JSON, UTF-8) | one Native block per part, in header order
//
// A chunk is pure: the same input bytes, decoder and settings give the same chunks, whatever the read size,
// the thread or the time of day.

import { Block } from './block.ts'
import type { ChunkHeader, ChunkPart, PartName } from './chunk-header.ts'
import { CHUNK_VERSION, ChunkError, checkHeader, hoursOf, PART_NAMES } from './chunk-header.ts'
import { type ChunkPlace, type ResumeAt, Resumption } from './chunk-resume.ts'
import {
  ANNOUNCED_COLUMNS,
  type AnnouncedColumns,
  COVERAGE_COLUMNS,
  type Columns,
  type CoverageColumns,
  FLOW_COLUMNS,
  type FlowColumns,
  REJECT_COLUMNS,
  type RejectColumns,
} from './flow.ts'
import { contentUuid, formatUuid } from './hash.ts'
import { encodeBlocks } from './native.ts'
import { blockRows, decodeBlock } from './native-read.ts'

/** Most flow records in a chunk: compressed about 600 kB, so that a broker as it comes takes it. */
export const CHUNK_RECORDS_MAX = 8192
/** Most characters of distinct text in a chunk before it is cut early. */
export const CHUNK_TEXT_MAX = 1 << 19
/** Most rows of coverage and of rejects in a chunk, each. */
export const CHUNK_NOTES_MAX = 4096
/** Largest header that a reader accepts. */
const HEADER_BYTES_MAX = 1 << 16

const MAGIC = Buffer.from('BWC1')

export type { ChunkHeader, ChunkPart, PartName } from './chunk-header.ts'
export { ChunkError, ChunkVersionError } from './chunk-header.ts'

export interface Chunk {
  header: ChunkHeader
  /** Native bytes of each part, views into the chunk. */
  parts: Map<PartName, Uint8Array>
}

export interface ChunkOrigin {
  sensor: string
  origin: string
  format: string
  /** See ChunkHeader. */
  lanes?: number
}

/**
 * Collects records and cuts them into chunks. Decoders write rows straight into the columns:
 *
 *     const row = chunks.flow()
 *     chunks.flows.columns.orig_p[row] = port
 *
 * A cut happens only inside `flow()`, before the new row, and in `end()`: it depends on rows alone.
 */
export class ChunkWriter {
  readonly flows: Block<FlowColumns> = new Block(FLOW_COLUMNS)
  readonly coverage: Block<CoverageColumns> = new Block(COVERAGE_COLUMNS, 16)
  readonly rejects: Block<RejectColumns> = new Block(REJECT_COLUMNS, 16)
  /** Rows of it are the sensor loop's to add: decoders announce nothing. */
  readonly announced: Block<AnnouncedColumns> = new Block(ANNOUNCED_COLUMNS, 16)
  readonly sensor: string
  /** Flow records written so far, in all chunks. */
  flowCount = 0
  #coverageCount = 0
  #rejectCount = 0
  readonly #origin: ChunkOrigin
  readonly #emit: (chunk: Uint8Array<ArrayBuffer>) => void
  #seq = 0
  /** Set until the rows that were sent earlier are behind us. */
  #resuming: Resumption | undefined

  /**
   * @param emit takes each finished chunk; it owns its memory and may be transferred.
   * @param resume goes on after an earlier reading: its last chunk is emitted once more, nothing before it
   */
  constructor(
    origin: ChunkOrigin,
    emit: (chunk: Uint8Array<ArrayBuffer>) => void,
    resume?: ResumeAt,
  ) {
    this.sensor = origin.sensor
    this.#origin = origin
    this.#emit = emit
    if (resume !== undefined) {
      this.#resuming = new Resumption(resume)
      this.#seq = resume.seq
    }
  }

  /** A new, empty flow record (sensor and source_kind are the caller's to set); its row in `flows`. */
  flow(): number {
    const { flows } = this
    if (this.#resuming !== undefined) this.#goOn()
    if (flows.rows >= CHUNK_RECORDS_MAX) this.#cut(false)
    // The weight is summed over columns, so it is looked at only now and then.
    else if ((flows.rows & 1023) === 1023 && flows.textWeight > CHUNK_TEXT_MAX) this.#cut(false)
    this.flowCount++
    return flows.add()
  }

  /** Adds a coverage metric for an interval of data time (microseconds). */
  cover(row: {
    vantage?: string
    kind: string
    from: number
    to: number
    metric: string
    value: number
  }): void {
    if (this.#resuming !== undefined) this.#goOn()
    if (this.coverage.rows >= CHUNK_NOTES_MAX) this.#cut(false)
    this.#coverageCount++
    const at = this.coverage.add()
    const c = this.coverage.columns
    c.sensor.set(at, this.sensor)
    c.vantage.set(at, row.vantage ?? '')
    c.source_kind.set(at, row.kind)
    c.ts[at] = row.from
    c.end[at] = row.to
    c.metric.set(at, row.metric)
    c.value[at] = row.value
  }

  /** Adds a dead letter. `sample` and `detail` must be printable already (`wireText`). */
  reject(row: {
    kind: string
    at: number
    unit: 'byte' | 'packet' | 'line'
    reason: string
    detail: string
    sample: string
  }): void {
    if (this.#resuming !== undefined) this.#goOn()
    if (this.rejects.rows >= CHUNK_NOTES_MAX) this.#cut(false)
    this.#rejectCount++
    const at = this.rejects.add()
    const c = this.rejects.columns
    c.sensor.set(at, this.sensor)
    c.source_kind.set(at, row.kind)
    c.at[at] = row.at
    c.unit.set(at, row.unit)
    c.reason.set(at, row.reason)
    c.detail.set(at, row.detail)
    c.sample.set(at, row.sample)
  }

  /** What waits to be cut, in rows: an input that goes on cuts by time, too. */
  get pending(): number {
    return PART_NAMES.reduce((rows, table) => rows + this.#block(table).rows, 0)
  }

  /** Chunks so far; the sequence number of the next one. */
  get seq(): number {
    return this.#seq
  }

  /** Rows written so far, in all chunks: where the next cut will be. */
  get place(): ChunkPlace {
    return {
      flow_records: this.flowCount,
      coverage: this.#coverageCount,
      rejects: this.#rejectCount,
    }
  }

  /** Whether what an earlier reading had sent is behind us; `diverged`: it will never be, and nothing is emitted. */
  get resumed(): 'not yet' | 'yes' | 'diverged' {
    const { state } = this.#resuming ?? { state: 'done' }
    return state === 'done' ? 'yes' : state === 'diverged' ? 'diverged' : 'not yet'
  }

  /** Cuts what is there, if anything: where it was cut is up to the caller, who must cut there again. */
  cut(): void {
    if (this.#resuming !== undefined) this.#goOn()
    if (this.pending > 0 && this.#resuming === undefined) this.#cut(false)
  }

  /** Ends the input: emits the last chunk, which may hold no flow. */
  end(): void {
    if (this.#resuming !== undefined) this.#goOn()
    this.#cut(true)
  }

  /** What an earlier reading has sent is made again up to its last cut. */
  #goOn(): void {
    const resuming = this.#resuming!
    const step = resuming.step(this.place)
    if (step === 'discard' || step === 'diverged') this.#clear()
    if (step !== 'cut') return
    this.#resuming = undefined
    this.#cut(false)
  }

  #clear(): void {
    for (const table of PART_NAMES) this.#block(table).clear()
  }

  #block(table: PartName): Block<Columns> {
    const { flows, coverage, rejects, announced } = this
    return { flow_records: flows, coverage, rejects, announced }[table] as unknown as Block<Columns>
  }

  #cut(last: boolean): void {
    // Sent before, or not the input that it was: the rows go.
    if (this.#resuming !== undefined) {
      this.#clear()
      return
    }
    const tables = PART_NAMES.filter((table) => this.#block(table).rows > 0)
    const blocks = tables.map((table) => this.#block(table))
    const bodies = encodeBlocks(blocks)
    const parts = tables.map((table, i): ChunkPart => {
      return { table, rows: blocks[i]!.rows, bytes: bodies[i]!.length }
    })
    const hours = hoursOf(this.flows.columns.ts, this.flows.rows)
    for (const block of blocks) block.clear()
    const { sensor, origin, format, lanes } = this.#origin
    const seq = this.#seq++
    const header = {
      ...{ v: CHUNK_VERSION, id: '', sensor, origin, seq, last, format, hours, parts },
      ...(lanes === undefined ? {} : { lanes }),
    }
    const id = chunkId(header, bodies)
    this.#emit(encodeChunk({ ...header, id }, bodies))
  }
}

/** The id that a chunk of this header and content has. */
export function chunkId(
  { origin, seq, last, piece }: Omit<ChunkHeader, 'id'>,
  bodies: readonly Uint8Array[],
): string {
  const of = piece === undefined ? [origin, String(seq), String(last)] : [piece.of, piece.path]
  return formatUuid(contentUuid([...of, ...bodies]))
}

/** The bytes of a chunk. */
export function encodeChunk(
  header: ChunkHeader,
  bodies: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const head = Buffer.from(JSON.stringify(header))
  let size = 8 + head.length
  for (const body of bodies) size += body.length
  const out = new Uint8Array(size)
  out.set(MAGIC, 0)
  new DataView(out.buffer).setUint32(4, head.length, true)
  out.set(head, 8)
  let at = 8 + head.length
  for (const body of bodies) {
    out.set(body, at)
    at += body.length
  }
  return out
}

/** The chunk with the number of lanes in its header, which its id does not cover. @throws ChunkError */
export function chunkInLanes(bytes: Uint8Array, lanes: number): Uint8Array<ArrayBuffer> {
  const { header, parts } = decodeChunk(bytes)
  return encodeChunk(
    { ...header, lanes },
    header.parts.map(({ table }) => parts.get(table)!),
  )
}

/**
 * Reads the envelope; parts are views, not copies.
 * @throws ChunkError when the bytes are not a whole chunk of a version that is known (1 or 2).
 */
export function decodeChunk(bytes: Uint8Array): Chunk {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (buffer.length < 8 || !buffer.subarray(0, 4).equals(MAGIC))
    throw new ChunkError('not a chunk: the first bytes are not BWC1')
  const size = buffer.readUInt32LE(4)
  if (size > HEADER_BYTES_MAX || 8 + size > buffer.length)
    throw new ChunkError('chunk header is cut or too large')
  let parsed: unknown
  try {
    parsed = JSON.parse(buffer.toString('utf8', 8, 8 + size))
  } catch {
    throw new ChunkError('chunk header is not JSON')
  }
  const header = checkHeader(parsed)
  const parts = new Map<PartName, Uint8Array>()
  let at = 8 + size
  for (const part of header.parts) {
    if (at + part.bytes > buffer.length) throw new ChunkError('chunk is cut')
    if (parts.has(part.table)) throw new ChunkError(`chunk has two parts of ${part.table}`)
    parts.set(part.table, bytes.subarray(at, at + part.bytes))
    at += part.bytes
  }
  if (at !== buffer.length) throw new ChunkError('bytes after the chunk')
  return { header, parts }
}

/**
 * Compares the content with the id, which is a hash of it: whatever happened on the way is seen. And the rows of each
 * part with what the header announces, which the id does not cover and the store's books rest on.
 * @throws ChunkError if they differ; BlockError if a part is no block
 */
export function verifyChunk({ header, parts }: Chunk): void {
  const bodies = header.parts.map(({ table }) => parts.get(table)!)
  if (chunkId(header, bodies) !== header.id)
    throw new ChunkError('the content of the chunk is not what its id says: it was altered')
  for (const [at, { table, rows }] of header.parts.entries()) {
    const there = blockRows(bodies[at]!)
    if (there !== rows)
      throw new ChunkError(`the header says ${rows} rows of ${table}, its block has ${there}`)
  }
}

/**
 * Gives the memory of a chunk back: nobody may use it, or parts of it, after. Without this the bytes of a chunk that
 * was in use for long wait for a full collection, which comes many chunks later.
 */
export function releaseChunk(bytes: Uint8Array<ArrayBuffer>): void {
  // The memory moves to an object that nobody holds, and goes with the next collection of young objects.
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
}

/** The columns of each part. */
export const PART_COLUMNS = {
  flow_records: FLOW_COLUMNS,
  coverage: COVERAGE_COLUMNS,
  rejects: REJECT_COLUMNS,
  announced: ANNOUNCED_COLUMNS,
} as const

/**
 * The rows of one part as columns, or undefined if the chunk has none.
 * @param into an earlier block of this part that nobody needs any more: it is emptied and used again
 * @throws BlockError
 */
export function chunkPart<P extends PartName>(
  chunk: Chunk,
  part: P,
  into?: Block<(typeof PART_COLUMNS)[P]>,
): Block<(typeof PART_COLUMNS)[P]> | undefined {
  const bytes = chunk.parts.get(part)
  return bytes === undefined ? undefined : decodeBlock(bytes, PART_COLUMNS[part], into)
}
