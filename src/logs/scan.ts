// Numbers, times and addresses read straight from the bytes of a log, without a string in between.

/** Not a number at all. */
export const BAD = -1
/** A number that a double cannot hold exactly. */
export const TOO_LARGE = -2

/** Decimal digits only: 0 to 2^53 - 1, else BAD or TOO_LARGE. */
export function uintOf(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) return BAD
  let value = 0
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - 48
    if (digit < 0 || digit > 9) return BAD
    value = value * 10 + digit
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : TOO_LARGE
}

/**
 * A count as Zeek or JSON may write it: digits, or a number in decimal or exponent form whose value is whole
 * (`12.0`, `1e3`); else BAD or TOO_LARGE.
 */
export function countOf(bytes: Uint8Array, start: number, end: number): number {
  const plain = uintOf(bytes, start, end)
  if (plain !== BAD) return plain
  const value = numberOf(bytes, start, end)
  if (!(value >= 0) || value % 1 !== 0) return BAD
  return value <= Number.MAX_SAFE_INTEGER ? value : TOO_LARGE
}

const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/** Any decimal number, through the language's own reader: for the rare spellings. NaN if it is none. */
function numberOf(bytes: Uint8Array, start: number, end: number): number {
  if (end - start > 400) return Number.NaN
  let text = ''
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!)
  return NUMBER.test(text) ? Number(text) : Number.NaN
}

/**
 * Decimal seconds as whole microseconds, rounded at the seventh digit: integer arithmetic, so 6 digits are kept
 * exactly. NaN if it is no number.
 */
export function decimalMicros(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  const negative = bytes[at] === 45 && at < end
  if (negative) at++
  let whole = 0
  const digits = at
  while (at < end) {
    const digit = bytes[at]! - 48
    if (digit < 0 || digit > 9) break
    whole = whole * 10 + digit
    at++
  }
  if (at === digits) return Number.NaN
  let fraction = 0
  if (at < end && bytes[at] === 46) {
    at++
    let scale = 1_000_000
    let rounded = false
    const first = at
    while (at < end) {
      const digit = bytes[at]! - 48
      if (digit < 0 || digit > 9) break
      if (scale > 1) {
        fraction = fraction * 10 + digit
        scale /= 10
      } else if (!rounded) {
        rounded = true
        if (digit >= 5) fraction++
      }
      at++
    }
    if (at === first) return Number.NaN
    fraction *= scale
  }
  if (at < end) return Math.round(numberOf(bytes, start, end) * 1e6)
  const micros = whole * 1_000_000 + fraction
  return negative ? -micros : micros
}

/** Microseconds above which `ts` cannot be seconds: 10^11 s is the year 5138, 10^11 ms is 1973. */
const MILLIS_FROM = 1e17
/** Last moment that the store's DateTime64(6) holds safely: the end of 2261. */
const TIME_MAX = 9_214_646_400_000_000

/**
 * A timestamp in any of Zeek's spellings (epoch seconds with fraction, epoch milliseconds, ISO 8601) as whole
 * microseconds since 1970, or NaN if it is none or lies outside 1970..2261.
 */
export function timeOf(bytes: Uint8Array, start: number, end: number): number {
  let micros: number
  if (end - start >= 19 && bytes[start + 4] === 45) micros = isoMicros(bytes, start, end)
  else {
    micros = decimalMicros(bytes, start, end)
    if (micros >= MILLIS_FROM) micros = Math.round(micros / 1000)
  }
  return micros >= 0 && micros <= TIME_MAX ? micros : Number.NaN
}

function digitsOf(bytes: Uint8Array, start: number, count: number): number {
  return uintOf(bytes, start, start + count)
}

/**
 * `YYYY-MM-DDTHH:MM:SS[.fraction][Z|+HH:MM|-HH:MM]` as microseconds since 1970 (nanoseconds are cut),
 * or NaN.
 */
export function isoMicros(bytes: Uint8Array, start: number, end: number): number {
  const separators =
    end - start >= 19 &&
    bytes[start + 4] === 45 &&
    bytes[start + 7] === 45 &&
    (bytes[start + 10] === 84 || bytes[start + 10] === 32) &&
    bytes[start + 13] === 58 &&
    bytes[start + 16] === 58
  if (!separators) return Number.NaN
  const year = digitsOf(bytes, start, 4)
  const month = digitsOf(bytes, start + 5, 2)
  const day = digitsOf(bytes, start + 8, 2)
  const hour = digitsOf(bytes, start + 11, 2)
  const minute = digitsOf(bytes, start + 14, 2)
  const second = digitsOf(bytes, start + 17, 2)
  if (year < 1970 || month < 1 || month > 12) return Number.NaN
  if (day < 1 || day > daysIn(year, month)) return Number.NaN
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
    return Number.NaN
  let at = start + 19
  let fraction = 0
  if (at < end && bytes[at] === 46) {
    let scale = 1_000_000
    at++
    const first = at
    while (at < end && bytes[at]! >= 48 && bytes[at]! <= 57) {
      if (scale > 1) {
        fraction = fraction * 10 + bytes[at]! - 48
        scale /= 10
      }
      at++
    }
    if (at === first) return Number.NaN
    fraction *= scale
  }
  const zone = zoneMinutes(bytes, at, end)
  const days = Date.UTC(year, month - 1, day) / 86_400_000
  return ((days * 24 + hour) * 60 + minute - zone) * 60_000_000 + second * 1_000_000 + fraction
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** Minutes east of Greenwich; nothing or `Z` is 0; NaN if it is no zone. */
function zoneMinutes(bytes: Uint8Array, at: number, end: number): number {
  if (at === end || (at + 1 === end && bytes[at] === 90)) return 0
  const sign = bytes[at]
  if (sign !== 43 && sign !== 45) return Number.NaN
  const colon = bytes[at + 3] === 58 ? 1 : 0
  if (at + 5 + colon !== end) return Number.NaN
  const hours = digitsOf(bytes, at + 1, 2)
  const minutes = digitsOf(bytes, at + 3 + colon, 2)
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return Number.NaN
  return (sign === 45 ? -1 : 1) * (hours * 60 + minutes)
}

/**
 * Writes the 16 bytes of an address (IPv4 as ::ffff:a.b.c.d) to `to` at `at`, all of which must be writable.
 * False if the text is no address; `to` then holds anything. Octets with leading zeros are refused: what they
 * mean depends on the reader.
 */
export function readAddress(
  bytes: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  at: number,
): boolean {
  const length = end - start
  if (length < 2 || length > 45) return false
  for (let i = start; i < start + 5 && i < end; i++) {
    if (bytes[i] === 46) {
      // For so few bytes a loop is faster than a call.
      for (let zero = at; zero < at + 10; zero++) to[zero] = 0
      to[at + 10] = 0xff
      to[at + 11] = 0xff
      return readQuad(bytes, start, end, to, at + 12)
    }
    if (bytes[i] === 58) return readIpv6(bytes, start, end, to, at)
  }
  return false
}

function readQuad(
  bytes: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  at: number,
): boolean {
  let part = 0
  let value = 0
  let digits = 0
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!
    if (byte === 46) {
      if (digits === 0 || part === 3) return false
      to[at + part++] = value
      value = 0
      digits = 0
      continue
    }
    const digit = byte - 48
    if (digit < 0 || digit > 9 || (digits > 0 && value === 0)) return false
    value = value * 10 + digit
    digits++
    if (value > 255) return false
  }
  if (part !== 3 || digits === 0) return false
  to[at + 3] = value
  return true
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const lower = byte | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

/** RFC 4291 section 2.2, all three forms. */
function readIpv6(
  bytes: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  at: number,
): boolean {
  let filled = 0
  let gap = -1
  let i = start
  if (bytes[i] === 58) {
    if (bytes[i + 1] !== 58 || i + 1 >= end) return false
    gap = 0
    i += 2
  }
  while (i < end) {
    if (filled > 14) return false
    const group = i
    let value = 0
    let digit = 0
    while (i < end && i - group < 4 && (digit = hexDigit(bytes[i]!)) >= 0) {
      value = value * 16 + digit
      i++
    }
    if (i < end && bytes[i] === 46) {
      if (filled > 12 || !readQuad(bytes, group, end, to, at + filled)) return false
      filled += 4
      i = end
      break
    }
    if (i === group) return false
    to[at + filled] = value >> 8
    to[at + filled + 1] = value & 255
    filled += 2
    if (i === end) break
    if (bytes[i] !== 58 || i + 1 === end) return false
    i++
    if (bytes[i] === 58) {
      if (gap >= 0) return false
      gap = filled
      i++
    }
  }
  if (gap < 0) return filled === 16
  if (filled > 14) return false
  to.copyWithin(at + 16 - (filled - gap), at + gap, at + filled)
  to.fill(0, at + gap, at + 16 - (filled - gap))
  return true
}
