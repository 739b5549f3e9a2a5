// What a sensor remembers of its inputs, as data and as text: for `inspect` of a spool.

import type { LedgerEntry } from '../ship/ledger-entry.ts'
import type { LedgerFile } from '../ship/ledger-file.ts'
import { printable } from '../wire-text.ts'
import { instantText } from './row-values.ts'
import type { Colours } from './terminal.ts'
import { count, renderTable, shortenStart } from './text-table.ts'

const SOURCE_WIDTH = 48

/** The entries that changed last; they stand at the end. */
const latest = ({ entries }: LedgerFile, most: number): LedgerEntry[] =>
  most === 0 ? [] : entries.slice(-most).reverse()

export function ledgerJson(ledger: LedgerFile | undefined, most: number): unknown {
  if (ledger === undefined) return null
  return {
    next: String(ledger.next),
    origins: ledger.entries.length,
    latest: latest(ledger, most).map(({ origin, kind, format, source, ...entry }) => ({
      origin,
      kind,
      format,
      source,
      chunks: entry.chunks,
      over: entry.over,
      announced: entry.told,
      changed: instantText(entry.touchedAt),
    })),
  }
}

/** Empty where there is no ledger. */
export function ledgerText(ledger: LedgerFile | undefined, most: number, colours: Colours): string {
  if (ledger === undefined) return ''
  const { entries } = ledger
  const open = entries.filter(({ over }) => !over).length
  const head = `  ledger: ${count(entries.length, 'input')}, ${open} of them not over\n`
  const table = renderTable(
    [
      { title: 'input' },
      { title: 'format' },
      { title: 'chunks', right: true },
      { title: 'changed' },
      { title: '' },
    ],
    latest(ledger, most).map((entry) => [
      shortenStart(printable(entry.source), SOURCE_WIDTH),
      printable(entry.format),
      String(entry.chunks),
      instantText(entry.touchedAt),
      [entry.over ? 'over' : 'goes on', entry.told ? '' : 'not announced yet']
        .filter(Boolean)
        .join(', '),
    ]),
    colours,
    '  ',
  )
  return head + table
}
