// Bytes as people look at them: offset, sixteen in hex, and what of them is printable ASCII.

const PER_LINE = 16

/** A dump of the first `most` bytes, a line for each sixteen; says how many there are besides. */
export function hexText(bytes: Uint8Array, most: number, indent = ''): string {
  const shown = bytes.subarray(0, most)
  let text = ''
  for (let at = 0; at < shown.length; at += PER_LINE) {
    const line = shown.subarray(at, at + PER_LINE)
    const pairs = [...line].map((byte) => byte.toString(16).padStart(2, '0'))
    const hex = `${pairs.slice(0, 8).join(' ')}  ${pairs.slice(8).join(' ')}`
    const ascii = [...line].map((byte) =>
      byte >= 0x20 && byte <= 0x7e ? String.fromCharCode(byte) : '.',
    )
    text += `${indent}${at.toString(16).padStart(8, '0')}  ${hex.padEnd(48)}  ${ascii.join('')}\n`
  }
  const rest = bytes.length - shown.length
  return rest === 0 ? text : `${text}${indent}… and ${rest} more bytes\n`
}
