// The first HTTP request of a stream: who is asked for (Host, absolute-form, CONNECT), by which client, in whose name.
// RFC 9112 section 3 (request line, target forms), RFC 9110 section 7.2 (Host), RFC 7617 (Basic), RFC 9113 3.4 (preface).

import { hostOfAuthority, isPlainName } from '../host-name.ts'
import { wireText } from '../wire-text.ts'

export interface HttpRequest {
  readonly method: string
  /** Host without port, normalised by `hostName`; '' if the request names none. */
  readonly host: string
  /** The request asks a proxy for a tunnel, and `host` is where to. */
  readonly connect: boolean
  readonly userAgent: string
  /** User of Proxy-Authorization: Basic. */
  readonly proxyUser: string
  /** Offset behind the header block; where it is cut, the end of the bytes. */
  readonly bodyAt: number
  /** `cut`, `limit_reached:http_headers`, `http_several_hosts`, `http_host_mismatch`, `http_odd_header`, `odd_name`. */
  readonly anomalies: readonly string[]
}

/** `more`: the beginning of a request. `other`: not HTTP. */
export type HttpRead =
  | { readonly status: 'more' }
  | { readonly status: 'other' }
  | { readonly status: 'request'; readonly request: HttpRequest }

const MORE: HttpRead = { status: 'more' }
const OTHER: HttpRead = { status: 'other' }

/** Longest request line and header block that is waited for and read, as common servers have it. */
export const MAX_HEADERS = 16_384
const MAX_USER_AGENT = 255
const MAX_CREDENTIALS = 1_024
const MAX_METHOD = 17

const CR = 0x0d
const LF = 0x0a
const SPACE = 0x20
const TAB = 0x09
const COLON = 0x3a

// Registered methods, WebDAV and its dialects, UPnP. A word that is not here is not taken for HTTP.
const METHODS: ReadonlySet<string> = new Set(
  (
    'GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH QUERY PRI ' +
    'PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH MERGE CHECKOUT CHECKIN UNCHECKOUT ' +
    'VERSION-CONTROL LABEL UPDATE MKWORKSPACE MKACTIVITY BASELINE-CONTROL MKCALENDAR MKREDIRECTREF ACL ' +
    'BIND UNBIND REBIND LINK UNLINK ORDERPATCH UPDATEREDIRECTREF BCOPY BDELETE BMOVE BPROPFIND BPROPPATCH ' +
    'POLL SUBSCRIBE UNSUBSCRIBE NOTIFY M-SEARCH X-MS-ENUMATTS RPC_CONNECT RPC_IN_DATA RPC_OUT_DATA ' +
    'PURGE SOURCE BAN REFRESH'
  ).split(' '),
)
const METHOD_BEGINNINGS: ReadonlySet<string> = new Set(
  [...METHODS].flatMap((method) => Array.from(method, (_, i) => method.slice(0, i + 1))),
)

/**
 * The request at the beginning of bytes[start, end). An HTTP/2 preface is a request of method `PRI` without a host.
 * @param final no more bytes will come: what is there of a cut request is answered
 */
export function readRequest(
  bytes: Uint8Array,
  start: number,
  end: number,
  final: boolean,
): HttpRead {
  let at = start
  // A server ignores an empty line or two in front of a request (RFC 9112 section 2.2).
  while (at < end && at - start < 4 && (bytes[at] === CR || bytes[at] === LF)) at++
  const methodEnd = endOfMethod(bytes, at, end)
  if (methodEnd < 0) return OTHER
  if (methodEnd === end) return final ? OTHER : MORE
  const limit = Math.min(end, at + MAX_HEADERS)
  const lineEnd = indexOf(bytes, LF, methodEnd, limit)
  const method = ascii(bytes, at, methodEnd)
  if (lineEnd < 0) {
    if (!looksLikeTarget(bytes, methodEnd + 1, limit, method)) return OTHER
    const full = limit - at === MAX_HEADERS
    if (!final && !full) return MORE
    if (limit - methodEnd < 2) return OTHER
    const why = full ? 'limit_reached:http_headers' : 'cut'
    return { status: 'request', request: newDraft(method, end, [why]) }
  }
  const target = targetOf(bytes, methodEnd + 1, trimEnd(bytes, methodEnd + 1, lineEnd))
  if (target === undefined) return OTHER
  const draft = newDraft(method, limit, [])
  const done = readHeaders(draft, bytes, lineEnd + 1, limit)
  if (!done) {
    const full = limit - at === MAX_HEADERS
    if (!final && !full) return MORE
    draft.anomalies.push(full ? 'limit_reached:http_headers' : 'cut')
  }
  chooseHost(draft, bytes, target)
  const { hosts: _, ...request } = draft
  return { status: 'request', request }
}

/** True for the start line of a response: `HTTP/1.1 200`. */
export function looksLikeResponse(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 12 || !isVersion1(bytes, start) || bytes[start + 8] !== SPACE) return false
  for (let i = start + 9; i < start + 12; i++) if (!isDigit(bytes[i]!)) return false
  return end - start === 12 || bytes[start + 12]! <= SPACE
}

type Draft = { -readonly [K in keyof HttpRequest]: HttpRequest[K] } & {
  anomalies: string[]
  hosts: string[]
}

function newDraft(method: string, bodyAt: number, anomalies: string[]): Draft {
  return {
    method,
    host: '',
    connect: method === 'CONNECT',
    userAgent: '',
    proxyUser: '',
    bodyAt,
    anomalies,
    hosts: [],
  }
}

/** Offset of the space after a known method, `end` if the bytes so far may become one, -1 if not. */
function endOfMethod(bytes: Uint8Array, start: number, end: number): number {
  const limit = Math.min(end, start + MAX_METHOD + 1)
  let at = start
  while (at < limit && bytes[at] !== SPACE) at++
  const word = ascii(bytes, start, at)
  if (at === end) return word === '' || METHOD_BEGINNINGS.has(word) ? end : -1
  return at < limit && METHODS.has(word) ? at : -1
}

/** Whether the beginning of a request target, its line not complete yet, can only be one of HTTP. */
function looksLikeTarget(bytes: Uint8Array, start: number, end: number, method: string): boolean {
  if (start >= end) return true
  if (method === 'CONNECT') return isHostByte(bytes[start]!)
  const first = bytes[start]!
  if (first === 0x2f || first === 0x2a) return true // '/' or '*'
  const scheme = ascii(bytes, start, Math.min(end, start + 8)).toLowerCase()
  return 'http://'.startsWith(scheme.slice(0, 7)) || 'https://'.startsWith(scheme)
}

/** The target of a request line whose version is HTTP/1.x (or the preface's 2.0); undefined if it is none. */
function targetOf(
  bytes: Uint8Array,
  start: number,
  end: number,
): { start: number; end: number } | undefined {
  let space = end - 1
  while (space > start && bytes[space] !== SPACE) space--
  if (space <= start || end - space !== 9) return undefined
  const preface = ascii(bytes, start, end) === '* HTTP/2.0'
  return isVersion1(bytes, space + 1) || preface ? { start, end: space } : undefined
}

function isVersion1(bytes: Uint8Array, at: number): boolean {
  return ascii(bytes, at, at + 7) === 'HTTP/1.' && isDigit(bytes[at + 7]!)
}

/** Reads lines up to the empty one. False if it did not come; a line that is cut is not read. */
function readHeaders(draft: Draft, bytes: Uint8Array, start: number, end: number): boolean {
  let at = start
  while (at < end) {
    const lineEnd = indexOf(bytes, LF, at, end)
    if (lineEnd < 0) return false
    const stop = trimEnd(bytes, at, lineEnd)
    const next = lineEnd + 1
    if (lineEnd === at || (lineEnd === at + 1 && bytes[at] === CR)) {
      draft.bodyAt = next
      return true
    }
    const colon = indexOf(bytes, COLON, at, stop)
    // A folded line, a space before the colon or no colon: two servers may read two different requests.
    if (colon <= at || bytes[at]! <= SPACE || bytes[colon - 1]! <= SPACE) {
      if (!draft.anomalies.includes('http_odd_header')) draft.anomalies.push('http_odd_header')
    }
    if (colon > at) readHeader(draft, bytes, at, trimEnd(bytes, at, colon), colon + 1, stop)
    at = next
  }
  return false
}

function readHeader(
  draft: Draft,
  bytes: Uint8Array,
  start: number,
  nameEnd: number,
  valueStart: number,
  end: number,
): void {
  const length = nameEnd - start
  if (length !== 4 && length !== 10 && length !== 19) return
  const name = ascii(bytes, start, nameEnd).toLowerCase()
  const at = trimStart(bytes, valueStart, end)
  if (name === 'host') {
    // Some thousand Host lines are no reason to keep some thousand hosts.
    if (draft.hosts.length < 2) draft.hosts.push(hostOfAuthority(bytes, at, end))
  } else if (name === 'user-agent') {
    if (draft.userAgent === '') draft.userAgent = wireText(bytes, at, end, MAX_USER_AGENT)
  } else if (name === 'proxy-authorization') {
    if (draft.proxyUser === '') draft.proxyUser = basicUser(bytes, at, end)
  }
}

/** The user in `Basic <base64 of user:password>`; '' for other schemes and for what does not decode. */
function basicUser(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > MAX_CREDENTIALS) return ''
  const words = /^basic +([A-Za-z0-9+/_-]+=*)$/i.exec(ascii(bytes, start, end))
  if (words === null) return ''
  const decoded = Buffer.from(words[1]!, 'base64')
  const colon = decoded.indexOf(COLON)
  return colon < 0 ? '' : wireText(decoded, 0, colon)
}

/** The target's own authority overrules the Host header (RFC 9112 section 3.2.2); that they differ is told. */
function chooseHost(
  draft: Draft,
  bytes: Uint8Array,
  target: { readonly start: number; readonly end: number },
): void {
  const inTarget = draft.connect
    ? hostOfAuthority(bytes, target.start, target.end)
    : hostOfAbsolute(bytes, target.start, target.end)
  const header = draft.hosts[0] ?? ''
  draft.host = inTarget === '' ? header : inTarget
  if (draft.hosts.length > 1) draft.anomalies.push('http_several_hosts')
  if (inTarget !== '' && header !== '' && inTarget !== header)
    draft.anomalies.push('http_host_mismatch')
  if (!isPlainName(draft.host.replaceAll(':', ''))) draft.anomalies.push('odd_name')
}

/** Host of `scheme://user@host:port/path`, '' of any other target. */
function hostOfAbsolute(bytes: Uint8Array, start: number, end: number): string {
  if (bytes[start] === 0x2f || bytes[start] === 0x2a) return ''
  const colon = indexOf(bytes, COLON, start, Math.min(end, start + 16))
  if (colon < 0 || bytes[colon + 1] !== 0x2f || bytes[colon + 2] !== 0x2f) return ''
  let at = colon + 3
  let stop = at
  while (stop < end && bytes[stop] !== 0x2f && bytes[stop] !== 0x3f && bytes[stop] !== 0x23) stop++
  for (let i = stop - 1; i >= at; i--) {
    if (bytes[i] === 0x40) {
      at = i + 1
      break
    }
  }
  return hostOfAuthority(bytes, at, stop)
}

function indexOf(bytes: Uint8Array, byte: number, start: number, end: number): number {
  for (let i = start; i < end; i++) if (bytes[i] === byte) return i
  return -1
}

function trimEnd(bytes: Uint8Array, start: number, end: number): number {
  let stop = end
  while (stop > start && isBlank(bytes[stop - 1]!)) stop--
  return stop
}

function trimStart(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end && isBlank(bytes[at]!)) at++
  return at
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === CR
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

function isHostByte(byte: number): boolean {
  const lower = byte | 0x20
  return isDigit(byte) || (lower >= 0x61 && lower <= 0x7a) || byte === 0x5b || byte === 0x5f
}

function ascii(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!)
  return text
}
