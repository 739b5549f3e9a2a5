// One growing file: what is appended to it is decoded, whatever becomes of its name. What is torn (half a line, half a
// packet) stays with the decoder until the rest comes.

import { type FileHandle, open } from 'node:fs/promises'
import path from 'node:path'
import {
  type InputFormat,
  originOf,
  sniffInput,
  unknownFormat,
  type ZeekDirectory,
} from '../sensor.ts'
import type { Log } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import { entriesWithHead, hasHead, hashOfHead, namingBytes, readHead } from './heads.ts'
import { type LedgerEntry, newEntry } from './ledger-entry.ts'
import { LiveInput, type LiveParts } from './live-input.ts'
import { generationName } from './match.ts'
import type { SeenFile } from './seen-file.ts'

export interface TailParts extends LiveParts {
  zeek: ZeekDirectory
  log: Log
  signal: AbortSignal
  /** Is another tail at work on this origin? */
  inUse: (entry: LedgerEntry) => boolean
}

/** Read at once, and in one turn, before other files have theirs. */
const PIECE_BYTES = 256 << 10
const TURN_BYTES = 32 << 20
/** A head that says nothing yet is taken as it is when nothing was added for so long. */
const HEAD_MILLIS = 2000
/** First bytes that are kept, to see whether they are still the same. */
const START_BYTES = 4096

export class Tail {
  path: string
  dev: string
  ino: string
  /** Bytes read. */
  position = 0
  /** Its name is gone, was given away, or it was cut shorter; since when, milliseconds since 1970. */
  goneAt: number | undefined
  /** It does not stand any more where it was first seen. */
  moved = false
  /** `waiting` for bytes that say what it is · `foreign` nothing of ours · `over` */
  state: 'waiting' | 'reading' | 'foreign' | 'over' = 'waiting'
  /** The first bytes of the file. */
  start: Buffer = Buffer.alloc(0)
  changedAt: number
  readonly #parts: TailParts
  #handle: FileHandle
  #live: LiveInput | undefined
  #format: InputFormat | undefined
  /** Generations that it turned out not to be. */
  readonly #not = new Set<string>()
  #revived = false

  /** @throws the error of the file system */
  static async open(file: SeenFile, parts: TailParts): Promise<Tail> {
    const handle = await open(file.path, 'r')
    try {
      const info = await handle.stat({ bigint: true })
      // Another file may have taken the name since it was looked at.
      const seen = { ...file, dev: String(info.dev), ino: String(info.ino) }
      return new Tail(seen, handle, parts)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  private constructor(file: SeenFile, handle: FileHandle, parts: TailParts) {
    this.path = file.path
    this.dev = file.dev
    this.ino = file.ino
    this.changedAt = file.changedAt
    this.#handle = handle
    this.#parts = parts
  }

  get entry(): LedgerEntry | undefined {
    return this.#live?.entry
  }
  get openFlows(): number {
    return this.#live?.open ?? 0
  }
  get format(): string {
    return this.#format?.format ?? ''
  }

  /** True if it was taken to be over before and grew after all. */
  get revived(): boolean {
    return this.#revived
  }

  /** The size that the file has now, whatever its name. */
  async size(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  /** Are the bytes that it began with still there? */
  async isSame(): Promise<boolean> {
    const now = await readHead(this.#handle, this.start.length)
    return now.equals(this.start)
  }

  /** Goes on in a copy of this file, which holds at least what was read. @throws the error of the file system */
  async continueIn({ path: name, dev, ino }: SeenFile): Promise<void> {
    const handle = await open(name, 'r')
    await this.#handle.close()
    this.#handle = handle
    Object.assign(this, { path: name, dev, ino, moved: true, goneAt: undefined })
    const entry = this.#live?.entry
    if (entry?.file === undefined) return
    Object.assign(entry.file, { dev, ino })
    entry.source = name
    this.#parts.shipper.ledger.changed(entry, entry.touchedAt)
  }

  /** Reads what there is, up to a bound. @returns true if there may be more */
  async advance(now: number): Promise<boolean> {
    if (this.state === 'waiting') await this.#begin(now)
    if (this.state !== 'reading') return false
    const piece = Buffer.allocUnsafe(PIECE_BYTES)
    for (let taken = 0; taken < TURN_BYTES && !this.#parts.signal.aborted; ) {
      const { bytesRead } = await this.#handle.read(piece, 0, PIECE_BYTES, this.position)
      if (bytesRead === 0) {
        return await this.#rest()
      }
      this.position += bytesRead
      taken += bytesRead
      this.changedAt = Date.now()
      await this.#live!.push(piece.subarray(0, bytesRead), performance.now())
      if (this.#live!.known === 'no') return this.#another()
    }
    return true
  }

  /** Milliseconds until what is pending is cut. */
  cutIn(now: number): number {
    return this.#live?.cutIn(now) ?? Number.POSITIVE_INFINITY
  }

  async cut(): Promise<void> {
    await this.#live?.cut()
  }

  /** The file is over: open flows are written. @returns false if it must be read again, as another input */
  async end(): Promise<boolean> {
    const live = this.#live
    if (live !== undefined && this.state === 'reading') {
      if (!(await live.end())) {
        this.#another()
        return false
      }
      await this.#parts.shipper.flush()
      if (live.entry.file !== undefined) live.entry.file.size = this.position
      this.#parts.shipper.ledger.changed(live.entry, Date.now())
    }
    this.state = 'over'
    await this.close()
    return true
  }

  async close(): Promise<void> {
    await this.#handle.close().catch(() => {})
  }

  /** The end of what is there for now: a comparison may have been reached. @returns as `advance` */
  async #rest(): Promise<boolean> {
    const live = this.#live!
    if (live.known === 'not yet') await live.cut()
    return live.known === 'no' ? this.#another() : false
  }

  /** It is not what the ledger knows under this name: it is read again, as something else. */
  #another(): true {
    const { entry } = this.#live!
    this.#parts.log(
      'warn',
      'this file is not what it was when it was read before: it is sent again',
      {
        input: printable(this.path),
      },
    )
    this.#not.add(entry.origin)
    delete entry.file
    this.#parts.shipper.ledger.changed(entry, entry.touchedAt)
    this.#live = undefined
    this.position = 0
    this.state = 'waiting'
    return true
  }

  async #begin(now: number): Promise<void> {
    const head = await readHead(this.#handle)
    if (head.length === 0) return
    const quiet = now - this.changedAt > HEAD_MILLIS
    if (!saysWhatItIs(head) && !quiet) return
    const input = sniffInput(head, path.basename(this.path))
    if (input === undefined) {
      if (head.length < 65_536 && !quiet) return
      this.state = 'foreign'
      this.start = Buffer.from(head.subarray(0, START_BYTES))
      this.#parts.log('warn', `passed over: ${unknownFormat(head)}`, {
        input: printable(this.path),
      })
      return
    }
    const entry = (await this.#knownAs(head)) ?? (await this.#fresh(head, input))
    if (this.state !== 'waiting') return
    this.start = Buffer.from(head.subarray(0, START_BYTES))
    // The stream as it was told when less of the file was there: the decoder must be the same one.
    const stream = entry.file?.stream || undefined
    this.#format = {
      format: input.format,
      ...(stream && { stream: stream as NonNullable<InputFormat['stream']> }),
    }
    this.#live = new LiveInput(this.#format, entry, this.#parts.zeek, this.#parts)
    this.state = 'reading'
  }

  /** The entry that knows this file, if one does. A file that was read to its end and did not grow is `over`. */
  async #knownAs(head: Buffer): Promise<LedgerEntry | undefined> {
    const { ledger } = this.#parts.shipper
    const size = await this.size()
    const mine = [...ledger.entries()].filter(
      (entry) =>
        entry.file?.dev === this.dev && entry.file.ino === this.ino && hasHead(entry, head),
    )
    for (const entry of [...mine, ...entriesWithHead(ledger, head)]) {
      if (this.#not.has(entry.origin) || this.#parts.inUse(entry)) continue
      if (!entry.over) {
        Object.assign(entry.file!, { dev: this.dev, ino: this.ino })
        entry.source = this.path
        ledger.changed(entry, entry.touchedAt)
        return entry
      }
      if (entry.file!.size === size) {
        this.state = 'over'
        this.start = Buffer.from(head.subarray(0, START_BYTES))
        this.position = size
        return entry
      }
      if (mine.includes(entry)) this.#revived = true
    }
    return undefined
  }

  /** A new name, written down before anything is sent under it. */
  async #fresh(head: Buffer, { format, stream }: InputFormat): Promise<LedgerEntry> {
    const length = namingBytes(head.length)
    const { settings, shipper } = this.#parts
    const base = originOf(settings.sensor, head.subarray(0, length))
    const file = {
      dev: this.dev,
      ino: this.ino,
      head: length,
      hash: hashOfHead(head, length),
      stream: stream ?? '',
      size: 0,
      revived: this.#revived,
    }
    const origin = generationName(base)
    const entry = newEntry({ origin, base, kind: 'tail', format, source: this.path, file })
    await shipper.ledger.begin(entry)
    return entry
  }
}

/** Is there enough to tell the format by: of a capture its header, of a text one whole line that is no comment? */
function saysWhatItIs(head: Buffer): boolean {
  if (head.length >= 65_536) return true
  if (head[0] !== 0x23 && head.includes(0)) return head.length >= 24
  let at = 0
  for (;;) {
    const end = head.indexOf(10, at)
    if (end < 0) return false
    if (head[at] !== 0x23 && end > at + 1) return true
    at = end + 1
  }
}
