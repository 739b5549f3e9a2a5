// QUIC Initial packets of a client: their protection is keyed by public values only, so the ClientHello within can be
// read by anyone. RFC 9000 sections 17.2 and 19, RFC 9001 section 5, RFC 9369 (version 2). Long hellos span datagrams and
// come shuffled, so CRYPTO data is put together by offset. node:crypto is used for HMAC-SHA256 and AES-128.

import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import { type Inspection, inspectHello } from './inspection.ts'
import { MAX_HELLO, parseClientHello } from './tls.ts'

interface Version {
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

interface LongHeader {
  number: number
  version: Version | undefined
  /** Initial packet of a version that can be opened. */
  initial: boolean
  dcidAt: number
  dcidEnd: number
  /** Where the packet number is, protected. */
  numberAt: number
  /** End of this packet; the next coalesced one begins here. */
  end: number
}

/** The long-header packet at `start`; undefined if it is none, or one without a length (Retry, version negotiation). */
function readLongHeader(bytes: Uint8Array, start: number, end: number): LongHeader | undefined {
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
  const header = {
    number,
    version: known,
    initial,
    dcidAt,
    dcidEnd,
    numberAt,
    end: numberAt + length,
  }
  return header.end > end ? undefined : header
}

/** True if a client's QUIC connection begins here: an Initial that can be opened, or one of a reserved version. */
export function looksLikeQuicInitial(bytes: Uint8Array, start: number, end: number): boolean {
  const header = readLongHeader(bytes, start, end)
  if (header === undefined || (bytes[start]! & 0x40) === 0) return false
  if (header.dcidEnd - header.dcidAt < MIN_FIRST_ID) return false
  if (header.version === undefined) return end - start >= MIN_DATAGRAM
  return header.initial && header.end - header.numberAt >= 4 + TAG
}

interface Keys {
  readonly number: number
  readonly id: Buffer
  readonly key: Buffer
  readonly iv: Buffer
  readonly headerProtection: Buffer
}

/** Keys of the client's Initial packets (RFC 9001 section 5.2). */
function deriveKeys(number: number, known: Version, id: Buffer): Keys {
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
function open(
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

/** CRYPTO data by offset. The first copy of a byte holds; a later one that differs is told. */
class CryptoStream {
  bytes = new Uint8Array(4096)
  #have = new Uint8Array(4096)
  /** Bytes from offset 0 without a hole. */
  ready = 0
  conflict = false
  overflow = false

  add(offset: number, from: Uint8Array, start: number, end: number): void {
    if (offset + end - start > MAX_HELLO) {
      this.overflow = true
      return
    }
    this.#grow(offset + end - start)
    for (let i = start, to = offset; i < end; i++, to++) {
      if (this.#have[to] === 0) {
        this.#have[to] = 1
        this.bytes[to] = from[i]!
      } else if (this.bytes[to] !== from[i]) this.conflict = true
    }
    while (this.ready < this.#have.length && this.#have[this.ready] === 1) this.ready++
  }

  /** True when a whole handshake message is there. */
  complete(): boolean {
    if (this.ready < 4) return false
    const length = (this.bytes[1]! << 16) | (this.bytes[2]! << 8) | this.bytes[3]!
    return this.ready >= 4 + length
  }

  #grow(size: number): void {
    let length = this.bytes.length
    if (size <= length) return
    while (length < size) length *= 2
    const bytes = new Uint8Array(length)
    bytes.set(this.bytes)
    this.bytes = bytes
    const have = new Uint8Array(length)
    have.set(this.#have)
    this.#have = have
  }
}

/**
 * The client's side of one QUIC connection until its ClientHello is known. Push each datagram of the originator
 * until the answer is not `more`; at the end of the flow ask `finish`.
 */
export class QuicInitials {
  /** Packets that are opened at most: a post-quantum hello takes two or three, retransmissions some more. */
  static readonly MAX_PACKETS = 32
  #keys: Keys | undefined
  #stream = new CryptoStream()
  #packets = 0
  #opened = 0
  #anomalies: string[] = []

  /** One datagram of the client. */
  push(bytes: Uint8Array, start: number, end: number): Inspection {
    let at = start
    while (at < end) {
      const header = readLongHeader(bytes, at, end)
      if (header === undefined) break // a short header, padding, or damage: nothing can follow it
      if (header.initial) {
        if (this.#packets++ >= QuicInitials.MAX_PACKETS) return this.finish('quic_packets')
        this.#read(bytes, at, header)
        if (this.#stream.complete()) return this.finish()
        if (this.#stream.overflow) return this.finish('quic_crypto')
      }
      at = header.end
    }
    return { status: 'more' }
  }

  /** What is known when no more will come. `limit` names the bound that was reached, if one was. */
  finish(limit = ''): Inspection {
    const stream = this.#stream
    const anomalies = [...this.#anomalies]
    if (limit !== '') anomalies.push(`limit_reached:${limit}`)
    if (stream.conflict) anomalies.push('quic_crypto_conflict')
    if (stream.ready > 0 && stream.bytes[0] === 1)
      return inspectHello(parseClientHello(stream.bytes, 0, stream.ready), 'q', anomalies)
    if (this.#opened > 0) anomalies.push('cut')
    else if (this.#packets > 0) anomalies.push('quic_not_opened')
    return {
      status: 'no_name',
      service: 'quic',
      serverName: '',
      nameSource: '',
      ja3: '',
      ja4: '',
      alpn: '',
      userAgent: '',
      proxyUser: '',
      anomalies,
    }
  }

  /**
   * Opens one Initial. The keys come from the destination id of the client's first Initial and stay when the client
   * turns to the id that the server chose. After a Retry, or another version, they come from the packet's own.
   */
  #read(bytes: Uint8Array, start: number, header: LongHeader): void {
    const known = header.version!
    const id = Buffer.from(bytes.subarray(header.dcidAt, header.dcidEnd))
    let keys = this.#keys
    let plain: Buffer | undefined
    if (keys !== undefined) {
      if (keys.number !== header.number) keys = deriveKeys(header.number, known, keys.id)
      plain = open(keys, bytes, start, header)
    }
    if (plain === undefined && (keys === undefined || !keys.id.equals(id))) {
      keys = deriveKeys(header.number, known, id)
      plain = open(keys, bytes, start, header)
      // A client that begins anew sends its hello from the beginning.
      if (plain !== undefined && this.#opened > 0) this.#stream = new CryptoStream()
    }
    if (plain === undefined || keys === undefined) return
    this.#keys = keys
    this.#opened++
    if (!this.#readFrames(plain)) this.#note('quic_bad_frame')
  }

  /** Frames that an Initial may hold (RFC 9000 section 12.4). False at the first other one. */
  #readFrames(plain: Uint8Array): boolean {
    const end = plain.length
    let at = 0
    while (at < end) {
      const type = plain[at++]!
      if (type === 0x00 || type === 0x01) continue // PADDING, PING
      if (type === 0x02 || type === 0x03) {
        at = skipAck(plain, at, end, type === 0x03)
        if (at < 0) return false
      } else if (type === 0x06) {
        const offset = varint(plain, at, end)
        if (offset < 0) return false
        at += varintSize(plain[at]!)
        const length = varint(plain, at, end)
        if (length < 0) return false
        at += varintSize(plain[at]!)
        if (at + length > end) return false
        this.#stream.add(offset, plain, at, at + length)
        at += length
      } else return type === 0x1c // CONNECTION_CLOSE: nothing of worth follows
    }
    return true
  }

  #note(anomaly: string): void {
    if (!this.#anomalies.includes(anomaly)) this.#anomalies.push(anomaly)
  }
}

/** ACK frame: largest, delay, range count, first range, then a gap and a length per range; counts with ECN. */
function skipAck(plain: Uint8Array, from: number, end: number, ecn: boolean): number {
  let at = from
  let left = 4
  let ranges = 0
  for (let i = 0; i < left; i++) {
    const value = varint(plain, at, end)
    if (value < 0) return -1
    if (i === 2) {
      ranges = value
      left += 2 * ranges + (ecn ? 3 : 0)
    }
    at += varintSize(plain[at]!)
  }
  return at
}

/** Variable-length integer of RFC 9000 section 16; -1 if it is cut or above 2^53, which no length can be. */
function varint(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1
  const size = varintSize(bytes[at]!)
  if (at + size > end) return -1
  let value = bytes[at]! & 0x3f
  for (let i = 1; i < size; i++) value = value * 256 + bytes[at + i]!
  return Number.isSafeInteger(value) ? value : -1
}

function varintSize(first: number): number {
  return 1 << (first >> 6)
}

function u32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  )
}
