// Community ID v1 (corelight/community-id-spec): one short text for a conversation, equal in every tool and from
// both directions. Calculated once per flow, so the SHA-1 is written for exactly one block over reused arrays.

import { isIpv4 } from './address.ts'
import type { ColumnsOf } from './block.ts'
import type { FlowColumns } from './flow.ts'

const ICMP = 1
const TCP = 6
const UDP = 17
const ICMP6 = 58
const SCTP = 132

// Request and reply types that answer each other. A type that is not here is one-way: it has no reply, so its
// tuple is never swapped, and its second "port" is the ICMP code.
const ICMP_COUNTERPART = counterparts([8, 0], [13, 14], [15, 16], [10, 9], [17, 18])
const ICMP6_COUNTERPART = counterparts(
  [128, 129],
  [133, 134],
  [135, 136],
  [130, 131],
  [139, 140],
  [144, 145],
)

function counterparts(...pairs: readonly (readonly [number, number])[]): Int16Array {
  const table = new Int16Array(256).fill(-1)
  for (const [request, reply] of pairs) {
    table[request] = reply
    table[reply] = request
  }
  return table
}

/** The longest message: seed 2, addresses 2 x 16, protocol 1, padding 1, ports 2 x 2. It fits one SHA-1 block (<= 55). */
const message = new Uint8Array(64)
const words = new Int32Array(80)
const digest = new Int32Array(5)

/** Sources that do not tell type and code of ICMP: there its Community ID is not known. */
const WITHOUT_ICMP_TYPES = ['aws', 'gcp', 'azure']

/**
 * The Community ID of a flow record: the one that it brings, or what its endpoints give; '' if it cannot be known.
 * Records travel without what their endpoints give: it is a third of a compressed record. The store does the same in
 * SQL (sql/insert/community_id.sql).
 */
export function recordCommunityId(columns: ColumnsOf<FlowColumns>, row: number): string {
  const given = columns.community_id.get(row)
  if (given !== '') return given
  const protocol = columns.ip_proto[row]!
  const icmp = protocol === ICMP || protocol === ICMP6
  if (icmp && WITHOUT_ICMP_TYPES.includes(columns.source_kind.get(row))) return ''
  const { orig_h, orig_p, resp_h, resp_p } = columns
  const at = row * 16
  return communityId(orig_h, at, orig_p[row]!, resp_h, at, resp_p[row]!, protocol)
}

/** Characters of a community id. */
const COMMUNITY_ID_LENGTH = 30

/** Community ID v1 with seed 0: `1:` and 28 characters. Parameters as `communityIdBytes`. */
export function communityId(...of: Parameters<typeof communityIdBytes>): string {
  return communityIdBytes(...of).toString('latin1')
}

/**
 * The same as ASCII bytes, which are lent: the next call overwrites them.
 *
 * @param addressA 16 bytes at `atA`, IPv4 as ::ffff:a.b.c.d (hashed as its 4 bytes); likewise B
 * @param portA port of A. For ICMP, A is the originator, portA the type and portB Zeek's second number: the type
 * of the answer if there is one, else the code. Protocols other than TCP, UDP, SCTP and ICMP have no ports here
 * @param protocol IANA protocol number
 */
export function communityIdBytes(
  addressA: Uint8Array,
  atA: number,
  portA: number,
  addressB: Uint8Array,
  atB: number,
  portB: number,
  protocol: number,
): Buffer {
  const four = isIpv4(addressA, atA) && isIpv4(addressB, atB)
  const skip = four ? 12 : 0
  let second = portB
  let oneWay = false
  if (protocol === ICMP || protocol === ICMP6) {
    const answer = (protocol === ICMP ? ICMP_COUNTERPART : ICMP6_COUNTERPART)[portA & 0xff]!
    if (answer >= 0) second = answer
    else oneWay = true
  }
  const ported =
    protocol === TCP ||
    protocol === UDP ||
    protocol === SCTP ||
    protocol === ICMP ||
    protocol === ICMP6
  const straight =
    oneWay || ordered(addressA, atA, portA, addressB, atB, second, skip, ported ? 1 : 0)
  let length = 0
  message[length++] = 0
  message[length++] = 0
  const first = straight ? addressA : addressB
  const firstAt = straight ? atA : atB
  const last = straight ? addressB : addressA
  const lastAt = straight ? atB : atA
  for (let i = skip; i < 16; i++) message[length++] = first[firstAt + i]!
  for (let i = skip; i < 16; i++) message[length++] = last[lastAt + i]!
  message[length++] = protocol
  message[length++] = 0
  if (ported) {
    const low = straight ? portA : second
    const high = straight ? second : portA
    message[length++] = low >> 8
    message[length++] = low
    message[length++] = high >> 8
    message[length++] = high
  }
  sha1Block(message, length, digest)
  writeText(digest)
  return text
}

/** True if (A, portA) is not greater than (B, portB), bytes compared in network order. */
function ordered(
  a: Uint8Array,
  atA: number,
  portA: number,
  b: Uint8Array,
  atB: number,
  portB: number,
  skip: number,
  ported: number,
): boolean {
  for (let i = skip; i < 16; i++) {
    const difference = a[atA + i]! - b[atB + i]!
    if (difference !== 0) return difference < 0
  }
  return ported === 0 || portA <= portB
}

/**
 * SHA-1 (FIPS 180-4) of `length` <= 55 bytes, one block.
 * @param bytes 64 bytes; those from `length` on are overwritten with the padding
 * @param to receives the five words of the digest
 */
export function sha1Block(bytes: Uint8Array, length: number, to: Int32Array): void {
  bytes.fill(0, length, 64)
  bytes[length] = 0x80
  for (let i = 0; i < 15; i++) {
    const at = i * 4
    words[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
  }
  words[15] = length * 8
  for (let i = 16; i < 80; i++) {
    const mixed = words[i - 3]! ^ words[i - 8]! ^ words[i - 14]! ^ words[i - 16]!
    words[i] = (mixed << 1) | (mixed >>> 31)
  }
  let a = 0x67452301
  let b = 0xefcdab89 | 0
  let c = 0x98badcfe | 0
  let d = 0x10325476
  let e = 0xc3d2e1f0 | 0
  // One loop for each round function: a choice in every round would cost as much as the round.
  let i = 0
  for (; i < 20; i++) {
    const next = (turn5(a) + ((b & c) | (~b & d)) + e + 0x5a827999 + words[i]!) | 0
    e = d
    d = c
    c = turn30(b)
    b = a
    a = next
  }
  for (; i < 40; i++) {
    const next = (turn5(a) + (b ^ c ^ d) + e + 0x6ed9eba1 + words[i]!) | 0
    e = d
    d = c
    c = turn30(b)
    b = a
    a = next
  }
  for (; i < 60; i++) {
    const next = (turn5(a) + ((b & c) | (b & d) | (c & d)) + e - 0x70e44324 + words[i]!) | 0
    e = d
    d = c
    c = turn30(b)
    b = a
    a = next
  }
  for (; i < 80; i++) {
    const next = (turn5(a) + (b ^ c ^ d) + e - 0x359d3e2a + words[i]!) | 0
    e = d
    d = c
    c = turn30(b)
    b = a
    a = next
  }
  to[0] = (a + 0x67452301) | 0
  to[1] = (b + 0xefcdab89) | 0
  to[2] = (c + 0x98badcfe) | 0
  to[3] = (d + 0x10325476) | 0
  to[4] = (e + 0xc3d2e1f0) | 0
}

function turn5(word: number): number {
  return (word << 5) | (word >>> 27)
}

function turn30(word: number): number {
  return (word << 30) | (word >>> 2)
}

const BASE64 = Uint8Array.from(
  Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'),
)
/** `1:` and room for the 28 characters of 20 bytes. */
const text = Buffer.from('1:'.padEnd(COMMUNITY_ID_LENGTH, '='))

/** The digest in base 64, written as bytes: joining 28 strings costs more than the hash. */
function writeText(from: Int32Array): void {
  let at = 2
  for (let i = 0; i < 21; i += 3) {
    const group = (byteOf(from, i) << 16) | (byteOf(from, i + 1) << 8) | byteOf(from, i + 2)
    text[at++] = BASE64[group >>> 18]!
    text[at++] = BASE64[(group >>> 12) & 63]!
    text[at++] = BASE64[(group >>> 6) & 63]!
    if (i < 18) text[at++] = BASE64[group & 63]!
  }
}

function byteOf(from: Int32Array, at: number): number {
  return at < 20 ? (from[at >> 2]! >>> (24 - 8 * (at & 3))) & 0xff : 0
}
