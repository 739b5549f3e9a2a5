import { describe, expect, it } from 'vitest'
import { completeLock, type LockFile, missingFromLock } from '../../scripts/complete-lock.mjs'

/** A lock file in which one platform's package was left out. */
const lock = (): LockFile => ({
  packages: {
    '': { dependencies: { engine: '1.0.0' } },
    'node_modules/engine': {
      version: '1.0.0',
      optionalDependencies: {
        '@engine/lib-linux-x64-gnu': '1.0.0',
        '@engine/lib-darwin-arm64': '^1.0.0',
      },
    },
    'node_modules/@engine/lib-linux-x64-gnu': { version: '1.0.0', optional: true },
  },
})

describe('completeLock', () => {
  it('adds what is asked for and not there, with the platform of its name', () => {
    const whole = lock()
    expect(completeLock(whole)).toBe(1)
    expect(whole.packages['node_modules/@engine/lib-darwin-arm64']).toEqual({
      version: '1.0.0',
      cpu: ['arm64'],
      optional: true,
      os: ['darwin'],
    })
    expect(Object.keys(whole.packages)).toEqual(Object.keys(whole.packages).toSorted())
  })

  it('changes nothing the second time', () => {
    const whole = lock()
    completeLock(whole)
    const text = JSON.stringify(whole)
    expect(completeLock(whole)).toBe(0)
    expect(JSON.stringify(whole)).toBe(text)
    expect(missingFromLock(whole)).toEqual([])
  })

  it('finds packages where node would: beside their user, or above', () => {
    const nested = {
      packages: {
        'node_modules/a/node_modules/b': {
          optionalDependencies: { c: '1.0.0', d: '1.0.0', e: '1.0.0' },
        },
        'node_modules/a/node_modules/b/node_modules/c': {},
        'node_modules/a/node_modules/d': {},
        'node_modules/e': {},
      },
    }
    expect(missingFromLock(nested)).toEqual([])
  })

  it('marks as development what only development asks for', () => {
    const asked = (dev: boolean) => ({
      ...(dev ? { dev } : {}),
      optionalDependencies: { 'x-win32-x64': '2.0.0' },
    })
    const both = { packages: { 'node_modules/a': asked(true), 'node_modules/b': asked(false) } }
    const one = { packages: { 'node_modules/a': asked(true) } }
    expect(missingFromLock(both).map(({ dev }) => dev)).toEqual([false])
    expect(missingFromLock(one).map(({ dev }) => dev)).toEqual([true])
  })
})
