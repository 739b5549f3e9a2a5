import { expect, test } from 'vitest'
import { StoreTargetError } from '../../src/store/store-error.ts'
import { parseStoreTarget, targetAddress } from '../../src/store/store-target.ts'

test('a directory, a temporary store, a server', () => {
  expect(parseStoreTarget('/var/lib/bailiwick')).toEqual({
    kind: 'directory',
    path: '/var/lib/bailiwick',
  })
  expect(parseStoreTarget('./a:b')).toEqual({ kind: 'directory', path: './a:b' })
  expect(parseStoreTarget(':temporary:')).toEqual({ kind: 'temporary' })
  expect(parseStoreTarget('https://ana:p%40ss@ch.example:8443/flows')).toEqual({
    kind: 'server',
    url: 'https://ch.example:8443',
    user: 'ana',
    password: 'p@ss',
    database: 'flows',
  })
  expect(parseStoreTarget('http://[::1]:8123')).toMatchObject({
    url: 'http://[::1]:8123',
    user: 'default',
    password: '',
    database: 'default',
  })
})

test('what cannot be a store says what can', () => {
  for (const text of [
    '',
    'tcp://ch.example:9000',
    'http://',
    'http://ch.example/a/b',
    'http://ch.example/db?x=1',
    'http://%@ch.example/',
  ])
    expect(() => parseStoreTarget(text), text).toThrow(StoreTargetError)
})

test('a password is never shown', () => {
  const target = parseStoreTarget('http://ana:secret@ch.example:8123/flows')
  expect(targetAddress(target)).toBe('http://ch.example:8123/flows')
})
