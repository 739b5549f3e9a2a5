// Text from the wire or a log is hostile. It enters the system here, escaped so that what is stored is
// printable; and it leaves for a terminal or JSON here.

const HEX = '0123456789abcdef'

/**
 * Bytes from the wire as printable ASCII: 0x20..0x7e as they are, everything else as `\xHH`, a backslash as
 * `\\`. One to one, so the bytes can be had back. At most `max` bytes are taken; a cut is marked with `…`.
 */
export function wireText(bytes: Uint8Array, start: number, end: number, max = 255): string {
  let text = ''
  const stop = Math.min(end, start + max)
  for (let i = start; i < stop; i++) {
    const byte = bytes[i]!
    if (byte === 0x5c) text += '\\\\'
    else if (byte >= 0x20 && byte <= 0x7e) text += String.fromCharCode(byte)
    else text += '\\x' + HEX[byte >> 4] + HEX[byte & 15]
  }
  return stop < end ? text + '…' : text
}

// C0, DEL, C1, line and paragraph separators, bidirectional controls, zero-width and byte-order marks,
// lone surrogates: nothing of it may reach a terminal.
const UNPRINTABLE =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\p{Surrogate}/gu

/** A string that is safe in a terminal or a log line: what cannot be printed becomes `\u{…}`. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`)
}

/** JSON on one line whose strings hold no raw control, bidirectional or zero-width character. */
export function printableJson(value: unknown): string {
  return escapedJson(JSON.stringify(value))
}

/** A line of JSON with its line feed, its strings made printable in the same way. */
export function printableLine(line: string): string {
  return `${escapedJson(line.trimEnd())}\n`
}

function escapedJson(json: string): string {
  return json.replace(
    UNPRINTABLE,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
