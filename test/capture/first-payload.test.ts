import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  inspectDatagram,
  inspectResponder,
  inspectStream,
} from '../../src/capture/first-payload.ts'
import {
  alpnBody,
  clientHello,
  inDatagram,
  inRecords,
  joined,
  serverNameBody,
} from './hello-writer.ts'

function inspect(bytes: Uint8Array | string, final = false) {
  const all = joined(bytes)
  return inspectStream(all, 0, all.length, final)
}

const tls = inRecords(
  clientHello({
    extensions: [
      [0, serverNameBody('api.example.com')],
      [16, alpnBody('h2')],
    ],
  }),
)

describe('inspectStream', () => {
  it('names a TLS flow by its server name', () => {
    expect(inspect(tls)).toEqual({
      status: 'name',
      service: 'ssl',
      serverName: 'api.example.com',
      nameSource: 'sni',
      ja3: expect.stringMatching(/^[0-9a-f]{32}$/),
      ja4: expect.stringMatching(/^t12d0102h2_[0-9a-f]{12}_000000000000$/),
      alpn: 'h2',
      userAgent: '',
      proxyUser: '',
      anomalies: [],
    })
  })

  it('says so when a client names nobody, or only the outer name is to be seen', () => {
    const nameless = inRecords(clientHello({ extensions: [] }))
    expect(inspect(nameless)).toMatchObject({ status: 'no_name', service: 'ssl', nameSource: '' })
    const ech = clientHello({
      extensions: [
        [0, serverNameBody('cloudflare-ech.com')],
        [0xfe0d, new Uint8Array(20)],
      ],
    })
    expect(inspect(inRecords(ech))).toMatchObject({ status: 'name', nameSource: 'ech_outer' })
    expect(inspect('GET / HTTP/1.0\r\n\r\n')).toMatchObject({ status: 'no_name', service: 'http' })
  })

  it('names an HTTP flow by its host or its CONNECT target', () => {
    const plain = 'GET / HTTP/1.1\r\nHost: 192.0.2.9:8080\r\nUser-Agent: curl/8.5\r\n\r\n'
    expect(inspect(plain)).toMatchObject({
      service: 'http',
      serverName: '192.0.2.9',
      nameSource: 'http_host',
      userAgent: 'curl/8.5',
    })
    expect(inspect('CONNECT a.example:443 HTTP/1.1\r\n\r\n')).toMatchObject({
      nameSource: 'connect',
    })
  })

  it('waits while the beginning may still become something, and no longer than there is hope', () => {
    expect(inspect('')).toEqual({ status: 'more' })
    expect(inspect(tls.subarray(0, 1))).toEqual({ status: 'more' })
    expect(inspect('PO')).toEqual({ status: 'more' })
    expect(inspect('PO', true)).toEqual({ status: 'none', service: '' })
    expect(inspect('', true)).toEqual({ status: 'none', service: '' })
    expect(inspect('SSH-2.0-OpenSSH_9.6\r\n')).toEqual({ status: 'none', service: 'ssh' })
    expect(inspect(Uint8Array.of(1, 2, 3))).toEqual({ status: 'none', service: '' })
  })

  it('reads the same at any offset, and nothing beside it', () => {
    const request = joined('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
    for (const bytes of [tls, request]) {
      const around = joined([0x16, 3, 1, 71], bytes, [0xff, 0xff, 0xff])
      expect(inspectStream(around, 4, 4 + bytes.length, false)).toEqual(inspect(bytes))
    }
  })

  it('always ends when there is no more, and never names what it did not see', () => {
    const whole = fc.constantFrom(tls, joined('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n'))
    fc.assert(
      fc.property(whole, fc.nat(), fc.uint8Array({ maxLength: 30 }), (bytes, at, tail) => {
        const answer = inspect(joined(bytes.subarray(0, at % bytes.length), tail), true)
        expect(answer.status).not.toBe('more')
        if (answer.status === 'name') expect(answer.serverName).not.toBe('')
        if (answer.status === 'no_name') expect(answer.nameSource).toBe('')
      }),
      { numRuns: 500 },
    )
  })
})

describe('inspectDatagram', () => {
  it('names a DTLS flow', () => {
    const bytes = inDatagram(
      clientHello({ version: 0xfefd, extensions: [[0, serverNameBody('turn.example')]] }),
    )
    expect(inspectDatagram(bytes, 0, bytes.length)).toMatchObject({
      service: 'dtls',
      serverName: 'turn.example',
      nameSource: 'sni',
      ja4: expect.stringMatching(/^dd2d/),
    })
    expect(inspectDatagram(tls, 0, tls.length)).toBeUndefined()
  })
})

describe('inspectResponder', () => {
  it('is the service of the first bytes', () => {
    const bytes = joined('HTTP/1.1 200 OK\r\n')
    expect(inspectResponder(bytes, 0, bytes.length)).toBe('http')
  })
})
