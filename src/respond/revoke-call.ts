// The port through which access is taken away, and its first adapter: one HTTP request, signed as Standard Webhooks says,
// to where the guard lets it go. Every try has the same webhook-id, so that a receiver that saw it before does it once.

import type { RevocationRequest } from './revoke-desk.ts'
import type { RevocationEndpointPart } from './revoke-settings.ts'
import { type Sending, sendSigned, shownTarget } from './webhook.ts'

/** How a call went. Words hold no secret and nothing of what the receiver wrote. */
export type CallOutcome =
  | { kind: 'done'; status: number }
  | {
      kind: 'failed'
      why: string
      /** Another try would fare no better. */
      final: boolean
      /** Milliseconds that the receiver asks for before it. */
      retryAfter?: number
    }

/** One way of taking access away. */
export interface Revoker {
  /** Where to, for people: nothing in it is secret. */
  readonly target: string
  /**
   * Asks once. Never throws for what the world does; ends soon after the signal.
   * @param id the same on every try
   */
  call(request: RevocationRequest, id: string, signal: AbortSignal): Promise<CallOutcome>
  close(): Promise<void>
}

/** Answers after which the same request may fare better (RFC 9110, RFC 6585, RFC 8470). */
const PASSING = [408, 425, 429]

export class HttpRevoker implements Revoker {
  readonly target: string
  readonly #sending: Sending

  constructor({ url }: RevocationEndpointPart, sending: Sending) {
    this.target = shownTarget(url)
    this.#sending = sending
  }

  async call(request: RevocationRequest, id: string, signal: AbortSignal): Promise<CallOutcome> {
    const { method, url, headers, body } = request
    const outcome = await sendSigned(
      { method, url, headers, message: { id, body } },
      this.#sending,
      signal,
    )
    switch (outcome.kind) {
      case 'delivered':
        return { kind: 'done', status: outcome.status }
      case 'gone':
        return { kind: 'failed', why: outcome.why, final: true }
      case 'failed': {
        const { why, broken, refused, status, retryAfter } = outcome
        const passes = broken || (status !== undefined && PASSING.includes(status))
        const wait = retryAfter === undefined ? {} : { retryAfter }
        return { kind: 'failed', why, final: refused === true || !passes, ...wait }
      }
    }
  }

  async close(): Promise<void> {
    await this.#sending.guard.agent.close()
  }
}

/** A request as it will be sent; where something is only known then, or secret, in words. */
export function shownRequest(request: RevocationRequest, id: string): RevocationRequest {
  return {
    ...request,
    headers: {
      ...request.headers,
      'webhook-id': id,
      'webhook-timestamp': '(when it is sent, seconds since 1970)',
      'webhook-signature': '(v1, and the signature, made when it is sent)',
    },
  }
}
