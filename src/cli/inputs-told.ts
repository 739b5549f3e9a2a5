// How inputs are told to a person and to a program: one statistics line each, a table, and why a run failed.

import { type ReportInput, reportInput } from '../report.ts'
import type { SensorEvent } from '../sensor.ts'
import type { Log } from '../telemetry.ts'
import { printable, printableJson } from '../wire-text.ts'
import type { ExitCause } from './exit.ts'
import type { Colours } from './terminal.ts'
import { count, renderTable } from './text-table.ts'

/**
 * Why an input makes the run one that could not read everything, or undefined. A file that was named was
 * meant; other files lie about in directories and are passed over.
 */
export function inputCause(input: ReportInput): ExitCause | undefined {
  const { source, state, named } = input
  if (state === 'read' || (state === 'unknown' && !named)) return undefined
  // The last error is what ended the reading; those before it were survived.
  const why = input.errors.at(-1) ?? 'cannot be read'
  const kept = state === 'damaged' ? '; what came before is used' : ''
  return { code: 3, words: printable(`${source}: ${why}${kept}`) }
}

/** Tells the log of an input that is over. @returns the cause if it could not be read */
export function tellInput(event: SensorEvent & { type: 'input' }, log: Log): ExitCause | undefined {
  const cause = inputCause(reportInput(event, 0))
  const { source, bytesRead, stats } = event
  const fields = { input: printable(source), format: stats.format, bytes: bytesRead }
  if (cause === undefined) log('info', 'input read', fields)
  else log('error', cause.words, { ...fields, exit: cause.code })
  return cause && { ...cause, told: true }
}

/** An input's errors in words; the last line tells how many more there were. */
export function listErrors({ errors, error_count }: ReportInput): string[] {
  const more = error_count - errors.length
  return more > 0 ? [...errors, `and ${more} more`] : errors
}

const isCapture = (input: ReportInput) => input.format.startsWith('pcap')

/** One line of JSON for an input: packets of a capture, lines of a log, nothing of what could not be read. */
export function statsLine(input: ReportInput): string {
  const { source, format, packets, bytes, lines, accepted, rejected, skipped } = input
  const errors = listErrors(input)
  const known = format === '' ? {} : { format }
  return printableJson(
    format === '' || isCapture(input)
      ? { source, ...known, packets, bytes, errors }
      : { source, format, lines, accepted, rejected, skipped, errors },
  )
}

/** What was read of an input, in words. */
export function readWords(input: ReportInput): string {
  if (input.state === 'unreadable') return 'not read'
  if (input.format === '') return 'passed over'
  if (isCapture(input)) return `${count(input.packets, 'packet')}, ${count(input.bytes, 'byte')}`
  const parts = [`${count(input.lines, 'line')}: ${input.accepted} accepted`]
  if (input.rejected > 0) parts.push(`${input.rejected} rejected`)
  if (input.skipped > 0) parts.push(`${input.skipped} skipped`)
  return parts.join(', ')
}

/** All inputs, one a row. */
export function inputsTable(inputs: readonly ReportInput[], colours: Colours, indent = ''): string {
  const rows = inputs.map((input) => {
    const problem = printable(listErrors(input).join('; '))
    const bad = inputCause(input) !== undefined
    const paint = bad ? colours.red : input.format === '' ? colours.dim : colours.yellow
    return [
      printable(input.source),
      input.format,
      readWords(input),
      problem === '' ? '' : paint(problem),
    ]
  })
  return renderTable(
    [{ title: 'input' }, { title: 'format' }, { title: 'read' }, { title: 'errors' }],
    rows,
    colours,
    indent,
  )
}
