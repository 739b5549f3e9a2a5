// Keeps a capture in a file: the very bytes that are decoded, whole packets only, up to a size. Reading the file again
// gives the flows that were told of live.

import { fstatSync, writeSync } from 'node:fs'
import { Framer } from '../capture/framing.ts'

const FILE_HEADER = 24
const RECORD_HEADER = 16
/** Both byte orders' magic numbers of microseconds and nanoseconds, read as little-endian. */
const LITTLE = new Set([0xa1b2c3d4, 0xa1b23c4d])
/** Longer than any packet: what comes is no capture. */
const CAPTURED_MAX = 1 << 20

export class PacketFile extends Framer {
  readonly #fd: number
  readonly #told: (words: string) => void
  #room: number
  #little = true
  #begun = false

  /**
   * @param fd is open for writing @param room most bytes to write
   * @param told is called once when it can write no more, with the reason
   */
  constructor(fd: number, room: number, told: (words: string) => void) {
    super()
    this.#fd = fd
    this.#room = room
    this.#told = told
  }

  protected override parse(_: Uint8Array, view: DataView, start: number, end: number): number {
    let at = start
    const least = this.#begun ? RECORD_HEADER : FILE_HEADER
    if (end - at < least) {
      this.needed = least
      return at
    }
    if (!this.#begun) {
      this.#begun = true
      this.#little = LITTLE.has(view.getUint32(at, true))
      at += FILE_HEADER
      if (at - start > this.#room) return this.#end(start, 'no room at all')
    }
    for (;;) {
      const length = end - at < RECORD_HEADER ? 0 : view.getUint32(at + 8, this.#little)
      if (length > CAPTURED_MAX) return this.#end(at, 'what comes is no capture')
      this.needed = RECORD_HEADER + length
      if (end - at < this.needed) break
      if (at + this.needed - start > this.#room) {
        this.#write(view, start, at)
        return this.stopped ? at : this.#end(at, 'it is as large as it may become')
      }
      at += this.needed
    }
    if (at > start) this.#write(view, start, at)
    return at
  }

  /** A disk that is slow holds up capture: then the kernel drops and counts, and the file has what was decoded. */
  #write(view: DataView, start: number, end: number): void {
    let at = start
    try {
      while (at < end) at += writeSync(this.#fd, view, at, end - at)
      this.#room -= end - start
    } catch (error) {
      this.#end(at, (error as Error).message)
    }
  }

  #end(at: number, why: string): number {
    this.stop()
    let size = ''
    try {
      size = ` after ${fstatSync(this.#fd).size} bytes`
    } catch {
      // The reason says enough.
    }
    this.#told(`packets are no longer kept in a file${size}: ${why}`)
    return at
  }
}
