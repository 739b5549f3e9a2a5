// Revocations as people decide about them: what there is to see, and who may say yes or no. Whoever carries them out
// fills this port; the API and the command line are its callers.

import type { RevocationMode } from './revoke-settings.ts'

export type RevocationState =
  | 'observed'
  | 'waiting'
  | 'approved'
  | 'rejected'
  | 'calling'
  | 'called'
  | 'verified'
  | 'failed'
  | 'expired'
  | 'blocked'

/** A revocation as people see it. Times in milliseconds since 1970. */
export interface RevocationView {
  id: string
  agent: string
  alertId: string
  state: RevocationState
  mode: RevocationMode
  /** One sentence: what is asked for and why. */
  sentence: string
  askedAt: number
  /** Not carried out after it. */
  deadline?: number
  decidedBy?: string
  /** Why it stands as it does: the guard that blocked it, what the API answered. */
  detail?: string
}

/** The exact request that would be sent, secrets left out. */
export interface RevocationRequest {
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  url: string
  headers: Record<string, string>
  body: string
}

/** Takes decisions about revocations: one that cannot be taken throws RevocationRefused. `who` is a token's name. */
export interface RevocationDesk {
  list(): readonly RevocationView[]
  approve(id: string, who: string): Promise<RevocationView>
  reject(id: string, who: string, why: string): Promise<RevocationView>
  dryRun(id: string): Promise<RevocationRequest>
  /** Switches all revoking off, or on again. */
  kill(on: boolean, who: string): Promise<void>
  killed(): boolean
}

/** There is no such revocation, or it can no longer be decided; the message is for people. */
export class RevocationRefused extends Error {
  override readonly name = 'RevocationRefused'
  readonly reason: 'unknown' | 'too_late' | 'not_allowed'
  constructor(reason: RevocationRefused['reason'], message: string) {
    super(message)
    this.reason = reason
  }
}
