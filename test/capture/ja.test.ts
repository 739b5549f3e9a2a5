import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fingerprints, isGrease, ja3, ja4 } from '../../src/capture/ja.ts'
import { type ClientHello, parseClientHello } from '../../src/capture/tls.ts'
import {
  alpnBody,
  clientHello,
  type HelloParts,
  list16,
  serverNameBody,
  versionsBody,
} from './hello-writer.ts'

function hello(parts: HelloParts): ClientHello {
  const bytes = clientHello(parts)
  return parseClientHello(bytes, 0, bytes.length)
}

const nothing = new Uint8Array(0)

// The worked example of the JA4 specification: Chrome, in wire order, with GREASE put around it.
const chrome: HelloParts = {
  ciphers: [
    0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
    0x009c, 0x009d, 0x002f, 0x0035,
  ],
  extensions: [
    [0x8a8a, nothing],
    [0x001b, nothing],
    [0x0000, serverNameBody('example.com')],
    [0x0033, nothing],
    [0x0010, alpnBody('h2', 'http/1.1')],
    [0x4469, nothing],
    [0x0017, nothing],
    [0x002d, nothing],
    [0x000d, list16([0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601])],
    [0x0005, nothing],
    [0x0023, nothing],
    [0x0012, nothing],
    [0x002b, versionsBody([0xdada, 0x0304, 0x0303])],
    [0xff01, nothing],
    [0x000b, Uint8Array.of(1, 0)],
    [0x000a, list16([0x1a1a, 0x001d, 0x0017, 0x0018])],
    [0x0015, nothing],
    [0x2a2a, nothing],
  ],
}

describe('ja4', () => {
  it('is the worked example of the specification', () => {
    expect(ja4(hello(chrome), 't')).toBe('t13d1516h2_8daaf6152771_e5627efa2ab1')
    expect(ja4(hello(chrome), 'q')).toBe('q13d1516h2_8daaf6152771_e5627efa2ab1')
  })

  it('ends without an underscore where there are no signature algorithms', () => {
    const extensions = chrome.extensions!.map(
      ([type, body]) => [type, type === 0x000d ? nothing : body] as const,
    )
    const bare = hello({ ...chrome, extensions })
    expect(ja4(bare, 't')).toBe('t13d1516h2_8daaf6152771_6d807ffa2a79')
  })

  it('writes zeros for lists that are empty', () => {
    const bare = hello({ version: 0x0301, ciphers: [0x0a0a], extensions: undefined })
    expect(ja4(bare, 't')).toBe('t10i000000_000000000000_000000000000')
  })

  it.each([
    ['h2', 'h2'],
    ['http/1.1', 'h1'],
    ['x', 'xx'],
    ['', '00'],
    ['\xab', 'ab'],
    ['\xab\xcd', 'ad'],
    ['0\xab', '3b'],
    ['01\xab\xcd', '3d'],
    ['0\xab\xcd1', '01'],
  ])('writes the protocol %j as %s', (protocol, text) => {
    const offering = hello({ extensions: [[16, alpnBody(Buffer.from(protocol, 'latin1'))]] })
    expect(ja4(offering, 't').slice(8, 10)).toBe(text)
  })

  it.each([
    [0x0303, [], '12'],
    [0x0300, [], 's3'],
    [0x0303, [0x0303, 0x0304], '13'],
    [0x0303, [0x7f1c, 0xfb1a], '00'],
    [0xfefd, [], 'd2'],
    [0xfefd, [0xfefd, 0xfefc], 'd3'],
  ])('names version %i, offering %j, as %s', (version, offered, text) => {
    const extensions = offered.length === 0 ? [] : [[0x002b, versionsBody(offered)] as const]
    expect(ja4(hello({ version, extensions }), 't').slice(1, 3)).toBe(text)
  })

  it('counts to 99', () => {
    const many = hello({
      ciphers: Array.from({ length: 120 }, (_, i) => 0x1300 + i),
      extensions: [],
    })
    expect(ja4(many, 't').slice(4, 6)).toBe('99')
  })

  it('is empty for a hello that was cut', () => {
    const bytes = clientHello(chrome)
    const cut = parseClientHello(bytes, 0, bytes.length - 1)
    expect(ja4(cut, 't')).toBe('')
    expect(ja3(cut)).toBe('')
  })
})

describe('ja3', () => {
  it('is the MD5 of the decimal lists, GREASE left out', () => {
    const text =
      '771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,' +
      '27-0-51-16-17513-23-45-13-5-35-18-43-65281-11-10-21,29-23-24,0'
    expect(ja3(hello(chrome))).toBe(createHash('md5').update(text).digest('hex'))
  })

  it('has empty lists where there are no extensions', () => {
    const bare = hello({ version: 0x0301, ciphers: [4, 5], extensions: undefined })
    expect(ja3(bare)).toBe(createHash('md5').update('769,4-5,,,').digest('hex'))
  })
})

describe('fingerprints', () => {
  it('are those of the very hello, however alike the ones before it were', () => {
    const list = fc.array(fc.constantFrom(0, 1, 2, 10, 0x0304, 0x0a0a), { maxLength: 3 })
    const protocol = fc.constantFrom('', 'h2', 'hq', 'h22')
    const offers = fc.record({
      version: fc.constantFrom(0x0303, 0x0304),
      ciphers: list,
      extensions: list,
      groups: list,
      pointFormats: list,
      signatureAlgorithms: list,
      supportedVersions: list,
      alpn: fc.array(protocol, { maxLength: 2 }).map((names) => names.map((n) => Buffer.from(n))),
    })
    const plain = hello(chrome)
    fc.assert(
      fc.property(fc.array(offers, { maxLength: 40 }), (all) => {
        for (const offered of all) {
          const one = { ...plain, ...offered }
          for (const transport of ['t', 'q'] as const) {
            const wanted = { ja3: ja3(one), ja4: ja4(one, transport) }
            expect(fingerprints(one, transport)).toEqual(wanted)
            expect(fingerprints({ ...one, complete: false }, transport).ja4).toBe('')
          }
        }
      }),
    )
  })

  it('are calculated of a hello of any length, and of more hellos than are remembered', () => {
    const many = hello({ ...chrome, ciphers: Array.from({ length: 2_000 }, (_, i) => i) })
    expect(fingerprints(many, 't').ja4).toBe(ja4(many, 't'))
    for (let i = 0; i < 3_000; i++) {
      const one = { ...many, ciphers: [i] }
      expect(fingerprints(one, 't').ja4).toBe(ja4(one, 't'))
    }
  })
})

describe('isGrease', () => {
  it('is true of sixteen values', () => {
    const values = Array.from({ length: 65536 }, (_, i) => i).filter(isGrease)
    expect(values).toHaveLength(16)
    expect(values[0]).toBe(0x0a0a)
    expect(values[15]).toBe(0xfafa)
  })
})
