// Fingerprints of a TLS client: JA3 (salesforce/ja3) and JA4 (FoxIO-LLC/ja4, technical_details/JA4.md). They name the
// TLS stack, not the agent. Only JA4 itself is calculated: the other letters of the JA4+ family are not free.
// node:crypto is used for MD5 and SHA-256.

import { hash } from 'node:crypto'
import type { ClientHello } from './tls.ts'

/** What carried the hello: TLS over TCP, QUIC, DTLS. */
export type Ja4Transport = 't' | 'q' | 'd'

const SERVER_NAME = 0x0000
const ALPN = 0x0010
const NOTHING = '000000000000'

export interface Fingerprints {
  readonly ja3: string
  readonly ja4: string
}

/** Both fingerprints of a hello. Those of hellos that differ in name and random bytes only are calculated once. */
export function fingerprints(hello: ClientHello, transport: Ja4Transport): Fingerprints {
  const key = keyOf(hello, transport)
  let found = key === '' ? undefined : lately.get(key)
  if (found !== undefined) return found
  found = { ja3: ja3(hello), ja4: ja4(hello, transport) }
  if (key === '') return found
  if (lately.size >= KNOWN_MAX) lately.clear()
  lately.set(key, found)
  return found
}

const lately = new Map<string, Fingerprints>()
const keyUnits = new Uint16Array(512)
const keyBytes = Buffer.from(keyUnits.buffer)

/** All that the fingerprints depend on, each list behind its length; '' if that is more than any real client sends. */
function keyOf(hello: ClientHello, transport: Ja4Transport): string {
  if (!hello.complete) return ''
  const { ciphers, extensions, groups, pointFormats } = hello
  const { signatureAlgorithms, supportedVersions } = hello
  const protocol = hello.alpn[0]
  const length = protocol === undefined ? 0 : protocol.length
  const some = ciphers.length + extensions.length + groups.length + pointFormats.length
  if (some + signatureAlgorithms.length + supportedVersions.length + 12 > keyUnits.length) return ''
  let at = 0
  keyUnits[at++] = transport.charCodeAt(0)
  keyUnits[at++] = hello.version
  keyUnits[at++] = length
  keyUnits[at++] = length === 0 ? 0 : protocol![0]!
  keyUnits[at++] = length === 0 ? 0 : protocol![length - 1]!
  at = addToKey(at, ciphers)
  at = addToKey(at, extensions)
  at = addToKey(at, groups)
  at = addToKey(at, pointFormats)
  at = addToKey(at, signatureAlgorithms)
  at = addToKey(at, supportedVersions)
  return keyBytes.toString('utf16le', 0, 2 * at)
}

function addToKey(at: number, list: readonly number[]): number {
  keyUnits[at] = list.length
  for (let i = 0; i < list.length; i++) keyUnits[at + 1 + i] = list[i]!
  return at + 1 + list.length
}

/** Values that clients send to keep servers tolerant (RFC 8701): 0x0a0a, 0x1a1a, ... 0xfafa. */
export function isGrease(value: number): boolean {
  return (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff)
}

/** MD5 in hexadecimal of `version,ciphers,extensions,groups,point formats`, GREASE left out; '' of an incomplete hello. */
export function ja3(hello: ClientHello): string {
  if (!hello.complete) return ''
  const lists = [hello.ciphers, hello.extensions, hello.groups].map((list) =>
    list.filter((value) => !isGrease(value)).join('-'),
  )
  const text = `${hello.version},${lists.join(',')},${hello.pointFormats.join('-')}`
  return hash('md5', text, 'hex')
}

/** `t13d1516h2_8daaf6152771_e5627efa2ab1`; '' of an incomplete hello, because a wrong fingerprint is worse than none. */
export function ja4(hello: ClientHello, transport: Ja4Transport): string {
  if (!hello.complete) return ''
  const ciphers = hello.ciphers.filter((value) => !isGrease(value))
  const extensions = hello.extensions.filter((value) => !isGrease(value))
  const kept = extensions.filter((value) => value !== SERVER_NAME && value !== ALPN)
  const algorithms = hello.signatureAlgorithms.filter((value) => !isGrease(value)).map(hex4)
  const named = extensions.includes(SERVER_NAME) ? 'd' : 'i'
  const counts = count(ciphers.length) + count(extensions.length)
  const head = transport + versionOf(hello) + named + counts + alpnOf(hello)
  let tail = kept.map(hex4).sort().join(',')
  if (algorithms.length > 0) tail += `_${algorithms.join(',')}`
  return `${head}_${hash12(ciphers.map(hex4).sort().join(','))}_${hash12(tail)}`
}

const VERSIONS: ReadonlyMap<number, string> = new Map([
  [0x0304, '13'],
  [0x0303, '12'],
  [0x0302, '11'],
  [0x0301, '10'],
  [0x0300, 's3'],
  [0x0002, 's2'],
  [0xfeff, 'd1'],
  [0xfefd, 'd2'],
  [0xfefc, 'd3'],
])

/** The highest of supported_versions if the extension is there, else the hello's own. DTLS counts downwards. */
function versionOf(hello: ClientHello): string {
  const offered = hello.supportedVersions.filter((value) => !isGrease(value))
  if (offered.length === 0) return VERSIONS.get(hello.version) ?? '00'
  const datagram = hello.version >= 0xfe00
  let best = offered[0]!
  for (const value of offered) if (datagram ? value < best : value > best) best = value
  return VERSIONS.get(best) ?? '00'
}

/** First and last character of the first protocol; of its hexadecimal form where either is not alphanumeric. */
function alpnOf(hello: ClientHello): string {
  const first = hello.alpn[0]
  if (first === undefined || first.length === 0) return '00'
  const head = first[0]!
  const last = first[first.length - 1]!
  if (isAlphanumeric(head) && isAlphanumeric(last)) return String.fromCharCode(head, last)
  return hex2(head)[0]! + hex2(last)[1]!
}

function isAlphanumeric(byte: number): boolean {
  const lower = byte | 0x20
  return (byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x7a)
}

function count(length: number): string {
  return String(Math.min(length, 99)).padStart(2, '0')
}

/** Lists of ciphers and of extensions that were hashed lately: the same few stacks make most of all hellos. */
const known = new Map<string, string>()
const KNOWN_MAX = 1_024

function hash12(text: string): string {
  if (text === '') return NOTHING
  const before = known.get(text)
  if (before !== undefined) return before
  const short = hash('sha256', text, 'hex').slice(0, 12)
  if (known.size >= KNOWN_MAX) known.clear()
  known.set(text, short)
  return short
}

function hex2(value: number): string {
  return value.toString(16).padStart(2, '0')
}

function hex4(value: number): string {
  return value.toString(16).padStart(4, '0')
}
