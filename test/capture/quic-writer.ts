// Writes protected QUIC Initial packets for the tests, from the other end: it encrypts with keys that the test gives,
// and derives them for itself where it gives none.

import { createCipheriv, createHmac, hkdfSync } from 'node:crypto'
import { joined, u16 } from './hello-writer.ts'

export interface InitialKeys {
  readonly key: Uint8Array
  readonly iv: Uint8Array
  readonly hp: Uint8Array
}

export interface InitialParts {
  readonly version?: number
  readonly dcid: Uint8Array
  readonly scid?: Uint8Array
  readonly token?: Uint8Array
  /** Packet number, written with `numberSize` bytes. */
  readonly number?: number
  readonly numberSize?: 1 | 2 | 3 | 4
  /** Frames; padded to `size` bytes of packet with zeros. */
  readonly frames: Uint8Array
  readonly size?: number
  readonly keys: InitialKeys
}

const SALTS: ReadonlyMap<number, string> = new Map([
  [1, '38762cf7f55934b34d179ae6a4c80cadccbb7f0a'],
  [0x6b3343cf, '0dede3def700a6db819381be6e269dcbf9bd2ed9'],
  [0xff00001d, 'afbfec289993d24c9e9786f19c6111e04390a899'],
])

/** Keys of the client that chose `dcid`, by the HKDF of node:crypto in one step per label. */
export function clientKeys(dcid: Uint8Array, version = 1): InitialKeys {
  const salt = Buffer.from(SALTS.get(version)!, 'hex')
  const two = version === 0x6b3343cf ? 'quicv2 ' : 'quic '
  // hkdfSync extracts and expands; the second level needs a secret that is expanded only, so it is built by hand.
  const client = Buffer.from(hkdfSync('sha256', dcid, salt, info('client in', 32), 32))
  return {
    key: expand(client, `${two}key`, 16),
    iv: expand(client, `${two}iv`, 12),
    hp: expand(client, `${two}hp`, 16),
  }
}

function info(label: string, length: number): Uint8Array {
  const full = `tls13 ${label}`
  return joined(u16(length), [full.length], full, [0])
}

function expand(secret: Buffer, label: string, length: number): Uint8Array {
  const block = createHmac('sha256', secret)
    .update(joined(info(label, length), [1]))
    .digest()
  return Uint8Array.from(block.subarray(0, length))
}

/** Integer of RFC 9000 section 16 in the fewest bytes. */
export function varint(value: number): Uint8Array {
  if (value < 64) return Uint8Array.of(value)
  if (value < 16_384) return Uint8Array.of(0x40 | (value >> 8), value & 0xff)
  return Uint8Array.of(
    0x80 | (value >>> 24),
    (value >> 16) & 0xff,
    (value >> 8) & 0xff,
    value & 0xff,
  )
}

export function cryptoFrame(offset: number, data: Uint8Array): Uint8Array {
  return joined([6], varint(offset), varint(data.length), data)
}

export function initialPacket(parts: InitialParts): Uint8Array {
  const {
    dcid,
    scid = new Uint8Array(0),
    token = new Uint8Array(0),
    number = 0,
    numberSize = 4,
  } = parts
  const version = parts.version ?? 1
  const type = version === 0x6b3343cf ? 0x10 : 0x00
  const before = joined(
    [0xc0 | type | (numberSize - 1)],
    u16(version >>> 16),
    u16(version & 0xffff),
    [dcid.length],
    dcid,
    [scid.length],
    scid,
    varint(token.length),
    token,
  )
  const wanted = (parts.size ?? 0) - before.length - 2 - numberSize - 16
  const frames = joined(parts.frames, new Uint8Array(Math.max(0, wanted - parts.frames.length)))
  const length = numberSize + frames.length + 16
  const numberBytes = Uint8Array.from(
    { length: numberSize },
    (_, i) => number >>> (8 * (numberSize - 1 - i)),
  )
  const header = joined(before, [0x40 | (length >> 8), length & 0xff], numberBytes)
  const nonce = parts.keys.iv.slice()
  for (let i = 0; i < numberSize; i++) nonce[12 - numberSize + i]! ^= numberBytes[i]!
  const cipher = createCipheriv('aes-128-gcm', parts.keys.key, nonce)
  cipher.setAAD(header)
  const sealed = joined(cipher.update(frames), cipher.final(), cipher.getAuthTag())
  const packet = joined(header, sealed)
  const numberAt = header.length - numberSize
  const mask = createCipheriv('aes-128-ecb', parts.keys.hp, null).update(
    packet.subarray(numberAt + 4, numberAt + 20),
  )
  packet[0]! ^= mask[0]! & 0x0f
  for (let i = 0; i < numberSize; i++) packet[numberAt + i]! ^= mask[1 + i]!
  return packet
}
