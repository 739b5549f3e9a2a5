// What the sensor saw and what it did not, in words. A report that is silent about loss would be read as if there
// were none.

import type { Report } from '../report.ts'
import { printable } from '../wire-text.ts'
import type { Colours } from './terminal.ts'
import { count, wrap } from './text-table.ts'

/** Metrics that count what was seen; everything else is something that was not, or was odd. */
const SEEN = ['packets', 'bytes', 'lines', 'accepted', 'flows', 'records'] as const

/** Metrics that a person needs words for. Others are shown by their name. */
const MEANING: Readonly<Record<string, string>> = {
  nodata: 'intervals in which the cloud saw no traffic',
  skipdata: 'intervals that the cloud dropped: traffic in them was not seen',
  packets_cut: 'packets captured shorter than they were: names in them may be missing',
  skipped: 'lines that are no flows (headers, comments, other records)',
  rejected: 'lines that could not be read; their place and start are kept as rejects',
}

/** Lines for the coverage section, each printable. */
export function coverageLines(
  report: Report,
  { width, colours }: { width: number; colours: Colours },
): string[] {
  const kinds = new Map<string, Map<string, number>>()
  for (const { source_kind, metric, value } of report.coverage) {
    const sums = kinds.get(source_kind) ?? new Map<string, number>()
    sums.set(metric, (sums.get(metric) ?? 0) + value)
    kinds.set(source_kind, sums)
  }
  const lines: string[] = []
  for (const [kind, sums] of kinds) {
    const seen = SEEN.filter((metric) => sums.has(metric)).map(
      (metric) => `${sums.get(metric)!.toLocaleString('en-US')} ${metric}`,
    )
    if (seen.length > 0) lines.push(`  seen in ${printable(kind)}: ${seen.join(', ')}`)
    for (const [metric, value] of sums)
      if (value > 0 && !(SEEN as readonly string[]).includes(metric))
        lines.push(colours.yellow(`  ${lossText(kind, metric, value, width)}`))
  }
  for (const reject of report.rejects) {
    const { count: number, reason, unit, first_at, detail } = reject
    const words = `${count(number, 'reject')} of ${reject.source_kind}: ${reason}, first at ${unit} ${first_at}: ${detail}`
    lines.push(colours.yellow(wrap(printable(words), width - 4, '  ')))
  }
  if (lines.length > 0 && !report.coverage.some(({ metric }) => !isSeen(metric)))
    lines.push(colours.dim('  nothing was dropped, cut or skipped'))
  return lines
}

function isSeen(metric: string): boolean {
  return (SEEN as readonly string[]).includes(metric)
}

function lossText(kind: string, metric: string, value: number, width: number): string {
  const meaning = MEANING[metric]
  const words = `${value.toLocaleString('en-US')} ${metric} in ${kind}${meaning === undefined ? '' : ` (${meaning})`}`
  return wrap(printable(words), width - 4).replaceAll('\n', '\n    ')
}
