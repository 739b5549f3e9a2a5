// Messages that are given up: put on the stream of dead letters with their bytes, and noted in the store. Only then
// may the position of their partition pass them.

import { LETTER_BYTES_MAX, type Sink } from '../bus/bus.ts'
import {
  type DeadLetter,
  type DeadReason,
  deadLetterId,
  encodeDeadLetter,
} from '../bus/dead-letter.ts'
import type { ChunkHeader } from '../chunk-header.ts'
import { failpoint } from '../failpoint.ts'
import { sha256Hex } from '../hash.ts'
import { recordsOf } from '../pipeline.ts'
import type { Store } from '../store/store.ts'
import { printable } from '../wire-text.ts'
import type { Message } from './message.ts'
import type { Patience } from './patience.ts'

/** A message, or a piece of it, that is to be given up. */
export interface Dead {
  message: Message
  reason: DeadReason
  detail: string
  /** As the stream had them, or those of the piece. */
  bytes: Uint8Array
  /** Of the chunk or piece; undefined if it cannot be read. */
  header: ChunkHeader | undefined
}

export interface DeadLetterParts {
  sink: Sink
  store: Store
  patience: Patience
  /** Of the program. */
  version: string
  /** Milliseconds since 1970. */
  now: () => number
}

/** Room for the letter's own header in a message. */
const HEADER_BYTES = 64 << 10

/**
 * Delivers letters: waits for the stream, for hours if need be, and never drops one.
 * @throws the signal's reason; BusError if the stream refuses
 */
export async function bury(
  dead: readonly Dead[],
  parts: DeadLetterParts,
  signal: AbortSignal,
): Promise<void> {
  if (dead.length === 0) return
  const letters = dead.map((one) => ({ ...one, letter: letterOf(one, parts) }))
  await Promise.all(
    letters.map(({ letter, bytes, message }) => {
      const whole = bytes.length + HEADER_BYTES <= LETTER_BYTES_MAX
      const body = whole ? bytes : bytes.subarray(0, LETTER_BYTES_MAX - HEADER_BYTES)
      // No stream takes such a message today. Should one, what is cut off can still be told apart.
      if (!whole)
        letter.detail += `; only the first ${body.length} of ${bytes.length} bytes are kept, SHA-256 of all ${sha256Hex(bytes)}`
      const key = message.delivery.key === '' ? 'dead' : message.delivery.key
      return parts.sink.send({ key, bytes: encodeDeadLetter(letter, body) }, signal)
    }),
  )
  await failpoint('F11_dead_letter')
  const notes = letters.map(({ letter }) => letter)
  await parts.patience.ask(() => parts.store.noteDeadLetters(notes), signal)
}

function letterOf({ message, reason, detail, header }: Dead, parts: DeadLetterParts): DeadLetter {
  const { stream, partition, offset, key, acceptedAt } = message.delivery
  const piece = header?.piece?.path ?? ''
  const letter: DeadLetter = {
    id: deadLetterId(message.delivery, piece),
    reason,
    detail: printable(detail),
    stream,
    partition,
    offset: String(offset),
    key: printable(key),
    acceptedAt,
    diedAt: parts.now(),
    version: parts.version,
  }
  if (header !== undefined)
    letter.chunk = {
      id: header.id,
      sensor: header.sensor,
      origin: header.origin,
      seq: header.seq,
      piece,
      flowRecords: recordsOf(header),
      hours: header.hours,
    }
  return letter
}
