// The proof that nothing is missing: what sensors announced = what is stored = what is stored once, by hour and sensor,
// besides what is dead and what is under way; and each chunk holds now what was inserted of it (docs/audit.md). Asked
// for once by `runAudit`, all the time by `startAuditor`.

import { Auditor, type AuditorOptions, type RunningAuditor } from './audit/auditor.ts'
import type { AuditFinding } from './audit/findings.ts'
import {
  type Asked,
  AUDIT_GRACE_SECONDS,
  auditOrphans,
  auditSaid,
  auditSpan,
  clockOf,
} from './audit/gather.ts'
import { type AuditHour, auditHours } from './audit/told.ts'
import type { AuditDeadRow, AuditStreamRow } from './store/queries.ts'
import type { Log } from './telemetry.ts'

const HOUR_MILLIS = 3_600_000

export interface AuditReport {
  /** Of the store's clock, milliseconds since 1970. */
  now: number
  /** What was stored or said since then was looked at; 0 for everything. */
  since: number
  deep: boolean
  /** Chunks whose rows were compared, and those of them that are older than the checksums. */
  chunks: number
  unsummed: number
  hours: AuditHour[]
  /** What differs; empty if all is well. */
  findings: AuditFinding[]
  /** What could not be proven and is no difference. */
  unproven: AuditFinding[]
  dead: AuditDeadRow[]
  stream: AuditStreamRow[]
  /** More differs than is told. */
  truncated: boolean
}

export interface AuditOptions {
  /** Hours of storing that are looked at; undefined for everything. */
  since?: number
  /** Looks at everything, and for rows that belong to no chunk. */
  deep?: boolean
  /** Milliseconds since 1970; the store's clock if it is not given. */
  now?: number
  graceSeconds?: number
  /** Told how many chunks were looked at. */
  onProgress?: (chunks: number) => void
}

/** Compares once. @throws StoreError */
export async function runAudit(store: Asked, options: AuditOptions = {}): Promise<AuditReport> {
  const deep = options.deep === true
  const clock = await clockOf(store)
  const now = options.now ?? clock.now
  const since = deep || options.since === undefined ? 0 : now - options.since * HOUR_MILLIS
  const grace = (options.graceSeconds ?? AUDIT_GRACE_SECONDS) * 1000
  const said = await auditSaid(store, { since, due: now - grace, floor: clock.floor })
  const found: AuditFinding[] = [...said.findings]
  let { truncated } = said
  let chunks = 0
  let unsummed = 0
  for (let from = since; ; ) {
    const span = await auditSpan(store, from, now)
    found.push(...span.findings)
    chunks += span.chunks
    unsummed += span.unsummed
    truncated ||= span.truncated
    options.onProgress?.(chunks)
    if (span.until === undefined) break
    from = span.until + 1
  }
  if (deep) found.push(...(await auditOrphans(store)))
  const findings = found.filter(({ kind }) => kind !== 'rows_unproven')
  return {
    now,
    since,
    deep,
    chunks,
    unsummed,
    hours: auditHours(said, findings),
    findings,
    unproven: found.filter(({ kind }) => kind === 'rows_unproven'),
    dead: said.dead,
    stream: said.stream,
    truncated,
  }
}

/**
 * Audits now and then until it is closed or the signal is aborted: what was stored since the last time, a piece of what
 * was stored before (all of it in turn), and what was announced in the last day. Every minute; every fifth one while few
 * chunks come and nothing is wrong or under way. A finding is logged once, and counted
 * in the samples as long as it holds. A store that does not answer is asked again next time.
 */
export function startAuditor(store: Asked, log: Log, options: AuditorOptions = {}): RunningAuditor {
  return new Auditor(store, log, options)
}
