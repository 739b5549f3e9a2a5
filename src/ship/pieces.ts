// Cuts a chunk into pieces that a broker takes. What counts is the size after compression, which is measured only
// where the raw size may be too much.

import { compressedBytes } from '../bus/kafka-client.ts'
import { splitChunk } from '../chunk-split.ts'

/** A broker as it comes takes 1 MiB in a batch; this leaves room for the batch around it. */
export const PIECE_BYTES = 900 << 10

/**
 * The chunk itself, or pieces of it in order, none of which is larger than `most` when compressed, except where it
 * cannot be divided any more.
 * @throws ChunkError, BlockError when the bytes are no chunk
 */
export async function piecesOf(bytes: Uint8Array, most = PIECE_BYTES): Promise<Uint8Array[]> {
  if (bytes.length <= most || (await compressedBytes(bytes)) <= most) return [bytes]
  const halves = splitChunk(bytes)
  if (halves === undefined) return [bytes]
  return [...(await piecesOf(halves[0], most)), ...(await piecesOf(halves[1], most))]
}
