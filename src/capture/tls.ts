// TLS ClientHello: from the first bytes of a stream (records), from a DTLS datagram, or as a bare handshake message
// (QUIC). Reads what identifies the client and the name it asks for; nothing after the hello is looked at.
// RFC 8446 section 4.1.2, RFC 6066 section 3 (server name), RFC 7301 (ALPN), RFC 9849 (ECH), RFC 5246 E.2 (SSLv2 form).

import { hostName, isPlainName } from '../host-name.ts'

export interface ClientHello {
  /** legacy_version of the hello itself. */
  readonly version: number
  readonly ciphers: readonly number[]
  /** Extension types in wire order, GREASE included. */
  readonly extensions: readonly number[]
  readonly groups: readonly number[]
  readonly pointFormats: readonly number[]
  readonly signatureAlgorithms: readonly number[]
  readonly supportedVersions: readonly number[]
  /** Protocols offered, raw, at most MAX_ALPN. */
  readonly alpn: readonly Uint8Array[]
  /** Normalised by `hostName`; '' if absent or empty. */
  readonly serverName: string
  /** An encrypted hello is inside, or a GREASE one that looks alike: the name within is not known. */
  readonly ech: boolean
  /** All of the hello was there and its lengths agreed, so fingerprints of it mean something. */
  readonly complete: boolean
  /** `cut`, `tls_bad_length`, `tls_several_names`, `odd_name`, `esni`, `sslv2_hello`. */
  readonly anomalies: readonly string[]
}

/** `more`: the beginning of a hello. `other`: not a ClientHello. */
export type HelloRead =
  | { readonly status: 'more' }
  | { readonly status: 'other' }
  | { readonly status: 'hello'; readonly hello: ClientHello }

const MORE: HelloRead = { status: 'more' }
const OTHER: HelloRead = { status: 'other' }

/** Longest handshake message that is waited for; real ones stay below 5 KiB, with every post-quantum key share. */
export const MAX_HELLO = 65_536
const MAX_RECORD = 16_384 + 2_048
const MAX_ALPN = 16

const HANDSHAKE_RECORD = 22
const CLIENT_HELLO = 1

/**
 * A ClientHello in TLS records at the beginning of bytes[start, end), as one or several records; or in the
 * SSLv2-compatible form.
 * @param final no more bytes will come: a hello that is cut is answered with what is there
 */
export function readClientHello(
  bytes: Uint8Array,
  start: number,
  end: number,
  final: boolean,
): HelloRead {
  if (start >= end) return final ? OTHER : MORE
  if ((bytes[start]! & 0x80) !== 0) return readVersion2Hello(bytes, start, end, final)
  const size = end - start
  if (bytes[start] !== HANDSHAKE_RECORD) return OTHER
  if (size > 1 && bytes[start + 1] !== 3) return OTHER
  if (size > 2 && bytes[start + 2]! > 4) return OTHER
  if (size > 4 && u16(bytes, start + 3) > MAX_RECORD) return OTHER
  let length = 0
  if (size >= 5 + HEAD && u16(bytes, start + 3) >= HEAD) {
    if (!looksLikeHello(bytes, start + 5, HEAD)) return OTHER
    length = 4 + u24(bytes, start + 6)
  } else {
    // Even the handshake header may be spread over records, to be missed by whoever expects it in one.
    const head = new Uint8Array(HEAD)
    const seen = joinRecords(bytes, start, end, head)
    if (!looksLikeHello(head, 0, seen.length) || seen.broken) return OTHER
    if (seen.length < HEAD) return final ? OTHER : MORE
    length = 4 + u24(head, 1)
  }
  const firstEnd = start + 5 + u16(bytes, start + 3)
  if (start + 5 + length <= firstEnd) {
    if (start + 5 + length > end && !final) return MORE
    return { status: 'hello', hello: parseClientHello(bytes, start + 5, Math.min(end, firstEnd)) }
  }
  const joined = new Uint8Array(Math.min(length, size))
  const got = joinRecords(bytes, start, end, joined)
  if (got.length < length && !got.broken && !final) return MORE
  return { status: 'hello', hello: parseClientHello(joined, 0, got.length) }
}

/** Handshake header and legacy_version. */
const HEAD = 6

/** Type, a length below 64 KiB, a version: as far as they have come. */
function looksLikeHello(head: Uint8Array, at: number, length: number): boolean {
  if (length > 0 && head[at] !== CLIENT_HELLO) return false
  if (length > 1 && head[at + 1] !== 0) return false
  return length < HEAD || head[at + 4] === 3 || u16(head, at + 4) === 2
}

/** Copies handshake bytes out of consecutive records until `to` is full, bytes end, or something else comes. */
function joinRecords(
  bytes: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
): { length: number; broken: boolean } {
  let length = 0
  let at = start
  while (at + 5 <= end && length < to.length) {
    const size = u16(bytes, at + 3)
    if (bytes[at] !== HANDSHAKE_RECORD || bytes[at + 1] !== 3 || size > MAX_RECORD)
      return { length, broken: true }
    const stop = Math.min(at + 5 + size, end, at + 5 + to.length - length)
    for (let i = at + 5; i < stop; i++) to[length++] = bytes[i]!
    at += 5 + size
  }
  return { length, broken: false }
}

/**
 * A ClientHello that starts with its handshake header at `start`. Never fails: what is not there or does not
 * add up is named in `anomalies`, and `complete` is false.
 */
export function parseClientHello(bytes: Uint8Array, start: number, end: number): ClientHello {
  const announced = end - start >= 4 ? start + 4 + u24(bytes, start + 1) : Number.POSITIVE_INFINITY
  const stop = Math.min(end, announced)
  const hello = newHello(stop < announced)
  readBody(hello, bytes, start + 4, stop, false)
  return finish(hello)
}

/** A ClientHello in the first record of a DTLS datagram (RFC 9147 section 5.2), if it is there in one fragment. */
export function readDtlsHello(bytes: Uint8Array, start: number, end: number): HelloRead {
  const body = start + 13
  if (end - body < 12 + 34 || bytes[start] !== HANDSHAKE_RECORD || bytes[start + 1] !== 0xfe)
    return OTHER
  const minor = bytes[start + 2]!
  if ((minor !== 0xff && minor !== 0xfd && minor !== 0xfc) || u16(bytes, start + 3) !== 0)
    return OTHER
  const length = u24(bytes, body + 1)
  if (bytes[body] !== CLIENT_HELLO || bytes[body + 12] !== 0xfe || length > MAX_HELLO) return OTHER
  const fragmentAt = u24(bytes, body + 6)
  const fragment = u24(bytes, body + 9)
  if (fragmentAt !== 0 || fragment > length || u16(bytes, start + 11) < 12 + fragment) return OTHER
  const stop = Math.min(end, body + 12 + fragment)
  const hello = newHello(stop < body + 12 + length)
  readBody(hello, bytes, body + 12, stop, true)
  return { status: 'hello', hello: finish(hello) }
}

type Draft = { -readonly [K in keyof ClientHello]: ClientHello[K] } & {
  ciphers: number[]
  extensions: number[]
  groups: number[]
  pointFormats: number[]
  signatureAlgorithms: number[]
  supportedVersions: number[]
  alpn: Uint8Array[]
  anomalies: string[]
  cut: boolean
}

function newHello(cut: boolean): Draft {
  return {
    version: 0,
    ciphers: [],
    extensions: [],
    groups: [],
    pointFormats: [],
    signatureAlgorithms: [],
    supportedVersions: [],
    alpn: [],
    serverName: '',
    ech: false,
    complete: !cut,
    anomalies: cut ? ['cut'] : [],
    cut,
  }
}

function finish(draft: Draft): ClientHello {
  if (!isPlainName(draft.serverName)) note(draft, 'odd_name')
  const { cut: _, ...hello } = draft
  return hello
}

function note(draft: Draft, anomaly: string): void {
  if (!draft.anomalies.includes(anomaly)) draft.anomalies.push(anomaly)
}

/** A length reaches beyond the message. In a cut message that is what being cut means. */
function shortOf(draft: Draft): void {
  draft.complete = false
  if (!draft.cut) note(draft, 'tls_bad_length')
}

/** legacy_version to the last extension (RFC 8446 section 4.1.2); DTLS has a cookie between (RFC 9147 section 5.3). */
function readBody(
  draft: Draft,
  bytes: Uint8Array,
  start: number,
  end: number,
  dtls: boolean,
): void {
  if (end - start < 35) return shortOf(draft)
  draft.version = u16(bytes, start)
  let at = start + 34
  at += 1 + bytes[at]!
  if (dtls) {
    if (at >= end) return shortOf(draft)
    at += 1 + bytes[at]!
  }
  if (at + 2 > end) return shortOf(draft)
  const ciphersEnd = at + 2 + u16(bytes, at)
  readList16(draft.ciphers, bytes, at + 2, Math.min(ciphersEnd, end))
  if (ciphersEnd >= end) return shortOf(draft)
  at = ciphersEnd + 1 + bytes[ciphersEnd]!
  if (at === end && !draft.cut) return // no extensions: TLS 1.2 and older allow it
  if (at + 2 > end) return shortOf(draft)
  const extensionsEnd = at + 2 + u16(bytes, at)
  if (extensionsEnd !== end) shortOf(draft)
  at += 2
  const stop = Math.min(extensionsEnd, end)
  while (at + 4 <= stop) {
    const type = u16(bytes, at)
    const bodyEnd = at + 4 + u16(bytes, at + 2)
    draft.extensions.push(type)
    if (bodyEnd > stop) {
      // What is there of a cut extension is not read: half a name is a wrong name.
      return shortOf(draft)
    }
    readExtension(draft, type, bytes, at + 4, bodyEnd)
    at = bodyEnd
  }
  if (at !== stop) shortOf(draft)
}

function readExtension(
  draft: Draft,
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  switch (type) {
    case 0x0000:
      return readServerName(draft, bytes, start, end)
    case 0x000a:
      return readCounted16(draft, draft.groups, bytes, start, end, 2)
    case 0x000b: {
      const stop = countedEnd(draft, bytes, start, end, 1)
      for (let i = start + 1; i < stop; i++) draft.pointFormats.push(bytes[i]!)
      return
    }
    case 0x000d:
      return readCounted16(draft, draft.signatureAlgorithms, bytes, start, end, 2)
    case 0x0010:
      return readAlpn(draft, bytes, start, end)
    case 0x002b:
      return readCounted16(draft, draft.supportedVersions, bytes, start, end, 1)
    case 0xfe0d:
      draft.ech = true
      return
    case 0xffce:
      return note(draft, 'esni')
  }
}

/** server_name_list: type 1, length 2, name. Only type 0 (host_name) exists. An empty body is tolerated. */
function readServerName(draft: Draft, bytes: Uint8Array, start: number, end: number): void {
  if (start === end) return
  const stop = countedEnd(draft, bytes, start, end, 2)
  let at = start + 2
  while (at + 3 <= stop) {
    const nameEnd = at + 3 + u16(bytes, at + 1)
    if (nameEnd > stop) return note(draft, 'tls_bad_length')
    if (bytes[at] === 0) {
      const name = hostName(bytes, at + 3, nameEnd)
      // Servers differ in which of several names they take, so the first is told and the doubt with it.
      if (draft.serverName === '') draft.serverName = name
      else if (draft.serverName !== name) note(draft, 'tls_several_names')
    }
    at = nameEnd
  }
}

function readAlpn(draft: Draft, bytes: Uint8Array, start: number, end: number): void {
  const stop = countedEnd(draft, bytes, start, end, 2)
  let at = start + 2
  while (at < stop && draft.alpn.length < MAX_ALPN) {
    const protocolEnd = at + 1 + bytes[at]!
    if (protocolEnd > stop) return note(draft, 'tls_bad_length')
    draft.alpn.push(bytes.slice(at + 1, protocolEnd))
    at = protocolEnd
  }
}

/** Where the list with a length of `width` bytes in front ends; a length that does not fit is noted and clamped. */
function countedEnd(
  draft: Draft,
  bytes: Uint8Array,
  start: number,
  end: number,
  width: 1 | 2,
): number {
  if (start + width > end) {
    note(draft, 'tls_bad_length')
    return end
  }
  const stop = start + width + (width === 1 ? bytes[start]! : u16(bytes, start))
  if (stop !== end) note(draft, 'tls_bad_length')
  return Math.min(stop, end)
}

function readCounted16(
  draft: Draft,
  into: number[],
  bytes: Uint8Array,
  start: number,
  end: number,
  width: 1 | 2,
): void {
  if (into.length > 0) return note(draft, 'tls_bad_length') // the extension came twice
  readList16(into, bytes, start + width, countedEnd(draft, bytes, start, end, width))
}

function readList16(into: number[], bytes: Uint8Array, start: number, end: number): void {
  for (let i = start; i + 2 <= end; i += 2) into.push(u16(bytes, i))
}

/** The hello of clients that could still speak SSLv2: no extensions, so no name (RFC 5246 appendix E.2). */
function readVersion2Hello(
  bytes: Uint8Array,
  start: number,
  end: number,
  final: boolean,
): HelloRead {
  if (end - start > 2 && bytes[start + 2] !== CLIENT_HELLO) return OTHER
  if (end - start < 11) return final ? OTHER : MORE
  const length = u16(bytes, start) & 0x7fff
  const version = u16(bytes, start + 3)
  if (version !== 2 && (version < 0x0300 || version > 0x0303)) return OTHER
  const ciphers = u16(bytes, start + 5)
  const session = u16(bytes, start + 7)
  const challenge = u16(bytes, start + 9)
  if (ciphers === 0 || ciphers % 3 !== 0 || 9 + ciphers + session + challenge !== length)
    return OTHER
  if ((session !== 0 && session !== 16) || challenge < 16 || challenge > 32) return OTHER
  if (start + 2 + length > end && !final) return MORE
  const hello = newHello(start + 2 + length > end)
  hello.version = version
  hello.complete = false // the cipher codes have three bytes: no fingerprint is defined for them
  note(hello, 'sslv2_hello')
  return { status: 'hello', hello: finish(hello) }
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

function u24(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
}
