// Reads the records of one segment in order, over whatever damage there is: a body that does not match its checksum
// is skipped by its length, a head that does not match is searched past. Each damaged place is told once.

import type { DiskFile } from './disk.ts'
import {
  isWhole,
  parseRecordHead,
  RECORD_HEAD_BYTES,
  type RecordHead,
  recordSize,
  SEGMENT_HEAD_BYTES,
  type SegmentName,
} from './journal-record.ts'

const WINDOW_BYTES = 1 << 18

export interface FoundRecord {
  id: bigint
  acceptedAt: number
  key: string
  body: Uint8Array
  /** Where the record ends in its segment. */
  end: number
}

/** A place that could not be read. */
export interface DamagedPlace {
  segment: string
  at: number
  bytes: number
  reason: 'bad head' | 'bad body'
  /** Known for a bad body. */
  id: bigint | undefined
}

/** One pass over a segment. It may stop at the end of what is durable and go on when there is more. */
export class SegmentScan {
  readonly segment: SegmentName
  readonly #file: DiskFile
  readonly #damaged: (place: DamagedPlace) => void
  /** End of the last good record, or of the last damaged place behind which something good was found. */
  at = SEGMENT_HEAD_BYTES
  /** The id after the last good record. */
  nextId: bigint
  /** Ids that are missing, from those asked for. */
  lost = 0n
  #window: Buffer = Buffer.alloc(0)
  #windowAt = 0
  /** Where an unfinished search after a bad head stands. */
  #searchedTo = 0

  constructor(segment: SegmentName, file: DiskFile, damaged: (place: DamagedPlace) => void) {
    this.segment = segment
    this.#file = file
    this.#damaged = damaged
    this.nextId = segment.firstId
  }

  /**
   * The next good record with at least this id that ends at or before `limit`, or undefined if there is none yet.
   * Bodies of records with smaller ids are stepped over unread.
   */
  async next(limit: number, fromId: bigint): Promise<FoundRecord | undefined> {
    let at = this.at
    while (at + RECORD_HEAD_BYTES <= limit) {
      const head = await this.#headAt(at, limit)
      if (head === undefined) {
        const found = await this.#search(Math.max(at + 1, this.#searchedTo), limit)
        if (found === undefined) {
          this.#searchedTo = Math.max(at + 1, limit - RECORD_HEAD_BYTES + 1)
          return undefined
        }
        this.#damaged(this.#place(this.at, found - this.at, 'bad head', undefined))
        this.at = at = found
        continue
      }
      const end = at + recordSize(head.keyBytes, head.bodyBytes)
      if (head.id < fromId) {
        this.#passed(head.id, end, fromId)
        at = end
        continue
      }
      const bytes = await this.#bytes(at + RECORD_HEAD_BYTES, end - at - RECORD_HEAD_BYTES, limit)
      if (isWhole(head, bytes)) {
        this.#passed(head.id, end, fromId)
        return {
          id: head.id,
          acceptedAt: head.acceptedAt,
          key: bytes.toString('utf8', 0, head.keyBytes),
          // A copy: the window is used again.
          body: Uint8Array.from(bytes.subarray(head.keyBytes)),
          end,
        }
      }
      this.#damaged(this.#place(at, end - at, 'bad body', head.id))
      this.lost++
      this.#passed(head.id, end, fromId)
      at = end
    }
    return undefined
  }

  /** After the last record: bytes that are no record, if any. */
  restAfter(limit: number): number {
    return Math.max(0, limit - this.at)
  }

  #passed(id: bigint, end: number, fromId: bigint): void {
    const expected = this.nextId > fromId ? this.nextId : fromId
    if (id > expected) this.lost += id - expected
    this.at = end
    this.nextId = id + 1n
  }

  #place(
    at: number,
    bytes: number,
    reason: DamagedPlace['reason'],
    id: bigint | undefined,
  ): DamagedPlace {
    return { segment: this.segment.name, at, bytes, reason, id }
  }

  /** The head at `at` if it is right, its record ends by `limit`, and its id can follow. */
  async #headAt(at: number, limit: number): Promise<RecordHead | undefined> {
    const bytes = await this.#bytes(at, RECORD_HEAD_BYTES, limit)
    const head = parseRecordHead(bytes, 0, this.segment.marker)
    if (head === undefined || head.id < this.nextId) return undefined
    return at + recordSize(head.keyBytes, head.bodyBytes) <= limit ? head : undefined
  }

  /** The first place at or after `from` where a right head stands. */
  async #search(from: number, limit: number): Promise<number | undefined> {
    const { marker } = this.segment
    let at = from
    while (at + RECORD_HEAD_BYTES <= limit) {
      const bytes = await this.#bytes(at, Math.min(WINDOW_BYTES, limit - at), limit)
      const index = bytes.indexOf(marker)
      if (index < 0) {
        // The marker may begin in the last seven bytes.
        at += Math.max(1, bytes.length - (marker.length - 1))
        continue
      }
      at += index
      if ((await this.#headAt(at, limit)) !== undefined) return at
      at++
    }
    return undefined
  }

  /** `length` bytes from `at`, fewer at `limit`. A view that the next call may overwrite. */
  async #bytes(at: number, length: number, limit: number): Promise<Buffer> {
    const end = Math.min(at + length, limit)
    const windowEnd = this.#windowAt + this.#window.length
    if (at < this.#windowAt || end > windowEnd) {
      const size = Math.max(0, Math.min(limit, at + Math.max(length, WINDOW_BYTES)) - at)
      const window = Buffer.allocUnsafe(size)
      this.#window = window.subarray(0, await this.#file.read(window, at))
      this.#windowAt = at
    }
    return this.#window.subarray(at - this.#windowAt, end - this.#windowAt)
  }
}
