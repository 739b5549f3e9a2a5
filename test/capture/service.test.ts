import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { originatorService, responderService, udpService } from '../../src/capture/service.ts'
import { dnsMessage } from './dns-writer.ts'
import { clientHello, inDatagram, joined, serverNameBody } from './hello-writer.ts'
import { clientKeys, cryptoFrame, initialPacket } from './quic-writer.ts'

type Bytes = string | Uint8Array | readonly number[]
const bytesOf = (bytes: Bytes) => joined(bytes)
const orig = (bytes: Bytes) => originatorService(bytesOf(bytes), 0, bytesOf(bytes).length)
const resp = (bytes: Bytes) => responderService(bytesOf(bytes), 0, bytesOf(bytes).length)
const udp = (bytes: Bytes, from = 40000, to = 40001) =>
  udpService(bytesOf(bytes), 0, bytesOf(bytes).length, from, to)

const dns = dnsMessage({ flags: 0x0100, questions: [{ name: 'a.example', type: 1 }] })
const answer = dnsMessage({ questions: [{ name: 'a.example', type: 1 }] })
const asRequest = joined([0x6a, 12, 0x30, 10], new Uint8Array(10))

const ORIGINATOR: readonly (readonly [string, Bytes])[] = [
  ['ssh', 'SSH-2.0-OpenSSH_9.6\r\n'],
  ['smb', joined([0, 0, 0, 60, 0xfe], 'SMB', new Uint8Array(56))],
  ['postgresql', [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]],
  ['postgresql', joined([0, 0, 0, 23, 0, 3, 0, 0], 'user\0root\0', [0, 0, 0, 0, 0])],
  ['rdp', joined([3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0], [1, 0, 8, 0, 3, 0, 0, 0])],
  ['ldap_tcp', [0x30, 12, 2, 1, 1, 0x60, 7, 2, 1, 3, 4, 0, 0x80, 0]],
  ['krb_tcp', joined([0, 0, 0, asRequest.length], asRequest)],
  ['mqtt', joined([0x10, 18, 0, 4], 'MQTT', [4, 2, 0, 60, 0, 6], 'agent1')],
  ['amqp', joined('AMQP', [0, 0, 9, 1])],
  [
    'mongodb',
    joined([32, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xdd, 7, 0, 0, 0, 0, 0, 0, 0], new Uint8Array(11)),
  ],
  ['redis', '*2\r\n$4\r\nLLEN\r\n$6\r\nmylist\r\n'],
  ['bittorrent', '\x13BitTorrent protocol\0\0\0\0'],
  ['smtp', 'EHLO mail.example.com\r\n'],
  ['imap', 'a001 LOGIN user secret\r\n'],
  ['irc', 'NICK bot\r\nUSER bot 0 * :bot\r\n'],
  ['sip', 'REGISTER sip:example.com SIP/2.0\r\n'],
  ['xmpp', "<?xml version='1.0'?><stream:stream to='example.com'"],
  ['socks', [5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 1, 1, 187]],
  ['dns', joined([0, dns.length], dns)],
]

const RESPONDER: readonly (readonly [string, Bytes])[] = [
  ['ssl', joined([22, 3, 3, 0, 80, 2, 0, 0, 76, 3, 3], new Uint8Array(70))],
  ['ssl', [21, 3, 3, 0, 2, 2, 40]],
  ['http', 'HTTP/1.1 301 Moved Permanently\r\n'],
  ['ssh', 'SSH-1.99-x\n'],
  ['smtp', '220 mx.example.com ESMTP Postfix\r\n'],
  ['ftp', '220 (vsFTPd 3.0.3)\r\n'],
  ['imap', '* OK [CAPABILITY IMAP4rev1] ready\r\n'],
  ['pop3', '+OK POP3 server ready <1.2@example.com>\r\n'],
  ['mysql', joined([74, 0, 0, 0, 10], '8.0.36\0', new Uint8Array(60))],
  ['postgresql', joined('R', [0, 0, 0, 12, 0, 0, 0, 5, 1, 2, 3, 4])],
  ['rfb', 'RFB 003.008\n'],
  ['nats', 'INFO {"server_id":"x"}\r\n'],
  ['dns', joined([0, answer.length], answer)],
]

const dcid = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
const hello = clientHello({ version: 0xfefd, extensions: [[0, serverNameBody('a')]] })
const dhcp = new Uint8Array(244)
dhcp.set([1, 1, 6, 0])
dhcp.set([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255], 236)

const DATAGRAMS: readonly (readonly [string, Bytes, number])[] = [
  ['dns', dns, 53],
  ['dns', dns, 5300],
  [
    'quic',
    initialPacket({ dcid, frames: cryptoFrame(0, hello), keys: clientKeys(dcid), size: 1200 }),
    443,
  ],
  ['dtls', inDatagram(hello), 443],
  ['dhcp', dhcp, 67],
  ['ntp', joined([0x23], new Uint8Array(47)), 123],
  ['snmp', [0x30, 12, 2, 1, 1, 4, 3, 97, 98, 99, 0xa0, 2, 0, 0], 161],
  ['radius', joined([1, 9, 0, 20], new Uint8Array(16)), 1812],
  ['syslog', '<165>1 2026-01-01T00:00:00Z host app', 514],
  ['krb', asRequest, 88],
  ['ldap_udp', [0x30, 12, 2, 1, 1, 0x63, 7, 2, 1, 3, 4, 0, 0x80, 0], 389],
  ['sip', 'OPTIONS sip:a@example.com SIP/2.0\r\n', 5060],
  ['stun', [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 3478],
]

describe('service by content', () => {
  it.each(ORIGINATOR)('the originator speaks %s', (service, bytes) => {
    expect(orig(bytes)).toBe(service)
  })

  it.each(RESPONDER)('the responder speaks %s', (service, bytes) => {
    expect(resp(bytes)).toBe(service)
  })

  it.each(DATAGRAMS)('a datagram is %s', (service, bytes, port) => {
    expect(udp(bytes, 40000, port)).toBe(service)
    expect(udp(bytes, port, 40000)).toBe(service)
  })

  it('is not known where the beginning fits several protocols', () => {
    for (const text of [
      'USER anonymous\r\n',
      'AUTH LOGIN dXNlcg==\r\n',
      '+OK\r\n',
      '220 ready\r\n',
      '* OK ready\r\n',
      'PING\r\n',
    ])
      expect([orig(text), resp(text)], text).toEqual(['', ''])
  })

  it('is not taken from a port alone', () => {
    const noise = Uint8Array.from({ length: 60 }, (_, i) => 0xf0 | i)
    for (const port of [53, 67, 88, 123, 161, 389, 443, 514, 1812, 3478, 5060, 5353])
      expect(udp(noise, 40000, port), `${port}`).toBe('')
  })

  it('is never found in random bytes off its ports, and nothing throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect([orig(bytes), resp(bytes), udp(bytes)]).toEqual(['', '', ''])
        udp(bytes, 40000, 53)
      }),
      { numRuns: 1000 },
    )
  })

  it('never throws on what is cut', () => {
    const transport = /_(?:tcp|udp)$/
    const streams = [...ORIGINATOR, ...RESPONDER].map(([name, bytes]) => [name, bytes, 9] as const)
    for (const [service, bytes, port] of [...streams, ...DATAGRAMS]) {
      const whole = bytesOf(bytes)
      for (let i = 0; i < Math.min(whole.length, 300); i++) {
        const cut = whole.subarray(0, i)
        for (const got of [orig(cut), resp(cut), udp(cut, 40000, port)])
          expect(['', service.replace(transport, '')]).toContain(got.replace(transport, ''))
      }
    }
  })
})
