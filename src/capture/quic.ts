// The ClientHello of a QUIC connection, from the client's Initial packets. Long hellos span datagrams and come shuffled, so
// CRYPTO data is put together by offset. RFC 9000 sections 12.4, 17.2.2 and 19.

import { type Inspection, inspectHello, namelessClient } from './inspection.ts'
import {
  deriveKeys,
  type Keys,
  type LongHeader,
  openInitial,
  readLongHeader,
  varint,
  varintSize,
} from './quic-packet.ts'
import { MAX_HELLO, parseClientHello } from './tls.ts'

export { looksLikeQuicInitial } from './quic-packet.ts'

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
    return namelessClient('quic', anomalies)
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
      plain = openInitial(keys, bytes, start, header)
    }
    if (plain === undefined && (keys === undefined || !keys.id.equals(id))) {
      keys = deriveKeys(header.number, known, id)
      plain = openInitial(keys, bytes, start, header)
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
