// The writing end of a journal: segments, group fsync, the size cap. One write and one fsync take everything that
// came while the ones before were under way, so an append waits for at most two fsyncs and no timer.

import { randomBytes } from 'node:crypto'
import path from 'node:path'
import {
  BusError,
  BusFault,
  checkOutgoing,
  messageBytesMax,
  type Outgoing,
  type TellTrouble,
} from './bus.ts'
import { type Disk, type DiskFile, isNoSpace } from './disk.ts'
import {
  encodeRecord,
  recordSize,
  SEGMENT_HEAD_BYTES,
  type SegmentName,
  segmentHead,
  segmentName,
} from './journal-record.ts'

/** A segment as the reader sees it. */
export interface Segment extends SegmentName {
  /** Bytes that are on the medium and whole. */
  durable: number
  /** The id that would have been next when it was begun; undefined if its head is damaged. */
  follows: bigint | undefined
  /** No more is written to it. */
  sealed: boolean
}

export interface WriterSettings {
  /** Name of the stream: it says how large a message may be. */
  stream: string
  segmentBytes: number
  /** Of all segments together. */
  maxBytes: number
  /** Waits between tries while the disk is full. */
  fullRetryMillis: number
}

export interface WriterCounters {
  appended: number
  appendedBytes: number
  fsyncs: number
  /** Times that appends had to wait for the consumer, and for room on the disk. */
  waitedForRoom: number
  waitedForDisk: number
}

interface Waiting {
  message: Outgoing
  size: number
  resolve: (id: bigint) => void
  reject: (error: unknown) => void
}

/** A segment that is not full and holds nothing but what is done with may take so much; more is given back. */
const SPARE_BYTES = 1 << 20
/** Most bytes that are written at once. */
const GROUP_BYTES = 8 << 20

export class JournalWriter {
  readonly segments: Segment[]
  readonly counters: WriterCounters = {
    appended: 0,
    appendedBytes: 0,
    fsyncs: 0,
    waitedForRoom: 0,
    waitedForDisk: 0,
  }
  /** What appends wait for now: the consumer to make room, or room on the disk. */
  waitsFor: 'room' | 'disk' | undefined
  /** Called when more is durable. */
  onDurable: () => void = () => {}
  /** Is given each message that is durable, before `onDurable`. */
  onWritten: (id: bigint, acceptedAt: number, message: Outgoing) => void = () => {}
  /** Called when a segment was removed that readers may still hold. */
  onRemoved: () => void = () => {}
  /** Called once, when the process must end. */
  onFault: (fault: BusFault) => void = () => {}
  readonly #disk: Disk
  readonly #directory: string
  readonly #settings: WriterSettings
  readonly #tell: TellTrouble
  #nextId: bigint
  /** The id after the last record that was written. Behind `nextId` only right after a torn tail was cut. */
  #follows: bigint
  /** The consumer is done with everything before this id. */
  #doneBefore = -1n
  #active: { segment: Segment; file: DiskFile } | undefined
  #waiting: Waiting[] = []
  #flushing: Promise<void> | undefined
  #closed = false
  #fault: BusFault | undefined
  #wakeForRoom: (() => void) | undefined

  constructor(
    disk: Disk,
    directory: string,
    settings: WriterSettings,
    tell: TellTrouble,
    found: { segments: Segment[]; follows: bigint; nextId: bigint },
  ) {
    this.#disk = disk
    this.#directory = directory
    this.#settings = settings
    this.#tell = tell
    this.segments = found.segments
    this.#follows = found.follows
    this.#nextId = found.nextId
  }

  get fault(): BusFault | undefined {
    return this.#fault
  }
  /** The id after the last record. */
  get end(): bigint {
    return this.#follows
  }
  /** The id that the next record gets. */
  get nextId(): bigint {
    return this.#nextId
  }
  get bytes(): number {
    return this.segments.reduce((sum, segment) => sum + segment.durable, 0)
  }

  /** Resolves with the id when the message is on the medium. */
  append(message: Outgoing, signal?: AbortSignal): Promise<bigint> {
    return new Promise((resolve, reject) => {
      if (this.#fault !== undefined) throw this.#fault
      if (this.#closed) throw new BusError('closed', 'the journal is closed')
      signal?.throwIfAborted()
      checkOutgoing(message, messageBytesMax(this.#settings.stream))
      const size = recordSize(Buffer.byteLength(message.key), message.bytes.length)
      if (size > this.#settings.maxBytes - SEGMENT_HEAD_BYTES)
        throw new BusError('too_large', `${size} bytes are more than the journal may ever hold`)
      const waiting: Waiting = { message, size, resolve, reject }
      if (signal !== undefined) {
        const abort = () => {
          const at = this.#waiting.indexOf(waiting)
          if (at < 0) return
          this.#waiting.splice(at, 1)
          reject(signal.reason)
        }
        signal.addEventListener('abort', abort, { once: true })
        const forget = () => signal.removeEventListener('abort', abort)
        waiting.resolve = (id) => {
          forget()
          resolve(id)
        }
        waiting.reject = (error) => {
          forget()
          reject(error)
        }
      }
      this.#waiting.push(waiting)
      this.#flushing ??= this.#flush()
    })
  }

  /** Removes the segments that hold nothing at or after `next`. The checkpoint that says so must be durable. */
  async removeBefore(next: bigint): Promise<void> {
    this.#doneBefore = next
    for (;;) {
      const [first, second] = this.segments
      if (first === undefined || !first.sealed) break
      if ((second?.firstId ?? this.#nextId) > next) break
      this.segments.shift()
      await this.#disk.remove(path.join(this.#directory, first.name))
    }
    // Others may be short of what it takes; while something is written, it is needed.
    const spare = (this.#active?.segment.durable ?? 0) > SPARE_BYTES
    if (spare && this.#flushing === undefined) await this.#letGoOfDone()
    this.#wakeForRoom?.()
  }

  /** Ends the process's use of the journal: nothing that waits is known to be durable. */
  fail(what: string, cause: unknown): BusFault {
    if (this.#fault === undefined) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      this.#fault = new BusFault(`journal ${this.#directory}: ${what}: ${reason}`, { cause })
      this.onFault(this.#fault)
    }
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#fault)
    this.#wakeForRoom?.()
    return this.#fault
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wakeForRoom?.()
    await this.#flushing
    await this.#seal()
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0 && this.#fault === undefined) {
      const group = this.#takeGroup()
      if (group.length > 0) await this.#writeGroup(group)
      else if (this.#closed) {
        const error = new BusError('closed', 'the journal was closed while it was full')
        for (const waiting of this.#waiting.splice(0)) waiting.reject(error)
      } else await this.#waitForRoom()
    }
    // In the same turn as the last look, or a message that comes in between would wait for the next one.
    this.#flushing = undefined
  }

  #takeGroup(): Waiting[] {
    const room = this.#settings.maxBytes - this.bytes
    let size = 0
    let count = 0
    for (const waiting of this.#waiting) {
      // The head of a segment may come on top.
      if (
        size + waiting.size > room - SEGMENT_HEAD_BYTES ||
        (count > 0 && size + waiting.size > GROUP_BYTES)
      )
        break
      size += waiting.size
      count++
    }
    return this.#waiting.splice(0, count)
  }

  /** Called where the first message that waits has no room. */
  async #waitForRoom(): Promise<void> {
    // It cannot fill the active segment up.
    if (await this.#letGoOfDone()) return
    this.counters.waitedForRoom++
    this.#tell({
      kind: 'full',
      where: this.#directory,
      detail: `the journal holds ${this.bytes} of ${this.#settings.maxBytes} bytes; waiting for its consumer`,
    })
    this.waitsFor = 'room'
    await new Promise<void>((resolve) => {
      this.#wakeForRoom = resolve
      if (this.#closed || this.#fault !== undefined) resolve()
    })
    this.waitsFor = undefined
    this.#wakeForRoom = undefined
  }

  /** If everything in the active segment is done with, it goes. @returns true if that made room */
  async #letGoOfDone(): Promise<boolean> {
    const { segment } = this.#active ?? {}
    if (segment === undefined || this.#doneBefore < this.#nextId) return false
    if (segment.durable <= SEGMENT_HEAD_BYTES) return false
    await this.#seal()
    await this.removeBefore(this.#doneBefore)
    this.onRemoved()
    return true
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    const first = this.#nextId
    let written: readonly Waiting[]
    try {
      written = await this.#writeWhatFits(group)
    } catch (error) {
      const reason =
        this.#closed && isNoSpace(error)
          ? new BusError('closed', 'the journal was closed while the disk was full')
          : this.fail('cannot write', error)
      for (const waiting of group) waiting.reject(reason)
      return
    }
    this.#waiting.unshift(...group.slice(written.length))
    this.#nextId = this.#follows = first + BigInt(written.length)
    this.counters.appended += written.length
    this.counters.appendedBytes += sizeOf(written)
    const now = Date.now()
    for (const [at, waiting] of written.entries()) {
      this.onWritten(first + BigInt(at), now, waiting.message)
      waiting.resolve(first + BigInt(at))
    }
    this.onDurable()
  }

  /** Writes and fsyncs, in a fresh segment if the active one is full. */
  async #write(group: readonly Waiting[]): Promise<void> {
    const size = sizeOf(group)
    const { segment, file } = await this.#segmentFor(size)
    const pieces: Uint8Array[] = []
    let id = this.#nextId
    for (const { message } of group)
      pieces.push(
        encodeRecord(segment.marker, id++, Date.now(), message.key, message.bytes),
        message.bytes,
      )
    try {
      await file.write(pieces, segment.durable)
    } catch (error) {
      // Part of it may stand there. It must not be found by the next open behind something good.
      if (isNoSpace(error)) await file.truncate(segment.durable)
      throw error
    }
    await this.#sync(file)
    segment.durable += size
  }

  async #segmentFor(size: number): Promise<{ segment: Segment; file: DiskFile }> {
    const active = this.#active
    if (active !== undefined && active.segment.durable + size <= this.#settings.segmentBytes)
      return active
    await this.#seal()
    const name = segmentName(this.#nextId, randomBytes(8))
    const where = path.join(this.#directory, name.name)
    const file = await this.#disk.create(where)
    try {
      await file.write([segmentHead(name, this.#follows)], 0)
      await this.#sync(file)
      await this.#disk.syncDirectory(this.#directory)
    } catch (error) {
      await file.close()
      if (isNoSpace(error)) await this.#disk.remove(where)
      throw error
    }
    const segment: Segment = {
      ...name,
      durable: SEGMENT_HEAD_BYTES,
      follows: this.#follows,
      sealed: false,
    }
    this.segments.push(segment)
    this.#active = { segment, file }
    return this.#active
  }

  async #seal(): Promise<void> {
    const active = this.#active
    this.#active = undefined
    if (active === undefined) return
    active.segment.sealed = true
    await active.file.close()
  }

  /** A failed fsync is never tried again: the kernel may have dropped the pages and forgotten the error. */
  async #sync(file: DiskFile): Promise<void> {
    this.counters.fsyncs++
    try {
      await file.sync()
    } catch (error) {
      throw this.fail('fsync failed', error)
    }
  }

  /** Writes the group; where the disk has no room for all of it, its beginning, once there is room for that. */
  async #writeWhatFits(group: readonly Waiting[]): Promise<readonly Waiting[]> {
    let fits = group
    for (let told = false; ; told = true) {
      try {
        await this.#write(fits)
        this.waitsFor = undefined
        if (told) this.#tell({ kind: 'recovered', where: this.#directory, detail: 'room on disk' })
        return fits
      } catch (error) {
        if (!isNoSpace(error) || this.#closed) throw error
        this.counters.waitedForDisk++
        this.waitsFor = 'disk'
        if (!told)
          this.#tell({
            kind: 'full',
            where: this.#directory,
            detail: 'no space left on the disk; waiting',
          })
        // On a small disk it may be the segment itself that fills it: nobody else would ever make room.
        if (await this.#letGoOfDone()) continue
        if (fits.length > 1) fits = fits.slice(0, fits.length >> 1)
        else await new Promise((resolve) => setTimeout(resolve, this.#settings.fullRetryMillis))
      }
    }
  }
}

function sizeOf(group: readonly Waiting[]): number {
  return group.reduce((sum, { size }) => sum + size, 0)
}
