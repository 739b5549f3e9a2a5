// What was found, as it is told: hours by sensor, and a line for each finding. Pure.

import { printable } from '../wire-text.ts'
import type { AuditFinding, FindingKind } from './findings.ts'
import type { SaidAudit } from './gather.ts'

const HOUR_MILLIS = 3_600_000

/** Flow records of a sensor in one UTC hour (hours since 1970; 0: not known). */
export interface AuditHour {
  sensor: string
  hour: number
  announced: number
  stored: number
  /** Stored, each counted once. */
  unique: number
  dead: number
  /** Announced a moment ago, or later than the newest statement that is stored. */
  pending: number
  missing: number
  /** Stored, and announced by nobody yet. */
  unannounced: number
}

/** The hours as they stand after what was found about rows. */
export function auditHours(said: SaidAudit, findings: readonly AuditFinding[]): AuditHour[] {
  const hours = new Map<string, AuditHour>()
  for (const row of said.hours)
    hours.set(`${row.hour} ${row.sensor}`, {
      sensor: row.sensor,
      hour: row.hour,
      announced: row.announced + row.unannounced,
      stored: row.stored,
      unique: row.stored,
      dead: row.dead,
      pending: row.pending,
      missing: row.lacking,
      unannounced: row.unannounced,
    })
  for (const { kind, table, sensor, hours: at, count } of findings) {
    if (table !== 'flow_records' || at.length === 0) continue
    const row = hours.get(`${at[0]} ${sensor}`)
    if (row === undefined) continue
    if (kind === 'rows_missing') {
      row.stored -= count
      row.unique -= count
      row.missing += count
    } else if (kind === 'rows_doubled' || kind === 'rows_added') row.stored += count
  }
  return [...hours.values()]
}

/** One line: what was found, where. */
export function findingText(finding: AuditFinding): string {
  const { kind, table, chunk, sensor, origin, first, last, count, places, hours } = finding
  const where = [
    chunk === '' ? '' : `chunk ${chunk}`,
    first < 0 ? '' : first === last ? `number ${first}` : `numbers ${first} to ${last}`,
    finding.piece === '' ? '' : `piece ${finding.piece}`,
    finding.ruling === 0 ? '' : `ruling ${finding.ruling}`,
    origin === '' ? '' : `of ${printable(origin)}`,
    sensor === '' ? '' : `sensor ${printable(sensor)}`,
    hours.length === 0
      ? ''
      : `flows of ${hours.slice(0, 5).map(hourText).join(', ')}${hours.length > 5 ? ', ...' : ''} UTC`,
  ]
  const rows = (word: string) => {
    const more = kind === 'rows_altered' && count > 1 ? 'at least ' : ''
    const named =
      places.length === 0
        ? ''
        : ` (row ${places.join(', ')}${places.length < count ? ', ...' : ''})`
    return `${more}${count} ${count === 1 ? 'row' : 'rows'} of ${table} ${word}${named}`
  }
  const what: Readonly<Record<FindingKind, () => string>> = {
    chunks_missing: () => `${count} ${count === 1 ? 'chunk' : 'chunks'} missing`,
    chunks_late: () => `${count} ${count === 1 ? 'chunk' : 'chunks'} not there yet`,
    records_missing: () => `${count} flow records missing`,
    rows_missing: () => rows('missing'),
    rows_doubled: () => rows('doubled'),
    rows_altered: () => rows('altered'),
    rows_added: () => rows('added'),
    rows_unproven: () => rows('without a checksum'),
  }
  return `${what[kind]()}: ${where.filter(Boolean).join(', ')}`
}

/** `2026-01-05 09:00` */
export function hourText(hour: number): string {
  return new Date(hour * HOUR_MILLIS).toISOString().slice(0, 16).replace('T', ' ')
}
