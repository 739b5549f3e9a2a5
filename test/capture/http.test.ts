import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type HttpRequest,
  looksLikeResponse,
  MAX_HEADERS,
  readRequest,
} from '../../src/capture/http.ts'

const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'))

function read(text: string, final = false) {
  const bytes = bytesOf(text)
  return readRequest(bytes, 0, bytes.length, final)
}

function requestOf(text: string, final = false): HttpRequest {
  const answer = read(text, final)
  if (answer.status !== 'request') throw new Error(`no request but ${answer.status}`)
  return answer.request
}

const get = (...headers: string[]) =>
  `GET / HTTP/1.1\r\n${headers.map((h) => `${h}\r\n`).join('')}\r\n`
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

describe('readRequest', () => {
  it('reads who is asked for, and by whom', () => {
    const text = get(
      'User-Agent: python-httpx/0.27',
      'HOST:  API.Example.com:8443 ',
      `Proxy-Authorization: ${basic('agent-7:secret')}`,
    )
    expect(requestOf(text)).toEqual({
      method: 'GET',
      host: 'api.example.com',
      connect: false,
      userAgent: 'python-httpx/0.27',
      proxyUser: 'agent-7',
      bodyAt: text.length,
      anomalies: [],
    })
  })

  it('reads the target of a CONNECT and the authority of an absolute form', () => {
    const connect = requestOf(
      'CONNECT Files.Example:443 HTTP/1.1\r\nHost: files.example:443\r\n\r\n',
    )
    expect(connect).toMatchObject({ host: 'files.example', connect: true, anomalies: [] })
    expect(requestOf('CONNECT [2001:db8::1]:443 HTTP/1.0\r\n\r\n')).toMatchObject({
      host: '2001:db8::1',
    })
    const proxied = requestOf(
      'POST http://u:p@A.example:81/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n',
    )
    expect(proxied).toMatchObject({
      host: 'a.example',
      connect: false,
      anomalies: [],
    })
    expect(requestOf('OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n').host).toBe('a')
  })

  it('lets the target overrule a Host header that differs, and says so', () => {
    const fronted = requestOf(
      'GET http://allowed.example/ HTTP/1.1\r\nHost: hidden.example\r\n\r\n',
    )
    expect(fronted).toMatchObject({ host: 'allowed.example', anomalies: ['http_host_mismatch'] })
    const twice = requestOf(get('Host: a.example', 'Host: b.example'))
    expect(twice).toMatchObject({ host: 'a.example', anomalies: ['http_several_hosts'] })
  })

  it('tells headers that two servers may read differently', () => {
    for (const odd of ['Host : a.example', ' folded: x', 'no colon here'])
      expect(requestOf(get('Host: a.example', odd)).anomalies).toContain('http_odd_header')
    expect(requestOf(get('Host : a.example')).host).toBe('a.example')
  })

  it('reads no user of other schemes, or of what does not decode', () => {
    expect(requestOf(get('Proxy-Authorization: Bearer abc')).proxyUser).toBe('')
    expect(requestOf(get('Proxy-Authorization: Basic %%%')).proxyUser).toBe('')
    expect(requestOf(get(`Proxy-Authorization: ${basic('nocolon')}`)).proxyUser).toBe('')
    expect(requestOf(get(`Authorization: ${basic('user:secret')}`)).proxyUser).toBe('')
    expect(requestOf(get(`proxy-authorization: ${basic('a\x1b[m:x')}`)).proxyUser).toBe('a\\x1b[m')
  })

  it('asks for more until the headers are whole, and accepts bare line feeds', () => {
    const text = get('Host: a.example', 'User-Agent: x')
    for (let i = 0; i < text.length; i++) expect(read(text.slice(0, i)).status, `${i}`).toBe('more')
    expect(requestOf(text.replaceAll('\r\n', '\n'))).toMatchObject({
      host: 'a.example',
      userAgent: 'x',
    })
    expect(requestOf(`\r\n${text}`).host).toBe('a.example')
  })

  it('answers with whole lines only where the rest will not come', () => {
    const text = get('Host: a.example.com')
    expect(requestOf(text.slice(0, -12), true)).toMatchObject({ host: '', anomalies: ['cut'] })
    expect(requestOf(text.slice(0, -2), true)).toMatchObject({
      host: 'a.example.com',
      anomalies: ['cut'],
    })
    expect(requestOf('GET /a/long/path', true)).toMatchObject({ method: 'GET', anomalies: ['cut'] })
    expect(read('GET', true).status).toBe('other')
  })

  it('stops at its limit', () => {
    const wide = requestOf(get('Host: a.example', `X-Filler: ${'x'.repeat(2 * MAX_HEADERS)}`))
    expect(wide).toMatchObject({ host: 'a.example', anomalies: ['limit_reached:http_headers'] })
    const long = requestOf(`GET /${'x'.repeat(2 * MAX_HEADERS)} HTTP/1.1\r\nHost: a\r\n\r\n`)
    expect(long).toMatchObject({ host: '', anomalies: ['limit_reached:http_headers'] })
    const many = requestOf(get(...new Array<string>(1200).fill('Host: a')))
    expect(many).toMatchObject({ host: 'a', anomalies: ['http_several_hosts'] })
  })

  it('knows the preface of HTTP/2', () => {
    expect(requestOf('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).toMatchObject({ method: 'PRI', host: '' })
  })

  it.each([
    'OPTIONS sip:a@example.com SIP/2.0\r\n\r\n',
    'OPTIONS rtsp://a.example/ RTSP/1.0\r\n\r\n',
    'CONNECT {"verbose":false}\r\n',
    'GETS / HTTP/1.1\r\n\r\n',
    'get / http/1.1\r\n\r\n',
    'GET /\r\n',
    'GET HTTP/1.1\r\n\r\n',
    'USER anonymous\r\n',
    'HELP me HTTP/1.1\r\n\r\n',
  ])('does not take %j for HTTP', (text) => {
    expect(read(text).status).toBe('other')
    expect(read(text, true).status).toBe('other')
  })

  it('reads back any host, however it is written', () => {
    const host = fc.stringMatching(/^[a-z0-9](?:[a-z0-9.-]{0,40}[a-z0-9])?$/)
    const filler = fc.array(fc.stringMatching(/^[A-Za-z-]{1,12}: ?[ -~]{0,30}$/), { maxLength: 5 })
    const safe = filler.map((lines) =>
      lines.filter((line) => !/^(host|user-agent|proxy-auth)/i.test(line)),
    )
    fc.assert(
      fc.property(
        host,
        safe,
        safe,
        fc.option(fc.integer({ min: 1, max: 65535 })),
        (name, before, after, port) => {
          const value = port === null ? name : `${name}:${port}`
          expect(requestOf(get(...before, `Host: ${value}`, ...after)).host).toBe(name)
        },
      ),
    )
  })

  it('never throws on random or changed bytes, and always ends when there is no more', () => {
    const text = get('Host: a.example', `Proxy-Authorization: ${basic('u:p')}`, 'User-Agent: x')
    const head = fc.constantFrom(
      '',
      'GET ',
      'GET / HTTP/1.1\r\n',
      'CONNECT ',
      'CONNECT [',
      'POST http://',
      '\r\n',
    )
    fc.assert(
      fc.property(head, fc.uint8Array({ maxLength: 200 }), (start, tail) => {
        const bytes = Uint8Array.from([...bytesOf(start), ...tail])
        expect(readRequest(bytes, 0, bytes.length, true).status).not.toBe('more')
      }),
      { numRuns: 1000 },
    )
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.nat(255), (at, value) => {
        const bytes = bytesOf(text)
        bytes[at] = value
        const answer = readRequest(bytes, 0, bytes.length, true)
        if (answer.status === 'request') expect(answer.request.host).toMatch(/^[\x20-\x7e]*$/)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('looksLikeResponse', () => {
  it('asks for version and status', () => {
    const like = (text: string) => looksLikeResponse(bytesOf(text), 0, text.length)
    expect(like('HTTP/1.1 200 OK\r\n')).toBe(true)
    expect(like('HTTP/1.0 404')).toBe(true)
    expect(like('HTTP/1.1 2000')).toBe(false)
    expect(like('HTTP/1.1 OK')).toBe(false)
  })
})
