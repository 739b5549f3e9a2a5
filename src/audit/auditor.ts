// The always-on auditor: a pass now and then over what is new, a piece of what is old, and what was announced; less often
// while there is little new, because most of what a pass takes is the same however little there is to look at.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Log, Observed, Sample } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import { type AuditFinding, type FindingKind, findingKey } from './findings.ts'
import { type Asked, AUDIT_GRACE_SECONDS, auditSaid, auditSpan, clockOf } from './gather.ts'
import { type AuditHour, auditHours, findingText, hourText } from './told.ts'

const HOUR_MILLIS = 3_600_000
/** Chunks that were stored before the auditor began, and origins that it goes on asking for, in hours. */
const BEGIN_HOURS = 1
const SAID_HOURS = 24
/** Chunks of one query: an embedded engine answers nobody else meanwhile, so it has to be a second or two. */
const PIECE_CHUNKS = 64
/** While fewer chunks than this are new, and nothing is wrong or under way, one time in so many is enough. */
const FEW_CHUNKS = 16
const QUIET_TURNS = 5
/** Chunks that were stored after what was looked at: the store's clock cannot be so far ahead of the last pass. */
const AHEAD_MILLIS = 24 * HOUR_MILLIS
/** Findings that are held and told. */
const HELD_MAX = 10_000

export interface AuditorOptions {
  /** Between two passes; five times that while there is little new. */
  everySeconds?: number
  /** Milliseconds since 1970; the store's clock if it is not given. */
  now?: () => number
  graceSeconds?: number
  signal?: AbortSignal
}

/** The always-on auditor: what it shows, and its end. */
export interface RunningAuditor extends Observed {
  /** Waits for what is being asked, then asks no more. A second call does nothing. */
  close(): Promise<void>
}

export class Auditor implements RunningAuditor {
  readonly #store: Asked
  readonly #log: Log
  readonly #options: AuditorOptions
  readonly #ended = new AbortController()
  readonly #running: Promise<void>
  /** By key: what is wrong with rows of chunks, until they are looked at again. */
  #rows = new Map<string, AuditFinding>()
  /** What is wrong with announcements, as of the last pass. */
  #said: AuditFinding[] = []
  #hours: AuditHour[] = []
  #deadRecords = 0
  readonly #told = new Set<string>()
  /** Next time of storing to look at: of what is new, and of what is old. */
  #next: number | undefined
  #sweep = 0
  #passes = 0
  /** Times that were let go since the last pass. */
  #skipped = 0
  #failures = 0
  #failing = false
  #passedAt = 0
  #chunks = 0

  constructor(store: Asked, log: Log, options: AuditorOptions) {
    this.#store = store
    this.#log = log
    this.#options = options
    const end = () => this.#ended.abort()
    if (options.signal?.aborted === true) end()
    options.signal?.addEventListener('abort', end, { once: true })
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#ended.abort()
    await this.#running
  }

  /** The auditor never holds up work. */
  readiness() {
    return { ready: true, reason: '' }
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended
    const pause = (this.#options.everySeconds ?? 60) * 1000
    while (!signal.aborted) {
      try {
        if (await this.#isDue()) await this.#pass()
        else this.#skipped++
        this.#failing = false
      } catch (error) {
        // A store that is closed at the end of its process does not answer, and need not.
        if (signal.aborted) break
        this.#failures++
        if (!this.#failing)
          this.#log('warn', 'the audit could not be done; it is tried again', {
            reason: error instanceof Error ? error.message : String(error),
          })
        this.#failing = true
      }
      await sleep(pause, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  /** Asks one small question, and that only where nothing else says that there is something to look at. */
  async #isDue(): Promise<boolean> {
    if (this.#next === undefined || this.#skipped >= QUIET_TURNS - 1 || this.#failing) return true
    const held = this.#rows.size + this.#said.length
    if (held > 0 || this.#hours.some(({ pending }) => pending > 0)) return true
    const [span] = await this.#store.query('audit_span', {
      from: this.#next,
      until: this.#next + AHEAD_MILLIS,
      chunks: FEW_CHUNKS,
    })
    return span !== undefined && span.chunks >= FEW_CHUNKS
  }

  async #pass(): Promise<void> {
    const clock = await clockOf(this.#store)
    const now = this.#options.now?.() ?? clock.now
    const grace = (this.#options.graceSeconds ?? AUDIT_GRACE_SECONDS) * 1000
    if (this.#next === undefined) this.#next = now - BEGIN_HOURS * HOUR_MILLIS
    const said = await auditSaid(this.#store, {
      since: now - SAID_HOURS * HOUR_MILLIS,
      due: now - grace,
      floor: clock.floor,
    })
    this.#said = said.findings
    this.#deadRecords = said.dead.reduce((sum, row) => sum + row.flow_records, 0)
    while (!this.#ended.signal.aborted && this.#next <= now) {
      const next = await this.#look(this.#next, now)
      // Clocks of several writers differ a little: the last seconds are looked at again next time.
      if (next === undefined) {
        this.#next = Math.max(this.#next, now - 10_000)
        break
      }
      this.#next = next
    }
    // As much of what is old as if no time had been let go.
    for (let pieces = 1 + this.#skipped; pieces > 0 && !this.#ended.signal.aborted; pieces--) {
      this.#sweep = (await this.#look(this.#sweep, this.#next)) ?? 0
      if (this.#sweep === 0) break
    }
    this.#skipped = 0
    const all = [...this.#rows.values(), ...this.#said]
    this.#hours = auditHours(said, all)
    this.#tell(all)
    this.#passes++
    this.#passedAt = now
  }

  /** Looks at a span, and forgets what was found in it before. @returns where to go on; undefined at its end */
  async #look(from: number, until: number): Promise<number | undefined> {
    const span = await auditSpan(this.#store, from, until, PIECE_CHUNKS)
    const end = span.until ?? until
    for (const [key, { storedAt }] of this.#rows)
      if (storedAt >= from && storedAt <= end) this.#rows.delete(key)
    for (const finding of span.findings)
      if (finding.kind !== 'rows_unproven' && this.#rows.size < HELD_MAX)
        this.#rows.set(findingKey(finding), finding)
    this.#chunks += span.chunks
    return span.until === undefined ? undefined : span.until + 1
  }

  #tell(findings: readonly AuditFinding[]): void {
    for (const finding of findings) {
      const key = findingKey(finding)
      if (this.#told.has(key)) continue
      this.#told.add(key)
      if (this.#told.size > HELD_MAX) this.#told.delete([...this.#told][0]!)
      const { kind, table, chunk, sensor, origin, hours, cause, cure } = finding
      this.#log(kind === 'chunks_late' ? 'warn' : 'error', `audit: ${findingText(finding)}`, {
        kind,
        table,
        ...(chunk === '' ? {} : { chunk }),
        sensor: printable(sensor),
        origin: printable(origin),
        hours: hours.slice(0, 24).map(hourText),
        cause,
        cure,
      })
    }
  }

  samples(): Sample[] {
    const all = [...this.#rows.values(), ...this.#said]
    const count = (...kinds: FindingKind[]) =>
      all.reduce((sum, one) => sum + (kinds.includes(one.kind) ? one.count : 0), 0)
    const hours = (of: (hour: AuditHour) => number) =>
      this.#hours.reduce((sum, hour) => sum + of(hour), 0)
    const gauges: [string, string, number][] = [
      [
        'missing_rows',
        'rows that were announced and are neither stored nor dead',
        count('rows_missing') + this.#lackingSaid(),
      ],
      [
        'duplicate_rows',
        'rows that are stored more often than once, or belong to no chunk',
        count('rows_doubled', 'rows_added'),
      ],
      ['altered_rows', 'rows whose content is not what was inserted', count('rows_altered')],
      [
        'pending_rows',
        'flow records that were announced a moment ago',
        hours((hour) => hour.pending),
      ],
      [
        'unannounced_rows',
        'flow records that are stored and not announced yet',
        hours((hour) => hour.unannounced),
      ],
      ['dead_rows', 'flow records that are dead letters', this.#deadRecords],
      [
        'missing_chunks',
        'sequence numbers that are neither stored nor dead, though later ones are',
        count('chunks_missing'),
      ],
      [
        'late_chunks',
        'sequence numbers that were announced and are not there yet',
        count('chunks_late'),
      ],
      [
        'last_pass_timestamp_seconds',
        'when the last audit was done, by the clock of the store',
        this.#passedAt / 1000,
      ],
    ]
    const counters: [string, string, number][] = [
      ['passes_total', 'audits done', this.#passes],
      ['failures_total', 'audits that the store did not answer', this.#failures],
      ['chunks_total', 'chunks whose rows were compared', this.#chunks],
    ]
    const sample =
      (kind: 'gauge' | 'counter') =>
      ([name, help, value]: [string, string, number]) => ({
        name: `audit_${name}`,
        help,
        kind,
        value,
      })
    return [...gauges.map(sample('gauge')), ...counters.map(sample('counter'))]
  }

  /** Flow records of hours that are lacking because of what was announced, without those counted by chunk. */
  #lackingSaid(): number {
    const byChunk = [...this.#rows.values()].filter(
      ({ kind, table }) => kind === 'rows_missing' && table === 'flow_records',
    )
    const lacking = this.#hours.reduce((sum, { missing }) => sum + missing, 0)
    return Math.max(0, lacking - byChunk.reduce((sum, { count }) => sum + count, 0))
  }
}
