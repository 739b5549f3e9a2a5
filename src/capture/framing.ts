// Cuts a stream of bytes, pushed in pieces of any size, into whole records. What a subclass sees does not
// depend on the pieces: it is only ever handed records that are complete.

/**
 * A push parser over records whose length is known from their first bytes. Complete records are parsed where
 * they lie; only one that straddles two pieces is copied.
 */
export abstract class Framer {
  /** Offset in the input of the first byte that `parse` has not consumed. */
  position = 0
  /** True after `stop`: the rest of the input is ignored. */
  stopped = false
  /** Bytes that `parse` wants to see from its return position before it is called again. */
  protected needed = 1
  /** Bytes to pass over without keeping them. */
  protected skip = 0
  #carry = new Uint8Array(4096)
  #carryView = new DataView(this.#carry.buffer)
  #kept = 0

  /** Bytes at the end of the input that are no whole record. Valid after the last `push`. */
  get left(): number {
    return this.#kept
  }

  /** Bytes that the input ended before, inside a record that is passed over. */
  get missing(): number {
    return this.skip
  }

  /**
   * Consumes as many whole records of `bytes[start..end)` as there are, and returns where it stopped. It sets
   * `needed` (more than what is left) or `skip`, or calls `stop`.
   */
  protected abstract parse(bytes: Uint8Array, view: DataView, start: number, end: number): number

  protected stop(): void {
    this.stopped = true
  }

  /** Takes the next piece; the array is only borrowed. */
  push(piece: Uint8Array): void {
    // Never a Buffer: what reads packets is faster if they always lie in an array of the same class.
    const bytes = new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength)
    const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength)
    let at = 0
    while (!this.stopped) {
      if (this.skip > 0) {
        const passed = Math.min(this.skip, bytes.length - at)
        at += passed
        this.skip -= passed
        this.position += passed
        if (this.skip > 0) return
      }
      if (at === bytes.length) return
      if (this.#kept > 0) {
        const taken = Math.min(this.needed - this.#kept, bytes.length - at)
        this.#keep(bytes, at, taken)
        at += taken
        if (this.#kept < this.needed) return
        const consumed = this.parse(this.#carry, this.#carryView, 0, this.#kept)
        this.#drop(consumed)
        continue
      }
      const stop = this.parse(bytes, view, at, bytes.length)
      this.position += stop - at
      at = stop
      if (this.stopped || this.skip > 0) continue
      this.#keep(bytes, at, bytes.length - at)
      return
    }
  }

  #keep(bytes: Uint8Array, at: number, length: number): void {
    const size = Math.max(this.#kept + length, this.needed)
    if (size > this.#carry.length) {
      const larger = new Uint8Array(Math.max(size, this.#carry.length * 2))
      larger.set(this.#carry.subarray(0, this.#kept))
      this.#carry = larger
      this.#carryView = new DataView(larger.buffer)
    }
    this.#carry.set(bytes.subarray(at, at + length), this.#kept)
    this.#kept += length
  }

  /** Removes consumed and skipped bytes from the front of what is kept. */
  #drop(consumed: number): void {
    let gone = consumed
    const skipped = Math.min(this.skip, this.#kept - gone)
    gone += skipped
    this.skip -= skipped
    this.position += gone
    this.#carry.copyWithin(0, gone, this.#kept)
    this.#kept -= gone
  }
}
