// Tables and wrapped text for terminals: columns by visible width, no box drawing, readable when piped.

import { stripVTControlCharacters } from 'node:util'
import type { Colours } from './terminal.ts'

export interface TableColumn {
  title: string
  /** Numbers stand at the right of their column. */
  right?: boolean
}

/** Columns that a string takes on a terminal. East Asian wide characters take two. */
export function visibleWidth(text: string): number {
  let width = 0
  for (const char of stripVTControlCharacters(text)) width += isWide(char.codePointAt(0)!) ? 2 : 1
  return width
}

function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd)
  )
}

function pad(text: string, width: number, right: boolean): string {
  const blank = ' '.repeat(Math.max(0, width - visibleWidth(text)))
  return right ? blank + text : text + blank
}

/** Spaces between two columns. */
const GAP = 2

interface ShownColumn {
  column: TableColumn
  at: number
  width: number
}

/** The columns that have any content, with what the widest cell of each takes. */
function shownColumns(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
): ShownColumn[] {
  return columns
    .map((column, at) => ({
      column,
      at,
      width: Math.max(
        visibleWidth(column.title),
        ...rows.map((row) => visibleWidth(row[at] ?? '')),
      ),
    }))
    .filter(({ at }) => rows.some((row) => (row[at] ?? '') !== ''))
}

/** Columns of the terminal that these take as part of a table, with the gap before each. */
export function tableWidth(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
): number {
  return shownColumns(columns, rows).reduce((sum, { width }) => sum + width + GAP, 0)
}

/** Rows under their titles; columns without any content are left out. Cells must be printable already. */
export function renderTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  colours: Colours,
  indent = '',
): string {
  if (rows.length === 0) return ''
  const shown = shownColumns(columns, rows)
  const line = (cell: (one: ShownColumn) => string) =>
    indent +
    shown
      .map((one) => pad(cell(one), one.width, one.column.right === true))
      .join(' '.repeat(GAP))
      .trimEnd()
  const head = colours.dim(line(({ column }) => column.title))
  return `${[head, ...rows.map((row) => line(({ at }) => row[at] ?? ''))].join('\n')}\n`
}

/** `text` in lines of at most `width` columns, broken at spaces; a longer word stands on a line of its own. */
export function wrap(text: string, width: number, indent = ''): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && visibleWidth(line) + 1 + visibleWidth(word) > width - indent.length) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  lines.push(line)
  return lines.map((one) => indent + one).join('\n')
}

/** A count with what is counted: `1 flow`, `12,345 flows`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en-US')} ${number === 1 ? one : many}`
}

/** The end of a text, where ids and paths differ, in at most `width` columns. */
export function shortenStart(text: string, width: number): string {
  if (visibleWidth(text) <= width) return text
  let kept = ''
  for (const char of [...text].reverse()) {
    if (visibleWidth(kept) + visibleWidth(char) + 1 > width) break
    kept = char + kept
  }
  return `…${kept}`
}
