// One row for each fault that was tried, and the table of them. Rows are kept in a file, so that the table can be made
// in several runs.

import { execFileSync } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'

export interface FaultRow {
  fault: string
  /** What was done, in numbers: kills of processes, and what else happened to them. */
  kills: number
  events: string
  flows: number
  missing: number
  duplicated: number
  altered: number
  /** From the end of the fault until everything sent was stored and committed. */
  recoverySeconds: number
  /** What of the invariants does not hold, in words; empty if all do. */
  faults: readonly string[]
  /** Which invariants were looked at. */
  invariants: string
  /** Flows a second while a backlog was drained, if one was. */
  drainedPerSecond?: number
  /** Flows a second that arrived before, where the drain is compared with it. */
  arrivalsPerSecond?: number
  /** Why it was not tried; all else says nothing then. */
  skipped?: string
  /** Of the checkout that it was tried with; rows of one table may be of several. */
  commit?: string
}

/** Rows go to this file, if it is set, besides being printed. */
const file = () => process.env.FAULTS_TABLE

/** A row for what could not be tried here. */
export function skippedRow(fault: string, skipped: string): FaultRow {
  const nothing = { kills: 0, flows: 0, missing: 0, duplicated: 0, altered: 0, recoverySeconds: 0 }
  return { fault, ...nothing, events: '', faults: [], invariants: '', skipped }
}

export function keepRow(row: FaultRow): void {
  const to = file()
  if (to !== undefined) appendFileSync(to, `${JSON.stringify({ ...row, commit: commit() })}\n`)
}

/** Of this checkout, short; empty outside of one. */
export function commit(): string {
  const options = { cwd: import.meta.dirname, encoding: 'utf8', stdio: 'pipe' } as const
  try {
    return execFileSync('git', ['log', '-1', '--format=%h'], options).trim()
  } catch {
    return ''
  }
}

/** The rows that were kept, of each fault the latest that was tried. */
export function keptRows(file: string): FaultRow[] {
  if (!existsSync(file)) return []
  const rows = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as FaultRow)
  const latest = new Map<string, FaultRow>()
  for (const row of rows)
    if (row.skipped === undefined || latest.get(row.fault) === undefined) latest.set(row.fault, row)
  return [...latest.values()]
}

const HEAD = [
  'fault',
  'kills',
  'flows',
  'missing',
  'doubled',
  'altered',
  'recovery s',
  'drained/s',
  'drain x',
  'invariants',
  'beside',
  'commit',
]

function cells(row: FaultRow): string[] {
  const { drainedPerSecond: drained, arrivalsPerSecond: arrived } = row
  if (row.skipped !== undefined)
    return [row.fault, ...Array<string>(8).fill(''), 'NOT TRIED', row.skipped, '']
  return [
    row.fault,
    String(row.kills),
    row.flows.toLocaleString('en'),
    String(row.missing),
    String(row.duplicated),
    String(row.altered),
    row.recoverySeconds.toFixed(1),
    drained === undefined ? '' : Math.round(drained).toLocaleString('en'),
    drained === undefined || arrived === undefined ? '' : (drained / arrived).toFixed(1),
    row.faults.length === 0 ? 'hold' : `NOT: ${row.faults.slice(0, 3).join('; ')}`,
    row.events,
    row.commit ?? '',
  ]
}

/** The rows as a table of Markdown, with their sums. */
export function tableText(all: readonly FaultRow[]): string {
  const rows = all.filter(({ skipped }) => skipped === undefined)
  const sum = (of: (row: FaultRow) => number) => rows.reduce((total, row) => total + of(row), 0)
  const totals = [
    `${rows.length} faults`,
    String(sum(({ kills }) => kills)),
    sum(({ flows }) => flows).toLocaleString('en'),
    String(sum(({ missing }) => missing)),
    String(sum(({ duplicated }) => duplicated)),
    String(sum(({ altered }) => altered)),
    `≤ ${Math.max(0, ...rows.map(({ recoverySeconds }) => recoverySeconds)).toFixed(1)}`,
    '',
    '',
    `${rows.filter(({ faults }) => faults.length === 0).length} of ${rows.length} hold`,
    '',
    '',
  ]
  const lines = [HEAD, ...all.map(cells), totals]
  const widths = HEAD.map((_, at) => Math.max(...lines.map((line) => line[at]!.length)))
  const text = (line: readonly string[]) =>
    `| ${line
      .map((cell, at) =>
        /^[\d,.]+$/.test(cell) ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!),
      )
      .join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [text(HEAD), rule, ...all.map((row) => text(cells(row))), text(totals)].join('\n')
}
