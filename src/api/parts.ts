// What the API is built from: ports that the parts of a process fill. All but the store may be absent, and the routes
// that need them then say so.

import type { Agent, Scope } from '../identity/agent.ts'
import type { AlertView, DeadDelivery } from '../respond/alert-view.ts'
import type { Hub } from '../respond/hub.ts'
import type { RevocationDesk } from '../respond/revoke-desk.ts'
import type { WebhookDesk } from '../respond/webhook-desk.ts'
import type { Store } from '../store/store.ts'
import type { Log, Observed } from '../telemetry.ts'

/** Where and for whom the API answers. */
export interface ApiSettings {
  listen: { host: string; port: number }
  /** Of the process, for people and for metrics: `serve`, `api`. */
  name: string
  version: string
  /** Holds `tokens.json` (hashes) and `token` (the first administrator's, in clear, 0600); made if absent. */
  directory: string
  /** Names in the Host header that are ours, beside loopback names and the address that is listened at. */
  hosts: readonly string[]
  /**
   * Said by the operator: what speaks TLS stands in front. Without it nothing but loopback is listened at. The
   * addresses of the proxies whose X-Forwarded-For is believed; empty for none.
   */
  proxy: { said: boolean; addresses: readonly string[] }
}

/** Alerts that are held in memory, before and after the store has them. */
export interface AlertBoard {
  /** Newest first; older than the alert `before`. */
  alerts(options: { limit: number; before?: string }): readonly AlertView[]
  /** One that is still held. */
  alert(id: string): AlertView | undefined
}

/** What raises alerts and sends them: `Responder` of src/respond/responder.ts. */
export interface AlertDesk extends AlertBoard {
  /** Newest first. */
  dead(): readonly DeadDelivery[]
  /** Sends a dead delivery again. @throws Error if there is none of this id */
  redrive(id: string): Promise<void>
}

/** Registered agents as they are used now. */
export interface AgentsView {
  /** Milliseconds since 1970. */
  loadedAt: number
  /** Why the last edit is not used: `agents/invoice.yaml:7:3: …`; undefined if it is. */
  problem?: string
  agents: readonly (Pick<Agent, 'id' | 'owner' | 'purpose' | 'environment' | 'state'> & {
    scopeVersion: Scope['version']
    expires: Scope['expires']
  })[]
}

/** Where nobody judges: whoever does has the agent files. */
export const NO_AGENTS: AgentsView = { loadedAt: 0, agents: [] }

export interface ApiParts {
  store: Pick<Store, 'query'>
  hub: Pick<Hub, 'since' | 'subscribe'>
  responder?: AlertDesk
  /** Where alerts are known of but not sent; the responder, if there is one. */
  raised?: AlertBoard
  revocations?: RevocationDesk
  /** Where alerts are sent and revocations decided, if not here; for people. */
  elsewhere?: string
  webhooks?: WebhookDesk
  agents: () => AgentsView
  /** May change while the API runs. */
  observed: Iterable<Observed>
  log: Log
}
