// Signatures of binary protocols: whether bytes[s, e) begin with one. Each asks for more than a magic number wherever the
// magic is short. Which of them are asked, and in what order, is service.ts.

import type { NameText } from '../name-table.ts'
import { DnsMessage, parseDns } from './dns.ts'

export function has(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start < text.length) return false
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text.charCodeAt(i)) return false
  return true
}

export function isAmqp(b: Uint8Array, s: number, e: number): boolean {
  return e - s >= 8 && has(b, s, e, 'AMQP') && b[s + 4]! <= 3
}

export function isSsh(b: Uint8Array, s: number, e: number): boolean {
  return has(b, s, e, 'SSH-2.0-') || has(b, s, e, 'SSH-1.')
}

/** NetBIOS session message (RFC 1002 section 4.3) with SMB1 or SMB2/3 within. */
export function isSmb(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 9 || b[s] !== 0) return false
  const magic = b[s + 4]
  return (magic === 0xff || magic === 0xfe) && has(b, s + 5, e, 'SMB')
}

/** StartupMessage of protocol 3, or SSLRequest and its kin (PostgreSQL, message formats). */
export function isPostgresStartup(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 8) return false
  const length = u32(b, s)
  const code = u32(b, s + 4)
  if (length === 8 && (code === 80877103 || code === 80877104)) return true
  return code === 0x00030000 && length === e - s && has(b, s + 8, e, 'user\0')
}

/** Authentication request: 'R', length, a method from 0 to 12; or the ErrorResponse to a startup. */
export function isPostgresAnswer(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 9) return false
  const length = u32(b, s + 1)
  if (b[s] === 0x52) return length >= 8 && length <= 256 && u32(b, s + 5) <= 12
  return b[s] === 0x45 && length < 4096 && b[s + 5] === 0x53 && has(b, s + 6, e, 'FATAL\0')
}

/** TPKT (RFC 1006) with an X.224 connection request (0xe0) or confirm (0xd0) that negotiates RDP. */
export function isRdp(b: Uint8Array, s: number, e: number, code: number): boolean {
  if (e - s < 11 || b[s] !== 3 || b[s + 1] !== 0 || b[s + 5] !== code) return false
  if (u16(b, s + 2) !== e - s || b[s + 4] !== e - s - 5) return false
  if (has(b, s + 11, e, 'Cookie: mstshash=')) return true
  const at = e - 8 // negotiation request 1, response 2, failure 3; always 8 bytes, always last
  return at >= s + 11 && b[at]! >= 1 && b[at]! <= 3 && b[at + 2] === 8 && b[at + 3] === 0
}

/** LDAPMessage (RFC 4511 section 4.1): SEQUENCE, INTEGER message id, an operation of those given. */
export function isLdap(
  b: Uint8Array,
  s: number,
  e: number,
  operations: readonly number[],
): boolean {
  if (e - s < 7 || b[s] !== 0x30) return false
  const head = derHead(b, s, e)
  if (head < 0) return false
  const at = s + head
  if (b[at] !== 2 || b[at + 1]! < 1 || b[at + 1]! > 4) return false
  const operation = at + 2 + b[at + 1]!
  return operation + 1 < e && operations.includes(b[operation]!) && derHead(b, operation, e) > 0
}

/** AS-REQ, AS-REP, TGS-REQ, TGS-REP or KRB-ERROR (RFC 4120): its outer tag fills the message, a SEQUENCE is within. */
export function isKerberos(b: Uint8Array, s: number, e: number): boolean {
  const tag = b[s]!
  if ((tag < 0x6a || tag > 0x6d) && tag !== 0x7e) return false
  const head = derHead(b, s, e)
  if (head < 0 || s + head + derLength(b, s) !== e || b[s + head] !== 0x30) return false
  return true
}

/** The same over TCP: one message behind its length. */
export function isKerberosStream(b: Uint8Array, s: number, e: number): boolean {
  return e - s > 8 && u32(b, s) === e - s - 4 && isKerberos(b, s + 4, e)
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
export function isMqttConnect(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 12 || b[s] !== 0x10) return false
  let at = s + 1
  while (at < s + 4 && (b[at]! & 0x80) !== 0) at++
  at++
  return has(b, at, e, '\0\x04MQTT') || has(b, at, e, '\0\x06MQIsdp')
}

/** OP_QUERY or OP_MSG that answers nothing. */
export function isMongo(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 26 || u32le(b, s) !== e - s || u32le(b, s + 8) !== 0) return false
  const code = u32le(b, s + 12)
  return code === 2013 ? u32le(b, s + 16) < 4 && b[s + 20] === 0 : code === 2004
}

/** DCE/RPC version 5.0, bind (11) or bind acknowledgement (12), with a length that fits. */
export function isDceRpc(b: Uint8Array, s: number, e: number, type: number): boolean {
  if (e - s < 24 || b[s] !== 5 || b[s + 1]! > 1 || b[s + 2] !== type) return false
  return b[s + 4] === 0x10 && b[s + 5] === 0 && ((b[s + 9]! << 8) | b[s + 8]!) === e - s
}

/** Methods offered, then the request in the same bytes (RFC 1928 section 4): too short a hello to tell by itself. */
export function isSocks5Hello(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 3 || b[s] !== 5 || b[s + 1]! === 0 || b[s + 1]! > 8) return false
  const at = s + 2 + b[s + 1]!
  for (let i = s + 2; i < Math.min(at, e); i++) if (b[i]! > 9) return false
  return at + 10 <= e && b[at] === 5 && b[at + 1]! >= 1 && b[at + 1]! <= 3 && b[at + 2] === 0
}

export function isServerHello(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 7 || b[s + 1] !== 3 || b[s + 2]! > 4) return false
  const length = u16(b, s + 3)
  if (b[s] === 22) return b[s + 5] === 2 && length >= 42 && length <= 18_432
  return b[s] === 21 && length === 2 && (b[s + 5] === 1 || b[s + 5] === 2) && e - s === 7
}

/** Initial handshake packet: length, sequence 0, protocol 10, a version that begins with a digit. */
export function isMysqlGreeting(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 20 || b[s + 2] !== 0 || b[s + 3] !== 0 || b[s + 4] !== 10) return false
  const length = b[s]! | (b[s + 1]! << 8)
  return (
    length >= 40 && length <= 512 && b[s + 5]! >= 0x33 && b[s + 5]! <= 0x39 && b[s + 6] === 0x2e
  )
}

const scratch = new DnsMessage()

/** On a DNS port a sound message is enough; elsewhere it must be one plain question and end where it says. */
export function isUdpDns(b: Uint8Array, s: number, e: number, onPort: boolean): boolean {
  if (e - s < 12 || (!onPort && !isPlainHead(b, s)) || !parseDns(b, s, e, scratch)) return false
  if (onPort) return !(scratch.malformed && scratch.name.length === 0)
  return scratch.qclass === 1 && scratch.exact && !isRoot(scratch.name)
}

/** The whole stream so far is one message behind its length. */
export function isTcpDns(b: Uint8Array, s: number, e: number, response: boolean): boolean {
  if (e - s < 19 || u16(b, s) !== e - s - 2 || !isPlainHead(b, s + 2)) return false
  if (!parseDns(b, s + 2, e, scratch)) return false
  return scratch.qclass === 1 && scratch.exact && scratch.response === response
}

/** One question, a standard query (opcode 0), and the reserved bit 0. */
function isPlainHead(b: Uint8Array, s: number): boolean {
  return u16(b, s + 4) === 1 && (b[s + 2]! & 0x78) === 0 && (b[s + 3]! & 0x40) === 0
}

function isRoot(name: NameText): boolean {
  return name.length === 1 && name.bytes[0] === 0x2e
}

/** BOOTP with DHCP's magic cookie (RFC 2131 section 3). */
export function isDhcp(b: Uint8Array, s: number, e: number): boolean {
  return e - s >= 241 && (b[s] === 1 || b[s] === 2) && u32(b, s + 236) === 0x63825363
}

/** Versions 1 to 4 (RFC 5905 section 7.3); control messages (mode 6 and 7) are shorter. */
export function isNtp(b: Uint8Array, s: number, e: number): boolean {
  if (s >= e) return false
  const mode = b[s]! & 7
  const version = (b[s]! >> 3) & 7
  return version >= 1 && version <= 4 && mode >= 1 && e - s >= (mode >= 6 ? 8 : 48)
}

/** SEQUENCE, version 0, 1 or 3 (RFC 3416, RFC 3412). */
export function isSnmp(b: Uint8Array, s: number, e: number): boolean {
  if (e - s < 12 || b[s] !== 0x30) return false
  const head = derHead(b, s, e)
  if (head < 0) return false
  const at = s + head
  return b[at] === 2 && b[at + 1] === 1 && (b[at + 2]! <= 1 || b[at + 2] === 3)
}

/** Codes of access and accounting, and a length that fits (RFC 2865 section 3). */
export function isRadius(b: Uint8Array, s: number, e: number): boolean {
  const known = (b[s]! >= 1 && b[s]! <= 5) || b[s] === 11
  return e - s >= 20 && known && u16(b, s + 2) === e - s
}

/** Magic cookie and a length that fits (RFC 8489 section 5). */
export function isStun(b: Uint8Array, s: number, e: number): boolean {
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
