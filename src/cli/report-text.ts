// The report as a person reads it in a terminal: first what happened, then who, why and what to do, then what
// the sensor could not see. Everything from outside is made printable here.

import { VERDICTS, type Verdict } from '../flow.ts'
import { agentName } from '../identity/agent.ts'
import type { Report, ReportAgent, ReportAlert, ReportFinding } from '../report.ts'
import { printable } from '../wire-text.ts'
import { coverageLines } from './coverage-text.ts'
import type { ExpectedCase } from './expect.ts'
import { endpointText, flowText, indented } from './flow-text.ts'
import { inputsTable } from './inputs-told.ts'
import type { Colours } from './terminal.ts'
import {
  count,
  renderTable,
  shortenStart,
  type TableColumn,
  tableWidth,
  wrap,
} from './text-table.ts'

/** Rows of each list that are shown; --json has them all. */
const FINDINGS_SHOWN = 50
const ALERTS_SHOWN = 50
const UNREGISTERED_SHOWN = 20
const INPUTS_SHOWN = 20
/** Columns that an agent's id has at least. */
const ID_WIDTH_MIN = 16

export interface TextSettings {
  width: number
  colours: Colours
  verbose: boolean
}

export const VERDICT_WORDS: Record<Verdict, string> = {
  in_scope: 'in scope',
  out_of_scope: 'out of scope',
  unknown_name: 'unknown name',
  unattributed: 'unattributed',
  unregistered: 'unregistered',
}

/** The whole report, ending in a newline. */
export function reportText(report: Report, settings: TextSettings): string {
  const parts = [
    headline(report, settings),
    section('Flows by agent and verdict', agentsTable(report, settings), settings),
    section('Out of scope', findingsText(report, settings), settings),
    section('Alerts', alertsTable(report, settings), settings),
    section('Unregistered agents', unregisteredText(report, settings), settings),
    section('Inputs', inputsText(report, settings), settings),
    section('Coverage', coverageLines(report, settings).join('\n'), settings),
    section('Warnings', warningsText(report, settings), settings),
    timeText(report, settings),
  ]
  return parts.filter((part) => part !== '').join('\n')
}

function section(title: string, body: string, { colours }: TextSettings): string {
  return body === '' ? '' : `${colours.bold(title)}\n${body.trimEnd()}\n`
}

function headline(report: Report, { colours, width }: TextSettings): string {
  const { totals, verdicts, unregistered } = report
  if (totals.flows === 0) return `${colours.bold('No flow was found in the input.')}\n`
  const lines: string[] = []
  const strayed = report.agents.filter(
    ({ agent, verdicts: counts }) => agent !== '' && counts.out_of_scope > 0,
  ).length
  // A flow between two agents may be out of scope for both: judgements are counted, and said to be.
  if (verdicts.out_of_scope > 0)
    lines.push(
      colours.red(
        colours.bold(
          `${count(verdicts.out_of_scope, 'judgement')} out of scope, by ${count(strayed, 'agent')}.`,
        ),
      ),
    )
  else if (verdicts.in_scope > 0)
    lines.push(colours.green(colours.bold('No agent left its declared scope.')))
  else lines.push(colours.bold('No flow belongs to a registered agent.'))
  if (unregistered.length > 0)
    lines.push(
      colours.red(
        `${count(unregistered.length, 'address', 'addresses')} talked like an agent and ${unregistered.length === 1 ? 'belongs' : 'belong'} to none.`,
      ),
    )
  if (verdicts.unknown_name > 0)
    lines.push(
      colours.yellow(
        wrap(
          `${count(verdicts.unknown_name, 'judgement')} could not be decided: a rule by name was asked, and no name was seen.`,
          width,
        ),
      ),
    )
  const read = report.inputs.filter(({ format }) => format !== '').length
  lines.push(
    `${count(totals.flows, 'flow')}, ${count(totals.judgements, 'judgement')}, from ${count(read, 'input')}.`,
  )
  return `${lines.join('\n')}\n`
}

function verdictPaint(verdict: Verdict, colours: Colours): (text: string) => string {
  if (verdict === 'in_scope') return colours.green
  if (verdict === 'out_of_scope' || verdict === 'unregistered') return colours.red
  return colours.yellow
}

/** The names that sentences use, or the whole ids where names would mix agents up. */
function agentLabels(ids: readonly string[]): readonly string[] {
  const names = ids.map(agentName)
  return new Set(names).size === names.length ? names : ids
}

function agentsTable({ agents }: Report, { colours, width }: TextSettings): string {
  const seen = agents.filter(({ agent, flows }) => agent !== '' && flows > 0)
  const labels = agentLabels(seen.map(({ agent }) => agent))
  const shown = VERDICTS.filter((verdict) => seen.some(({ verdicts }) => verdicts[verdict] > 0))
  const columns = [
    { title: 'flows', right: true },
    ...shown.map((verdict) => ({ title: VERDICT_WORDS[verdict], right: true })),
    { title: 'score', right: true },
    { title: 'less than certain' },
  ]
  const rows = seen.map(({ flows, verdicts, score_max, grades }) => [
    flows.toLocaleString('en-US'),
    ...shown.map((verdict) => {
      const number = verdicts[verdict]
      const text = number.toLocaleString('en-US')
      return number === 0 ? colours.dim(text) : verdictPaint(verdict, colours)(text)
    }),
    score_max === 0 ? '' : String(score_max),
    weakGrades(grades),
  ])
  // A narrow terminal keeps the counts and does without the last columns.
  while (columns.length > 1 && tableWidth(columns, rows) > width - 2 - ID_WIDTH_MIN) {
    columns.pop()
    for (const row of rows) row.length = columns.length
  }
  // What the other columns leave of the line is for the ids.
  const idWidth = Math.max(ID_WIDTH_MIN, width - 2 - tableWidth(columns, rows))
  const table = renderTable(
    [{ title: 'agent' }, ...columns],
    rows.map((row, i) => [shortenStart(printable(labels[i]!), idWidth), ...row]),
    colours,
    '  ',
  )
  const nobody = agents.find(({ agent }) => agent === '')
  const unseen = agents.filter(({ agent, flows }) => agent !== '' && flows === 0)
  const lines: string[] = []
  if (nobody !== undefined && nobody.judgements > 0) lines.push(nobodyText(nobody))
  if (unseen.length > 0)
    lines.push(`no flow of their own: ${unseen.map(({ agent }) => agentName(agent)).join(', ')}`)
  return table + lines.map((line) => `${wrapUnder(printable(line), width, 2, 4)}\n`).join('')
}

/** Judgements that name no single agent, in a sentence. */
function nobodyText({ judgements, verdicts, grades }: ReportAgent): string {
  const parts = VERDICTS.filter((verdict) => verdicts[verdict] > 0).map(
    (verdict) => `${verdicts[verdict].toLocaleString('en-US')} ${VERDICT_WORDS[verdict]}`,
  )
  const weak = weakGrades(grades)
  return `of no agent, or of one of several: ${count(judgements, 'judgement')}: ${parts.join(', ')}${weak === '' ? '' : ` (${weak})`}`
}

/** Grades that are less than certain, which a reader must know: `3 probable, 1 shared`. */
function weakGrades(grades: ReportAgent['grades']): string {
  return (['probable', 'contested', 'shared'] as const)
    .filter((grade) => (grades[grade] ?? 0) > 0)
    .map((grade) => `${grades[grade]} ${grade}`)
    .join(', ')
}

/** Findings of one alert are told once, by the highest; the others are counted. */
function findingsText({ findings, totals }: Report, settings: TextSettings): string {
  const strayed = findings.filter(({ kind }) => kind !== 'unregistered')
  const byAlert = new Map<string, ReportFinding[]>()
  for (const finding of strayed)
    byAlert.set(finding.alert_id, [...(byAlert.get(finding.alert_id) ?? []), finding])
  const groups = [...byAlert.values()]
  const blocks = groups
    .slice(0, FINDINGS_SHOWN)
    .map((group) => findingText(group[0]!, group.length - 1, settings))
  const left = groups.length - blocks.length
  if (left > 0 || findings.length < totals.findings)
    blocks.push('  and more; --json lists them all\n')
  return blocks.join('\n')
}

function scorePaint(score: number, colours: Colours): (text: string) => string {
  return score >= 70 ? colours.red : score >= 40 ? colours.yellow : colours.dim
}

function findingText(finding: ReportFinding, more: number, settings: TextSettings): string {
  const { colours, width } = settings
  const { score, rule, grade, evidence, reasons, mend } = finding
  const lines: string[] = []
  const body = wrap(printable(finding.sentence), width - 6).split('\n')
  const mark = scorePaint(score, colours)(String(score).padStart(3))
  lines.push(`  ${mark} ${colours.bold(body[0]!)}`)
  for (const line of body.slice(1)) lines.push(`      ${colours.bold(line)}`)
  const why = reasons.map(
    ({ code, weight, evidence: on }) =>
      `${weight >= 0 ? '+' : ''}${weight} ${code}${on === '' ? '' : ` (${on})`}`,
  )
  const fellows = more > 0 ? `; and ${count(more, 'more flow')} of the same alert` : ''
  const rests = evidence.length === 0 ? '' : `: ${evidence.join(', ')}`
  const facts = [
    ['score', why.join(', ')],
    ['agent', `${grade}${rests}`],
    ['rule', rule],
    ['flow', `${flowText(finding.flow)}${fellows}`],
  ] as const
  for (const [name, words] of facts)
    lines.push(wrapUnder(printable(`${name.padEnd(5)}  ${words}`), width, 6, 13))
  for (const [i, line] of (mend === '' ? [] : indented(mend, '')).entries())
    lines.push(`      ${i === 0 ? 'allow' : '     '}  ${colours.cyan(printable(line))}`)
  return `${lines.join('\n')}\n`
}

/** A paragraph whose further lines stand deeper than its first. */
function wrapUnder(text: string, width: number, indent: number, under: number): string {
  const [first, ...rest] = wrap(text, width - under).split('\n')
  return [' '.repeat(indent) + first, ...rest.map((line) => ' '.repeat(under) + line)].join('\n')
}

function alertsTable({ alerts, totals }: Report, { colours, width }: TextSettings): string {
  const shown = alerts.slice(0, ALERTS_SHOWN)
  const columns: TableColumn[] = [
    { title: 'score', right: true },
    { title: 'alert' },
    { title: 'flows', right: true },
    // A narrow terminal needs the room for who and where.
    { title: width < 100 ? '' : 'first seen (UTC)' },
    { title: 'rule' },
  ]
  const rows = shown.map((alert) => [
    scorePaint(alert.score, colours)(String(alert.score)),
    printable(alert.alert_id.slice(0, 8)),
    alert.flows.toLocaleString('en-US'),
    width < 100 ? '' : printable(`${alert.first.slice(0, 10)} ${alert.first.slice(11, 16)}`),
    shortenStart(printable(alert.rule), 24),
  ])
  const half = Math.floor((width - 2 - tableWidth(columns, rows)) / 2)
  columns.push({ title: 'who' })
  for (const [i, { agent, subject }] of shown.entries()) {
    const who = printable(agent === '' ? subject : agentName(agent))
    rows[i]!.push(shortenStart(who, Math.max(ID_WIDTH_MIN, half)))
  }
  const left = Math.max(ID_WIDTH_MIN, width - 2 - tableWidth(columns, rows))
  columns.push({ title: 'to' })
  for (const [i, alert] of shown.entries())
    rows[i]!.push(shortenStart(printable(alertDestination(alert)), left))
  const table = renderTable(columns, rows, colours, '  ')
  return totals.alerts > rows.length
    ? `${table}  and ${count(totals.alerts - rows.length, 'more alert')}; --json lists them\n`
    : table
}

function alertDestination({ destination, port, proto }: ReportAlert): string {
  return `${endpointText(destination, port, proto)}/${proto}`
}

function unregisteredText({ unregistered }: Report, { colours, width }: TextSettings): string {
  const lines = unregistered.slice(0, UNREGISTERED_SHOWN).map((one) => {
    const places = one.destinations.join(', ')
    const words = `: ${count(one.flows, 'flow')} to ${places}, from ${one.first.slice(0, 19)}Z to ${one.last.slice(0, 19)}Z`
    return wrapUnder(colours.red(printable(one.address)) + printable(words), width, 2, 4)
  })
  if (lines.length === 0) return ''
  if (unregistered.length > lines.length)
    lines.push(`  and ${unregistered.length - lines.length} more; --json lists them all`)
  lines.push(
    colours.dim('  Declare such an address under `addresses` of its agent, or look who it is.'),
  )
  return lines.join('\n')
}

function inputsText({ inputs }: Report, { colours, verbose }: TextSettings): string {
  // Other files lie about in directories, and what went well needs no line each where there is much of it.
  const foreign = inputs.filter(({ state, named }) => state === 'unknown' && !named)
  const meant = inputs.filter((input) => !foreign.includes(input))
  const troubled = meant.filter(({ state, error_count }) => state !== 'read' || error_count > 0)
  const list = verbose ? inputs : meant.length <= INPUTS_SHOWN ? meant : troubled
  const left = verbose ? 0 : meant.length - list.length
  return [
    inputsTable(list, colours, '  '),
    left > 0 ? `  ${count(left, 'input')} read without trouble; -v lists them\n` : '',
    verbose || foreign.length === 0
      ? ''
      : colours.dim(
          `  ${count(foreign.length, 'file')} of other formats passed over; -v lists them`,
        ),
  ].join('')
}

function warningsText({ warnings }: Report, { width, colours }: TextSettings): string {
  return warnings
    .map((warning) => colours.yellow(wrapUnder(`! ${printable(warning)}`, width, 2, 4)))
    .join('\n')
}

function timeText({ timings, store }: Report, { colours, width }: TextSettings): string {
  const parts = Object.entries(timings.parts).map(([name, s]) => `${name} ${s.toFixed(2)} s`)
  const spent = parts.length === 0 ? '' : ` (${parts.join(', ')})`
  const known =
    store.chunks_known > 0
      ? ` ${store.chunks_known} of ${count(store.chunks, 'chunk')} were stored before and are not stored again.`
      : ''
  const kept = store.temporary
    ? 'Nothing was kept: give --store to keep it.'
    : `Kept in ${printable(store.address)}.`
  return `${colours.dim(wrap(`Took ${timings.total_seconds.toFixed(2)} s${spent}. ${kept}${known}`, width))}\n`
}

/** What was expected, and for each that was not met what came instead. */
export function expectationText(
  cases: readonly ExpectedCase[],
  { colours, width }: Pick<TextSettings, 'colours' | 'width'>,
): string {
  const unmet = cases.filter(({ mismatch }) => mismatch.length > 0)
  const met = count(cases.length - unmet.length, 'expectation')
  const lines = [colours.bold('Expectations'), `  ${colours.green(`${met} met`)}`]
  for (const { agent, name, mismatch } of unmet) {
    const who = agent === '' ? 'all agents' : agent
    lines.push(`  ${colours.red('not met')} ${printable(`${who}: ${name}`)}`)
    for (const line of mismatch)
      lines.push(wrapUnder(printable(line.trimStart()), width, 4 + depth(line), 6 + depth(line)))
  }
  return `${lines.join('\n')}\n`
}

const depth = (line: string) => line.length - line.trimStart().length
