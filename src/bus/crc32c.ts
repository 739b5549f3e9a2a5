// CRC-32C (Castagnoli), the checksum of iSCSI, ext4 and Kafka: reflected polynomial 0x82f63b78, initial and final
// xor all ones (RFC 3720, appendix B.4). Eight tables, eight bytes a turn (Kounavis and Berry, "slicing-by-8", 2005).

const POLYNOMIAL = 0x82f63b78
const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1
/** Eight tables of 256 words, one after the other. */
const TABLES = buildTables()

function buildTables(): Int32Array {
  const tables = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    tables[byte] = crc
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256]!
    tables[at] = tables[before & 0xff]! ^ (before >>> 8)
  }
  return tables
}

/**
 * CRC-32C of bytes, as an unsigned 32-bit number.
 * @param before the result for the bytes before these, to go on from
 */
export function crc32c(bytes: Uint8Array, before = 0): number {
  const t = TABLES
  let crc = ~before
  const end = bytes.length
  let at = 0
  for (; at < end && ((bytes.byteOffset + at) & 3) !== 0; at++)
    crc = t[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8)
  const words = LITTLE_ENDIAN ? ((end - at) >> 3) << 1 : 0
  // Where there are none, the place may be one where a view cannot begin.
  const view = new Int32Array(bytes.buffer, words === 0 ? 0 : bytes.byteOffset + at, words)
  for (let i = 0; i < words; i += 2) {
    const low = crc ^ view[i]!
    const high = view[i + 1]!
    crc =
      t[1792 + (low & 0xff)]! ^
      t[1536 + ((low >>> 8) & 0xff)]! ^
      t[1280 + ((low >>> 16) & 0xff)]! ^
      t[1024 + (low >>> 24)]! ^
      t[768 + (high & 0xff)]! ^
      t[512 + ((high >>> 8) & 0xff)]! ^
      t[256 + ((high >>> 16) & 0xff)]! ^
      t[high >>> 24]!
  }
  for (at += words * 4; at < end; at++) crc = t[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8)
  return ~crc >>> 0
}
