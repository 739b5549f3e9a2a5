// What becomes of revocations, written down: each step goes to the audit log and, when it is durable there, into the book
// that is folded from it and onto the live stream. Says how the log does.

import { BusFault } from '../bus/bus.ts'
import type { Readiness } from '../telemetry.ts'
import type { AuditHead } from './audit-chain.ts'
import { AUDIT_FILLS, AuditBroken, type AuditLimits, AuditLog, AuditWaits } from './audit-log.ts'
import { Ending } from './ending.ts'
import type { Hub } from './hub.ts'
import { actionOf, RevocationBook } from './revoke-book.ts'
import { RevocationRefused, type RevocationState } from './revoke-desk.ts'
import { viewOf } from './revoke-view.ts'

type Detail = Readonly<Record<string, unknown>>

const CURE =
  'end the process, move audit.log away and keep it: the next process begins a new one (docs/revocation.md)'

export class RevocationRecords {
  readonly book: RevocationBook
  /** True if the log has come to its very end: nothing more is done, because it could not be written down. */
  exhausted = false
  fault: BusFault | undefined
  readonly #ending = new Ending()
  readonly #audit: AuditLog
  readonly #hub: Hub
  readonly #now: () => number
  /** The kill switch holds at once, whatever the disk says. */
  #killing = false

  /** @throws AuditBroken · AuditWaits · whatever the disk says */
  static async open(
    directory: string,
    hub: Hub,
    now: () => number,
    limits?: AuditLimits,
  ): Promise<RevocationRecords> {
    const book = new RevocationBook()
    const audit = await AuditLog.open(directory, (record) => book.take(record), undefined, limits)
    return new RevocationRecords(book, audit, hub, now)
  }

  private constructor(book: RevocationBook, audit: AuditLog, hub: Hub, now: () => number) {
    this.book = book
    this.#audit = audit
    this.#hub = hub
    this.#now = now
  }

  /** See Ending. */
  get ended(): Promise<void> {
    return this.#ending.over
  }

  get head(): AuditHead {
    return this.#audit.head
  }

  /** Why nothing new is begun, in words; '' while there is room in the log. */
  get full(): string {
    return this.#audit.full ? `the audit log is full: ${CURE}` : ''
  }

  get killed(): boolean {
    return this.#killing || this.book.killed
  }

  /** Notes a step; durable when it resolves, which waits while the disk is full. @throws BusFault · AuditBroken */
  async step(id: string, state: RevocationState, detail: Detail): Promise<void> {
    await this.#note(actionOf(state), 'system', id, detail, true)
    this.#publish(id)
  }

  /** As `step`, for a person, who is not made to wait for a disk. @throws BusFault · RevocationRefused */
  async decision(id: string, state: RevocationState, who: string, detail: Detail): Promise<void> {
    try {
      await this.#note(actionOf(state), who, id, detail, false)
    } catch (error) {
      throw refusal(error, '')
    }
    this.#publish(id)
  }

  /** @throws BusFault · RevocationRefused where that cannot be written down */
  async kill(on: boolean, who: string): Promise<void> {
    if (on === this.killed) return
    this.#killing ||= on
    try {
      await this.#note('revocation.kill_switch', who, 'all', { on }, false)
    } catch (error) {
      throw refusal(error, on ? 'nothing is revoked until this process ends, but not longer: ' : '')
    }
    this.#killing = false
  }

  #publish(id: string): void {
    const revocation = this.book.get(id)
    if (revocation !== undefined) this.#hub.publish('revocation', viewOf(revocation))
  }

  async #note(
    action: string,
    actor: string,
    subject: string,
    detail: Detail,
    patient: boolean,
  ): Promise<void> {
    try {
      const entry = { at: this.#now(), actor, action, subject, detail }
      this.book.take(await this.#audit.append(entry, patient))
    } catch (error) {
      if (error instanceof AuditBroken) this.exhausted = true
      if (error instanceof BusFault && this.fault === undefined) {
        this.fault = error
        this.#ending.failed(error)
      }
      throw error
    }
  }

  readiness(): Readiness {
    if (this.fault !== undefined)
      return { ready: false, reason: 'the audit log cannot be written: the disk failed' }
    if (this.#audit.waits)
      return {
        ready: false,
        reason: 'revocations wait: no space left on the disk of the audit log',
      }
    const { full } = this
    if (full !== '') return { ready: true, reason: '', warning: `nothing new is revoked: ${full}` }
    const { filled } = this.#audit
    if (filled < AUDIT_FILLS) return { ready: true, reason: '' }
    const part = Math.floor(filled * 100)
    return { ready: true, reason: '', warning: `the audit log is ${part} % full: ${CURE}` }
  }

  /** Nobody waits for room on the disk any more. */
  hurry(): void {
    this.#audit.hurry()
  }

  async close(): Promise<void> {
    await this.#audit.close()
    this.#ending.closed()
  }
}

function refusal(error: unknown, before: string): unknown {
  if (!(error instanceof AuditWaits || error instanceof AuditBroken)) return error
  return new RevocationRefused('not_allowed', `${before}${error.message}`)
}
