// How much an LZ4 frame can decompress to, read off the heads of its blocks: known before any memory is taken. The
// decoder gives a block no more than the frame's block size, and LZ4 never makes more than 255 bytes of one.

const MAGIC = 0x184d2204
const CONTENT_SIZE_FLAG = 0x08
const DICTIONARY_FLAG = 0x01
const BLOCK_CHECKSUM_FLAG = 0x10
/** Highest bit of a block's size: the block is stored as it is. */
const STORED = 0x8000_0000
const RATIO_MAX = 255
/** By bits 4 to 6 of the second byte: 64 KiB, 256 KiB, 1 MiB, 4 MiB. */
const blockBytesMax = (code: number) => 1 << (8 + 2 * code)

/**
 * The most bytes that a frame can hold; undefined if the bytes do not begin with a whole frame.
 */
export function lz4Bound(bytes: Uint8Array): number | undefined {
  if (bytes.length < 7) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const flags = bytes[4]!
  const code = (bytes[5]! >> 4) & 7
  if (view.getUint32(0, true) !== MAGIC || flags >> 6 !== 1 || code < 4) return undefined
  let at = 7
  if ((flags & CONTENT_SIZE_FLAG) !== 0) at += 8
  if ((flags & DICTIONARY_FLAG) !== 0) at += 4
  let bound = 0
  while (at + 4 <= bytes.length) {
    const head = view.getUint32(at, true)
    if (head === 0) return bound
    const size = head & ~STORED
    at += 4 + size + ((flags & BLOCK_CHECKSUM_FLAG) === 0 ? 0 : 4)
    bound += Math.min(blockBytesMax(code), head >= STORED ? size : RATIO_MAX * size)
  }
  return undefined
}
