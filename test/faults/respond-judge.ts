// What must hold between findings and what came of them (I5, I6), by what the receiver noted and what stands on the disk.

import { existsSync, readFileSync } from 'node:fs'
import { type AuditRecord, checkAudit } from '../../src/respond/audit-chain.ts'
import type { Noted } from './noting-receiver.ts'
import { alertOf, isBad } from './respond-findings.ts'
import type { RespondRow } from './respond-table.ts'

/** What a trial came to. */
export interface Responded {
  /** Of the audit log. */
  auditFile: string
  /** Deaths by kill -9. */
  kills: number
  /** Findings that were given, by number from 0. */
  given: number
  received(): Noted[]
}

/** Alerts that an endpoint was told, each with the ids of the messages that told it. */
function toldBy(noted: readonly Noted[], url: string): Map<string, Set<string>> {
  const told = new Map<string, Set<string>>()
  for (const { id, alerts } of noted.filter((one) => one.url === url))
    for (const alert of alerts) told.set(alert, (told.get(alert) ?? new Set()).add(id))
  return told
}

/** Messages of which two tries differed. */
function altered(noted: readonly Noted[]): string[] {
  const hashes = new Map<string, string>()
  return noted.flatMap(({ id, hash, url }) => {
    const known = hashes.get(`${url} ${id}`)
    hashes.set(`${url} ${id}`, hash)
    return known === undefined || known === hash ? [] : [id]
  })
}

export function auditRecords(arena: Responded): AuditRecord[] {
  const records: AuditRecord[] = []
  // Whoever dies before anything is to be recorded has none.
  if (!existsSync(arena.auditFile)) return records
  const { broken } = checkAudit(readFileSync(arena.auditFile, 'utf8'), (one) => records.push(one))
  if (broken !== undefined) throw new Error(`audit.log:${broken.line} ${broken.problem}`)
  return records
}

/** What is wrong with the revocations, in words. */
function wrongRevocations(
  calls: readonly Noted[],
  records: readonly AuditRecord[],
  perHour: number,
): string[] {
  const wrong: string[] = []
  const ids = new Map<string, Set<string>>()
  for (const { agent = '', id } of calls) ids.set(agent, (ids.get(agent) ?? new Set()).add(id))
  for (const [agent, of] of ids) {
    if (!agent.startsWith('spiffe://kills/strong/')) wrong.push(`${agent} was revoked`)
    if (of.size > 1) wrong.push(`${agent} was revoked under ${of.size} ids`)
  }
  if (ids.size > perHour) wrong.push(`${ids.size} were revoked, the cap is ${perHour}`)
  const began = new Set(
    records.filter(({ action }) => action === 'revocation.calling').map(({ subject }) => subject),
  )
  for (const { id } of calls)
    if (!began.has(id.replace('rev_', ''))) wrong.push(`${id} was called without a record`)
  return wrong
}

/** The row of a trial, with all that does not hold. @param perHour the cap of revocations */
export function judgeResponse(
  arena: Responded,
  {
    fault,
    recoverySeconds,
    events = '',
    perHour = 1000,
  }: Pick<RespondRow, 'fault' | 'recoverySeconds'> & { events?: string; perHour?: number },
): RespondRow {
  const noted = arena.received()
  const faults: string[] = []
  let [missing, doubled] = [0, 0]
  const raised = Array.from({ length: arena.given }, (_, number) => number)
  for (const [url, wanted] of [
    ['/soc', raised],
    ['/bad', raised.filter(isBad)],
  ] as const) {
    const told = toldBy(noted, url)
    const expected = new Set(wanted.map(alertOf))
    for (const alert of expected) if (!told.has(alert)) missing++
    for (const [alert, ids] of told) {
      if (!expected.has(alert))
        faults.push(`I5: ${url} was told of ${alert}, which it never wanted`)
      if (ids.size > 1) doubled++
    }
  }
  const wrong = noted.filter((one) => one.wrong !== undefined)
  if (wrong.length > 0) faults.push(`${wrong.length} requests are not signed: ${wrong[0]!.wrong}`)
  if (missing > 0) faults.push(`I5: ${missing} alerts were not told`)
  if (doubled > 0) faults.push(`I5: ${doubled} alerts were told by two messages`)
  const changed = altered(noted)
  if (changed.length > 0) faults.push(`I5: ${changed.length} messages changed between two tries`)
  const calls = noted.filter(({ url }) => url === '/revoke')
  for (const words of wrongRevocations(calls, auditRecords(arena), perHour))
    faults.push(`I6: ${words}`)
  const messages = noted.filter(({ url }) => url !== '/revoke')
  return {
    fault,
    kills: arena.kills,
    alerts: new Set(raised.map(alertOf)).size,
    messages: new Set(messages.map(({ id }) => id)).size,
    requests: noted.length,
    revoked: new Set(calls.map(({ id }) => id)).size,
    missing,
    doubled,
    altered: changed.length + wrong.length,
    recoverySeconds,
    faults,
    events,
  }
}
