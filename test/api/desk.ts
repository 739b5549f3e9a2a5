// Who raises alerts, in memory, for tests of what is shown of them: what the real one holds, without what it does.

import type { AlertDesk } from '../../src/api/parts.ts'
import { contentUuid, formatUuid } from '../../src/hash.ts'
import type {
  AlertView,
  DeadDelivery,
  DeliveryStep,
  EndpointView,
} from '../../src/respond/alert-view.ts'
import {
  type RevocationDesk,
  RevocationRefused,
  type RevocationRequest,
  type RevocationView,
} from '../../src/respond/revoke-desk.ts'
import { finding } from '../respond/made-findings.ts'
import { AGENT, flowIdOf, MONDAY } from '../store/samples.ts'

export const alertId = (name: string) => formatUuid(contentUuid([name]))

/** An alert with all its parts; `at` in milliseconds. */
export function deskAlert(name: string, more: Partial<AlertView> = {}, at = Date.now()): AlertView {
  return {
    id: alertId(name),
    kind: 'out_of_scope',
    rule: 'default-deny',
    agent: AGENT,
    subject: '10.0.0.5',
    destination: 'paste.example.net',
    port: 443,
    ipProto: 6,
    first: at * 1000,
    last: at * 1000,
    flows: 1,
    score: 90,
    grade: 'certain',
    sentence:
      'invoice-reader reached paste.example.net (tcp/443), which no rule of its scope allows',
    raisedAt: at,
    deliveries: [{ endpoint: 'siem', state: 'queued', attempts: 0 }],
    evidence: finding(name, 0, {
      ...{ flowId: formatUuid(flowIdOf(name)), sensor: 'tap1', ts: MONDAY },
      ...{ decidedAt: MONDAY + 40_000, peer: '203.0.113.9', peerName: 'www.paste.example.net' },
      method: 'address',
    }),
    ...more,
  }
}

/** How far the message about an alert has come at the endpoint `siem`. */
export function deliveryStep(name: string, more: Partial<DeliveryStep>): DeliveryStep {
  const alerts = [alertId(name)]
  return { id: `msg_${name}`, endpoint: 'siem', state: 'queued', attempts: 0, alerts, ...more }
}

/** A message that is tried no more. */
export function deadLetter(id: string, more: Partial<DeadDelivery> = {}): DeadDelivery {
  return {
    ...{ id, endpoint: 'siem', alertId: '', alerts: [], attempts: 10 },
    ...{ lastError: 'it answers 500', createdAt: Date.now(), diedAt: Date.now(), ...more },
  }
}

export class TestDesk implements AlertDesk {
  /** Newest first. */
  readonly held: AlertView[] = []
  readonly letters: DeadDelivery[] = []
  readonly redriven: string[] = []

  alerts({ limit, before }: { limit: number; before?: string }): AlertView[] {
    const from = before === undefined ? 0 : this.held.findIndex(({ id }) => id === before) + 1
    return this.held.slice(from, from + limit)
  }

  alert(id: string): AlertView | undefined {
    return this.held.find((one) => one.id === id)
  }

  dead(): DeadDelivery[] {
    return this.letters
  }

  async redrive(id: string): Promise<void> {
    this.redriven.push(id)
  }
}

export class TestWebhooks {
  readonly views: EndpointView[] = []

  endpoints(): EndpointView[] {
    return this.views
  }

  async test(): Promise<never> {
    throw new Error('nothing is sent in these tests')
  }
}

export class TestRevocations implements RevocationDesk {
  readonly views: RevocationView[] = []
  readonly decided: string[] = []
  #killed = false

  list(): RevocationView[] {
    return this.views
  }

  async approve(id: string, who: string): Promise<RevocationView> {
    return this.#decide(id, 'approved', who)
  }

  async reject(id: string, who: string, why: string): Promise<RevocationView> {
    return { ...this.#decide(id, 'rejected', who), detail: why }
  }

  async dryRun(id: string): Promise<RevocationRequest> {
    this.#find(id)
    return {
      method: 'POST',
      url: 'https://idp.example/revoke',
      headers: { authorization: '***', 'content-type': 'application/json' },
      body: '{\n  "subject": "invoice-reader"\n}',
    }
  }

  async kill(on: boolean): Promise<void> {
    this.#killed = on
  }

  killed(): boolean {
    return this.#killed
  }

  #decide(id: string, state: 'approved' | 'rejected', who: string): RevocationView {
    const view = this.#find(id)
    if (view.state !== 'waiting')
      throw new RevocationRefused('too_late', `it is ${view.state} already`)
    const after: RevocationView = { ...view, state, decidedBy: who }
    this.views[this.views.indexOf(view)] = after
    this.decided.push(`${state} ${id} by ${who}`)
    return after
  }

  #find(id: string): RevocationView {
    const view = this.views.find((one) => one.id === id)
    if (view === undefined) throw new RevocationRefused('unknown', 'there is no such revocation')
    return view
  }
}

export function waiting(id: string, alert: string): RevocationView {
  return {
    id,
    agent: AGENT,
    alertId: alert,
    state: 'waiting',
    mode: 'approve',
    sentence:
      'invoice-reader reached paste.example.net with a completed handshake: revoke its token?',
    askedAt: Date.now() - 4000,
    deadline: Date.now() + 300_000,
  }
}
