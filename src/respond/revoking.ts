// Takes access away: findings come in, and what the guards let through is observed, put before a person, or called. Each
// step is in the audit log before it is taken; after a call the agent's flows are watched, because an API that answers 200
// has not necessarily done anything.

import { setTimeout as sleep } from 'node:timers/promises'
import { failpoint } from '../failpoint.ts'
import type { Log, Observed, Readiness, Sample } from '../telemetry.ts'
import type { AuditHead } from './audit-chain.ts'
import { AuditBroken, type AuditLimits } from './audit-log.ts'
import type { FindingEvent } from './finding.ts'
import type { Hub } from './hub.ts'
import { OPEN_STATES, type Revocation, type RevocationBook, revocationId } from './revoke-book.ts'
import { type CallOutcome, shownRequest } from './revoke-call.ts'
import { CallCap } from './revoke-cap.ts'
import {
  type RevocationDesk,
  RevocationRefused,
  type RevocationRequest,
  type RevocationState,
  type RevocationView,
} from './revoke-desk.ts'
import {
  callWithheld,
  endpointFor,
  isLate,
  type RevocationGuard,
  withheldBy,
} from './revoke-guards.ts'
import { RevocationRecords } from './revoke-records.ts'
import { matchesAgent, type RevocationPart } from './revoke-settings.ts'
import { fillTemplate, templateValues } from './revoke-template.ts'
import { revocationSamples, viewOf } from './revoke-view.ts'
import { type Activity, silentFrom, watchVerdict } from './revoke-watch.ts'

export type { Activity } from './revoke-watch.ts'

export interface RevokingParts {
  directory: string
  settings: RevocationPart
  log: Log
  hub: Hub
  /** Sends a signed request once. Never throws for what the world does. @param id the same on every try */
  call: (
    endpoint: string,
    request: RevocationRequest,
    id: string,
    signal: AbortSignal,
  ) => Promise<CallOutcome>
  activity: (agent: string, sinceMicros: number, sensor: string) => Promise<Activity>
  now?: () => number
  /** Milliseconds of a clock that nobody sets. */
  steady?: () => number
  /** Pause between two looks, and between the tries of a call. */
  pauses?: { lookMillis: number; retryMillis: readonly number[] }
  auditLimits?: AuditLimits
}

const PAUSES = { lookMillis: 2000, retryMillis: [1000, 3000, 10_000, 30_000] }
/** A call may take so long. */
const CALL_MILLIS = 15_000
/** The `webhook-id` of a revocation's call: the same on every try. */
const callId = (id: string) => `rev_${id}`
/** The longest pause that a receiver may ask for. */
const RETRY_AFTER_MAX = 60_000
const KILLED = 'the kill switch is on: nothing is revoked until `bailiwick revoke kill off`'

export class Revoking implements RevocationDesk, Observed {
  readonly #parts: RevokingParts
  readonly #book: RevocationBook
  readonly #records: RevocationRecords
  readonly #now: () => number
  readonly #stop = new AbortController()
  readonly #withheld = new Map<RevocationGuard, number>()
  /** Works that are under way, by id of the revocation. */
  readonly #works = new Map<string, Promise<void>>()
  /** Those that a person decides about in this moment. */
  readonly #deciding = new Set<string>()
  readonly #cap: CallCap
  #settings: RevocationPart
  #timer: NodeJS.Timeout | undefined
  /** What was last said of each revocation that does not get on. */
  readonly #said = new Map<string, string>()
  /** Findings are taken one batch after the other: two must not ask for the same. */
  #taking: Promise<unknown> = Promise.resolve()

  /** @throws AuditBroken if the audit log cannot be continued · whatever the disk says */
  static async open(parts: RevokingParts): Promise<Revoking> {
    const { directory, hub, now = Date.now, auditLimits } = parts
    return new Revoking(parts, await RevocationRecords.open(directory, hub, now, auditLimits))
  }

  private constructor(parts: RevokingParts, records: RevocationRecords) {
    this.#parts = parts
    this.#settings = parts.settings
    this.#records = records
    this.#book = records.book
    this.#now = parts.now ?? Date.now
    this.#cap = new CallCap(records.book.calledAt, parts.steady ?? (() => performance.now()))
    this.#wake()
  }

  /** The end of the audit log, to be kept elsewhere, too. */
  get head(): AuditHead {
    return this.#records.head
  }

  /** See Ending. */
  get ended(): Promise<void> {
    return this.#records.ended
  }

  reload(settings: RevocationPart): void {
    this.#settings = settings
  }

  /**
   * Takes findings; what they ask for is durable when it resolves, which waits while the disk is full. The same ones
   * again ask for nothing. Where the audit log is full nothing is asked for: it is counted, and `readiness` says so.
   * @throws BusFault
   */
  take(events: readonly FindingEvent[]): Promise<void> {
    const taking = this.#taking.then(async () => {
      if (this.#records.fault !== undefined) throw this.#records.fault
      for (const event of events) await this.#consider(event)
    })
    this.#taking = taking.catch(() => {})
    return taking
  }

  async #consider(finding: FindingEvent): Promise<void> {
    const withheld = withheldBy(finding, this.#settings)
    if (withheld !== undefined) return this.#withhold(withheld)
    const id = revocationId(finding)
    if (this.#book.get(id) !== undefined || this.#book.openOf(finding.agent) !== undefined) return
    if (this.#records.full !== '') return this.#withhold('audit_log')
    const now = this.#now()
    const { mode } = this.#settings
    const { state, detail } = this.#firstState(finding, now)
    try {
      await this.#records.step(id, state, {
        finding,
        endpoint: endpointFor(this.#settings, finding.agent)?.name ?? '',
        mode,
        deadline: now + this.#settings.approval_seconds * 1000,
        ...(detail !== '' && { detail }),
      })
    } catch (error) {
      // Alerts go on without it: the log has come to its end, or the texts of the finding are longer than a record.
      if (!(error instanceof AuditBroken || error instanceof RangeError)) throw error
      const alert = finding.alertId
      this.#parts.log('error', 'not considered for revocation', { alert, why: error.message })
    }
    this.#wake()
  }

  #withhold(guard: RevocationGuard): void {
    if (guard === 'audit_log' && !this.#withheld.has(guard))
      this.#parts.log('error', `nothing new is revoked: ${this.#records.full}`)
    this.#withheld.set(guard, (this.#withheld.get(guard) ?? 0) + 1)
  }

  #firstState(finding: FindingEvent, now: number): { state: RevocationState; detail: string } {
    const { mode } = this.#settings
    if (mode === 'observe')
      return { state: 'observed', detail: 'nothing is called in mode observe' }
    if (mode === 'approve') return { state: 'waiting', detail: '' }
    if (this.killed()) return { state: 'waiting', detail: 'the kill switch is on' }
    if (isLate(finding, this.#settings, now))
      return { state: 'waiting', detail: 'the evidence is too old to act on it unasked' }
    // Those that are approved and not called yet will be.
    const ahead = this.#book.open().filter((one) => one.state === 'approved').length
    if (this.#cap.reached(this.#settings, now, ahead))
      return { state: 'waiting', detail: 'the cap of calls an hour is reached' }
    return { state: 'approved', detail: '' }
  }

  list(): readonly RevocationView[] {
    return this.#book.list().map(viewOf)
  }

  async approve(id: string, who: string): Promise<RevocationView> {
    const found = this.#waiting(id)
    if (this.killed()) throw new RevocationRefused('not_allowed', KILLED)
    if (this.#settings.mode === 'observe')
      throw new RevocationRefused('not_allowed', 'nothing is called in mode observe')
    if (matchesAgent(this.#settings.protected, found.agent))
      throw new RevocationRefused('not_allowed', `${found.agent} is protected`)
    if (this.#cap.reached(this.#settings, this.#now()))
      throw new RevocationRefused('not_allowed', 'the cap of calls an hour is reached: later')
    await this.#decide(id, 'approved', who, {})
    this.#wake()
    return viewOf(found)
  }

  async reject(id: string, who: string, why: string): Promise<RevocationView> {
    const found = this.#waiting(id)
    await this.#decide(id, 'rejected', who, { detail: why })
    return viewOf(found)
  }

  /** A decision of a person, who is not made to wait for a disk. */
  async #decide(
    id: string,
    state: RevocationState,
    who: string,
    detail: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    // Two people at the same moment: the second finds the decision of the first.
    if (this.#deciding.has(id))
      throw new RevocationRefused('too_late', 'somebody else decides about it now')
    this.#deciding.add(id)
    try {
      await this.#records.decision(id, state, who, detail)
    } finally {
      this.#deciding.delete(id)
    }
  }

  #waiting(id: string): Revocation {
    const found = this.#book.get(id)
    if (found === undefined) throw new RevocationRefused('unknown', `there is no revocation ${id}`)
    if (found.state !== 'waiting')
      throw new RevocationRefused('too_late', `it is ${found.state} and waits for nobody`)
    if (this.#now() > found.deadline)
      throw new RevocationRefused('too_late', 'the time to approve it is over')
    return found
  }

  async dryRun(id: string): Promise<RevocationRequest> {
    const found = this.#book.get(id)
    if (found === undefined) throw new RevocationRefused('unknown', `there is no revocation ${id}`)
    return shownRequest(this.#request(found), callId(id))
  }

  #request(revocation: Revocation): RevocationRequest {
    const endpoint = this.#settings.endpoints.find(({ name }) => name === revocation.endpoint)
    if (endpoint === undefined)
      throw new RevocationRefused(
        'not_allowed',
        `there is no endpoint ${revocation.endpoint} in the settings any more`,
      )
    return fillTemplate(endpoint, templateValues(revocation.id, revocation.finding))
  }

  async kill(on: boolean, who: string): Promise<void> {
    await this.#records.kill(on, who)
    if (!on) this.#wake()
  }

  killed(): boolean {
    return this.#records.killed
  }

  /** Looks after everything that is open, now and then again. */
  #wake(): void {
    const { fault, exhausted } = this.#records
    // Nothing is called that could not be written down.
    if (this.#stop.signal.aborted || fault !== undefined || exhausted) return
    clearTimeout(this.#timer)
    const open = this.#book.open()
    for (const revocation of open) {
      const { id, state } = revocation
      if (this.#works.has(id)) continue
      const work = this.#step(revocation)
        .catch((error: unknown) => this.#failed(error, id))
        .finally(() => {
          this.#works.delete(id)
          if (!OPEN_STATES.has(revocation.state)) this.#said.delete(id)
          if (OPEN_STATES.has(state) && revocation.state !== state) this.#wake()
        })
      this.#works.set(id, work)
    }
    if (open.length === 0) return
    this.#timer = setTimeout(() => this.#wake(), this.#pauses.lookMillis)
    this.#timer.unref()
  }

  get #pauses() {
    return this.#parts.pauses ?? PAUSES
  }

  #failed(error: unknown, id: string): void {
    if (this.#stop.signal.aborted || this.#records.fault !== undefined) return
    const words = error instanceof Error ? error.message : String(error)
    // The same is tried at each look; once said is enough.
    if (this.#said.get(id) === words) return
    this.#said.set(id, words)
    this.#parts.log('error', 'a revocation does not get on', { revocation: id, err: error })
  }

  async #step(revocation: Revocation): Promise<void> {
    const now = this.#now()
    switch (revocation.state) {
      case 'waiting':
        if (now > revocation.deadline)
          await this.#records.step(revocation.id, 'expired', {
            detail: 'nobody decided in time',
          })
        return
      case 'approved':
        return await this.#begin(revocation, now)
      case 'calling':
        return await this.#call(revocation, true)
      case 'called':
        return await this.#watch(revocation, now)
      default:
    }
  }

  async #begin(revocation: Revocation, now: number): Promise<void> {
    const withheld = callWithheld(revocation, this.#settings, now)
    if (withheld !== undefined) return await this.#end(revocation, withheld)
    if (this.killed()) return
    const record = () => this.#records.step(revocation.id, 'calling', {})
    if (await this.#cap.claim(this.#settings, now, record)) await this.#call(revocation, false)
  }

  async #end(
    { id }: Revocation,
    { state, detail }: { state: RevocationState; detail: string },
  ): Promise<void> {
    await this.#records.step(id, state, { detail })
  }

  /**
   * Calls until it is done. A process that died meanwhile calls again, under the same id, if it still may.
   * @param begun by the process before
   */
  async #call(revocation: Revocation, begun: boolean): Promise<void> {
    let outcome: CallOutcome = { kind: 'failed', why: 'not called', final: false }
    for (const [tries, pause] of [0, ...this.#pauses.retryMillis].entries()) {
      const { retryAfter = 0 }: { retryAfter?: number } = outcome
      if (!(await this.#pause(Math.max(pause, Math.min(retryAfter, RETRY_AFTER_MAX))))) return
      if (this.killed())
        return await this.#end(revocation, { state: 'blocked', detail: 'the kill switch is on' })
      const withheld = callWithheld(revocation, this.#settings, this.#now(), begun || tries > 0)
      if (withheld !== undefined) return await this.#end(revocation, withheld)
      outcome = await this.#try(revocation)
      if (this.#stop.signal.aborted) return
      if (outcome.kind === 'done' || outcome.final) break
    }
    await failpoint('F10_send_ack')
    await this.#end(
      revocation,
      outcome.kind === 'done'
        ? { state: 'called', detail: `the API answered ${outcome.status}` }
        : { state: 'failed', detail: outcome.why },
    )
  }

  async #try(revocation: Revocation): Promise<CallOutcome> {
    let request: RevocationRequest
    try {
      request = this.#request(revocation)
    } catch (error) {
      if (!(error instanceof RevocationRefused)) throw error
      return { kind: 'failed', why: error.message, final: true }
    }
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(CALL_MILLIS)])
    return await this.#parts.call(revocation.endpoint, request, callId(revocation.id), signal)
  }

  /** False if the process shall end. */
  async #pause(millis: number): Promise<boolean> {
    const { signal } = this.#stop
    if (millis > 0) await sleep(millis, undefined, { signal }).catch(() => {})
    return !signal.aborted
  }

  async #watch(revocation: Revocation, now: number): Promise<void> {
    const from = silentFrom(revocation, this.#settings)
    if (now < from) return
    const activity = await this.#parts.activity(
      revocation.agent,
      from * 1000,
      revocation.finding.sensor,
    )
    const verdict = watchVerdict(revocation, this.#settings, activity, now)
    if (verdict !== undefined) await this.#end(revocation, verdict)
  }

  readiness(): Readiness {
    return this.#records.readiness()
  }

  samples(): Sample[] {
    return revocationSamples(this.#book, this.#withheld)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    clearTimeout(this.#timer)
    // What waits for room on a full disk is given up: the next process is given it again.
    this.#records.hurry()
    await this.#taking
    await Promise.all(this.#works.values())
    await this.#records.close()
  }
}
