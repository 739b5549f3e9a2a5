import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type ClientHello,
  parseClientHello,
  readClientHello,
  readDtlsHello,
} from '../../src/capture/tls.ts'
import {
  alpnBody,
  clientHello,
  inDatagram,
  inRecords,
  joined,
  list16,
  serverNameBody,
  u16,
  versionsBody,
} from './hello-writer.ts'

const ordinary = clientHello({
  ciphers: [0x0a0a, 0x1301, 0x1302],
  extensions: [
    [0x0000, serverNameBody('API.Example.com')],
    [0x000a, list16([0x001d, 0x0017])],
    [0x000b, Uint8Array.of(1, 0)],
    [0x000d, list16([0x0403, 0x0804])],
    [0x0010, alpnBody('h2', 'http/1.1')],
    [0x002b, versionsBody([0x0304, 0x0303])],
  ],
})

function helloOf(bytes: Uint8Array, final = false): ClientHello {
  const read = readClientHello(bytes, 0, bytes.length, final)
  if (read.status !== 'hello') throw new Error(`no hello but ${read.status}`)
  return read.hello
}

const withExtension = (type: number, body: Uint8Array) =>
  helloOf(inRecords(clientHello({ extensions: [[type, body]] })))

describe('readClientHello', () => {
  it('reads what identifies a client', () => {
    const hello = helloOf(inRecords(ordinary))
    expect(hello).toMatchObject({
      version: 0x0303,
      ciphers: [0x0a0a, 0x1301, 0x1302],
      extensions: [0, 10, 11, 13, 16, 43],
      groups: [0x001d, 0x0017],
      pointFormats: [0],
      signatureAlgorithms: [0x0403, 0x0804],
      supportedVersions: [0x0304, 0x0303],
      serverName: 'api.example.com',
      ech: false,
      complete: true,
      anomalies: [],
    })
    expect(hello.alpn.map((protocol) => Buffer.from(protocol).toString())).toEqual([
      'h2',
      'http/1.1',
    ])
  })

  it('reads a hello cut into records anywhere, and asks for more until it is whole', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: ordinary.length - 1 }), { maxLength: 12 })
    fc.assert(
      fc.property(cuts, fc.nat(), (at, seen) => {
        const bytes = inRecords(ordinary, at)
        expect(helloOf(bytes)).toEqual(helloOf(inRecords(ordinary)))
        expect(readClientHello(bytes, 0, seen % bytes.length, false).status).toBe('more')
      }),
    )
  })

  it('answers with what is there of a cut hello, and says so', () => {
    const bytes = inRecords(ordinary)
    const name = bytes.length - ordinary.length + Buffer.from(ordinary).indexOf('API.Example.com')
    const before = helloOf(bytes.subarray(0, name + 14), true)
    expect(before).toMatchObject({ serverName: '', complete: false, anomalies: ['cut'] })
    const behind = helloOf(bytes.subarray(0, name + 15), true)
    expect(behind).toMatchObject({
      serverName: 'api.example.com',
      complete: false,
      anomalies: ['cut'],
    })
  })

  it('does not take other bytes for a hello', () => {
    const others = [
      'GET / HTTP/1.1\r\n',
      'SSH-2.0-x',
      '\x16\x04\x01\x00\x40\x01',
      '\x16\x03\x01\x00\x40\x02',
    ]
    for (const text of others) {
      const bytes = Buffer.from(text, 'latin1')
      expect(readClientHello(bytes, 0, bytes.length, false).status, text).toBe('other')
    }
  })

  it('tells a hello that is interrupted by another record', () => {
    const whole = inRecords(ordinary, [60])
    const cut = joined(whole.subarray(0, 65), [21, 3, 3, 0, 2, 2, 40])
    expect(helloOf(cut)).toMatchObject({ complete: false, anomalies: ['cut'] })
  })

  it('marks the outer name of a hello with an encrypted one', () => {
    const message = clientHello({
      extensions: [
        [0xfe0d, Uint8Array.of(0, 0, 1, 0, 1, 5, 0, 0, 0, 0)],
        [0, serverNameBody('cloudflare-ech.com')],
      ],
    })
    expect(helloOf(inRecords(message))).toMatchObject({
      ech: true,
      serverName: 'cloudflare-ech.com',
    })
  })

  it('keeps the first of several names and tells the doubt', () => {
    const two = joined([0], u16(1), 'a', [0], u16(1), 'b')
    const hello = withExtension(0, joined(u16(two.length), two))
    expect(hello).toMatchObject({ serverName: 'a', anomalies: ['tls_several_names'] })
  })

  it('escapes and bounds a hostile name', () => {
    expect(withExtension(0, serverNameBody('a\x1b[2J\\b.'))).toMatchObject({
      serverName: 'a\\x1b[2j\\\\b',
      anomalies: ['odd_name'],
    })
    expect(withExtension(0, serverNameBody('x'.repeat(9000))).serverName).toHaveLength(256)
  })

  it('reads empty items, and lengths that lie inside an extension', () => {
    expect(withExtension(0, new Uint8Array(0))).toMatchObject({ serverName: '', anomalies: [] })
    expect(withExtension(0, Uint8Array.of(0, 0))).toMatchObject({ serverName: '', anomalies: [] })
    expect(withExtension(16, Uint8Array.of(0, 2, 0, 0)).alpn).toEqual([
      new Uint8Array(0),
      new Uint8Array(0),
    ])
    expect(withExtension(10, Uint8Array.of(0, 9, 0, 1)).anomalies).toEqual(['tls_bad_length'])
    expect(withExtension(0, Uint8Array.of(0, 4, 0, 0, 9, 65)).anomalies).toEqual(['tls_bad_length'])
    expect(withExtension(13, Uint8Array.of(0)).anomalies).toEqual(['tls_bad_length'])
  })

  it('keeps no fingerprint material of a hello whose extensions do not add up', () => {
    const message = clientHello({ extensions: [[0, serverNameBody('a')]] })
    const at = message.length - 7
    message[at]! += 1 // the only extension is one byte longer than the message
    expect(helloOf(inRecords(message))).toMatchObject({
      complete: false,
      anomalies: ['tls_bad_length'],
    })
  })

  it('reads a hello without extensions', () => {
    const message = clientHello({ version: 0x0301, extensions: undefined })
    expect(helloOf(inRecords(message))).toMatchObject({
      extensions: [],
      complete: true,
      anomalies: [],
    })
  })

  it('tolerates the SSLv2 form', () => {
    const body = joined([1, 3, 1], u16(6), u16(0), u16(16), [0, 0, 4, 0, 0, 5], new Uint8Array(16))
    const bytes = joined([0x80, body.length], body)
    expect(helloOf(bytes)).toMatchObject({
      version: 0x0301,
      complete: false,
      anomalies: ['sslv2_hello'],
    })
    expect(readClientHello(bytes, 0, bytes.length - 1, false).status).toBe('more')
    const odd = joined([0x80, body.length + 1], body, [0])
    expect(readClientHello(odd, 0, odd.length, false).status).toBe('other')
  })

  it('never throws, and what it keeps is bounded by what it was given', () => {
    const prefix = fc.constantFrom(
      [],
      [22, 3, 1],
      [22, 3, 1, 2, 0, 1, 0, 1, 0, 3, 3],
      [0x80, 40, 1, 3, 1],
    )
    fc.assert(
      fc.property(prefix, fc.uint8Array({ maxLength: 400 }), fc.boolean(), (head, tail, final) => {
        const bytes = joined(head, tail)
        const read = readClientHello(bytes, 0, bytes.length, final)
        if (final) expect(read.status).not.toBe('more')
        if (read.status !== 'hello') return
        const { ciphers, extensions, groups } = read.hello
        expect(ciphers.length + extensions.length + groups.length).toBeLessThanOrEqual(bytes.length)
      }),
      { numRuns: 500 },
    )
  })

  it('never throws on a hello that is cut, or has one byte changed', () => {
    const bytes = inRecords(ordinary, [50, 90])
    for (let i = 0; i <= bytes.length; i++) readClientHello(bytes, 0, i, true)
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const changed = bytes.slice()
        changed[at] = value
        readClientHello(changed, 0, changed.length, true)
      }),
      { numRuns: 500 },
    )
  })
})

describe('parseClientHello', () => {
  it('reads nothing beyond its end', () => {
    for (let i = 0; i < ordinary.length; i++) {
      const alone = parseClientHello(ordinary.slice(0, i), 0, i)
      expect(parseClientHello(ordinary, 0, i)).toEqual(alone)
      expect(alone.complete).toBe(false)
    }
  })
})

describe('readDtlsHello', () => {
  it('reads a hello with a cookie', () => {
    const message = clientHello({
      version: 0xfefd,
      extensions: [[0, serverNameBody('turn.example.com')]],
    })
    const bytes = inDatagram(message, Uint8Array.of(1, 2, 3))
    const read = readDtlsHello(bytes, 0, bytes.length)
    expect(read).toMatchObject({
      hello: { serverName: 'turn.example.com', complete: true, version: 0xfefd },
    })
  })

  it('never throws on truncated or random datagrams', () => {
    const bytes = inDatagram(
      clientHello({ version: 0xfefd, extensions: [[0, serverNameBody('a')]] }),
    )
    for (let i = 0; i <= bytes.length; i++) readDtlsHello(bytes, 0, i)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (tail) => {
        const random = joined(bytes.subarray(0, 27), tail)
        readDtlsHello(random, 0, random.length)
      }),
    )
  })
})
