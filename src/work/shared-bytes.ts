// Memory for chunks that threads read where they lie, used again and again. A chunk that is sent to a thread as it is
// is copied twice, and every copy is new memory, which costs a full collection every few dozen chunks.

import { releaseChunk } from '../chunk.ts'

/** Most that waits to be used again. What a worker takes beyond it comes and goes. */
const FREE_BYTES_MAX = 128 << 20
const STEP_BYTES_MIN = 4096

/** By size. */
const free = new Map<number, SharedArrayBuffer[]>()
let freeBytes = 0

/** A copy in memory that threads share. `giveBack` it when nobody reads it any more. */
export function sharedCopy(bytes: Uint8Array): Uint8Array {
  const capacity = capacityFor(bytes.length)
  const buffer = free.get(capacity)?.pop()
  if (buffer !== undefined) freeBytes -= capacity
  const copy = Buffer.from(buffer ?? new SharedArrayBuffer(capacity), 0, bytes.length)
  // `set` takes ten times as long where memory is shared: word by word, as others might look on.
  if (bytes.length > 0) copy.fill(bytes)
  return copy
}

/** True if threads read these bytes where they lie. */
export function isShared(bytes: Uint8Array): boolean {
  return bytes.buffer instanceof SharedArrayBuffer
}

/**
 * Gives memory back, shared or not: nobody may use it, or parts of it, after. What is not given back (of a thread that
 * may still read it) goes with a later collection.
 */
export function giveBack(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (!(buffer instanceof SharedArrayBuffer)) releaseChunk(bytes as Uint8Array<ArrayBuffer>)
  else if (freeBytes + buffer.byteLength <= FREE_BYTES_MAX) {
    freeBytes += buffer.byteLength
    const same = free.get(buffer.byteLength)
    if (same === undefined) free.set(buffer.byteLength, [buffer])
    else same.push(buffer)
  }
}

/** At most a quarter more than is asked for, so that chunks of about one size fit into each other's place. */
function capacityFor(size: number): number {
  const step = Math.max(STEP_BYTES_MIN, 2 ** (29 - Math.clz32(size)))
  return Math.max(1, Math.ceil(size / step)) * step
}
