// Writes record batches as a producer of another make may: any codec, any counts, right or wrong.

export interface WrittenRecord {
  key?: string
  value: Uint8Array | null
}

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

function varint(value: number): Buffer {
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  const bytes: number[] = []
  while (rest >= 128) {
    bytes.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  return Buffer.from([...bytes, rest])
}

const sized = (bytes: Uint8Array | null) =>
  bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes])

/** Records as they lie in a batch, before it is compressed. */
export function recordBytes(records: readonly WrittenRecord[]): Buffer {
  return Buffer.concat(
    records.map(({ key, value }, at) => {
      const body = Buffer.concat([
        Buffer.from([0]),
        varint(at),
        varint(at),
        sized(key === undefined ? null : Buffer.from(key)),
        sized(value),
        // One header.
        varint(1),
        sized(Buffer.from('__proto__')),
        sized(Buffer.from('x')),
      ])
      return sized(body)
    }),
  )
}

/** A batch (Kafka's message format 2) of a body that is compressed already. */
export function batchBytes(
  base: number,
  count: number,
  codec: (typeof CODECS)[number],
  body: Uint8Array,
): Buffer {
  const head = Buffer.alloc(61)
  head.writeBigInt64BE(BigInt(base), 0)
  head.writeInt32BE(49 + body.length, 8)
  head.writeInt8(2, 16)
  head.writeInt16BE(CODECS.indexOf(codec), 21)
  head.writeInt32BE(count - 1, 23)
  head.writeBigInt64BE(1_700_000_000_000n, 27)
  head.writeBigInt64BE(BigInt(1_700_000_000_000 + count - 1), 35)
  head.writeBigInt64BE(-1n, 43)
  head.writeInt32BE(count, 57)
  return Buffer.concat([head, body])
}
