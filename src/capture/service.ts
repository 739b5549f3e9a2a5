// Which protocol is spoken, by content, in Zeek's names (TLS is `ssl`). A service that is missing costs little, one that
// is wrong misleads, so each signature asks for more than a magic number wherever the magic is short.

import { DnsMessage, parseDns } from './dns.ts'
import { looksLikeResponse } from './http.ts'
import { looksLikeQuicInitial } from './quic.ts'
import { readDtlsHello } from './tls.ts'

type Test = (bytes: Uint8Array, start: number, end: number) => boolean

const ORIGINATOR: readonly (readonly [string, Test])[] = [
  ['ssh', (b, s, e) => isSsh(b, s, e)],
  ['smb', (b, s, e) => isSmb(b, s, e)],
  ['postgresql', (b, s, e) => isPostgresStartup(b, s, e)],
  ['rdp', (b, s, e) => isRdp(b, s, e, 0xe0)],
  ['ldap_tcp', (b, s, e) => isLdap(b, s, e, [0x60, 0x63, 0x77])],
  ['krb_tcp', (b, s, e) => e - s > 8 && u32(b, s) === e - s - 4 && isKerberos(b, s + 4, e)],
  ['mqtt', (b, s, e) => isMqttConnect(b, s, e)],
  ['amqp', (b, s, e) => e - s >= 8 && has(b, s, e, 'AMQP') && b[s + 4]! <= 3],
  ['mongodb', (b, s, e) => isMongo(b, s, e)],
  ['redis', (b, s, e) => matches(b, s, e, /^\*[1-9]\d{0,4}\r\n\$\d{1,6}\r\n[A-Za-z]/)],
  ['bittorrent', (b, s, e) => has(b, s, e, '\x13BitTorrent protocol')],
  ['dce_rpc', (b, s, e) => isDceRpc(b, s, e, 0x0b)],
  ['smtp', (b, s, e) => matches(b, s, e, /^(?:EHLO|HELO|LHLO) [\x21-\x7e]+\r\n/i)],
  [
    'imap',
    (b, s, e) =>
      matches(
        b,
        s,
        e,
        /^[A-Za-z0-9.]{1,16} (?:CAPABILITY\r\n|LOGIN \S+ \S|STARTTLS\r\n|AUTHENTICATE [A-Z]|ID (?:\(|NIL\r))/i,
      ),
  ],
  [
    'irc',
    (b, s, e) => matches(b, s, e, /^(?:CAP LS[ \r\n]|(?:PASS \S+\r?\n)?NICK \S+\r?\nUSER \S+ )/i),
  ],
  ['sip', (b, s, e) => isSip(b, s, e)],
  ['xmpp', (b, s, e) => matches(b, s, e, /^(?:<\?xml [^>]{1,64}\?>\s*)?<stream:stream /)],
  ['socks', (b, s, e) => isSocks5Hello(b, s, e)],
  ['dns', (b, s, e) => isTcpDns(b, s, e, false)],
]

const RESPONDER: readonly (readonly [string, Test])[] = [
  ['ssl', (b, s, e) => isServerHello(b, s, e)],
  ['http', (b, s, e) => looksLikeResponse(b, s, e)],
  ['ssh', (b, s, e) => isSsh(b, s, e)],
  ['smtp', (b, s, e) => matches(b, s, e, /^220[ -][^\r\n]{0,200}\bE?SMTP\b/)],
  ['ftp', (b, s, e) => matches(b, s, e, /^220[ -][^\r\n]{0,200}FTP/i)],
  ['imap', (b, s, e) => matches(b, s, e, /^\* (?:OK|PREAUTH) [^\r\n]{0,400}\bIMAP/i)],
  ['imap', (b, s, e) => matches(b, s, e, /^\* OK \[CAPABILITY /i)],
  ['pop3', (b, s, e) => matches(b, s, e, /^\+OK [^\r\n]{0,400}(?:\bPOP|<[^<>\s]+@[^<>\s]+>)/i)],
  ['mysql', (b, s, e) => isMysqlGreeting(b, s, e)],
  ['postgresql', (b, s, e) => isPostgresAnswer(b, s, e)],
  ['smb', (b, s, e) => isSmb(b, s, e)],
  ['rdp', (b, s, e) => isRdp(b, s, e, 0xd0)],
  ['ldap_tcp', (b, s, e) => isLdap(b, s, e, [0x61, 0x64, 0x65, 0x78])],
  ['rfb', (b, s, e) => matches(b, s, e, /^RFB 00[34]\.\d{3}\n/)],
  ['bittorrent', (b, s, e) => has(b, s, e, '\x13BitTorrent protocol')],
  ['dce_rpc', (b, s, e) => isDceRpc(b, s, e, 0x0c)],
  ['amqp', (b, s, e) => e - s >= 8 && has(b, s, e, 'AMQP') && b[s + 4]! <= 3],
  ['nats', (b, s, e) => matches(b, s, e, /^INFO \{"server_id":/)],
  ['xmpp', (b, s, e) => matches(b, s, e, /^(?:<\?xml [^>]{1,64}\?>\s*)?<stream:stream /)],
  ['dns', (b, s, e) => isTcpDns(b, s, e, true)],
]

/** The service by the originator's first bytes, TLS and HTTP apart; '' if it is not known for sure. */
export function originatorService(bytes: Uint8Array, start: number, end: number): string {
  return firstMatch(ORIGINATOR, bytes, start, end)
}

/** The service by the responder's first bytes; '' if it is not known for sure. */
export function responderService(bytes: Uint8Array, start: number, end: number): string {
  return firstMatch(RESPONDER, bytes, start, end)
}

/** The service of a UDP flow by one datagram, in either direction; '' if it is not known for sure. */
export function udpService(
  bytes: Uint8Array,
  start: number,
  end: number,
  origPort: number,
  respPort: number,
): string {
  const on = (port: number) => origPort === port || respPort === port
  if (isUdpDns(bytes, start, end, on(53) || on(5353) || on(5355) || on(137))) return 'dns'
  if (looksLikeQuicInitial(bytes, start, end)) return 'quic'
  if (readDtlsHello(bytes, start, end).status === 'hello') return 'dtls'
  if (isDhcp(bytes, start, end)) return 'dhcp'
  if (on(123) && isNtp(bytes, start, end)) return 'ntp'
  if ((on(161) || on(162)) && isSnmp(bytes, start, end)) return 'snmp'
  if ((on(1812) || on(1813) || on(1645) || on(1646)) && isRadius(bytes, start, end)) return 'radius'
  if (on(514) && matches(bytes, start, end, /^<(?:\d{1,2}|1[0-8]\d|19[01])>/)) return 'syslog'
  if (on(88) && isKerberos(bytes, start, end)) return 'krb'
  if (on(389) && isLdap(bytes, start, end, [0x60, 0x61, 0x63, 0x64, 0x65])) return 'ldap_udp'
  if (isSip(bytes, start, end)) return 'sip'
  if (isStun(bytes, start, end)) return 'stun'
  return ''
}

function firstMatch(
  tests: readonly (readonly [string, Test])[],
  bytes: Uint8Array,
  start: number,
  end: number,
): string {
  for (const [service, test] of tests) if (test(bytes, start, end)) return service
  return ''
}

/** Longest beginning that a text signature looks at. */
const MAX_TEXT = 512

/** The pattern against the first bytes as Latin-1. The patterns are anchored and bounded: no backtracking to speak of. */
function matches(bytes: Uint8Array, start: number, end: number, pattern: RegExp): boolean {
  // Every text protocol begins with a printable character, so binary data costs nothing here.
  if (start >= end || bytes[start]! < 0x20 || bytes[start]! > 0x7e) return false
  let text = ''
  const stop = Math.min(end, start + MAX_TEXT)
  for (let i = start; i < stop; i++) text += String.fromCharCode(bytes[i]!)
  return pattern.test(text)
}

function has(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start < text.length) return false
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text.charCodeAt(i)) return false
  return true
}

function isSsh(b: Uint8Array, s: number, e: number): boolean {
  return has(b, s, e, 'SSH-2.0-') || has(b, s, e, 'SSH-1.')
}

/** NetBIOS session message (RFC 1002 section 4.3) with SMB1 or SMB2/3 within. */
function isSmb(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 9 || b[s] !== 0) return false
  const magic = b[s + 4]
  return (magic === 0xff || magic === 0xfe) && has(b, s + 5, e, 'SMB')
}

/** StartupMessage of protocol 3, or SSLRequest and its kin (PostgreSQL, message formats). */
function isPostgresStartup(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 8) return false
  const length = u32(b, s)
  const code = u32(b, s + 4)
  if (length === 8 && (code === 80877103 || code === 80877104)) return true
  return code === 0x00030000 && length === e - s && has(b, s + 8, e, 'user\0')
}

/** Authentication request: 'R', length, a method from 0 to 12; or the ErrorResponse to a startup. */
function isPostgresAnswer(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 9) return false
  const length = u32(b, s + 1)
  if (b[s] === 0x52) return length >= 8 && length <= 256 && u32(b, s + 5) <= 12
  return b[s] === 0x45 && length < 4096 && b[s + 5] === 0x53 && has(b, s + 6, e, 'FATAL\0')
}

/** TPKT (RFC 1006) with an X.224 connection request (0xe0) or confirm (0xd0) that negotiates RDP. */
function isRdp(b: Uint8Array, s: number, e: number, code: number): boolean {
  if (e - s < 11 || b[s] !== 3 || b[s + 1] !== 0 || b[s + 5] !== code) return false
  if (u16(b, s + 2) !== e - s || b[s + 4] !== e - s - 5) return false
  if (has(b, s + 11, e, 'Cookie: mstshash=')) return true
  const at = e - 8 // negotiation request 1, response 2, failure 3; always 8 bytes, always last
  return at >= s + 11 && b[at]! >= 1 && b[at]! <= 3 && b[at + 2] === 8 && b[at + 3] === 0
}

/** LDAPMessage (RFC 4511 section 4.1): SEQUENCE, INTEGER message id, an operation of those given. */
function isLdap(b: Uint8Array, s: number, e: number, operations: readonly number[]): boolean {
  if (e - s < 7 || b[s] !== 0x30) return false
  const head = derHead(b, s, e)
  if (head < 0) return false
  const at = s + head
  if (b[at] !== 2 || b[at + 1]! < 1 || b[at + 1]! > 4) return false
  const operation = at + 2 + b[at + 1]!
  return operation + 1 < e && operations.includes(b[operation]!) && derHead(b, operation, e) > 0
}

/** AS-REQ, AS-REP, TGS-REQ, TGS-REP or KRB-ERROR (RFC 4120): its outer tag fills the message, a SEQUENCE is within. */
function isKerberos(b: Uint8Array, s: number, e: number): boolean {
  const tag = b[s]!
  if (![0x6a, 0x6b, 0x6c, 0x6d, 0x7e].includes(tag)) return false
  const head = derHead(b, s, e)
  if (head < 0 || s + head + derLength(b, s) !== e || b[s + head] !== 0x30) return false
  return true
}

/** Bytes of tag and length of a DER element whose content is not empty; -1 if it is none. */
function derHead(b: Uint8Array, at: number, e: number): number {
  if (at + 2 > e) return -1
  const first = b[at + 1]!
  if (first > 0 && first < 0x80) return 2
  const size = first & 0x7f
  return first > 0x80 && size <= 4 && at + 2 + size < e ? 2 + size : -1
}

function derLength(b: Uint8Array, at: number): number {
  const first = b[at + 1]!
  if (first < 0x80) return first
  let length = 0
  for (let i = 0; i < (first & 0x7f); i++) length = length * 256 + b[at + 2 + i]!
  return length
}

/** CONNECT of MQTT 3.1, 3.1.1 and 5. */
function isMqttConnect(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 12 || b[s] !== 0x10) return false
  let at = s + 1
  while (at < s + 4 && (b[at]! & 0x80) !== 0) at++
  at++
  return has(b, at, e, '\0\x04MQTT') || has(b, at, e, '\0\x06MQIsdp')
}

/** OP_QUERY or OP_MSG that answers nothing. */
function isMongo(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 26 || u32le(b, s) !== e - s || u32le(b, s + 8) !== 0) return false
  const code = u32le(b, s + 12)
  return code === 2013 ? u32le(b, s + 16) < 4 && b[s + 20] === 0 : code === 2004
}

/** DCE/RPC version 5.0, bind (11) or bind acknowledgement (12), with a length that fits. */
function isDceRpc(b: Uint8Array, s: number, e: number, type: number): boolean {
  if (e - s < 24 || b[s] !== 5 || b[s + 1]! > 1 || b[s + 2] !== type) return false
  return b[s + 4] === 0x10 && b[s + 5] === 0 && ((b[s + 9]! << 8) | b[s + 8]!) === e - s
}

function isSip(b: Uint8Array, s: number, e: number): boolean {
  if (has(b, s, e, 'SIP/2.0 ')) return matches(b, s, e, /^SIP\/2\.0 [1-6]\d\d [^\r\n]*\r\n/)
  return matches(b, s, e, /^[A-Z]{3,12} sips?:[^ \r\n]{1,400} SIP\/2\.0\r\n/)
}

/** Methods offered, then the request in the same bytes (RFC 1928 section 4): too short a hello to tell by itself. */
function isSocks5Hello(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 3 || b[s] !== 5 || b[s + 1]! === 0 || b[s + 1]! > 8) return false
  const at = s + 2 + b[s + 1]!
  for (let i = s + 2; i < Math.min(at, e); i++) if (b[i]! > 9) return false
  return at + 10 <= e && b[at] === 5 && b[at + 1]! >= 1 && b[at + 1]! <= 3 && b[at + 2] === 0
}

function isServerHello(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 7 || b[s + 1] !== 3 || b[s + 2]! > 4) return false
  const length = u16(b, s + 3)
  if (b[s] === 22) return b[s + 5] === 2 && length >= 42 && length <= 18_432
  return b[s] === 21 && length === 2 && (b[s + 5] === 1 || b[s + 5] === 2) && e - s === 7
}

/** Initial handshake packet: length, sequence 0, protocol 10, a version that begins with a digit. */
function isMysqlGreeting(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 20 || b[s + 2] !== 0 || b[s + 3] !== 0 || b[s + 4] !== 10) return false
  const length = b[s]! | (b[s + 1]! << 8)
  return (
    length >= 40 && length <= 512 && b[s + 5]! >= 0x33 && b[s + 5]! <= 0x39 && b[s + 6] === 0x2e
  )
}

const scratch = new DnsMessage()

/** On a DNS port a sound message is enough; elsewhere it must be one plain question and end where it says. */
function isUdpDns(b: Uint8Array, s: number, e: number, onPort: boolean): boolean {
  if (e - s < 12 || !parseDns(b, s, e, scratch)) return false
  if (onPort) return !(scratch.malformed && scratch.name.length === 0)
  return isPlainDns(b, s) && scratch.exact && scratch.query !== '.'
}

/** The whole stream so far is one message behind its length. */
function isTcpDns(b: Uint8Array, s: number, e: number, response: boolean): boolean {
  if (e - s < 19 || u16(b, s) !== e - s - 2 || !parseDns(b, s + 2, e, scratch)) return false
  return isPlainDns(b, s + 2) && scratch.exact && scratch.response === response
}

function isPlainDns(b: Uint8Array, s: number): boolean {
  return (
    u16(b, s + 4) === 1 && scratch.qclass === 1 && scratch.opcode === 0 && (b[s + 3]! & 0x40) === 0
  )
}

/** BOOTP with DHCP's magic cookie (RFC 2131 section 3). */
function isDhcp(b: Uint8Array, s: number, e: number): boolean {
  return e - s >= 241 && (b[s] === 1 || b[s] === 2) && u32(b, s + 236) === 0x63825363
}

/** Versions 1 to 4 (RFC 5905 section 7.3); control messages (mode 6 and 7) are shorter. */
function isNtp(b: Uint8Array, s: number, e: number): boolean {
  if (s >= e) return false
  const mode = b[s]! & 7
  const version = (b[s]! >> 3) & 7
  return version >= 1 && version <= 4 && mode >= 1 && e - s >= (mode >= 6 ? 8 : 48)
}

/** SEQUENCE, version 0, 1 or 3 (RFC 3416, RFC 3412). */
function isSnmp(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 12 || b[s] !== 0x30) return false
  const head = derHead(b, s, e)
  if (head < 0) return false
  const at = s + head
  return b[at] === 2 && b[at + 1] === 1 && [0, 1, 3].includes(b[at + 2]!)
}

/** Codes of access and accounting, and a length that fits (RFC 2865 section 3). */
function isRadius(b: Uint8Array, s: number, e: number): boolean {
  return e - s >= 20 && [1, 2, 3, 4, 5, 11].includes(b[s]!) && u16(b, s + 2) === e - s
}

/** Magic cookie and a length that fits (RFC 8489 section 5). */
function isStun(b: Uint8Array, s: number, e: number): boolean {
  return e - s >= 20 && b[s]! < 0x40 && u32(b, s + 4) === 0x2112a442 && u16(b, s + 2) === e - s - 20
}

function u16(b: Uint8Array, at: number): number {
  return (b[at]! << 8) | b[at + 1]!
}

function u32(b: Uint8Array, at: number): number {
  return ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0
}

function u32le(b: Uint8Array, at: number): number {
  return ((b[at + 3]! << 24) | (b[at + 2]! << 16) | (b[at + 1]! << 8) | b[at]!) >>> 0
}
