// `bailiwick reconcile`: is anything missing, doubled or changed? The auditor's answer, by sensor and hour, and each
// difference with its cause and its cure.

import type { Command } from 'commander'
import type { AuditFinding } from '../audit/findings.ts'
import { type AuditHour, findingText, hourText } from '../audit/told.ts'
import { type AuditReport, runAudit } from '../audit.ts'
import { isStoreDirectory } from '../store/directory.ts'
import { openStore } from '../store/store.ts'
import { printable, printableJson } from '../wire-text.ts'
import { addSettingsOptions, settingsOf, storeTargetOf } from './bus-options.ts'
import { CommandError, usageError } from './exit.ts'
import type { CommandParts } from './program.ts'
import { instantText } from './row-values.ts'
import type { Colours } from './terminal.ts'
import { say } from './terminal.ts'
import { count, renderTable } from './text-table.ts'

const HOURS_MAX = 24 * 36_500
/** Lines of differences in the text; --json has them all. */
const FINDINGS_TOLD = 200

const EXAMPLES = `Examples:
  bailiwick reconcile --store http://reader@clickhouse:8123/flows              what was stored in the last day
  bailiwick reconcile --store http://reader@clickhouse:8123/flows --since 2    in the last two hours
  bailiwick reconcile --store bailiwick-data --deep                            everything; exit 1 if anything differs
  bailiwick reconcile --store http://writer@clickhouse:8123/flows --restore    then read the inputs that it names again
`

interface Options {
  since?: string
  deep: boolean
  json: boolean
  restore: boolean
}

export function addReconcileCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('reconcile')
    .summary('prove that what sensors announced is stored, once and unchanged')
    .description(
      'Compares, by sensor and hour, what was announced with what is stored, what is stored once, what is dead and what is under way; and each chunk with what was inserted of it. Exit 1 if anything differs.',
    )
    .addHelpText('before', EXAMPLES)
  addSettingsOptions(command, ['store'])
    .option('--since <hours>', 'look at what was stored in these last hours (default: 24)')
    .option('--deep', 'look at everything, also for rows that belong to no chunk', false)
    .option(
      '--restore',
      'have rows that somebody deleted written again when their chunks come again; needs a user that may write',
      false,
    )
    .option('--json', 'one JSON object instead of a table', false)
    .action(async (options: Options) => {
      const since = options.deep ? undefined : hoursOf(options.since ?? '24')
      if (options.deep && options.since !== undefined)
        throw usageError('--deep looks at everything: leave --since out')
      const target = storeTargetOf(await settingsOf(options as never, parts))
      // Opening would make one, in which nothing differs.
      if (target.kind === 'directory' && !isStoreDirectory(target.path))
        throw new CommandError(
          4,
          `${printable(target.path)} holds no store: name the one that workers, serve or replay write to`,
        )
      const store = await openStore(target, {
        schema: target.kind === 'server' ? 'check' : 'apply',
      })
      try {
        const report = await runAudit(store, {
          deep: options.deep,
          ...(since === undefined ? {} : { since }),
        })
        const terminal = parts.terminal()
        const lacking = report.findings.filter(({ kind }) => kind === 'rows_missing')
        if (options.restore) await store.wantBack([...new Set(lacking.map(({ chunk }) => chunk))])
        await terminal.out.write(
          options.json
            ? `${printableJson({ schema: 'bailiwick.reconcile/v1', ...report })}\n`
            : reconcileText(report, terminal.colours),
        )
        if (options.restore && !options.json) await terminal.out.write(restoreText(lacking))
        if (report.truncated)
          await say(terminal, 'bailiwick: more differs than is told; mend this and run it again')
        if (report.findings.length > 0)
          parts.causes.push({ code: 1, words: differenceWords(report) })
      } finally {
        await store.close()
      }
    })
}

function hoursOf(text: string): number {
  const hours = Number(text)
  if (/^\d{1,6}(\.\d+)?$/.test(text) && hours > 0 && hours <= HOURS_MAX) return hours
  throw usageError(`--since ${printable(text)}: expected a number of hours up to ${HOURS_MAX}`)
}

/** In a few words, for a last line and for `bailiwick doctor`. */
export function differenceWords({ findings }: AuditReport): string {
  const sum = (kinds: readonly AuditFinding['kind'][]) =>
    findings.reduce((rows, one) => rows + (kinds.includes(one.kind) ? one.count : 0), 0)
  const words = [
    [sum(['chunks_missing']), 'chunk', 'missing'],
    [sum(['chunks_late']), 'chunk', 'not there yet'],
    [sum(['rows_missing', 'records_missing']), 'row', 'missing'],
    [sum(['rows_doubled', 'rows_added']), 'row', 'doubled or added'],
    [sum(['rows_altered']), 'row', 'altered'],
  ] as const
  return words
    .filter(([rows]) => rows > 0)
    .map(([rows, what, state]) => `${count(rows, what)} ${state}`)
    .join(', ')
}

/** A store that is new, or asked for hours in which nothing happened: that nothing differs says nothing. */
export function isNothing({ chunks, hours, findings, dead, stream }: AuditReport): boolean {
  return chunks + hours.length + findings.length + dead.length + stream.length === 0
}

/** The report for people. */
export function reconcileText(report: AuditReport, colours: Colours): string {
  const { findings, unproven, dead, stream } = report
  const lines: string[] = []
  const table = hourTable(report.hours, colours)
  if (table !== '') lines.push(table)
  for (const finding of findings.slice(0, FINDINGS_TOLD))
    lines.push(
      `${colours.red('differs')}  ${findingText(finding)}\n  why: ${finding.cause}\n  cure: ${finding.cure}\n`,
    )
  if (findings.length > FINDINGS_TOLD)
    lines.push(`and ${count(findings.length - FINDINGS_TOLD, 'difference')} more: see --json\n`)
  for (const { reason, sensor, letters, flow_records, example } of dead)
    lines.push(
      `${colours.yellow('dead')}  ${count(letters, 'letter')} ${printable(reason)}${sensor === '' ? '' : ` of sensor ${printable(sensor)}`}, ${count(flow_records, 'flow record')}\n  cure: bailiwick dlq show ${printable(example)}, then bailiwick dlq redrive\n`,
    )
  for (const { stream: name, partition, kind, detail, first, last } of stream)
    lines.push(
      `${colours.yellow('seen')}  ${kind} in ${printable(name)}/${partition}, ${first} to ${last}: ${printable(detail)}\n`,
    )
  if (unproven.length > 0)
    lines.push(`${count(unproven.length, 'table')} of chunks without checksums: only counted\n`)
  if (report.unsummed > 0)
    lines.push(`${count(report.unsummed, 'chunk')} older than checksums: only counted\n`)
  const when = report.since === 0 ? 'ever' : `since ${instantText(report.since)}`
  if (isNothing(report)) return `nothing to compare: nothing was announced or stored ${when}\n`
  const of = `${count(report.chunks, 'chunk')} compared row by row`
  lines.push(
    findings.length === 0
      ? `${colours.green('all equal')}: ${of}\n`
      : `${colours.red('not equal')}: ${differenceWords(report)}; ${of}\n`,
  )
  return lines.join('')
}

/** Which inputs to read again, a line each. */
function restoreText(lacking: readonly AuditFinding[]): string {
  const origins = new Map<string, { sensor: string; numbers: Set<number> }>()
  for (const { origin, sensor, first } of lacking) {
    const one = origins.get(origin) ?? { sensor, numbers: new Set() }
    origins.set(origin, one)
    one.numbers.add(first)
  }
  const lines = [...origins].map(
    ([origin, { sensor, numbers }]) =>
      `wanted back  ${count(numbers.size, 'chunk')} of ${printable(origin)}: read it again, with --sensor-id ${printable(sensor)} and the agents that judged it\n`,
  )
  return lines.length === 0
    ? 'no row of a chunk is missing: nothing is wanted back\n'
    : lines.join('')
}

/** Hours of a sensor that follow each other and are all right are one line. */
function hourTable(hours: readonly AuditHour[], colours: Colours): string {
  if (hours.length === 0) return ''
  const sorted = [...hours].sort((a, b) =>
    a.sensor === b.sensor ? a.hour - b.hour : a.sensor < b.sensor ? -1 : 1,
  )
  const folded: (AuditHour & { to: number })[] = []
  for (const hour of sorted) {
    const before = folded.at(-1)
    if (before !== undefined && before.sensor === hour.sensor && allRight(before) && allRight(hour))
      folded[folded.length - 1] = {
        ...before,
        to: hour.hour,
        announced: before.announced + hour.announced,
        stored: before.stored + hour.stored,
        unique: before.unique + hour.unique,
        unannounced: before.unannounced + hour.unannounced,
      }
    else folded.push({ ...hour, to: hour.hour })
  }
  return renderTable(
    [
      { title: '' },
      { title: 'sensor' },
      { title: 'hours of flows, UTC' },
      ...['announced', 'stored', 'unique', 'dead', 'under way', 'missing'].map((title) => ({
        title,
        right: true,
      })),
    ],
    folded.map((hour) => [
      allRight(hour)
        ? colours.green('equal')
        : hour.missing > 0 || hour.stored !== hour.unique
          ? colours.red('differs')
          : colours.yellow('open'),
      printable(hour.sensor),
      hour.hour === 0 ? 'not known' : hourSpan(hour.hour, hour.to),
      ...[hour.announced, hour.stored, hour.unique, hour.dead, hour.pending, hour.missing].map(
        String,
      ),
    ]),
    colours,
  )
}

function allRight({ announced, stored, unique, dead, pending, missing }: AuditHour): boolean {
  return announced === stored && stored === unique && dead === 0 && pending === 0 && missing === 0
}

function hourSpan(from: number, to: number): string {
  return from === to ? hourText(from) : `${hourText(from)} to ${hourText(to)}`
}
