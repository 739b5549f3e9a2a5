// One row for each fault that was tried, and the table of them. Rows are kept in a file, so that the table can be made
// in several runs.

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
}

/** Rows go to this file, if it is set, besides being printed. */
const file = () => process.env.FAULTS_TABLE

export function keepRow(row: FaultRow): void {
  const to = file()
  if (to !== undefined) appendFileSync(to, `${JSON.stringify(row)}\n`)
}

/** The rows that were kept, of each fault the latest. */
export function keptRows(file: string): FaultRow[] {
  if (!existsSync(file)) return []
  const rows = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as FaultRow)
  return [...new Map(rows.map((row) => [row.fault, row])).values()]
}

const HEAD = [
  'fault',
  'kills',
  'other events',
  'flows',
  'missing',
  'duplicated',
  'altered',
  'recovery s',
  'drained/s',
  'invariants',
]

const cells = (row: FaultRow): string[] => [
  row.fault,
  String(row.kills),
  row.events,
  row.flows.toLocaleString('en'),
  String(row.missing),
  String(row.duplicated),
  String(row.altered),
  row.recoverySeconds.toFixed(1),
  row.drainedPerSecond === undefined ? '' : Math.round(row.drainedPerSecond).toLocaleString('en'),
  row.faults.length === 0 ? `${row.invariants} hold` : `NOT: ${row.faults.slice(0, 3).join('; ')}`,
]

/** The rows as text, with their sums. */
export function tableText(rows: readonly FaultRow[]): string {
  const sum = (of: (row: FaultRow) => number) => rows.reduce((total, row) => total + of(row), 0)
  const totals = [
    `${rows.length} faults`,
    String(sum(({ kills }) => kills)),
    '',
    sum(({ flows }) => flows).toLocaleString('en'),
    String(sum(({ missing }) => missing)),
    String(sum(({ duplicated }) => duplicated)),
    String(sum(({ altered }) => altered)),
    `at most ${Math.max(0, ...rows.map(({ recoverySeconds }) => recoverySeconds)).toFixed(1)}`,
    '',
    `${rows.filter(({ faults }) => faults.length === 0).length} of ${rows.length} rows hold`,
  ]
  const lines = [HEAD, ...rows.map(cells), totals]
  const widths = HEAD.map((_, at) => Math.max(...lines.map((line) => line[at]!.length)))
  const text = (line: readonly string[]) =>
    line
      .map((cell, at) =>
        /^[\d,.]+$/.test(cell) ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!),
      )
      .join(' | ')
      .trimEnd()
  const rule = widths.map((width) => '-'.repeat(width)).join('-|-')
  return [text(HEAD), rule, ...rows.map((row) => text(cells(row))), rule, text(totals)].join('\n')
}
