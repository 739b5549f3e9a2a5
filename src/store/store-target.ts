// Where a store is, from the one string that a person gives.

import { StoreTargetError } from './store-error.ts'

export type StoreTarget =
  /** An embedded store in a new directory that is removed at the end. */
  | { kind: 'temporary' }
  /** An embedded store in a directory that stays. */
  | { kind: 'directory'; path: string }
  /** A ClickHouse server over HTTP. */
  | {
      kind: 'server'
      url: string
      user: string
      password: string
      database: string
      /** PEM of the authorities that sign the server's certificate; without it the system's. */
      ca?: string
    }

export const TEMPORARY = ':temporary:'

/**
 * `:temporary:`, `http(s)://user:password@host:port/database`, or else the path of a directory.
 * @throws StoreTargetError if it is neither.
 */
export function parseStoreTarget(text: string): StoreTarget {
  if (text === TEMPORARY) return { kind: 'temporary' }
  if (text === '')
    throw new StoreTargetError('the store is an empty string: give a directory or a URL')
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase()
  if (scheme === undefined) return { kind: 'directory', path: text }
  if (scheme !== 'http' && scheme !== 'https')
    throw new StoreTargetError(
      `a store cannot be reached by ${scheme}: give http://, https:// or a directory`,
    )
  const wrong = new StoreTargetError(
    'the URL of the store cannot be read: give http://user:password@host:8123/database',
  )
  if (!URL.canParse(text)) throw wrong
  const url = new URL(text)
  const path = url.pathname.slice(1)
  if (path.includes('/') || url.search !== '' || url.hash !== '') throw wrong
  try {
    return {
      kind: 'server',
      url: `${url.protocol}//${url.host}`,
      user: decodeURIComponent(url.username) || 'default',
      password: decodeURIComponent(url.password),
      database: decodeURIComponent(path) || 'default',
    }
  } catch {
    // A lone % in the user, the password or the path.
    throw wrong
  }
}

/** How a store is shown to people: never with its password. */
export function targetAddress(target: StoreTarget): string {
  if (target.kind === 'temporary') return 'a temporary store'
  if (target.kind === 'directory') return target.path
  return `${target.url}/${target.database}`
}
