// Numbers, times, addresses and ids as text, fast: a printed flow is some forty of these. Strings are joined from
// few ready pieces; the engine copies each byte once, when a batch of lines is encoded.
// Bench: `bailiwick flows FILE > /dev/null`, 2-3 us a flow for decoding its chunk and writing its line.

/** Texts of 0..9999. */
const SMALL: readonly string[] = Array.from({ length: 10_000 }, (_, i) => String(i))
/** `000`..`999`. */
const THREE_DIGITS: readonly string[] = Array.from({ length: 1000 }, (_, i) =>
  String(i).padStart(3, '0'),
)
/** `0000`..`ffff`, made when the first id is written. */
let hexOf16: readonly string[] = []

/** A whole number from 0 to 2^53. */
export function countText(value: number): string {
  return value < 10_000 ? SMALL[value]! : String(value)
}

// Flows leave in the order of time: the whole second is nearly always that of the flow before.
let lastSecond = 0
let lastSecondText = '0.'

/** Whole microseconds as seconds with six digits: no binary fraction is involved. */
export function microsText(value: number): string {
  if (value < 0) return `-${microsText(-value)}`
  const second = Math.floor(value / 1e6)
  const rest = value - second * 1e6
  const thousands = Math.floor(rest / 1000)
  if (second !== lastSecond) {
    lastSecond = second
    lastSecondText = `${countText(second)}.`
  }
  return lastSecondText + THREE_DIGITS[thousands]! + THREE_DIGITS[rest - thousands * 1000]!
}

/** A dotted quad from four bytes. */
export function quadText(bytes: Uint8Array, at: number): string {
  return `${SMALL[bytes[at]!]!}.${SMALL[bytes[at + 1]!]!}.${SMALL[bytes[at + 2]!]!}.${SMALL[bytes[at + 3]!]!}`
}

/** 16 bytes as a UUID. */
export function uuidText(bytes: Uint8Array, at: number): string {
  if (hexOf16.length === 0)
    hexOf16 = Array.from({ length: 65_536 }, (_, i) => i.toString(16).padStart(4, '0'))
  const pair = (i: number) => hexOf16[(bytes[at + i]! << 8) | bytes[at + i + 1]!]!
  return `${pair(0)}${pair(2)}-${pair(4)}-${pair(6)}-${pair(8)}-${pair(10)}${pair(12)}${pair(14)}`
}

/** True if every character of the text is one of the ASCII characters that `safe` (128 flags) allows. */
export function isPlain(text: string, safe: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127 || safe[code] === 0) return false
  }
  return true
}
