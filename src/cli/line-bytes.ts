// Bytes of output lines, written in place. A line of flows is some forty short values; as strings they would be
// joined, flattened and encoded again, which costs more than decoding the packets did.

/** A batch is handed on when it has grown to this. */
export const BATCH_BYTES = 128 * 1024

const ZERO = 0x30

/** Text of 0..255, for octets. */
const OCTETS: readonly Uint8Array[] = Array.from({ length: 256 }, (_, i) => Buffer.from(String(i)))

export class LineBytes {
  #bytes: Buffer = Buffer.allocUnsafe(BATCH_BYTES + 16 * 1024)
  #at = 0

  get length(): number {
    return this.#at
  }

  /** What was written since the last call; the caller owns it. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#at)
    this.#bytes = Buffer.allocUnsafe(BATCH_BYTES + 16 * 1024)
    this.#at = 0
    return taken
  }

  #room(size: number): void {
    if (this.#at + size <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + size))
    larger.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = larger
  }

  put(from: Uint8Array): void {
    const size = from.length
    this.#room(size)
    if (size > 64) this.#bytes.set(from, this.#at)
    else {
      const bytes = this.#bytes
      const at = this.#at
      for (let i = 0; i < size; i++) bytes[at + i] = from[i]!
    }
    this.#at += size
  }

  /**
   * Writes `text` if each of its characters is one that `safe` (128 flags) allows, else nothing.
   * @returns false if nothing was written.
   */
  plain(text: string, safe: Uint8Array): boolean {
    const size = text.length
    this.#room(size)
    const bytes = this.#bytes
    const at = this.#at
    for (let i = 0; i < size; i++) {
      const code = text.charCodeAt(i)
      if (code > 127 || safe[code] === 0) return false
      bytes[at + i] = code
    }
    this.#at += size
    return true
  }

  /** A whole number from 0 to 2^53. */
  integer(value: number): void {
    this.#room(20)
    let digits = 1
    for (let limit = 10; value >= limit; limit *= 10) digits++
    this.#digits(value, digits)
  }

  /** Exactly `count` digits of a whole number. */
  #digits(value: number, count: number): void {
    const bytes = this.#bytes
    let rest = value
    let at = this.#at + count
    this.#at = at
    // Beyond 32 bits the remainder is taken in pieces of nine digits, which integers do fast.
    while (count > 9) {
      const high = Math.floor(rest / 1e9)
      let low = (rest - high * 1e9) | 0
      for (let i = 0; i < 9; i++) {
        const next = (low / 10) | 0
        bytes[--at] = ZERO + low - next * 10
        low = next
      }
      rest = high
      count -= 9
    }
    let low = rest
    for (; count > 0; count--) {
      const next = Math.floor(low / 10)
      bytes[--at] = ZERO + low - next * 10
      low = next
    }
  }

  /** Microseconds as seconds with six digits: no binary fraction is involved. */
  micros(value: number): void {
    this.#room(24)
    let rest = value
    if (rest < 0) {
      this.#bytes[this.#at++] = 0x2d
      rest = -rest
    }
    const seconds = Math.floor(rest / 1e6)
    this.integer(seconds)
    this.#bytes[this.#at++] = 0x2e
    this.#digits(rest - seconds * 1e6, 6)
  }

  /** A dotted quad from four bytes. */
  quad(from: Uint8Array, at: number): void {
    this.#room(15)
    const bytes = this.#bytes
    for (let i = 0; i < 4; i++) {
      if (i > 0) bytes[this.#at++] = 0x2e
      const octet = OCTETS[from[at + i]!]!
      for (let j = 0; j < octet.length; j++) bytes[this.#at++] = octet[j]!
    }
  }

  /** 16 bytes as a UUID. */
  uuid(from: Uint8Array, at: number): void {
    this.#room(36)
    const bytes = this.#bytes
    for (let i = 0; i < 16; i++) {
      if (i === 4 || i === 6 || i === 8 || i === 10) bytes[this.#at++] = 0x2d
      const byte = from[at + i]!
      bytes[this.#at++] = hexDigit(byte >> 4)
      bytes[this.#at++] = hexDigit(byte & 15)
    }
  }
}

function hexDigit(nibble: number): number {
  return nibble < 10 ? ZERO + nibble : 0x57 + nibble
}
