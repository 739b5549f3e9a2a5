// The reading end of a journal: goes on through the segments over what is durable, and tells what is missing.

import path from 'node:path'
import type { Delivery, SourceCounters, TellTrouble } from './bus.ts'
import type { Disk, DiskFile } from './disk.ts'
import { SegmentScan } from './journal-scan.ts'
import type { JournalWriter, Segment } from './journal-writer.ts'

export class JournalReader {
  readonly #settings: { directory: string; stream: string }
  readonly #disk: Disk
  readonly #tell: TellTrouble
  readonly #writer: JournalWriter
  readonly #counters: SourceCounters
  #segment: Segment | undefined
  #file: DiskFile | undefined
  #scan: SegmentScan | undefined
  /** Nothing more can come of the segment: its file is let go, which is what gives its space back once it is removed. */
  #over = false

  constructor(
    settings: { directory: string; stream: string },
    disk: Disk,
    tell: TellTrouble,
    writer: JournalWriter,
    counters: SourceCounters,
  ) {
    this.#settings = settings
    this.#disk = disk
    this.#tell = tell
    this.#writer = writer
    this.#counters = counters
  }

  /** The next record with at least this id that is durable, or undefined if there is none now. */
  async next(fromId: bigint): Promise<Delivery | undefined> {
    for (;;) {
      const segment = this.#segment
      if (segment !== undefined && !this.#over) {
        const scan = this.#scan!
        const [limit, lostBefore] = [segment.durable, scan.lost]
        const record = await scan.next(limit, fromId)
        this.#countLost(scan.lost - lostBefore)
        if (record !== undefined) {
          const { id, acceptedAt, key, body } = record
          const { stream } = this.#settings
          return { stream, partition: 0, offset: id, acceptedAt, key, bytes: body }
        }
        // It may have grown while it was read.
        if (!segment.sealed || segment.durable !== limit) return undefined
      }
      if (await this.#enterNext(fromId)) continue
      if (segment !== undefined) {
        this.#over = true
        await this.close()
      }
      return undefined
    }
  }

  async #enterNext(fromId: bigint): Promise<boolean> {
    const { segments } = this.#writer
    const after = this.#segment
    const later = segments.filter(({ firstId }) => after === undefined || firstId > after.firstId)
    // At first, the last segment that begins at or before what is asked for.
    const skip = after === undefined ? later.findLastIndex(({ firstId }) => firstId <= fromId) : 0
    const segment = later[Math.max(0, skip)]
    if (segment === undefined) return false
    this.#tellGap(segment, fromId)
    await this.close()
    this.#file = await this.#disk.open(path.join(this.#settings.directory, segment.name), 'read')
    this.#scan = new SegmentScan(segment, this.#file, ({ segment: name, at, bytes, reason, id }) =>
      this.#tell({
        kind: 'damage',
        where: `${name} at byte ${at}`,
        detail: `${reason}, ${bytes} bytes skipped${id === undefined ? '' : `, record ${id}`}`,
      }),
    )
    this.#segment = segment
    this.#over = false
    return true
  }

  /** What is missing between the last record read and the first of a segment. */
  #tellGap(segment: Segment, fromId: bigint): void {
    const scan = this.#scan
    const rest = scan?.restAfter(this.#segment!.durable) ?? 0
    if (scan !== undefined && rest > 0)
      this.#tell({
        kind: 'damage',
        where: `${scan.segment.name} at byte ${scan.at}`,
        detail: `the last ${rest} bytes are no record`,
      })
    const expected = scan !== undefined && scan.nextId > fromId ? scan.nextId : fromId
    this.#countLost((segment.follows ?? expected) - expected)
  }

  #countLost(ids: bigint): void {
    if (ids <= 0n) return
    this.#counters.holes++
    this.#counters.holeOffsets += ids
  }

  /** What comes next was had elsewhere: the next look begins with the segment that it asks for. */
  async leave(): Promise<void> {
    if (this.#segment === undefined) return
    this.#segment = undefined
    this.#scan = undefined
    await this.close()
  }

  async close(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }
}
