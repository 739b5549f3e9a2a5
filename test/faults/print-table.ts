// Around the long tests: rows of trials are gathered in a file, and in the end printed as one table. With
// FAULTS_TABLE=FILE the rows of earlier runs are in it too, so that it can be made in parts.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { keptRows, tableText } from './fault-table.ts'

export function setup(): () => void {
  const own = process.env.FAULTS_TABLE === undefined
  if (own)
    process.env.FAULTS_TABLE = path.join(
      mkdtempSync(path.join(tmpdir(), 'bailiwick-table-')),
      'rows.ndjson',
    )
  const file = process.env.FAULTS_TABLE!
  return () => {
    const rows = keptRows(file)
    if (rows.length > 0) process.stdout.write(`\n${tableText(rows)}\n\n`)
    if (own) rmSync(path.dirname(file), { recursive: true, force: true })
  }
}
