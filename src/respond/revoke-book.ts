// Revocations and how each stands, folded from the audit records that speak of them: the audit log is their only memory,
// so what was done and what is remembered cannot differ. Pure.

import { createHash } from 'node:crypto'
import { formatUuid } from '../hash.ts'
import type { AuditRecord } from './audit-chain.ts'
import type { FindingEvent } from './finding.ts'
import type { RevocationState } from './revoke-desk.ts'
import type { RevocationMode } from './revoke-settings.ts'

/** Revocations that are remembered; of those that are over the oldest go first. */
export const REVOCATIONS_MAX = 10_000
const HOUR_MICROS = 3_600_000_000

export interface Revocation {
  id: string
  agent: string
  /** Name of the endpoint that takes the access away; '' if there is none. */
  endpoint: string
  state: RevocationState
  mode: RevocationMode
  /** The finding that it was asked for. */
  finding: FindingEvent
  /** Milliseconds since 1970. */
  askedAt: number
  /** No approval is taken after it. */
  deadline: number
  calledAt?: number
  decidedBy?: string
  detail?: string
}

/** States in which something is still to be done. */
export const OPEN_STATES: ReadonlySet<RevocationState> = new Set([
  'waiting',
  'approved',
  'calling',
  'called',
])

/** One for each agent and hour: a storm of findings asks once. */
export function revocationId(finding: FindingEvent): string {
  const hour = Math.floor(finding.ts / HOUR_MICROS)
  const text = `revocation\n${finding.agent}\n${hour}`
  const bytes = createHash('sha256').update(text).digest()
  return formatUuid(bytes, 0)
}

const ACTION =
  /^revocation\.(observed|waiting|approved|rejected|calling|called|verified|failed|expired|blocked)$/

/** The action that an audit record of this state has. */
export const actionOf = (state: RevocationState): string => `revocation.${state}`

export class RevocationBook {
  readonly #byId = new Map<string, Revocation>()
  /** Times of calls, milliseconds; the last of them, in order. */
  readonly calledAt: number[] = []
  killed = false

  /** Takes an audit record; those about other things are passed over. */
  take(record: AuditRecord): void {
    if (record.action === 'revocation.kill_switch') this.killed = record.detail.on === true
    const state = ACTION.exec(record.action)?.[1] as RevocationState | undefined
    if (state === undefined) return
    const known = this.#byId.get(record.subject)
    const { detail } = record
    if (known === undefined) {
      const fresh = asked(record, state)
      if (fresh !== undefined) this.#byId.set(fresh.id, fresh)
      this.#forget()
      return
    }
    known.state = state
    if (state === 'calling' && detail.again !== true) {
      known.calledAt = record.at
      this.calledAt.push(record.at)
      if (this.calledAt.length > 1000) this.calledAt.shift()
    }
    if (state === 'approved' || state === 'rejected') known.decidedBy = record.actor
    if (typeof detail.detail === 'string') known.detail = detail.detail
  }

  get(id: string): Revocation | undefined {
    return this.#byId.get(id)
  }

  /** Newest first. */
  list(): Revocation[] {
    return [...this.#byId.values()].reverse()
  }

  /** A revocation of this agent that is not over. */
  openOf(agent: string): Revocation | undefined {
    return this.open().find((one) => one.agent === agent)
  }

  open(): Revocation[] {
    return [...this.#byId.values()].filter(({ state }) => OPEN_STATES.has(state))
  }

  #forget(): void {
    if (this.#byId.size <= REVOCATIONS_MAX) return
    for (const [id, { state }] of this.#byId) {
      if (OPEN_STATES.has(state)) continue
      this.#byId.delete(id)
      return
    }
  }
}

/** A revocation as it was first recorded. */
function asked(record: AuditRecord, state: RevocationState): Revocation | undefined {
  const { finding, endpoint, mode, deadline, detail } = record.detail
  // The chain holds, so this program has written it; a record without them is of a revocation that was forgotten.
  if (typeof finding !== 'object' || finding === null) return undefined
  const evidence = finding as FindingEvent
  return {
    id: record.subject,
    agent: evidence.agent,
    endpoint: String(endpoint),
    state,
    mode: mode as RevocationMode,
    finding: evidence,
    askedAt: record.at,
    deadline: Number(deadline),
    ...(typeof detail === 'string' && { detail }),
  }
}
