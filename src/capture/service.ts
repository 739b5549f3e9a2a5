// Which protocol is spoken, by content, in Zeek's names (TLS is `ssl`). A service that is missing costs little, one that
// is wrong misleads, so each signature asks for more than a magic number wherever the magic is short.

import { looksLikeResponse } from './http.ts'
import { looksLikeQuicInitial } from './quic.ts'
import {
  has,
  isAmqp,
  isDceRpc,
  isDhcp,
  isKerberos,
  isKerberosStream,
  isLdap,
  isMongo,
  isMqttConnect,
  isMysqlGreeting,
  isNtp,
  isPostgresAnswer,
  isPostgresStartup,
  isRadius,
  isRdp,
  isServerHello,
  isSmb,
  isSnmp,
  isSocks5Hello,
  isSsh,
  isStun,
  isTcpDns,
  isUdpDns,
} from './signatures.ts'
import { readDtlsHello } from './tls.ts'

/** The service by the originator's first bytes, TLS and HTTP apart; '' if it is not known for sure. */
export function originatorService(bytes: Uint8Array, start: number, end: number): string {
  if (start >= end) return ''
  const service = originatorByFirst(bytes, start, end)
  if (service !== '') return service
  if (isMongo(bytes, start, end)) return 'mongodb'
  if (isSocks5Hello(bytes, start, end)) return 'socks'
  return isTcpDns(bytes, start, end, false) ? 'dns' : ''
}

/** Those that the first byte tells apart: whatever comes, two or three of them are looked at. */
function originatorByFirst(b: Uint8Array, s: number, e: number): string {
  switch (b[s]) {
    case 0x00:
      if (isSmb(b, s, e)) return 'smb'
      if (isPostgresStartup(b, s, e)) return 'postgresql'
      return isKerberosStream(b, s, e) ? 'krb_tcp' : ''
    case 0x03:
      return isRdp(b, s, e, 0xe0) ? 'rdp' : ''
    case 0x05:
      return isDceRpc(b, s, e, 0x0b) ? 'dce_rpc' : ''
    case 0x10:
      return isMqttConnect(b, s, e) ? 'mqtt' : ''
    case 0x13:
      return has(b, s, e, BITTORRENT) ? 'bittorrent' : ''
    case 0x2a:
      return matches(b, s, e, REDIS) ? 'redis' : ''
    case 0x3c:
      return matches(b, s, e, XMPP) ? 'xmpp' : ''
    case 0x30:
      if (isLdap(b, s, e, LDAP_REQUESTS)) return 'ldap_tcp'
      break
    case 0x41:
      if (isAmqp(b, s, e)) return 'amqp'
      break
    case 0x53:
      if (isSsh(b, s, e)) return 'ssh'
      break
  }
  return originatorText(b, s, e)
}

/** Commands and requests: a word, a space, and what the word asks for. */
function originatorText(b: Uint8Array, s: number, e: number): string {
  if (!beginsWithWord(b, s, e)) return ''
  const text = textOf(b, s, e)
  if (SMTP_COMMAND.test(text)) return 'smtp'
  if (IMAP_COMMAND.test(text)) return 'imap'
  if (IRC_COMMAND.test(text)) return 'irc'
  return SIP.test(text) ? 'sip' : ''
}

/** The service by the responder's first bytes; '' if it is not known for sure. */
export function responderService(bytes: Uint8Array, start: number, end: number): string {
  if (start >= end) return ''
  const service = responderByFirst(bytes, start, end)
  if (service !== '') return service
  if (isMysqlGreeting(bytes, start, end)) return 'mysql'
  return isTcpDns(bytes, start, end, true) ? 'dns' : ''
}

function responderByFirst(b: Uint8Array, s: number, e: number): string {
  switch (b[s]) {
    case 0x00:
      return isSmb(b, s, e) ? 'smb' : ''
    case 0x03:
      return isRdp(b, s, e, 0xd0) ? 'rdp' : ''
    case 0x05:
      return isDceRpc(b, s, e, 0x0c) ? 'dce_rpc' : ''
    case 0x13:
      return has(b, s, e, BITTORRENT) ? 'bittorrent' : ''
    case 0x15:
    case 0x16:
      return isServerHello(b, s, e) ? 'ssl' : ''
    case 0x2a:
      return matches(b, s, e, IMAP_GREETING) ? 'imap' : ''
    case 0x2b:
      return matches(b, s, e, POP3_GREETING) ? 'pop3' : ''
    case 0x30:
      return isLdap(b, s, e, LDAP_RESPONSES) ? 'ldap_tcp' : ''
    case 0x32:
      if (matches(b, s, e, SMTP_GREETING)) return 'smtp'
      return matches(b, s, e, FTP_GREETING) ? 'ftp' : ''
    case 0x3c:
      return matches(b, s, e, XMPP) ? 'xmpp' : ''
    case 0x41:
      return isAmqp(b, s, e) ? 'amqp' : ''
    case 0x45:
      return isPostgresAnswer(b, s, e) ? 'postgresql' : ''
    case 0x48:
      return looksLikeResponse(b, s, e) ? 'http' : ''
    case 0x49:
      return has(b, s, e, NATS_GREETING) ? 'nats' : ''
    case 0x52:
      if (isPostgresAnswer(b, s, e)) return 'postgresql'
      return matches(b, s, e, RFB_GREETING) ? 'rfb' : ''
    case 0x53:
      return isSsh(b, s, e) ? 'ssh' : ''
    default:
      return ''
  }
}

/** The service of a UDP flow by one datagram, in either direction; '' if it is not known for sure. */
export function udpService(
  bytes: Uint8Array,
  start: number,
  end: number,
  origPort: number,
  respPort: number,
): string {
  if (isUdpDns(bytes, start, end, isDnsPort(origPort) || isDnsPort(respPort))) return 'dns'
  if (looksLikeQuicInitial(bytes, start, end)) return 'quic'
  if (readDtlsHello(bytes, start, end).status === 'hello') return 'dtls'
  if (isDhcp(bytes, start, end)) return 'dhcp'
  const service =
    byUdpPort(bytes, start, end, respPort) ||
    (origPort === respPort ? '' : byUdpPort(bytes, start, end, origPort))
  if (service !== '') return service
  if (beginsWithWord(bytes, start, end) && SIP.test(textOf(bytes, start, end))) return 'sip'
  return isStun(bytes, start, end) ? 'stun' : ''
}

/** Signatures so weak that the port has to speak for them too. */
function byUdpPort(b: Uint8Array, s: number, e: number, port: number): string {
  switch (port) {
    case 88:
      return isKerberos(b, s, e) ? 'krb' : ''
    case 123:
      return isNtp(b, s, e) ? 'ntp' : ''
    case 161:
    case 162:
      return isSnmp(b, s, e) ? 'snmp' : ''
    case 389:
      return isLdap(b, s, e, LDAP_DATAGRAMS) ? 'ldap_udp' : ''
    case 514:
      return matches(b, s, e, SYSLOG) ? 'syslog' : ''
    case 1645:
    case 1646:
    case 1812:
    case 1813:
      return isRadius(b, s, e) ? 'radius' : ''
    default:
      return ''
  }
}

/** DNS, multicast DNS, LLMNR and NetBIOS names. */
function isDnsPort(port: number): boolean {
  return port === 53 || port === 5353 || port === 5355 || port === 137
}

const BITTORRENT = '\x13BitTorrent protocol'
const NATS_GREETING = 'INFO {"server_id":'
const LDAP_REQUESTS = [0x60, 0x63, 0x77]
const LDAP_RESPONSES = [0x61, 0x64, 0x65, 0x78]
const LDAP_DATAGRAMS = [0x60, 0x61, 0x63, 0x64, 0x65]

// The patterns are anchored and bounded: no backtracking to speak of.
const REDIS = /^\*[1-9]\d{0,4}\r\n\$\d{1,6}\r\n[A-Za-z]/
const XMPP = /^(?:<\?xml [^>]{1,64}\?>\s*)?<stream:stream /
const SMTP_COMMAND = /^(?:EHLO|HELO|LHLO) [\x21-\x7e]+\r\n/i
const IMAP_COMMAND =
  /^[A-Za-z0-9.]{1,16} (?:CAPABILITY\r\n|LOGIN \S+ \S|STARTTLS\r\n|AUTHENTICATE [A-Z]|ID (?:\(|NIL\r))/i
const IRC_COMMAND = /^(?:CAP LS[ \r\n]|(?:PASS \S+\r?\n)?NICK \S+\r?\nUSER \S+ )/i
const SIP = /^(?:SIP\/2\.0 [1-6]\d\d [^\r\n]*\r\n|[A-Z]{3,12} sips?:[^ \r\n]{1,400} SIP\/2\.0\r\n)/
const SMTP_GREETING = /^220[ -][^\r\n]{0,200}\bE?SMTP\b/
const FTP_GREETING = /^220[ -][^\r\n]{0,200}FTP/i
const IMAP_GREETING = /^\* (?:(?:OK|PREAUTH) [^\r\n]{0,400}\bIMAP|OK \[CAPABILITY )/i
const POP3_GREETING = /^\+OK [^\r\n]{0,400}(?:\bPOP|<[^<>\s]+@[^<>\s]+>)/i
const RFB_GREETING = /^RFB 00[34]\.\d{3}\n/
const SYSLOG = /^<(?:\d{1,2}|1[0-8]\d|19[01])>/

/** Longest beginning that a text signature looks at. */
const MAX_TEXT = 512
/** Longest first word of a command: the tag of IMAP. */
const MAX_WORD = 16

/** The first bytes as Latin-1. */
function textOf(b: Uint8Array, s: number, e: number): string {
  const size = Math.min(e - s, MAX_TEXT)
  return Buffer.from(b.buffer, b.byteOffset + s, size).toString('latin1')
}

/** The pattern against the first bytes as Latin-1. */
function matches(b: Uint8Array, s: number, e: number, pattern: RegExp): boolean {
  return s < e && pattern.test(textOf(b, s, e))
}

/** Letters, digits, dots and slashes up to a space: how every command begins, and binary data hardly ever. */
function beginsWithWord(b: Uint8Array, s: number, e: number): boolean {
  const stop = Math.min(e, s + MAX_WORD + 1)
  let at = s
  while (at < stop && IN_WORD[b[at]!] === 1) at++
  return at > s && at < stop && b[at] === 0x20
}

const IN_WORD = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[A-Za-z0-9./]/.test(String.fromCharCode(byte)) ? 1 : 0,
)
