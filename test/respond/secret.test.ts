// Secrets in files: used as they are now, checked, and told of in words that hold nothing of them.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseSecrets, Secret, SecretError } from '../../src/respond/secret.ts'

const one = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const two = `whsec_${Buffer.alloc(32, 2).toString('base64')}`

test.each([
  [one, 1],
  [`${two}\n${one}\n`, 2],
  [`${two} ${one} ${one}`, undefined],
  ['', undefined],
  ['whsec_', undefined],
  ['hunter2', undefined],
  [one.replace('whsec_', ''), undefined],
  [`whsec_${Buffer.alloc(23).toString('base64')}`, undefined],
  [`whsec_${Buffer.alloc(65).toString('base64')}`, undefined],
  [`whsec_${'é'.repeat(40)}`, undefined],
])('the text %j', (text, count) => {
  expect(parseSecrets(text)?.length).toBe(count)
})

describe('a secret in a file', () => {
  let directory: string
  let file: string
  const write = (text: string, mode = 0o600) => {
    writeFileSync(file, text)
    chmodSync(file, mode)
  }
  const open = () => new Secret({ file }, 'bailiwick.yaml:7:20')

  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'bailiwick-secret-'))
    file = path.join(directory, 'secret')
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  test('is used as it is now: two stand in it while one takes the place of the other', () => {
    write(`${one}\n`)
    const secret = open()
    expect(secret.texts()).toEqual([one])
    write(`${two}\n${one}\n`)
    expect(secret.texts()).toEqual([two, one])
    write(two)
    expect([secret.texts(), secret.warning]).toEqual([[two], undefined])
  })

  test('that is broken while it is used changes nothing, and is told of until it is mended', () => {
    write(one)
    const secret = open()
    write('whsec_no')
    expect(secret.texts()).toEqual([one])
    expect(secret.warning).toContain('what was read before is used on')
    rmSync(file)
    expect([secret.texts(), secret.warning]).toEqual([
      [one],
      `bailiwick.yaml:7:20: ${file} is not there; what was read before is used on`,
    ])
    write(two)
    expect([secret.texts(), secret.warning]).toEqual([[two], undefined])
  })

  test('that others may read is told of, with the cure', () => {
    write(one, 0o644)
    expect(open().warning).toBe(
      `bailiwick.yaml:7:20: others on this machine may read ${file}: chmod 600 ${file}`,
    )
    chmodSync(file, 0o640)
    expect(open().warning).toBeUndefined()
  })

  test.each([
    ['nothing', ''],
    ['a password', 'hunter2hunter2hunter2'],
    ['too short a key', `whsec_${Buffer.alloc(23).toString('base64')}`],
    ['three of them', `${one} ${two} ${one}`],
    ['a file of another kind', 'x'.repeat(5000)],
  ])('that is %s is refused in words that do not repeat it', (_, text) => {
    write(text)
    let words = ''
    try {
      open()
    } catch (error) {
      expect(error).toBeInstanceOf(SecretError)
      words = (error as Error).message
    }
    expect(words).toContain(`bailiwick.yaml:7:20: ${file} is no secret: expected whsec_`)
    if (text !== '') expect(words).not.toContain(text.slice(0, 12))
  })

  test('that is not there, or a directory, is refused', () => {
    expect(open).toThrow('is not there')
    file = directory
    expect(open).toThrow('is no file')
  })
})

test('a secret of the environment is checked alike', () => {
  expect(new Secret({ text: () => one }, 'BAILIWICK_X').texts()).toEqual([one])
  expect(() => new Secret({ text: () => 'hunter2' }, 'BAILIWICK_X')).toThrow(
    /^BAILIWICK_X: is no secret: expected whsec_/,
  )
})
