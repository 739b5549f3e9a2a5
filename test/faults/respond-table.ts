// One row for each fault of what follows a finding. Rows go to the file of RESPOND_TABLE, if it is set, as lines of a
// table of Markdown.

import { appendFileSync } from 'node:fs'
import { commit } from './fault-table.ts'

export interface RespondRow {
  fault: string
  kills: number
  /** Alerts raised; messages by distinct ids; requests that told them, and revocation calls. */
  alerts: number
  messages: number
  requests: number
  /** Revocations that were called, by distinct ids. */
  revoked: number
  /** Alerts that an endpoint was never told, or by more than one message; messages that changed or were not signed. */
  missing: number
  doubled: number
  altered: number
  /** From the end of the fault until everything was told and done. */
  recoverySeconds: number
  /** What does not hold, in words. */
  faults: readonly string[]
  events: string
}

export const RESPOND_HEAD = [
  '| fault | kills | alerts | messages | requests | revoked | missing | doubled | altered | recovery s | I5, I6 | beside | commit |',
  '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
].join('\n')

export function respondLine(row: RespondRow): string {
  const { fault, kills, alerts, messages, requests, revoked, missing, doubled, altered } = row
  const cells = [
    ...[fault, kills, alerts, messages, requests, revoked, missing, doubled, altered].map((one) =>
      one.toLocaleString('en'),
    ),
    row.recoverySeconds.toFixed(1),
    row.faults.length === 0 ? 'hold' : `NOT: ${row.faults.slice(0, 3).join('; ')}`,
    row.events,
    commit(),
  ]
  return `| ${cells.join(' | ')} |`
}

export function keepRespondRow(row: RespondRow): void {
  const line = `${respondLine(row)}\n`
  process.stderr.write(`\n${RESPOND_HEAD}\n${line}`)
  const to = process.env.RESPOND_TABLE
  if (to !== undefined) appendFileSync(to, line)
}
