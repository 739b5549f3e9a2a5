import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { inspectStream } from '../../src/capture/first-payload.ts'
import { readPreamble } from '../../src/capture/preamble.ts'
import { clientHello, inRecords, joined, serverNameBody } from './hello-writer.ts'

type Part = Uint8Array | readonly number[] | string

const hello = inRecords(clientHello({ extensions: [[0, serverNameBody('db.example.com')]] }))

function inspect(final: boolean, ...parts: readonly Part[]) {
  const bytes = joined(...parts)
  return inspectStream(bytes, 0, bytes.length, final)
}

const mysql = joined([0x20, 0, 0, 1, 0x8d, 0xae, 3, 0, 0, 0, 0, 1, 33], new Uint8Array(23))
const rdp = joined([3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0], [1, 0, 8, 0, 3, 0, 0, 0])
const ldap = joined([0x30, 29, 2, 1, 1, 0x77, 24, 0x80, 22], '1.3.6.1.4.1.1466.20037')

const UPGRADES: readonly (readonly [string, Part])[] = [
  ['postgresql', [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]],
  ['postgresql', [0, 0, 0, 8, 4, 0xd2, 0x16, 0x30, 0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]],
  ['mysql', mysql],
  ['rdp', rdp],
  ['ldap_tcp', ldap],
  ['smtp', 'EHLO mail.example.com\r\nSTARTTLS\r\n'],
  ['imap', 'a CAPABILITY\r\nb STARTTLS\r\n'],
  ['imap', '. CAPABILITY\r\n. STARTTLS\r\n'], // as openssl s_client asks
  ['pop3', 'CAPA\r\nSTLS\r\n'],
  ['ftp', 'AUTH TLS\r\n'],
]

describe('a request to turn to TLS', () => {
  it.each(UPGRADES)('%s is followed by a hello', (service, request) => {
    expect(inspect(false, request, hello)).toMatchObject({
      status: 'name',
      service: `${service},ssl`,
      serverName: 'db.example.com',
      nameSource: 'sni',
      ja4: expect.stringMatching(/^t12d/),
    })
  })

  it.each(UPGRADES)('%s is waited for, piece by piece', (service, request) => {
    expect(inspect(false, request)).toEqual({ status: 'more' })
    expect(inspect(true, request)).toEqual({ status: 'none', service })
    for (let i = 1; i < hello.length; i += 7)
      expect(inspect(false, request, hello.subarray(0, i))).toEqual({ status: 'more' })
    expect(inspect(true, request, hello.subarray(0, 40))).toMatchObject({
      service: `${service},ssl`,
      anomalies: ['cut'],
    })
  })

  it.each(UPGRADES)('%s may be refused', (service, request) => {
    expect(inspect(false, request, 'QUIT\r\n')).toEqual({ status: 'none', service })
  })

  it('is waited for only while nothing else was said', () => {
    expect(inspect(false, 'EHLO a.example\r\n')).toEqual({ status: 'more' })
    expect(inspect(true, 'EHLO a.example\r\n')).toEqual({ status: 'none', service: 'smtp' })
    expect(inspect(false, 'EHLO a.example\r\nMAIL FROM:<a@a.example>\r\n')).toEqual({
      status: 'none',
      service: 'smtp',
    })
    expect(inspect(false, 'USER a\r\n')).toEqual({ status: 'none', service: '' })
    const many = 'EHLO a\r\n'.repeat(100)
    expect(inspect(false, many)).toEqual({ status: 'none', service: 'smtp' })
    expect(inspect(false, `EHLO ${'a'.repeat(2_000)}`).status).toBe('none')
  })
})

const greeting = [5, 1, 0]
const toName = joined([5, 1, 0, 3, 15], 'Files.Example.x', [1, 187])

describe('a SOCKS request', () => {
  it('names whom the client wants to reach', () => {
    expect(inspect(false, greeting, toName)).toMatchObject({
      status: 'name',
      service: 'socks',
      serverName: 'files.example.x',
      nameSource: 'connect',
      proxyUser: '',
    })
    const four = [5, 1, 0, 1, 192, 0, 2, 1, 0, 80]
    expect(inspect(false, greeting, four)).toMatchObject({ serverName: '192.0.2.1' })
    const six = joined([5, 1, 0, 4, 0x20, 1, 0xd, 0xb8], new Uint8Array(11), [1, 0, 80])
    expect(inspect(false, greeting, six)).toMatchObject({ serverName: '2001:db8::1' })
  })

  it('names the user whom the proxy let in', () => {
    const login = joined([1, 7], 'agent-7', [6], 'secret')
    expect(inspect(false, [5, 2, 0, 2], login, toName)).toMatchObject({
      proxyUser: 'agent-7',
      serverName: 'files.example.x',
    })
    expect(inspect(false, [5, 2, 0, 2], toName)).toMatchObject({
      proxyUser: '',
      serverName: 'files.example.x',
    })
    expect(inspect(false, [5, 2, 0, 2], login.subarray(0, 9))).toEqual({ status: 'more' })
  })

  it('is read piece by piece', () => {
    const bytes = joined(greeting, toName)
    for (let i = 1; i < bytes.length; i++)
      expect(inspect(false, bytes.subarray(0, i)), `${i}`).toEqual({ status: 'more' })
    expect(inspect(true, greeting)).toEqual({ status: 'none', service: '' })
  })

  it('holds against the name of the hello that goes through it, and tells if they differ', () => {
    expect(inspect(false, greeting, toName, hello)).toMatchObject({
      service: 'socks,ssl',
      serverName: 'files.example.x',
      nameSource: 'connect',
      ja4: expect.stringMatching(/^t12d/),
      anomalies: ['proxied_name_differs'],
    })
  })

  it('of version 4 is believed where the client stops to wait', () => {
    const named = joined([4, 1, 1, 187, 0, 0, 0, 1], 'joe\0', 'files.example\0')
    expect(inspect(false, named)).toMatchObject({
      serverName: 'files.example',
      service: 'socks',
      proxyUser: '',
    })
    expect(inspect(false, [4, 1, 0, 80, 192, 0, 2, 1, 0])).toMatchObject({
      serverName: '192.0.2.1',
    })
    expect(inspect(false, named, 'x')).toEqual({ status: 'none', service: '' })
    expect(inspect(false, [4, 1, 0, 80, 192, 0, 2, 1, 7, 0])).toEqual({
      status: 'none',
      service: '',
    })
  })
})

describe('readPreamble', () => {
  it('never throws and never points beyond the end, whatever comes', () => {
    const heads = fc.constantFrom<Part>(
      [],
      greeting,
      [5, 2, 0, 2, 1],
      [4, 1, 0, 80],
      'EHLO ',
      'AUTH ',
      ...UPGRADES.map(([, part]) => part),
    )
    fc.assert(
      fc.property(heads, fc.nat(40), fc.uint8Array({ maxLength: 60 }), (head, cut, tail) => {
        const bytes = joined(joined(head).subarray(0, cut), tail)
        const found = readPreamble(bytes, 0, bytes.length)
        if (found?.complete) expect(found.next).toBeLessThanOrEqual(bytes.length)
        inspectStream(bytes, 0, bytes.length, false)
        expect(inspectStream(bytes, 0, bytes.length, true).status).not.toBe('more')
      }),
      { numRuns: 2000 },
    )
  })
})
