// DNS messages: the question, and the addresses that were given for it. RFC 1035 section 4; multicast DNS (RFC 6762)
// and LLMNR (RFC 4795) have the same form. Names are followed backwards only, so no message can make a loop.

import { NameText } from '../name-table.ts'

/** Most addresses kept of one message; real answers have fewer than 20. */
export const MAX_ADDRESSES = 64
const MAX_RECORDS = 512
const MAX_JUMPS = 20
const MAX_NAME = 255

const A = 1
const AAAA = 28
const IN = 1

/** A message, filled by `parseDns` and used again for the next one. */
export class DnsMessage {
  id = 0
  response = false
  opcode = 0
  rcode = 0
  truncated = false
  /** Lower case, labels escaped, no trailing dot ('.' for the root); empty if the message asks nothing. */
  readonly name = new NameText()
  qtype = 0
  qclass = 0
  /** Addresses of the answer section, 16 bytes each, IPv4 as ::ffff:a.b.c.d. All belong to `query`, through CNAMEs too. */
  readonly addresses = new Uint8Array(MAX_ADDRESSES * 16)
  /** Seconds, one for each address. */
  readonly ttls = new Uint32Array(MAX_ADDRESSES)
  count = 0
  /** Addresses that found no place here. */
  dropped = 0
  /** Records were announced that are not there or do not add up; what was read before stands. */
  malformed = false
  /** The bytes end where the last announced record ends. */
  exact = false

  /** `name` as a string. */
  get query(): string {
    return this.name.text
  }
}

/**
 * Reads bytes[start, end) into `out`. False if this is no DNS message: then `out` holds nothing of worth. A message
 * whose header and question are sound is accepted, and damage after them is told in `out.malformed`.
 */
export function parseDns(bytes: Uint8Array, start: number, end: number, out: DnsMessage): boolean {
  reset(out)
  if (end - start < 12) return false
  const flags = u16(bytes, start + 2)
  out.id = u16(bytes, start)
  out.response = (flags & 0x8000) !== 0
  out.opcode = (flags >> 11) & 15
  out.rcode = flags & 15
  out.truncated = (flags & 0x0200) !== 0
  const questions = u16(bytes, start + 4)
  const answers = u16(bytes, start + 6)
  const others = u16(bytes, start + 8) + u16(bytes, start + 10)
  if (questions + answers + others > MAX_RECORDS) return false
  let at = start + 12
  for (let i = 0; i < questions; i++) {
    // A name that can be read can be skipped: the end of the first is told by its reader.
    at = i === 0 ? readName(bytes, start, at, end, out.name) : skipName(bytes, start, at, end)
    if (at < 0 || at + 4 > end) return false
    if (i === 0) {
      out.qtype = u16(bytes, at)
      // The highest bit asks a multicast responder for a unicast answer (RFC 6762 section 5.4).
      out.qclass = u16(bytes, at + 2) & 0x7fff
    }
    at += 4
  }
  at = readAnswers(out, bytes, start, at, end, answers)
  for (let i = 0; i < others && at >= 0; i++) at = skipRecord(bytes, start, at, end)
  out.malformed = at < 0
  out.exact = at === end
  return true
}

function reset(out: DnsMessage): void {
  out.name.length = 0
  out.qtype = 0
  out.qclass = 0
  out.count = 0
  out.dropped = 0
  out.malformed = false
  out.exact = false
}

/** Collects the addresses of `answers` records; returns the offset behind them, -1 if they do not add up. */
function readAnswers(
  out: DnsMessage,
  bytes: Uint8Array,
  start: number,
  from: number,
  end: number,
  answers: number,
): number {
  let at = from
  const asked = out.name.length > 0
  for (let i = 0; i < answers; i++) {
    const nameAt = at
    at = skipName(bytes, start, at, end)
    if (at < 0 || at + 10 > end) return -1
    const type = u16(bytes, at)
    const recordClass = u16(bytes, at + 2) & 0x7fff // the highest bit is a multicast cache flush
    const ttl = u32(bytes, at + 4)
    const length = u16(bytes, at + 8)
    const dataAt = at + 10
    at = dataAt + length
    if (at > end) return -1
    const size = type === A ? 4 : type === AAAA ? 16 : -1
    if (recordClass !== IN || length !== size) continue
    // A multicast answer repeats no question: its first address record says whose addresses these are.
    if (!asked) {
      const first = out.name.length === 0
      if (readName(bytes, start, nameAt, end, first ? out.name : owner) < 0) return -1
      if (!first && !out.name.equals(owner)) continue
    }
    keepAddress(out, bytes, dataAt, size, ttl)
  }
  return at
}

function keepAddress(
  out: DnsMessage,
  bytes: Uint8Array,
  at: number,
  size: number,
  ttl: number,
): void {
  if (out.count === MAX_ADDRESSES) {
    out.dropped++
    return
  }
  const to = out.count * 16
  if (size === 4) {
    out.addresses.fill(0, to, to + 10)
    out.addresses[to + 10] = 0xff
    out.addresses[to + 11] = 0xff
  }
  for (let i = 0; i < size; i++) out.addresses[to + 16 - size + i] = bytes[at + i]!
  // A TTL with the highest bit set counts as 0 (RFC 2181 section 8).
  out.ttls[out.count++] = ttl > 0x7fffffff ? 0 : ttl
}

function skipRecord(bytes: Uint8Array, start: number, from: number, end: number): number {
  const at = skipName(bytes, start, from, end)
  if (at < 0 || at + 10 > end) return -1
  const next = at + 10 + u16(bytes, at + 8)
  return next > end ? -1 : next
}

/** Offset behind the name at `from`, -1 if it is none. Pointers are not followed, but must go backwards. */
function skipName(bytes: Uint8Array, start: number, from: number, end: number): number {
  let at = from
  while (at < end) {
    const length = bytes[at]!
    if (length === 0) return at + 1
    if (length >= 0xc0) {
      if (at + 2 > end || start + (u16(bytes, at) & 0x3fff) >= from) return -1
      return at + 2
    }
    if (length > 63) return -1
    at += 1 + length
    if (at - from > MAX_NAME) return -1
  }
  return -1
}

/** The owner of a multicast answer that is not the first. */
const owner = new NameText()

/**
 * The name at `from` as text in `out`, lower case, with what is not printable, a backslash or a dot inside a label escaped
 * as `\xHH`. Returns the offset behind it; -1 if it is no name: a pointer that does not go backwards, more than 20 of
 * them, more than 255 bytes.
 */
function readName(
  bytes: Uint8Array,
  start: number,
  from: number,
  end: number,
  out: NameText,
): number {
  const text = out.bytes
  let length = 0
  let behind = -1
  let at = from
  let before = from
  let jumps = 0
  let total = 0
  out.length = 0
  while (at < end) {
    const size = bytes[at]!
    if (size === 0) {
      if (length === 0) text[length++] = DOT
      out.length = length
      return behind < 0 ? at + 1 : behind
    }
    if (size >= 0xc0) {
      if (at + 2 > end || ++jumps > MAX_JUMPS) return -1
      if (behind < 0) behind = at + 2
      at = start + (u16(bytes, at) & 0x3fff)
      if (at >= before) return -1
      before = at
      continue
    }
    total += 1 + size
    if (size > 63 || total > MAX_NAME || at + 1 + size > end) return -1
    if (length > 0) text[length++] = DOT
    const stop = at + 1 + size
    for (at++; at < stop; at++) {
      const plain = PLAIN[bytes[at]!]!
      if (plain !== 0) text[length++] = plain
      else length = writeEscaped(bytes[at]!, text, length)
    }
  }
  return -1
}

const DOT = 0x2e
const BACKSLASH = 0x5c

/** What stands for a byte of a label, 0 if it is escaped. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte <= 0x1f || byte >= 0x7f || byte === BACKSLASH || byte === DOT) return 0
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
})
const HEX = Buffer.from('0123456789abcdef')

/** Writes `\\` or `\xHH` at `length`; returns where the text goes on. */
function writeEscaped(byte: number, text: Uint8Array, length: number): number {
  text[length] = BACKSLASH
  text[length + 1] = BACKSLASH
  if (byte === BACKSLASH) return length + 2
  text[length + 1] = 0x78
  text[length + 2] = HEX[byte >> 4]!
  text[length + 3] = HEX[byte & 15]!
  return length + 4
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

function u32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  )
}
