import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hostName, hostOfAuthority, isPlainName } from '../src/host-name.ts'

const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'))
const nameOf = (text: string) => hostName(bytesOf(text), 0, text.length)
const hostOf = (text: string) => hostOfAuthority(bytesOf(text), 0, text.length)

describe('hostName', () => {
  it.each([
    ['Example.COM', 'example.com'],
    ['example.com.', 'example.com'],
    ['example.com..', 'example.com.'],
    ['.', ''],
    ['', ''],
    ['b\xfccher.example', 'b\\xfccher.example'],
    ['a\r\nb', 'a\\x0d\\x0ab'],
  ])('brings %j to %j', (text, name) => {
    expect(nameOf(text)).toBe(name)
  })

  it('is printable and bounded whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const name = hostName(bytes, 0, bytes.length)
        expect(name).toMatch(/^[\x20-\x7e]*…?$/)
        expect(name.length).toBeLessThanOrEqual(4 * 255 + 1)
        expect(name).toBe(name.toLowerCase())
      }),
    )
  })
})

describe('hostOfAuthority', () => {
  it.each([
    ['example.com', 'example.com'],
    ['Example.com:8443', 'example.com'],
    ['example.com.:443', 'example.com'],
    ['192.0.2.1:80', '192.0.2.1'],
    ['[2001:DB8::1]:443', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['[broken', '[broken'],
    [':80', ''],
    ['', ''],
  ])('finds in %j the host %j', (text, host) => {
    expect(hostOf(text)).toBe(host)
  })
})

describe('isPlainName', () => {
  it('knows names that can be looked up from those that cannot', () => {
    expect(isPlainName('_sip.a-b.example.com')).toBe(true)
    expect(isPlainName('a b')).toBe(false)
    expect(isPlainName('a\\x00b')).toBe(false)
  })
})
