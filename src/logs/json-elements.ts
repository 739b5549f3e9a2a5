// Cuts pushed bytes into the JSON objects they hold: one a line, one after another, in an array, or in the `records`
// of one large object, as the clouds export them. Only brackets and strings are looked at. Bounded: an object that is
// too long is passed over, a broken one ends at the line end where it can no longer be valid.

/** Longest object that is read. */
export const ELEMENT_BYTES_MAX = 16 << 20

const NEWLINE = 10
const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN = 0x7b
const CLOSE = 0x7d
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d

/** How far into an object its first key is looked for. */
const WRAPPER_BYTES = 64
const WRAPPER = /^\{\s*"records"\s*:\s*\[$/

export interface ElementSink {
  /** One whole object; `line` is where it begins, from 1. The bytes are only lent. */
  element(bytes: Uint8Array, line: number): void
  /** Bytes that are no object: text between, a broken or an endless one. */
  broken(reason: string, bytes: Uint8Array, line: number): void
}

export class JsonElements {
  readonly #sink: ElementSink
  #held = new Uint8Array(1 << 12)
  #size = 0
  #depth = 0
  /** Depth outside the elements: 0, 1 in an array, 2 in `{"records":[`. */
  #base = 0
  #inString = false
  #escaped = false
  /** Inside text that is no JSON. */
  #junk = false
  #overlong = false
  #line = 1
  #began = 1
  #lineStart = true

  constructor(sink: ElementSink) {
    this.#sink = sink
  }

  push(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]!
      if (this.#depth > this.#base) this.#inside(byte)
      else this.#between(byte)
      this.#lineStart = byte === NEWLINE
      if (byte === NEWLINE) this.#line++
    }
  }

  end(): void {
    if (this.#size > 0 || this.#depth > this.#base) this.#give('cut')
  }

  #between(byte: number): void {
    if (this.#junk) {
      if (byte === NEWLINE) this.#give('not_json')
      else this.#hold(byte)
      return
    }
    // White space, commas, and the byte-order mark before the first object.
    if (byte <= 0x20 || byte === 0x2c || byte === 0xef || byte === 0xbb || byte === 0xbf) return
    if (byte === OPEN) {
      this.#began = this.#line
      this.#depth = this.#base + 1
      this.#hold(byte)
    } else if (byte === OPEN_LIST && this.#base === 0) this.#depth = this.#base = 1
    else if ((byte === CLOSE_LIST || byte === CLOSE) && this.#base > 0) this.#depth = --this.#base
    else {
      this.#began = this.#line
      this.#junk = true
      this.#hold(byte)
    }
  }

  #inside(byte: number): void {
    // A new object at the start of a line, or a line end within a string: what was before it is broken.
    if (
      (byte === NEWLINE && this.#inString) ||
      (byte === OPEN && this.#lineStart && this.#base === 0)
    ) {
      this.#give('bad_json')
      this.#between(byte)
      return
    }
    this.#hold(byte)
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false
      else if (byte === BACKSLASH) this.#escaped = true
      else if (byte === QUOTE) this.#inString = false
    } else if (byte === QUOTE) this.#inString = true
    else if (byte === OPEN || byte === OPEN_LIST) {
      this.#depth++
      if (byte === OPEN_LIST && this.#base === 0 && this.#isWrapper()) {
        this.#base = 2
        this.#size = 0
      }
    } else if (byte === CLOSE || byte === CLOSE_LIST) {
      this.#depth--
      if (this.#depth === this.#base) this.#give('')
    }
  }

  #isWrapper(): boolean {
    if (this.#depth !== 2 || this.#size > WRAPPER_BYTES) return false
    return WRAPPER.test(Buffer.from(this.#held.subarray(0, this.#size)).toString('latin1'))
  }

  /** Hands on what is held, and begins anew between elements. */
  #give(reason: string): void {
    const bytes = this.#held.subarray(0, this.#size)
    if (this.#overlong) this.#sink.broken('element_too_long', bytes, this.#began)
    else if (reason !== '') this.#sink.broken(reason, bytes, this.#began)
    else this.#sink.element(bytes, this.#began)
    this.#size = 0
    this.#depth = this.#base
    this.#inString = false
    this.#escaped = false
    this.#junk = false
    this.#overlong = false
  }

  #hold(byte: number): void {
    if (this.#size === this.#held.length) {
      if (this.#size >= ELEMENT_BYTES_MAX) {
        this.#overlong = true
        return
      }
      const larger = new Uint8Array(this.#held.length * 2)
      larger.set(this.#held)
      this.#held = larger
    }
    this.#held[this.#size++] = byte
  }
}
