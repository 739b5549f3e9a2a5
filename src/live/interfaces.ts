// The network interfaces of this machine, and whether one is there.

import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'

/** A name that may stand in an argument of a program, an id and a log. */
export const INTERFACE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,62}$/

/** All interfaces of this network namespace; where that is not known, those that have an address. */
export function interfaceNames(): string[] {
  const table = textOf('/proc/self/net/dev')
  if (table === undefined) return Object.keys(networkInterfaces())
  return [...table.matchAll(/^\s*([^\s:]+(?::\d+)?):/gm)].map((match) => match[1]!)
}

/** The kernel's name for all of them together. */
const EVERY = 'any'
const IFF_UP = 1

/**
 * What an interface is at the moment: two equal answers are the same interface. `missing` if it is not there, `down`
 * if it is switched off, `''` if nobody knows.
 */
export function interfaceState(name: string): string {
  if (name === EVERY) return ''
  if (!interfaceNames().includes(name))
    return textOf('/proc/self/net/dev') === undefined ? '' : 'missing'
  const flags = Number(textOf(`/sys/class/net/${name}/flags`))
  if (flags > 0 && (flags & IFF_UP) === 0) return 'down'
  return textOf(`/sys/class/net/${name}/ifindex`)?.trim() ?? ''
}

/** The state of an interface for people. */
export function interfaceWords(name: string): string {
  const state = interfaceState(name)
  if (state === 'missing') return 'not there'
  if (state === 'down') return 'switched off'
  return textOf(`/sys/class/net/${name}/carrier`)?.trim() === '0' ? 'up, no carrier' : 'up'
}

/** What has become of an interface since it was opened, in words; undefined if it is as it was. */
export function interfaceChange(name: string, began: string): string | undefined {
  const state = interfaceState(name)
  if (state === began) return undefined
  return state === 'down' ? `${name} is switched off` : `${name} has gone`
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
