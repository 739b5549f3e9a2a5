// Takes access away: findings come in, and what the guards let through is observed, put before a person, or called. Each
// step is in the audit log before it is taken; after a call the agent's flows are watched, because an API that answers 200
// has not necessarily done anything.

import { BusFault } from '../bus/bus.ts'
import { failpoint } from '../failpoint.ts'
import type { Log, Observed, Readiness, Sample } from '../telemetry.ts'
import type { AuditHead } from './audit-chain.ts'
import { AuditLog } from './audit-log.ts'
import type { FindingEvent } from './finding.ts'
import type { Hub } from './hub.ts'
import {
  actionOf,
  OPEN_STATES,
  type Revocation,
  RevocationBook,
  revocationId,
} from './revoke-book.ts'
import type { CallOutcome } from './revoke-call.ts'
import {
  type RevocationDesk,
  RevocationRefused,
  type RevocationRequest,
  type RevocationState,
  type RevocationView,
} from './revoke-desk.ts'
import {
  capReached,
  endpointFor,
  isLate,
  type RevocationGuard,
  withheldBy,
} from './revoke-guards.ts'
import { matchesAgent, type RevocationPart } from './revoke-settings.ts'
import { fillTemplate, templateValues } from './revoke-template.ts'
import { revocationSamples, viewOf } from './revoke-view.ts'

/** What is known of whether an agent still talks. */
export interface Activity {
  /** The latest end of a flow that is judged as the agent's, microseconds; undefined if there was none since. */
  lastSeen: number | undefined
  /** Up to when sensors have told anything at all, microseconds. */
  watchedUntil: number
}

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
  activity: (agent: string, sinceMicros: number) => Promise<Activity>
  now?: () => number
  /** Pause between two looks, and between the tries of a call. */
  pauses?: { lookMillis: number; retryMillis: readonly number[] }
}

const PAUSES = { lookMillis: 2000, retryMillis: [1000, 3000, 10_000, 30_000] }
/** A call may take so long. */
const CALL_MILLIS = 15_000

export class Revoking implements RevocationDesk, Observed {
  readonly #parts: RevokingParts
  readonly #book: RevocationBook
  readonly #audit: AuditLog
  readonly #now: () => number
  readonly #stop = new AbortController()
  readonly #withheld = new Map<RevocationGuard, number>()
  /** Works that are under way, by id of the revocation. */
  readonly #works = new Map<string, Promise<void>>()
  #settings: RevocationPart
  #timer: NodeJS.Timeout | undefined
  #fault: unknown
  /** Findings are taken one batch after the other: two must not ask for the same. */
  #taking: Promise<unknown> = Promise.resolve()

  /** @throws AuditBroken if the audit log cannot be continued · whatever the disk says */
  static async open(parts: RevokingParts): Promise<Revoking> {
    const book = new RevocationBook()
    const audit = await AuditLog.open(parts.directory, (record) => book.take(record))
    return new Revoking(parts, book, audit)
  }

  private constructor(parts: RevokingParts, book: RevocationBook, audit: AuditLog) {
    this.#parts = parts
    this.#settings = parts.settings
    this.#book = book
    this.#audit = audit
    this.#now = parts.now ?? Date.now
    this.#wake()
  }

  /** The end of the audit log, to be kept elsewhere, too. */
  get head(): AuditHead {
    return this.#audit.head
  }

  reload(settings: RevocationPart): void {
    this.#settings = settings
  }

  /** Takes findings; what they ask for is durable when it resolves. The same ones again ask for nothing. */
  take(events: readonly FindingEvent[]): Promise<void> {
    const taking = this.#taking.then(async () => {
      this.#throwFault()
      for (const event of events) await this.#consider(event)
    })
    this.#taking = taking.catch(() => {})
    return taking
  }

  async #consider(finding: FindingEvent): Promise<void> {
    const withheld = withheldBy(finding, this.#settings)
    if (withheld !== undefined) {
      this.#withheld.set(withheld, (this.#withheld.get(withheld) ?? 0) + 1)
      return
    }
    const id = revocationId(finding)
    if (this.#book.get(id) !== undefined || this.#book.openOf(finding.agent) !== undefined) return
    const now = this.#now()
    const { mode } = this.#settings
    const { state, detail } = this.#firstState(finding, now)
    await this.#record(id, state, 'system', {
      finding,
      endpoint: endpointFor(this.#settings, finding.agent)?.name ?? '',
      mode,
      deadline: now + this.#settings.approval_seconds * 1000,
      ...(detail !== '' && { detail }),
    })
    this.#wake()
  }

  #firstState(finding: FindingEvent, now: number): { state: RevocationState; detail: string } {
    const { mode } = this.#settings
    if (mode === 'observe')
      return { state: 'observed', detail: 'nothing is called in mode observe' }
    if (mode === 'approve') return { state: 'waiting', detail: '' }
    if (this.killed()) return { state: 'waiting', detail: 'the kill switch is on' }
    if (isLate(finding, this.#settings, now))
      return { state: 'waiting', detail: 'the evidence is too old to act on it unasked' }
    if (this.#capReached(now))
      return { state: 'waiting', detail: 'the cap of calls an hour is reached' }
    return { state: 'approved', detail: '' }
  }

  #capReached(now: number): boolean {
    // Those that are approved and not called yet will be.
    const ahead = this.#book.open().filter(({ state }) => state === 'approved').length
    const calls = [...this.#book.calledAt, ...Array.from({ length: ahead }, () => now)]
    return capReached(calls, this.#settings, now)
  }

  list(): readonly RevocationView[] {
    return this.#book.list().map(viewOf)
  }

  async approve(id: string, who: string): Promise<RevocationView> {
    const found = this.#waiting(id)
    if (this.killed())
      throw new RevocationRefused('not_allowed', 'the kill switch is on: nothing is revoked')
    if (matchesAgent(this.#settings.protected, found.agent))
      throw new RevocationRefused('not_allowed', `${found.agent} is protected`)
    if (capReached(this.#book.calledAt, this.#settings, this.#now()))
      throw new RevocationRefused('not_allowed', 'the cap of calls an hour is reached: later')
    await this.#record(id, 'approved', who, {})
    this.#wake()
    return viewOf(found)
  }

  async reject(id: string, who: string, why: string): Promise<RevocationView> {
    const found = this.#waiting(id)
    await this.#record(id, 'rejected', who, { detail: why })
    return viewOf(found)
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
    return await Promise.resolve(this.#request(found))
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
    if (on === this.#book.killed) return
    await this.#note('revocation.kill_switch', who, 'all', { on })
    if (!on) this.#wake()
  }

  killed(): boolean {
    return this.#book.killed
  }

  /** Looks after everything that is open, now and then again. */
  #wake(): void {
    if (this.#stop.signal.aborted) return
    clearTimeout(this.#timer)
    const open = this.#book.open()
    for (const revocation of open) {
      const { id, state } = revocation
      if (this.#works.has(id)) continue
      const work = this.#step(revocation)
        .catch((error: unknown) => this.#failed(error, id))
        .finally(() => {
          this.#works.delete(id)
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
    if (error instanceof BusFault) this.#fault = error
    this.#parts.log('error', 'a revocation does not get on', { revocation: id, err: error })
  }

  async #step(revocation: Revocation): Promise<void> {
    const now = this.#now()
    switch (revocation.state) {
      case 'waiting':
        if (now > revocation.deadline)
          await this.#record(revocation.id, 'expired', 'system', {
            detail: 'nobody decided in time',
          })
        return
      case 'approved':
        return await this.#begin(revocation, now)
      case 'calling':
        return await this.#call(revocation)
      case 'called':
        return await this.#watch(revocation, now)
      default:
    }
  }

  async #begin(revocation: Revocation, now: number): Promise<void> {
    const { id } = revocation
    if (now > revocation.deadline)
      return await this.#record(id, 'expired', 'system', {
        detail: 'its time was over before the call',
      })
    if (this.killed() || capReached(this.#book.calledAt, this.#settings, now)) return
    if (matchesAgent(this.#settings.protected, revocation.agent))
      return await this.#record(id, 'blocked', 'system', { detail: 'the agent is protected now' })
    await this.#record(id, 'calling', 'system', {})
    await this.#call(revocation)
  }

  /** Calls until it is done. A process that died meanwhile calls again, under the same id. */
  async #call(revocation: Revocation): Promise<void> {
    const { id } = revocation
    let outcome: CallOutcome = { kind: 'failed', why: 'not called', final: false }
    for (const pause of [0, ...this.#pauses.retryMillis]) {
      if (!(await this.#pause(pause))) return
      if (this.killed())
        return await this.#record(id, 'blocked', 'system', { detail: 'the kill switch is on' })
      outcome = await this.#try(revocation)
      if (this.#stop.signal.aborted) return
      if (outcome.kind === 'done' || outcome.final) break
    }
    await failpoint('F10_send_ack')
    if (outcome.kind === 'done')
      await this.#record(id, 'called', 'system', { detail: `the API answered ${outcome.status}` })
    else await this.#record(id, 'failed', 'system', { detail: outcome.why })
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
    return await this.#parts.call(revocation.endpoint, request, `rev_${revocation.id}`, signal)
  }

  /** False if the process shall end. */
  async #pause(millis: number): Promise<boolean> {
    const { signal } = this.#stop
    if (millis > 0 && !signal.aborted)
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', done)
          resolve()
        }
        const timer = setTimeout(done, millis)
        signal.addEventListener('abort', done)
      })
    return !signal.aborted
  }

  /** Looks whether the agent is silent. That nobody looked is no silence. */
  async #watch(revocation: Revocation, now: number): Promise<void> {
    const { grace_seconds, watch_seconds } = this.#settings
    const from = (revocation.calledAt ?? now) + grace_seconds * 1000
    if (now < from) return
    const { lastSeen, watchedUntil } = await this.#parts.activity(revocation.agent, from * 1000)
    if (lastSeen !== undefined && lastSeen > from * 1000)
      return await this.#record(revocation.id, 'failed', 'system', {
        detail: `the API said yes, and the agent still talks: last at ${new Date(lastSeen / 1000).toISOString()}`,
      })
    const until = from + watch_seconds * 1000
    if (watchedUntil >= until * 1000)
      return await this.#record(revocation.id, 'verified', 'system', {
        detail: `silent for ${watch_seconds} s`,
      })
    // Sensors are late, or gone.
    if (now > until + watch_seconds * 3000)
      await this.#record(revocation.id, 'failed', 'system', {
        detail: 'no sensor has told anything since: nobody knows whether the agent is silent',
      })
  }

  async #record(
    id: string,
    state: RevocationState,
    actor: string,
    detail: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    await this.#note(actionOf(state), actor, id, detail)
    const revocation = this.#book.get(id)
    if (revocation !== undefined) this.#parts.hub.publish('revocation', { ...viewOf(revocation) })
  }

  async #note(
    action: string,
    actor: string,
    subject: string,
    detail: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    this.#book.take(await this.#audit.append({ at: this.#now(), actor, action, subject, detail }))
  }

  #throwFault(): void {
    if (this.#fault !== undefined) throw this.#fault
  }

  readiness(): Readiness {
    if (this.#fault === undefined) return { ready: true, reason: '' }
    return { ready: false, reason: 'the audit log cannot be written: look at the disk' }
  }

  samples(): Sample[] {
    return revocationSamples(this.#book, this.#withheld)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    clearTimeout(this.#timer)
    await this.#taking
    await Promise.all(this.#works.values())
    await this.#audit.close()
  }
}
