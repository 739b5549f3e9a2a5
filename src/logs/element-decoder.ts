// The decoder of logs that are made of JSON objects (cloud exports). One object may hold many records; each record
// counts as a line in the statistics.

import type { Decoder, DecodeStats } from '../decoder.ts'
import { type ElementSink, JsonElements } from './json-elements.ts'
import type { LogReport } from './log-report.ts'

/** Reads one object; must account for each record in it, or for the object if it holds none. Never throws. */
export interface ElementParser {
  element(value: unknown, bytes: Uint8Array, line: number): void
}

export class ElementDecoder implements Decoder, ElementSink {
  readonly stats: DecodeStats
  readonly #report: LogReport
  readonly #parser: ElementParser
  readonly #elements: JsonElements

  constructor(report: LogReport, parser: ElementParser) {
    this.#report = report
    this.#parser = parser
    this.stats = report.stats
    this.#elements = new JsonElements(this)
  }

  push(bytes: Uint8Array): void {
    this.stats.bytes += bytes.length
    this.#elements.push(bytes)
  }

  end(): void {
    this.#elements.end()
    this.#report.end()
  }

  element(bytes: Uint8Array, line: number): void {
    let value: unknown
    try {
      value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'))
    } catch {
      this.broken('bad_json', bytes, line)
      return
    }
    this.#parser.element(value, bytes, line)
  }

  broken(reason: string, bytes: Uint8Array, line: number): void {
    const detail = reason === 'cut' ? 'the input ends inside this object' : 'not a JSON object'
    this.#report.reject(reason, detail, bytes, 0, bytes.length, line)
  }
}

/** A member of a JSON object, undefined if there is none. */
export function member(value: unknown, ...path: readonly string[]): unknown {
  let at = value
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Record<string, unknown>)[key]
  }
  return at
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** A count given as number or as decimal string (int64 in JSON): NaN if unset, -1 if it is none. */
export function countOfJson(value: unknown): number {
  if (value === undefined || value === null || value === '') return Number.NaN
  const count = typeof value === 'string' && /^\d{1,19}$/.test(value) ? Number(value) : value
  return typeof count === 'number' && Number.isSafeInteger(count) && count >= 0 ? count : -1
}
