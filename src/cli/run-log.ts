// The log of a long-running process: one JSON object a line on stderr. Text from outside cannot forge a line, a
// secret cannot stand in one, and no line is longer than a collector takes.

import type { Writable } from 'node:stream'
import { pino } from 'pino'
import type { Log, LogLevel } from '../telemetry.ts'
import { printableLine } from '../wire-text.ts'

const TEXT_MAX = 4096
const LIST_MAX = 64
const DEPTH_MAX = 4
/** What a field may be called whose value is nobody's business. */
const SECRET_NAME =
  /pass(?:word|phrase)?$|secret|token$|^key$|_key$|authorization|cookie|credential/i
/** Shorter secrets are words that may stand in any line. */
const SECRET_LENGTH_MIN = 4

export interface LogSettings {
  level: LogLevel
  /** On every line: which process it is. */
  name: string
  version: string
  /** Texts that are cut out of every line. */
  secrets: readonly string[]
}

/** @param stream where lines go: it must be written at once, because a process may end right after. */
export function openLog(stream: Writable, settings: LogSettings): Log {
  const secrets = settings.secrets.filter((one) => one.length >= SECRET_LENGTH_MIN)
  const logger = pino(
    {
      level: settings.level,
      base: { name: settings.name, pid: process.pid, version: settings.version },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'msg',
      // Errors are plain already.
      serializers: { err: (plain: unknown) => plain },
    },
    { write: (line: string) => void stream.write(printableLine(line)) },
  )
  return (level, message, fields = {}) =>
    logger[level](plainFields(fields, secrets), plainText(message, secrets))
}

/** Fields as JSON takes them: bounded, without secrets; errors with their words, big numbers as text. */
export function plainFields(
  fields: Readonly<Record<string, unknown>>,
  secrets: readonly string[],
): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  // These are the line's own.
  const own = ['level', 'time', 'name', 'pid', 'version', 'msg']
  for (const [name, value] of Object.entries(fields).slice(0, LIST_MAX))
    plain[own.includes(name) ? `${name}_` : plainText(name, secrets)] = plainField(
      name,
      value,
      secrets,
      0,
    )
  return plain
}

function plainField(
  name: string,
  value: unknown,
  secrets: readonly string[],
  depth: number,
): unknown {
  if (SECRET_NAME.test(name) && value !== undefined && value !== null) return '***'
  if (typeof value === 'string') return plainText(value, secrets)
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value !== 'object' || value === null)
    return typeof value === 'boolean' || value === null ? value : undefined
  if (value instanceof Error) return plainError(value, secrets, depth)
  if (depth >= DEPTH_MAX) return '…'
  if (Array.isArray(value))
    return value.slice(0, LIST_MAX).map((one) => plainField('', one, secrets, depth + 1))
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, LIST_MAX)
      .map(([key, one]) => [plainText(key, secrets), plainField(key, one, secrets, depth + 1)]),
  )
}

function plainError(error: Error, secrets: readonly string[], depth: number): unknown {
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {}
  const cause =
    error.cause instanceof Error && depth < DEPTH_MAX
      ? { cause: plainError(error.cause, secrets, depth + 1) }
      : {}
  return {
    type: plainText(error.name, secrets),
    message: plainText(error.message, secrets),
    stack: plainText(error.stack ?? '', secrets),
    ...code,
    ...cause,
  }
}

function plainText(text: string, secrets: readonly string[]): string {
  let plain = text
  for (const secret of secrets) plain = plain.replaceAll(secret, '***')
  return plain.length > TEXT_MAX ? `${plain.slice(0, TEXT_MAX)}…` : plain
}
