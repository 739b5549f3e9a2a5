// What the sensor saw and what it did not, in words. A report that is silent about loss would be read as if there
// were none.

import { isHarmless, isSeen, meaningOf, SEEN } from '../coverage-words.ts'
import type { Report } from '../report.ts'
import { printable } from '../wire-text.ts'
import type { Colours } from './terminal.ts'
import { count, wrap } from './text-table.ts'

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
  const paint = (metric: string) => (isHarmless(metric) ? colours.dim : colours.yellow)
  for (const [kind, sums] of kinds) {
    const seen = SEEN.filter((metric) => sums.has(metric)).map(
      (metric) => `${sums.get(metric)!.toLocaleString('en-US')} ${metric}`,
    )
    if (seen.length > 0) lines.push(`  seen in ${printable(kind)}: ${seen.join(', ')}`)
    for (const [metric, value] of sums)
      if (value > 0 && !isSeen(metric))
        lines.push(paint(metric)(`  ${lossText(kind, metric, value, width)}`))
  }
  for (const reject of report.rejects) {
    const { count: number, reason, unit, first_at, detail } = reject
    const words = `${count(number, 'reject')} of ${reject.source_kind}: ${reason}, first at ${unit} ${first_at}: ${detail}`
    lines.push(colours.yellow(wrap(printable(words), width - 4, '  ')))
  }
  const whole = report.rejects.length === 0 && report.coverage.every(({ metric }) => isSeen(metric))
  if (lines.length > 0 && whole) lines.push(colours.dim('  nothing was dropped, cut or skipped'))
  return lines
}

function lossText(kind: string, metric: string, value: number, width: number): string {
  const meaning = meaningOf(metric)
  const words = `${value.toLocaleString('en-US')} ${metric} in ${kind}${meaning === '' ? '' : ` (${meaning})`}`
  return wrap(printable(words), width - 4).replaceAll('\n', '\n    ')
}
