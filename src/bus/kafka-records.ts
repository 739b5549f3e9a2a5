// The messages of a fetch. kafkajs decompresses whatever it is given into as much memory as that takes, knows two of
// the five codecs, and ends the consumer over a batch that it cannot read, again and again at the same place. Here a
// batch is bounded before it is decompressed, and one that cannot be read becomes a message that says why, with the
// bytes of the batch, at the place of its last record: whoever consumes puts it with the dead letters and goes on.

import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { decompressFrame } from 'lz4-napi'
import { MESSAGE_BYTES_MAX } from './bus.ts'
import { lz4Bound } from './lz4-bound.ts'

/** Largest batch, decompressed: twice the largest message. A sink's batches are below half of it. */
export const BATCH_BYTES_MAX = 2 * MESSAGE_BYTES_MAX
/** Most records in a batch. Chunks have some hundred bytes each, so a batch of them has far fewer. */
export const BATCH_RECORDS_MAX = 16_384

/** A message as kafkajs passes it on. */
export interface FetchedMessage {
  offset: string
  /** Milliseconds since 1970. */
  timestamp: string
  key: Buffer | null
  value: Buffer | null
  isControlRecord: boolean
  batchContext: { producerId: string; inTransaction: boolean }
  /** Set if this stands for a whole batch that could not be read: why. */
  unreadable?: string
}

/** What a batch says of itself (Kafka's message format 2). */
interface BatchHead {
  base: bigint
  last: bigint
  firstTime: bigint
  lastTime: bigint
  attributes: number
  producerId: string
  records: number
}

/** Offset and length of the rest, which come before everything else in every format. */
const ENTRY_BYTES = 12
const BATCH_HEAD_BYTES = 61
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

class Unreadable extends Error {}

/**
 * The messages of one partition in a fetch. What would not fit in `BATCH_BYTES_MAX` with the batches before it is left
 * for the next fetch, as is a batch that the broker cut off.
 */
export async function recordsOf(bytes: Buffer): Promise<FetchedMessage[]> {
  const messages: FetchedMessage[] = []
  let held = 0
  let at = 0
  while (at + ENTRY_BYTES <= bytes.length) {
    const end = at + ENTRY_BYTES + bytes.readInt32BE(at + 8)
    if (end <= at + ENTRY_BYTES || end > bytes.length) break
    const batch = bytes.subarray(at, end)
    const head = headOf(batch)
    const size = head === undefined ? 0 : boundOf(batch, head)
    if (held > 0 && (held + size > BATCH_BYTES_MAX || messages.length > BATCH_RECORDS_MAX)) break
    const found = await messagesOf(batch, head)
    if (found[0]?.unreadable === undefined) held += size
    for (const message of found) messages.push(message)
    at = end
  }
  return messages
}

function headOf(batch: Buffer): BatchHead | undefined {
  if (batch.length < BATCH_HEAD_BYTES || batch.readInt8(16) !== 2) return undefined
  const base = batch.readBigInt64BE(0)
  return {
    base,
    attributes: batch.readInt16BE(21),
    last: base + BigInt(batch.readInt32BE(23)),
    firstTime: batch.readBigInt64BE(27),
    lastTime: batch.readBigInt64BE(35),
    producerId: String(batch.readBigInt64BE(43)),
    records: batch.readInt32BE(57),
  }
}

const codecOf = ({ attributes }: BatchHead) => CODECS[attributes & 7] ?? 'none'

/** The most memory that the records take; at most what `inflated` lets through. */
function boundOf(batch: Buffer, head: BatchHead): number {
  const body = batch.subarray(BATCH_HEAD_BYTES)
  switch (codecOf(head)) {
    case 'lz4':
      return Math.min(BATCH_BYTES_MAX, lz4Bound(body) ?? 0)
    case 'gzip':
      return BATCH_BYTES_MAX
    default:
      return body.length
  }
}

async function messagesOf(
  batch: Buffer,
  head: BatchHead | undefined,
): Promise<readonly FetchedMessage[]> {
  try {
    if (head === undefined) throw new Unreadable('it is of a format before Kafka 0.11')
    if (head.records > BATCH_RECORDS_MAX)
      throw new Unreadable(`it has ${head.records} records, more than ${BATCH_RECORDS_MAX}`)
    return readRecords(await inflated(batch.subarray(BATCH_HEAD_BYTES), codecOf(head)), head)
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    return [
      {
        offset: String(head?.last ?? batch.readBigInt64BE(0)),
        timestamp: String(head?.lastTime ?? 0),
        key: null,
        value: batch,
        isControlRecord: false,
        // Of no transaction, or the abort of one would make it vanish.
        batchContext: { producerId: '-1', inTransaction: false },
        unreadable: `a batch of ${head?.records ?? 'some'} records cannot be read: ${error.message}`,
      },
    ]
  }
}

const gunzipped = promisify(gunzip)

/** @throws Unreadable */
async function inflated(body: Buffer, codec: (typeof CODECS)[number]): Promise<Buffer> {
  const tooLarge = () => new Unreadable(`it decompresses to more than ${BATCH_BYTES_MAX} bytes`)
  switch (codec) {
    case 'none':
      return body
    case 'lz4': {
      const bound = lz4Bound(body)
      if (bound === undefined) throw new Unreadable('it is no LZ4 frame')
      if (bound > BATCH_BYTES_MAX) throw tooLarge()
      return await decompressFrame(body).catch((error) => {
        throw new Unreadable(`it does not decompress: ${messageOf(error)}`)
      })
    }
    case 'gzip':
      return await gunzipped(body, { maxOutputLength: BATCH_BYTES_MAX }).catch((error) => {
        if (error.code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge()
        throw new Unreadable(`it does not decompress: ${messageOf(error)}`)
      })
    default:
      throw new Unreadable(`its codec is ${codec}; use lz4, gzip or none`)
  }
}

/** @throws Unreadable when the bytes are not as many records as the head says */
function readRecords(body: Buffer, head: BatchHead): FetchedMessage[] {
  const input = new RecordReader(body)
  const isLogTime = (head.attributes & 0x08) !== 0
  const batchContext = {
    producerId: head.producerId,
    inTransaction: (head.attributes & 0x10) !== 0,
  }
  const isControlRecord = (head.attributes & 0x20) !== 0
  const messages: FetchedMessage[] = []
  for (let i = 0; i < head.records; i++) {
    const size = input.varint()
    const end = input.at + size
    if (size < 0 || end > body.length) throw new Unreadable('a record is cut')
    input.at++
    const time = head.firstTime + BigInt(input.varint())
    const offset = String(head.base + BigInt(input.varint()))
    const timestamp = String(isLogTime ? head.lastTime : time)
    const key = input.bytes(end)
    const value = input.bytes(end)
    // Headers are passed over: nothing here reads them.
    input.at = end
    messages.push({ offset, timestamp, key, value, isControlRecord, batchContext })
  }
  return messages
}

class RecordReader {
  at = 0
  readonly #body: Buffer

  constructor(body: Buffer) {
    this.#body = body
  }

  /** A zigzag number; exact to 2^53. */
  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.#body[this.at++]
      if (byte === undefined) break
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      scale *= 128
    }
    throw new Unreadable('a number in a record is cut or too long')
  }

  /** Bytes behind their length, null for a length of -1; nothing beyond `end`. */
  bytes(end: number): Buffer | null {
    const size = this.varint()
    if (size === -1) return null
    const start = this.at
    if (size < 0 || start + size > end) throw new Unreadable('a key or value is cut')
    this.at += size
    return this.#body.subarray(start, this.at)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
