// What a capture process and its parent say to each other: frames over one socket, each a length, a kind and a body.
// Words are JSON, chunks are bytes. The capture process takes packets apart that anybody may send, so what it says is
// checked like any input.

import type { Duplex } from 'node:stream'
import { Framer } from '../capture/framing.ts'

const HEADER = 5
const WORDS = 0x4a
const CHUNK = 0x43
/** Larger than any chunk, and far larger than any words. */
const BODY_BYTES_MAX = 64 << 20
const WORDS_BYTES_MAX = 1 << 20

export interface FrameSink {
  words(value: unknown): void
  /** The bytes are the sink's own. */
  chunk(bytes: Uint8Array<ArrayBuffer>): void
  /** What comes is no frame: nothing after it can be read. */
  garbage(words: string): void
}

export class FrameReader extends Framer {
  readonly #sink: FrameSink

  constructor(sink: FrameSink) {
    super()
    this.#sink = sink
  }

  protected override parse(bytes: Uint8Array, view: DataView, start: number, end: number): number {
    let at = start
    for (;;) {
      if (end - at < HEADER) {
        this.needed = HEADER
        return at
      }
      const length = view.getUint32(at, true)
      const kind = view.getUint8(at + 4)
      const most = kind === WORDS ? WORDS_BYTES_MAX : kind === CHUNK ? BODY_BYTES_MAX : -1
      if (length > most) return this.#stop(at, `a frame of kind ${kind} and ${length} bytes`)
      if (end - at < HEADER + length) {
        this.needed = HEADER + length
        return at
      }
      const body = bytes.slice(at + HEADER, at + HEADER + length)
      at += HEADER + length
      if (kind === CHUNK) this.#sink.chunk(body)
      else {
        const value = parsed(body)
        if (value === undefined) return this.#stop(at, 'words that are no JSON')
        this.#sink.words(value)
      }
    }
  }

  #stop(at: number, words: string): number {
    this.stop()
    this.#sink.garbage(words)
    return at
  }
}

function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString('utf8'))
  } catch {
    return undefined
  }
}

/** Sends a value as JSON. */
export function sendWords(socket: Duplex, value: unknown): void {
  send(socket, WORDS, Buffer.from(JSON.stringify(value)))
}

/** Sends a chunk; its memory must stay as it is. */
export function sendChunk(socket: Duplex, chunk: Uint8Array): void {
  send(socket, CHUNK, chunk)
}

function send(socket: Duplex, kind: number, body: Uint8Array): void {
  if (socket.destroyed || socket.writableEnded) return
  const header = Buffer.alloc(HEADER)
  header.writeUInt32LE(body.length)
  header[4] = kind
  // Both in one write.
  socket.cork()
  socket.write(header)
  socket.write(body)
  socket.uncork()
}
