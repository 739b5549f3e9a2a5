import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { expect, test } from 'vitest'
import {
  contains,
  formatAddress,
  formatNetwork,
  isIpv4,
  parseAddress,
  parseNetwork,
} from '../src/address.ts'

const sixteen = fc.uint8Array({ minLength: 16, maxLength: 16 })
/** Addresses with runs of zeros, where the short form of IPv6 is hard. */
const sparse = fc
  .array(fc.constantFrom(0, 0, 0, 1, 0xffff), { minLength: 8, maxLength: 8 })
  .map((words) => Uint8Array.from(words.flatMap((word) => [word >> 8, word & 255])))

test('text and bytes are one to one', () => {
  fc.assert(
    fc.property(fc.oneof(sixteen, sparse), (bytes) => {
      expect(parseAddress(formatAddress(bytes))).toEqual(bytes)
    }),
  )
})

test('IPv6 text is that of RFC 5952', () => {
  fc.assert(
    fc.property(fc.oneof(sixteen, sparse), (bytes) => {
      fc.pre(!isIpv4(bytes))
      expect(formatAddress(bytes)).toBe(
        (ipaddr.fromByteArray([...bytes]) as ipaddr.IPv6).toRFC5952String(),
      )
    }),
  )
})

test('only plain forms of an address are taken', () => {
  for (const text of [
    '',
    '1.2.3',
    '0x7f000001',
    '010.0.0.1',
    '1.2.3.4/24',
    'fe80::1%eth0',
    '1.2.3.256',
    'a.b',
  ])
    expect([text, parseAddress(text)]).toEqual([text, undefined])
  expect(formatAddress(parseAddress('::ffff:1.2.3.4')!)).toBe('1.2.3.4')
})

test('a network holds what its first bits say', () => {
  const ten = parseNetwork('10.1.2.3/8')!
  expect(formatNetwork(ten)).toBe('10.0.0.0/8')
  expect(contains(ten, parseAddress('10.255.0.1')!)).toBe(true)
  expect(contains(ten, parseAddress('11.0.0.1')!)).toBe(false)
  expect(formatNetwork(parseNetwork('2001:db8::1/33')!)).toBe('2001:db8::/33')
  for (const text of ['10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/8/8'])
    expect([text, parseNetwork(text)]).toEqual([text, undefined])
  fc.assert(
    fc.property(sixteen, sixteen, fc.integer({ min: 0, max: 128 }), (a, b, bits) => {
      const binary = (bytes: Uint8Array) =>
        [...bytes]
          .map((byte) => byte.toString(2).padStart(8, '0'))
          .join('')
          .slice(0, bits)
      expect(contains({ address: a, bits }, b)).toBe(binary(a) === binary(b))
    }),
  )
})
