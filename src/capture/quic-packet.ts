// QUIC packets with a long header, and the protection of a client's Initial packets: its keys follow from public values,
// so anyone can open it. RFC 9000 section 17.2, RFC 9001 section 5, RFC 9369 (version 2). node:crypto is used for
// HMAC-SHA256 and AES-128.

import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'

export interface Version {
  readonly salt: Buffer
  /** Prefix of the key labels. */
  readonly label: string
  /** Type bits of Initial and Retry in the first byte. */
  readonly initial: number
  readonly retry: number
}

const V1 = version('38762cf7f55934b34d179ae6a4c80cadccbb7f0a')
const DRAFT_29 = version('afbfec289993d24c9e9786f19c6111e04390a899')
const DRAFT_23 = version('c3eef712c72ebb5a11a7d2432bb46365bef9f502')
const V2: Version = {
  salt: Buffer.from('0dede3def700a6db819381be6e269dcbf9bd2ed9', 'hex'),
  label: 'quicv2 ',
  initial: 1,
  retry: 0,
}

function version(salt: string): Version {
  return { salt: Buffer.from(salt, 'hex'), label: 'quic ', initial: 0, retry: 3 }
}

/** Keys of a version by its number; undefined if its Initial packets cannot be opened. */
function versionOf(number: number): Version | undefined {
  if (number === 1) return V1
  if (number === 0x6b3343cf) return V2
  if (number >= 0xff000017 && number <= 0xff00001c) return DRAFT_23
  if (number >= 0xff00001d && number <= 0xff000020) return DRAFT_29
  if (number === 0xff000021 || number === 0xff000022) return V1
  if (number === 0xfaceb002 || number === 0xfaceb00e) return DRAFT_23 // mvfst, draft 27
  return undefined
}

/** Versions that clients send to be refused, so that servers keep negotiating (RFC 9000 section 15). */
function isReservedVersion(number: number): boolean {
  return (number & 0x0f0f0f0f) >>> 0 === 0x0a0a0a0a
}

const MAX_CONNECTION_ID = 20
/** A client's first connection id has at least this length (RFC 9000 section 7.2). */
const MIN_FIRST_ID = 8
/** A datagram with a client's first Initial has at least this size (RFC 9000 section 14.1). */
const MIN_DATAGRAM = 1_200
const TAG = 16

export interface LongHeader {
  number: number
  version: Version | undefined
  /** Initial packet of a version that can be opened. */
  initial: boolean
  /** 0-RTT packet of a version that can be opened. */
  early: boolean
  dcidAt: number
  dcidEnd: number
  /** Where the packet number is, protected. */
  numberAt: number
  /** End of this packet; the next coalesced one begins here. */
  end: number
}

/** The long-header packet at `start`; undefined if it is none, or one without a length (Retry, version negotiation). */
export function readLongHeader(
  bytes: Uint8Array,
  start: number,
  end: number,
): LongHeader | undefined {
  if (end - start < 7 || (bytes[start]! & 0x80) === 0) return undefined
  const number = u32(bytes, start + 1)
  const known = versionOf(number)
  if (number === 0 || (known === undefined && !isReservedVersion(number))) return undefined
  const dcidAt = start + 6
  const dcidEnd = dcidAt + bytes[start + 5]!
  if (dcidEnd - dcidAt > MAX_CONNECTION_ID || dcidEnd >= end) return undefined
  const scidEnd = dcidEnd + 1 + bytes[dcidEnd]!
  if (scidEnd - dcidEnd > MAX_CONNECTION_ID + 1 || scidEnd >= end) return undefined
  const type = (bytes[start]! >> 4) & 3
  const kind = known ?? V1
  if (type === kind.retry) return undefined
  let at = scidEnd
  if (type === kind.initial) {
    const token = varint(bytes, at, end)
    if (token < 0) return undefined
    at += varintSize(bytes[at]!) + token
  }
  const length = varint(bytes, at, end)
  if (length < 0) return undefined
  const numberAt = at + varintSize(bytes[at]!)
  const initial = type === kind.initial && known !== undefined
  const early = type === kind.initial + 1 && known !== undefined
  const header = {
    number,
    version: known,
    initial,
    early,
    dcidAt,
    dcidEnd,
    numberAt,
    end: numberAt + length,
  }
  return header.end > end ? undefined : header
}

/** True if a client's QUIC connection begins here: an Initial, early data, or an Initial of a reserved version. */
export function looksLikeQuicInitial(bytes: Uint8Array, start: number, end: number): boolean {
  const header = readLongHeader(bytes, start, end)
  if (header === undefined || (bytes[start]! & 0x40) === 0) return false
  if (header.dcidEnd - header.dcidAt < MIN_FIRST_ID) return false
  if (header.version === undefined) return end - start >= MIN_DATAGRAM
  if (header.end - header.numberAt < 4 + TAG) return false
  // Early data that overtook the Initial is protected by keys of its own, but it tells that the Initial will come.
  return header.initial || (header.early && header.end === end)
}

export interface Keys {
  readonly number: number
  readonly id: Buffer
  readonly key: Buffer
  readonly iv: Buffer
  readonly headerProtection: Buffer
}

/** Keys of the client's Initial packets (RFC 9001 section 5.2). */
export function deriveKeys(number: number, known: Version, id: Buffer): Keys {
  const initial = createHmac('sha256', known.salt).update(id).digest()
  const client = expandLabel(initial, 'client in', 32)
  return {
    number,
    id,
    key: expandLabel(client, `${known.label}key`, 16),
    iv: expandLabel(client, `${known.label}iv`, 12),
    headerProtection: expandLabel(client, `${known.label}hp`, 16),
  }
}

/** HKDF-Expand-Label of RFC 8446 section 7.1 with an empty context, for at most one hash length. */
function expandLabel(secret: Buffer, label: string, length: number): Buffer {
  const full = `tls13 ${label}`
  const info = Buffer.concat([
    Buffer.from([length >> 8, length & 0xff, full.length]),
    Buffer.from(full, 'latin1'),
    Buffer.from([0, 1]),
  ])
  return createHmac('sha256', secret).update(info).digest().subarray(0, length)
}

/** Removes both protections (RFC 9001 sections 5.3 and 5.4). Undefined if the packet is not of these keys. */
export function openInitial(
  keys: Keys,
  bytes: Uint8Array,
  start: number,
  header: LongHeader,
): Buffer | undefined {
  const { numberAt, end } = header
  if (end - numberAt < 4 + TAG) return undefined
  const block = createCipheriv('aes-128-ecb', keys.headerProtection, null)
  const mask = block.update(bytes.subarray(numberAt + 4, numberAt + 20))
  const first = bytes[start]! ^ (mask[0]! & 0x0f)
  const size = (first & 3) + 1
  const clear = Buffer.from(bytes.subarray(start, numberAt + size))
  clear[0] = first
  const nonce = Buffer.from(keys.iv)
  for (let i = 0; i < size; i++) {
    const byte = bytes[numberAt + i]! ^ mask[1 + i]!
    clear[numberAt - start + i] = byte
    nonce[12 - size + i]! ^= byte
  }
  const cipher = createDecipheriv('aes-128-gcm', keys.key, nonce)
  cipher.setAAD(clear)
  cipher.setAuthTag(bytes.subarray(end - TAG, end))
  const plain = cipher.update(bytes.subarray(numberAt + size, end - TAG))
  try {
    cipher.final()
    return plain
  } catch {
    return undefined // the tag does not fit: other keys, or no QUIC at all
  }
}

/** Variable-length integer of RFC 9000 section 16; -1 if it is cut or above 2^53, which no length can be. */
export function varint(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1
  const size = varintSize(bytes[at]!)
  if (at + size > end) return -1
  let value = bytes[at]! & 0x3f
  for (let i = 1; i < size; i++) value = value * 256 + bytes[at + i]!
  return Number.isSafeInteger(value) ? value : -1
}

/** Bytes of such an integer, by its first one. */
export function varintSize(first: number): number {
  return 1 << (first >> 6)
}

function u32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  )
}
