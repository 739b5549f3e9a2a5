// A message as the worker handles it: the bytes in memory that threads share, and what the chunk says of itself.

import type { Delivery } from '../bus/bus.ts'
import { ChunkVersionError, decodeChunk } from '../chunk.ts'
import type { ChunkHeader } from '../chunk-header.ts'
import { recordsOf } from '../pipeline.ts'
import type { Refusal } from '../threads.ts'
import { isShared, sharedCopy } from './shared-bytes.ts'

export interface Message {
  /** Its bytes are shared with threads. */
  delivery: Delivery
  /** Undefined if the bytes are no chunk: then `refused` says why. */
  header: ChunkHeader | undefined
  refused: Refusal | undefined
  /** Flow records that the header announces. */
  records: number
}

/** Reads the header of what was delivered. Whether the content is what the header says is for a thread to find out. */
export function readMessage(delivery: Delivery): Message {
  const own = { ...delivery, bytes: shared(delivery.bytes) }
  const { unreadable } = delivery
  if (unreadable !== undefined) {
    const refused: Refusal = { reason: 'garbage', detail: unreadable }
    return { delivery: own, header: undefined, refused, records: 0 }
  }
  try {
    const { header } = decodeChunk(own.bytes)
    return { delivery: own, header, refused: undefined, records: recordsOf(header) }
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    const reason = error instanceof ChunkVersionError ? 'version' : 'garbage'
    return { delivery: own, header: undefined, refused: { reason, detail }, records: 0 }
  }
}

function shared(bytes: Uint8Array): Uint8Array {
  return isShared(bytes) ? bytes : sharedCopy(bytes)
}
