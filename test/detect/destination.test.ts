import { expect, test } from 'vitest'
import { parseAddress } from '../../src/address.ts'
import { addressKind, registrableName } from '../../src/detect/destination.ts'

test.each([
  ['paste.example.net', 'example.net'],
  ['a.b.example.co.uk', 'example.co.uk'],
  ['tenant.github.io', 'tenant.github.io'],
  ['x.tenant.github.io', 'tenant.github.io'],
  ['db.finance.internal', 'finance.internal'],
  ['localhost', 'localhost'],
  ['com', 'com'],
])('%s belongs to %s', (name, expected) => {
  expect(registrableName(name)).toBe(expected)
})

test.each([
  ['203.0.113.7', 'public'],
  ['10.1.2.3', 'private'],
  ['172.16.0.1', 'private'],
  ['172.32.0.1', 'public'],
  ['192.168.0.1', 'private'],
  ['100.64.0.1', 'private'],
  ['100.128.0.1', 'public'],
  ['169.254.169.254', 'metadata'],
  ['169.254.1.1', 'local'],
  ['127.0.0.1', 'local'],
  ['0.0.0.0', 'local'],
  ['224.0.0.251', 'multicast'],
  ['255.255.255.255', 'multicast'],
  ['2001:db8::1', 'public'],
  ['fd12::1', 'private'],
  ['fd00:ec2::254', 'metadata'],
  ['fe80::1', 'local'],
  ['ff02::1', 'multicast'],
  ['::1', 'local'],
  ['::', 'local'],
])('%s is %s', (address, kind) => {
  expect(addressKind(parseAddress(address)!)).toBe(kind)
})
