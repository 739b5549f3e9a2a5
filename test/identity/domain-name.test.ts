import { expect, test } from 'vitest'
import {
  declaredDomain,
  domainMatches,
  isAddressLiteral,
  seenName,
} from '../../src/identity/domain-name.ts'

test.each([
  ['API.OpenAI.com.', 'api.openai.com'],
  ['*.Example.com', '*.example.com'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['_dmarc.example.com', '_dmarc.example.com'],
])('the domain %s is declared as %s', (text, domain) => {
  expect(declaredDomain(text)).toEqual({ domain })
})

test.each([
  '',
  '*',
  '*.',
  'a.*.example',
  '*a.example',
  '10.0.0.1',
  '0x7f.1',
  '[::1]',
  'a b.example',
  'a..b',
  '-a.example',
  'https://a.example/',
  'a.example:443',
  `${'a'.repeat(64)}.example`,
])('%j is no domain', (text) => {
  expect(declaredDomain(text)).toHaveProperty('complaint')
})

test.each([
  ['*.example.com', 'a.example.com', true],
  ['*.example.com', 'a.b.example.com', true],
  ['*.example.com', 'example.com', false],
  ['*.example.com', 'badexample.com', false],
  ['*.example.com', '.example.com', false],
  ['*.example.com', 'a..example.com', false],
  ['example.com', 'example.com', true],
  ['example.com', 'a.example.com', false],
  ['', '', false],
])('does %s match %s? %s', (domain, name, expected) => {
  expect(domainMatches(domain, name)).toBe(expected)
})

test('a name is compared without case, last dot and port', () => {
  expect(['API.example.', 'api.example:8443', '[::1]:443', '2001:db8::1'].map(seenName)).toEqual([
    'api.example',
    'api.example',
    '[::1]',
    '2001:db8::1',
  ])
})

test('an address in a name is known in any form', () => {
  expect(
    ['10.0.0.1', '[::1]', '2001:db8::1', '10.0.0', 'a.b', '10.0.0.x'].map(isAddressLiteral),
  ).toEqual([true, true, true, false, false, false])
})
