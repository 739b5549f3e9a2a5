// The table of faults as it is read: one row each, the latest of a name, and their sums.

import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { type FaultRow, keptRows, skippedRow, tableText } from './fault-table.ts'
import { setFaults } from './judge.ts'

const row = (fault: string, over: Partial<FaultRow> = {}): FaultRow => ({
  fault,
  kills: 3,
  events: '',
  flows: 1000,
  missing: 0,
  duplicated: 0,
  altered: 0,
  recoverySeconds: 2.25,
  faults: [],
  invariants: 'I1 I2',
  ...over,
})

test('rows are kept in a file, the latest of each fault that was tried counts, and sums stand below', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'bailiwick-table-'))
  const file = path.join(directory, 'rows')
  expect(keptRows(file)).toEqual([])
  const rows = [
    row('a', { missing: 5 }),
    row('b', {
      faults: ['I3: 0:1 is committed'],
      duplicated: 1,
      drainedPerSecond: 51_234.5,
      arrivalsPerSecond: 10_000,
    }),
    skippedRow('c', 'needs root'),
    row('a', { kills: 4, commit: '0fe819c' }),
    skippedRow('a', 'needs root'),
  ]
  for (const one of rows) appendFileSync(file, `${JSON.stringify(one)}\n`)
  expect(tableText(keptRows(file)).split('\n')).toEqual([
    '| fault    | kills | flows | missing | doubled | altered | recovery s | drained/s | drain x | invariants                | beside     | commit  |',
    '|----------|-------|-------|---------|---------|---------|------------|-----------|---------|---------------------------|------------|---------|',
    '| a        |     4 | 1,000 |       0 |       0 |       0 |        2.3 |           |         | hold                      |            | 0fe819c |',
    '| b        |     3 | 1,000 |       0 |       1 |       0 |        2.3 |    51,235 |     5.1 | NOT: I3: 0:1 is committed |            |         |',
    '| c        |       |       |         |         |         |            |           |         | NOT TRIED                 | needs root |         |',
    '| 2 faults |     7 | 2,000 |       0 |       1 |       0 | ≤ 2.3      |           |         | 1 of 2 hold               |            |         |',
  ])
  rmSync(directory, { recursive: true })
})

test('findings that were stored and not told, or told of nothing, are a fault', () => {
  const set = (...findings: string[]) => new Set(findings)
  expect(setFaults(set('a', 'b'), set('b', 'a'))).toEqual([])
  expect(setFaults(set('a', 'b', 'c'), set('c'))).toEqual(['I4: 2 findings were not told: a'])
  expect(setFaults(set('a'), set('a', 'x'))).toEqual(['I4: 1 were told of nothing: x'])
  expect(setFaults(set(), set())).toEqual(['I4: there are no findings, so nothing is shown'])
})
