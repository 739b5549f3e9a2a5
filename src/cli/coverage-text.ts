// What the sensor saw and what it did not, in words. A report that is silent about loss would be read as if there
// were none.

import type { Report } from '../report.ts'
import { printable } from '../wire-text.ts'
import type { Colours } from './terminal.ts'
import { count, wrap } from './text-table.ts'

/** Metrics that count what was seen; everything else is something that was not, or was odd. */
const SEEN = ['packets', 'bytes', 'lines', 'accepted', 'flows', 'records'] as const

/** What metrics mean, by their name or the part before its first dot. Others are shown by their name alone. */
const MEANING: Readonly<Record<string, string>> = {
  nodata: 'intervals in which the cloud saw no traffic',
  skipdata: 'intervals that the cloud dropped: traffic in them was not seen',
  packets_cut: 'packets captured shorter than they were: names in them may be missing',
  packets_over_snaplen: 'packets longer than the capture said they could be',
  packets_without_time: 'packets without a time: they count for the last time known',
  kernel_drops: 'packets that the capturing host dropped: they were not seen',
  interface_drops: 'packets that the network interface dropped: they were not seen',
  skipped: 'lines that are no flows: headers, comments, other records',
  rejected: 'lines that could not be read; their place and start are kept as rejects',
  not_ip: 'frames that carry no IP: they are no flows',
  parse_error: 'packets that could not be taken apart',
  inner_parse_error: 'tunnelled packets that could not be taken apart; the tunnel itself is a flow',
  unknown_link: 'packets of a link type that is not known: counted, not seen into',
  clock_jump: 'jumps of the clock: packets are older than those before them',
  fragments_given_up: 'fragmented packets whose pieces never all came',
  fragment_overlap: 'fragments that overlap, as nobody honest sends them',
  evicted: 'flows written early because a table was full: what came after is a flow of its own',
  counters_went_back: 'records whose counters fell: the log repeats itself or is not in order',
  zeek_separator_cut: 'separators longer than are supported',
}

/** What is left out rightly: nothing was lost. */
const HARMLESS: readonly string[] = ['nodata', 'skipped', 'not_ip']

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
  const paint = (metric: string) => (HARMLESS.includes(metric) ? colours.dim : colours.yellow)
  for (const [kind, sums] of kinds) {
    const seen = SEEN.filter((metric) => sums.has(metric)).map(
      (metric) => `${sums.get(metric)!.toLocaleString('en-US')} ${metric}`,
    )
    if (seen.length > 0) lines.push(`  seen in ${printable(kind)}: ${seen.join(', ')}`)
    for (const [metric, value] of sums)
      if (value > 0 && !(SEEN as readonly string[]).includes(metric))
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

function isSeen(metric: string): boolean {
  return (SEEN as readonly string[]).includes(metric)
}

function lossText(kind: string, metric: string, value: number, width: number): string {
  const meaning = MEANING[metric] ?? MEANING[metric.split('.', 1)[0]!]
  const words = `${value.toLocaleString('en-US')} ${metric} in ${kind}${meaning === undefined ? '' : ` (${meaning})`}`
  return wrap(printable(words), width - 4).replaceAll('\n', '\n    ')
}
