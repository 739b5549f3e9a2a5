// What a client may say before the protocol that has the name: a SOCKS request, or a request to turn to TLS (STARTTLS
// and its kin). The server's answers travel the other way, so in the client's stream one follows the other directly.

import { formatAddress } from '../address.ts'
import { hostName } from '../host-name.ts'
import { wireText } from '../wire-text.ts'

export interface Preamble {
  /** The protocol that is opened with, in Zeek's words; '' while it is not certain. */
  readonly service: string
  /** All of it is there, and the next protocol begins at `next`. */
  readonly complete: boolean
  readonly next: number
  /** Whom a proxy is asked to connect to: a name in the form of `hostName`, or an address; '' if it is no proxy. */
  readonly host: string
  /** User that the proxy let in. */
  readonly proxyUser: string
}

/** The preamble at the beginning of bytes[start, end), as far as it has come; undefined if there is none. */
export function readPreamble(bytes: Uint8Array, start: number, end: number): Preamble | undefined {
  if (start >= end) return undefined
  return (
    readSocks5(bytes, start, end) ??
    readSocks4(bytes, start, end) ??
    readPostgres(bytes, start, end) ??
    readMysql(bytes, start, end) ??
    readRdp(bytes, start, end) ??
    readLdap(bytes, start, end) ??
    readStartTls(bytes, start, end)
  )
}

function waiting(service: string): Preamble {
  return { service, complete: false, next: 0, host: '', proxyUser: '' }
}

function before(service: string, next: number): Preamble {
  return { service, complete: true, next, host: '', proxyUser: '' }
}

/** RFC 1928: methods, RFC 1929: user and password if the server chose them, request. Only CONNECT names a host. */
function readSocks5(bytes: Uint8Array, start: number, end: number): Preamble | undefined {
  if (bytes[start] !== 5) return undefined
  const methods = end - start > 1 ? bytes[start + 1]! : 1
  if (methods === 0 || methods > 8) return undefined
  let at = start + 2 + methods
  let password = false
  for (let i = start + 2; i < Math.min(at, end); i++) {
    if (bytes[i]! > 9) return undefined
    if (bytes[i] === 2) password = true
  }
  if (at >= end) return waiting('')
  let proxyUser = ''
  if (password && bytes[at] === 1) {
    const userEnd = at + 2 + (bytes[at + 1] ?? 0)
    const passwordEnd = userEnd + 1 + (bytes[userEnd] ?? 0)
    if (userEnd >= end || passwordEnd >= end) return waiting('')
    proxyUser = wireText(bytes, at + 2, userEnd)
    at = passwordEnd
  }
  if (end - at < 5) return bytes[at] === 5 ? waiting('') : undefined
  if (bytes[at] !== 5 || bytes[at + 1] !== 1 || bytes[at + 2] !== 0) return undefined
  const type = bytes[at + 3]!
  const from = type === 3 ? at + 5 : at + 4
  const to = from + (type === 1 ? 4 : type === 4 ? 16 : type === 3 ? bytes[at + 4]! : end)
  if (type !== 1 && type !== 3 && type !== 4) return undefined
  if (to + 2 > end) return waiting('socks')
  const host = type === 3 ? hostName(bytes, from, to) : addressText(bytes, from, to)
  return { service: 'socks', complete: true, next: to + 2, host, proxyUser }
}

/** SOCKS 4 and 4A: command, port, address, user, and a name where the address is 0.0.0.x. The user is only claimed. */
function readSocks4(bytes: Uint8Array, start: number, end: number): Preamble | undefined {
  if (end - start < 9 || bytes[start] !== 4 || bytes[start + 1] !== 1) return undefined
  if (bytes[start + 2] === 0 && bytes[start + 3] === 0) return undefined
  const userEnd = endOfText(bytes, start + 8, end)
  if (userEnd < 0) return undefined
  const named = bytes[start + 4] === 0 && bytes[start + 5] === 0 && bytes[start + 6] === 0
  const nameEnd = named ? endOfText(bytes, userEnd + 1, end) : userEnd
  if (nameEnd < 0 || (named && nameEnd === userEnd + 1)) return undefined
  // So short a signature is believed only where the client waits for the answer, or goes on with a hello.
  if (nameEnd + 1 !== end && bytes[nameEnd + 1] !== 0x16) return undefined
  const host = named
    ? hostName(bytes, userEnd + 1, nameEnd)
    : addressText(bytes, start + 4, start + 8)
  return { service: 'socks', complete: true, next: nameEnd + 1, host, proxyUser: '' }
}

/** Offset of the NUL that ends at most 255 printable characters; -1 if there is none. */
function endOfText(bytes: Uint8Array, start: number, end: number): number {
  for (let i = start; i < Math.min(end, start + 256); i++) {
    if (bytes[i] === 0) return i
    if (bytes[i]! < 0x20 || bytes[i]! > 0x7e) return -1
  }
  return -1
}

function addressText(bytes: Uint8Array, from: number, to: number): string {
  if (to - from === 16) return formatAddress(bytes, from)
  return `${bytes[from]}.${bytes[from + 1]}.${bytes[from + 2]}.${bytes[from + 3]}`
}

/** PostgreSQL: SSLRequest, after a GSSENCRequest that was refused perhaps. */
function readPostgres(bytes: Uint8Array, start: number, end: number): Preamble | undefined {
  let at = start
  while (at - start < 16 && end - at >= 8 && u32(bytes, at) === 8) {
    const code = u32(bytes, at + 4)
    if (code !== 80877103 && code !== 80877104) break
    at += 8
  }
  return at === start ? undefined : before('postgresql', at)
}

/** MySQL: the first 32 bytes of a handshake response, with CLIENT_SSL and CLIENT_PROTOCOL_41 set. */
function readMysql(bytes: Uint8Array, start: number, end: number): Preamble | undefined {
  if (end - start < 36 || u32(bytes, start) !== 0x20000001) return undefined
  if ((bytes[start + 5]! & 0x0a) !== 0x0a) return undefined
  // The last four of the reserved bytes are MariaDB's own.
  for (let i = start + 13; i < start + 32; i++) if (bytes[i] !== 0) return undefined
  return before('mysql', start + 36)
}

/** RDP: TPKT and X.224 connection request whose negotiation asks for TLS (MS-RDPBCGR 2.2.1.1). */
function readRdp(bytes: Uint8Array, start: number, end: number): Preamble | undefined {
  if (end - start < 19 || bytes[start] !== 3 || bytes[start + 1] !== 0) return undefined
  if (bytes[start + 5] !== 0xe0) return undefined
  const next = start + ((bytes[start + 2]! << 8) | bytes[start + 3]!)
  if (next > end || bytes[start + 4] !== next - start - 5) return undefined
  for (let at = start + 11; at + 8 <= next; at++)
    if (bytes[at] === 1 && bytes[at + 2] === 8 && bytes[at + 3] === 0 && bytes[at + 4]! > 0)
      return before('rdp', next)
  return undefined
}

const START_TLS_OID = '1.3.6.1.4.1.1466.20037'

/** LDAP: the extended request StartTLS (RFC 4511 section 4.14), in the short lengths that it always has. */
function readLdap(bytes: Uint8Array, start: number, end: number): Preamble | undefined {
  if (end - start < 31 || bytes[start] !== 0x30 || bytes[start + 2] !== 2) return undefined
  const next = start + 2 + bytes[start + 1]!
  const at = start + 4 + bytes[start + 3]!
  if (next > end || next - start > 40 || bytes[at] !== 0x77 || bytes[at + 2] !== 0x80)
    return undefined
  const oid = wireText(bytes, at + 4, Math.min(next, at + 4 + bytes[at + 3]!))
  return oid === START_TLS_OID ? before('ldap_tcp', next) : undefined
}

/** Commands that come before a STARTTLS: greetings and questions for what the server can do. */
const SOFT =
  /^(?:(EHLO|HELO|LHLO) [\x21-\x7e]+|(CAPA)|(FEAT|SYST)|[A-Za-z0-9.]{1,16} (CAPABILITY|ID (?:\(.*|NIL)))$/i
const UPGRADE = /^(?:(STARTTLS)|(STLS)|(AUTH (?:TLS|SSL)(?:-P)?)|[A-Za-z0-9.]{1,16} (STARTTLS))$/i
const BY_GROUP = ['smtp', 'pop3', 'ftp', 'imap']
const MAX_LINE = 512
/** The longest tag of IMAP. */
const MAX_WORD = 16
const MAX_LINES = 8

/** SMTP (RFC 3207), IMAP and POP3 (RFC 2595), FTP (RFC 4217): commands in lines up to the one that asks for TLS. */
function readStartTls(bytes: Uint8Array, start: number, end: number): Preamble | undefined {
  if (!beginsWithWord(bytes, start, end)) return undefined // no command, no tag
  let at = start
  let service = ''
  for (let lines = 0; lines < MAX_LINES; lines++) {
    let lineEnd = at
    while (lineEnd < end && lineEnd - at < MAX_LINE && bytes[lineEnd] !== 0x0a) lineEnd++
    if (bytes[lineEnd] !== 0x0a || lineEnd >= end)
      return service !== '' && lineEnd === end ? waiting(service) : undefined
    const text = latin1(bytes, at, bytes[lineEnd - 1] === 0x0d ? lineEnd - 1 : lineEnd)
    const upgrade = UPGRADE.exec(text)
    // A bare STARTTLS without a greeting is not of SMTP for sure.
    if (upgrade !== null)
      return before(upgrade[1] === undefined ? nameOf(upgrade) : service, lineEnd + 1)
    const soft = SOFT.exec(text)
    if (soft === null) return undefined
    service = nameOf(soft)
    at = lineEnd + 1
  }
  return undefined
}

/** Up to 16 letters, digits or dots, and then a space or the end of the line. */
function beginsWithWord(bytes: Uint8Array, start: number, end: number): boolean {
  const stop = Math.min(end, start + MAX_WORD)
  let at = start
  while (at < stop && isWordByte(bytes[at]!)) at++
  return at > start && at < end && (bytes[at] === 0x20 || bytes[at] === 0x0d || bytes[at] === 0x0a)
}

function isWordByte(byte: number): boolean {
  const lower = byte | 0x20
  return (byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x7a) || byte === 0x2e
}

function nameOf(groups: RegExpExecArray): string {
  for (let i = 1; i <= 4; i++) if (groups[i] !== undefined) return BY_GROUP[i - 1]!
  return ''
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!)
  return text
}

function u32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  )
}
