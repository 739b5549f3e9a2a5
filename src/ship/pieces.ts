// Cuts a chunk into pieces that a broker takes. What counts is the size after compression, which is measured only
// where the raw size may be too much, and where chunks before it do not tell.

import { compressedBytes } from '../bus/kafka-client.ts'
import { splitChunk } from '../chunk-split.ts'

/** A broker as it comes takes 1 MiB in a batch; this leaves room for the batch around it. */
export const PIECE_BYTES = 900 << 10

/** Chunks that are believed to compress like those before; the next is measured again. */
const BELIEVED = 15
/** How much less well than the worst of the last measured ones a chunk may compress. */
const MARGIN = 1.25

/** Remembers how well chunks compress: measuring each would be to compress it twice. */
export class PieceCutter {
  /** Size after compression by size before, of chunks that were measured; the larger of the last two. */
  #ratio = 1
  #before = 1
  #believed = BELIEVED

  /**
   * The chunk itself, or pieces of it in order, none of which is larger than `most` when compressed, except where it
   * cannot be divided any more, or compresses much less well than those before it: that is for the broker to say.
   * @throws ChunkError, BlockError when the bytes are no chunk
   */
  async pieces(bytes: Uint8Array, most = PIECE_BYTES): Promise<Uint8Array[]> {
    if (bytes.length <= most) return [bytes]
    if (this.#believed < BELIEVED && bytes.length * this.#ratio * MARGIN <= most) {
      this.#believed++
      return [bytes]
    }
    const compressed = await compressedBytes(bytes)
    this.#believed = 0
    this.#ratio = Math.max(this.#before, compressed / bytes.length)
    this.#before = compressed / bytes.length
    if (compressed <= most) return [bytes]
    const halves = splitChunk(bytes)
    if (halves === undefined) return [bytes]
    return [...(await this.pieces(halves[0], most)), ...(await this.pieces(halves[1], most))]
  }
}
