// The part of `bailiwick doctor` that asks the auditor: does the store hold what sensors announced in the last day?

import { runAudit } from '../audit.ts'
import type { Store } from '../store/store.ts'
import { type Check, failed, ok, warn } from './check.ts'
import { differenceWords, isNothing } from './reconcile.ts'
import { count } from './text-table.ts'

const HOURS = 24

/** A short audit of an open store. Never throws: what fails is the answer. */
export async function checkAudit(store: Store): Promise<Check> {
  const name = 'audit'
  try {
    const report = await runAudit(store, { since: HOURS })
    const { findings, dead, chunks } = report
    if (findings.length > 0) return warn(name, differenceWords(report), 'bailiwick reconcile')
    if (isNothing(report))
      return ok(name, `nothing was announced or stored in the last ${HOURS} hours`)
    const letters = dead.reduce((sum, row) => sum + row.letters, 0)
    const looked = `${count(chunks, 'chunk')} of the last ${HOURS} hours compared`
    return letters > 0
      ? warn(name, `all equal, ${count(letters, 'dead letter')}: ${looked}`, 'bailiwick dlq ls')
      : ok(name, `all equal: ${looked}`)
  } catch (error) {
    return failed(name, error)
  }
}
