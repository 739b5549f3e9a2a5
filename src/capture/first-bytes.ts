// The first bytes of a stream in order, from segments in any order. Only streams whose first segment was not
// enough have one; bounded in bytes and segments, and all together by a budget.

/** Bytes and segments of one stream that are kept. */
export const FIRST_BYTES_MAX = 16_384
export const SEGMENTS_MAX = 8

export class FirstBytes {
  bytes = new Uint8Array(2048)
  /** Bytes from the beginning that are there without a hole. */
  ready = 0
  segments = 0
  /** Ranges beyond a hole: from, to, from, to ... */
  readonly #ahead: number[] = []

  /** True if no more can be taken. */
  get full(): boolean {
    return this.segments >= SEGMENTS_MAX || this.ready >= FIRST_BYTES_MAX
  }

  /** Bytes beyond a hole are waiting. */
  get gapped(): boolean {
    return this.#ahead.length > 0
  }

  /** Adds `from[start..end)` at `offset` of the stream. What is there already is not overwritten. */
  add(offset: number, from: Uint8Array, start: number, end: number): void {
    this.segments++
    const stop = Math.min(offset + end - start, FIRST_BYTES_MAX)
    const begin = Math.max(offset, this.ready)
    if (stop <= begin) return
    this.#reserve(stop)
    this.bytes.set(from.subarray(start + begin - offset, start + stop - offset), begin)
    if (begin > this.ready) {
      this.#ahead.push(begin, stop)
      return
    }
    this.ready = stop
    for (let again = true; again; ) {
      again = false
      for (let i = 0; i < this.#ahead.length; i += 2) {
        if (this.#ahead[i]! > this.ready) continue
        this.ready = Math.max(this.ready, this.#ahead[i + 1]!)
        this.#ahead.splice(i, 2)
        again = true
        break
      }
    }
  }

  #reserve(size: number): void {
    if (size <= this.bytes.length) return
    const larger = new Uint8Array(Math.min(FIRST_BYTES_MAX, Math.max(size, this.bytes.length * 2)))
    larger.set(this.bytes)
    this.bytes = larger
  }
}
