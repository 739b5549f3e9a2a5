// The kinds of values that settings have: what each may hold, read alike from a settings file, a variable of the
// environment and a flag. Every number is finite and bounded, every text is a pattern.

import path from 'node:path'
import type { z } from 'zod'
import { parseNetwork } from './address.ts'

/** How a value is read. */
export interface Kind<T> {
  /** Completes "expected …". */
  expected: string
  /** A word for tables: `number`, `path`. */
  name: string
  /** The value, or undefined if it is none. Text comes from anywhere, other values from YAML alone. */
  read(value: unknown): T | undefined
  /** The value as seen from the directory of the settings file in which it stands. */
  from?(value: T, directory: string): T
  /** The value as it would be written; without it, as JavaScript writes it. */
  show?(value: T): string
  /** What a value with parts of its own is checked against in a settings file, so that a mistake is told at its place. */
  schema?: z.ZodType<T>
  /** Parts of it are nobody's business: a wrong one is not repeated. */
  hidden?: true
}

/** A host and a port to listen at. */
export interface Listen {
  host: string
  port: number
}

/** Text of one line that matches. */
export function text(expected: string, pattern: RegExp): Kind<string> {
  return {
    expected,
    name: 'text',
    read: (value) => (typeof value === 'string' && pattern.test(value) ? value : undefined),
  }
}

/** One of the given words. */
export function oneOf<const W extends string>(words: readonly W[]): Kind<W> {
  return {
    expected: `one of ${words.join(', ')}`,
    name: words.join(', '),
    read: (value) => words.find((word) => word === value),
  }
}

/** `true` or `false`. */
export const yesOrNo: Kind<boolean> = {
  expected: 'true or false',
  name: 'true, false',
  read: (value) => {
    if (typeof value === 'boolean') return value
    return value === 'true' ? true : value === 'false' ? false : undefined
  },
}

const DIGITS = /^(?:0|[1-9]\d{0,15})$/

/** A whole number between two bounds, both inside. In text only digits: `1e9` is no number of partitions. */
export function whole(min: number, max: number, unit = ''): Kind<number> {
  return {
    expected: `a whole number${unit === '' ? '' : ` of ${unit}`} from ${min} to ${max}`,
    name: `${min} to ${max}`,
    read: (value) => {
      const number = typeof value === 'string' && DIGITS.test(value) ? Number(value) : value
      if (typeof number !== 'number' || !Number.isSafeInteger(number)) return undefined
      return number >= min && number <= max ? number : undefined
    },
  }
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

/** Bytes, as a number or with a unit: `20GiB`. */
export function bytes(min: number, max: number): Kind<number> {
  return {
    expected: `bytes from ${sizeText(min)} to ${sizeText(max)}, such as ${sizeText(max)} or ${min}`,
    name: `${sizeText(min)} to ${sizeText(max)}`,
    read: (value) => {
      const match = typeof value === 'string' ? /^(\d{1,15}) ?([A-Za-z]{0,3})$/.exec(value) : null
      const unit = match === null ? undefined : UNITS[match[2]!]
      const number = match === null || unit === undefined ? value : Number(match[1]) * unit
      if (typeof number !== 'number' || !Number.isSafeInteger(number)) return undefined
      return number >= min && number <= max ? number : undefined
    },
    show: sizeText,
  }
}

/** Bytes in the largest unit that divides them. */
export function sizeText(size: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB'])
    if (size >= UNITS[unit]! && size % UNITS[unit]! === 0) return `${size / UNITS[unit]!}${unit}`
  return String(size)
}

const ONE_LINE = /^[^\p{Cc}]{1,4096}$/u

/** A path. One in a settings file is relative to that file. */
export const filePath: Kind<string> = {
  expected: 'a path',
  name: 'path',
  read: (value) => (typeof value === 'string' && ONE_LINE.test(value) ? value : undefined),
  from: (value, directory) => path.resolve(directory, value),
}

/** Where a store is: a directory or a URL. */
export const storeAddress: Kind<string> = {
  expected: 'a directory, or a URL such as http://user@host:8123/database',
  name: 'directory or URL',
  read: filePath.read,
  from: (value, directory) =>
    /^[a-z][a-z0-9+.-]*:/i.test(value) || value.startsWith(':')
      ? value
      : path.resolve(directory, value),
}

/** A list, written as one or with commas between. */
function listOf<T>(
  item: (text: string) => T | undefined,
  max: number,
): (value: unknown) => T[] | undefined {
  return (value) => {
    const list = typeof value === 'string' ? value.split(',') : value
    if (!Array.isArray(list) || list.length === 0 || list.length > max) return undefined
    const read = list.map((one) => (typeof one === 'string' ? item(one.trim()) : undefined))
    return read.every((one) => one !== undefined) ? read : undefined
  }
}

const HOST = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/

/** The port that the text is, or undefined. */
function portOf(digits: string, least: number): number | undefined {
  const port = DIGITS.test(digits) ? Number(digits) : Number.NaN
  return port >= least && port <= 65_535 ? port : undefined
}

/** Addresses of Kafka brokers. kafkajs takes names and IPv4 addresses only. */
export const brokers: Kind<string[]> = {
  expected:
    'host:port of a Kafka broker, several with commas between (a name or an IPv4 address: the client knows no IPv6 literals)',
  name: 'host:port,…',
  read: listOf((one) => {
    const match = /^(.*):(\d+)$/.exec(one)
    if (match === null || !HOST.test(match[1]!) || portOf(match[2]!, 1) === undefined)
      return undefined
    return one
  }, 64),
}

/** Names that a server is asked by. */
export const hosts: Kind<string[]> = {
  expected: 'names of hosts such as bailiwick.example, several with commas between',
  name: 'host,…',
  read: listOf((one) => (HOST.test(one) ? one.toLowerCase() : undefined), 64),
}

/** Where an API answers: scheme, host and port, nothing after them, and no password. */
export const apiAddress: Kind<string> = {
  expected: 'an address such as http://127.0.0.1:7650, without a path',
  name: 'URL',
  read: (value) => {
    if (typeof value !== 'string' || !/^https?:\/\/[^\s/?#@]{1,300}\/?$/i.test(value))
      return undefined
    return URL.canParse(value) ? new URL(value).origin : undefined
  },
}

/** Networks in CIDR notation. */
export const networks: Kind<string[]> = {
  expected: 'networks such as 10.0.0.0/8,fd00::/8',
  name: 'CIDR,…',
  read: listOf((one) => (parseNetwork(one) === undefined ? undefined : one), 1000),
}

/** Names that stand in arguments of programs, in ids and in paths. */
const INTERFACE = /^[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,62}$/

/** Network interfaces. */
export const interfaces: Kind<string[]> = {
  expected: 'names of network interfaces such as eth0,lo (ip link lists them)',
  name: 'interface,…',
  read: listOf((one) => (INTERFACE.test(one) ? one : undefined), 64),
}

/** `port` on loopback, or `host:port`. All addresses only if asked for: `0.0.0.0:port` or `[::]:port`. */
export const listen: Kind<Listen> = {
  expected:
    'a port (on loopback then), or host:port such as 127.0.0.1:9464; 0.0.0.0:9464 for every address',
  name: '[host:]port',
  read: (value) => {
    const match = /^(?:(\[[0-9A-Fa-f:.]+\]|[^:[\]]+):)?(\d+)$/.exec(String(value))
    if (match === null || !['string', 'number'].includes(typeof value)) return undefined
    const port = portOf(match[2]!, 0)
    const host = (match[1] ?? '127.0.0.1').replace(/^\[(.*)\]$/, '$1')
    if (port === undefined) return undefined
    const fits = host.includes(':') ? parseNetwork(host) !== undefined : HOST.test(host)
    return fits ? { host, port } : undefined
  },
  show: ({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`,
}

/** Something with parts of its own: in a settings file as YAML, elsewhere as JSON. What is in it is not repeated. */
export function structured<T>(
  expected: string,
  name: string,
  schema: z.ZodType<T>,
  more: Required<Pick<Kind<T>, 'from' | 'show'>>,
): Kind<T> {
  return {
    ...{ expected, name, schema, hidden: true, ...more },
    read: (value) => {
      try {
        const read = schema.safeParse(typeof value === 'string' ? JSON.parse(value) : value)
        return read.success ? read.data : undefined
      } catch {
        return undefined
      }
    },
  }
}

/** The keys that may stand at a place inside of such a value. */
export function keysWithin(schema: z.ZodType, keys: readonly (string | number)[]): string[] {
  const { def } = schema as unknown as { def: { innerType?: z.ZodType; element?: z.ZodType } }
  if (def.innerType !== undefined) return keysWithin(def.innerType, keys)
  const { shape } = schema as unknown as { shape?: Record<string, z.ZodType> }
  const [first, ...rest] = keys
  if (first === undefined) return Object.keys(shape ?? {})
  const inner = typeof first === 'number' ? def.element : shape?.[first]
  return inner === undefined ? [] : keysWithin(inner, rest)
}
