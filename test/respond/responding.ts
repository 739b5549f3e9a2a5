// A responder with a directory of its own, and pauses that a test can wait for.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseNetwork } from '../../src/address.ts'
import type { DeliveryStep } from '../../src/respond/alert-view.ts'
import { ENDPOINT_LIMITS, type EndpointLimits } from '../../src/respond/endpoint-limits.ts'
import { Hub, type HubEvent } from '../../src/respond/hub.ts'
import type { DeliveryState } from '../../src/respond/mail.ts'
import type { RespondSettings, WebhookSettings } from '../../src/respond/respond-settings.ts'
import { Responder, type ResponderParts } from '../../src/respond/responder.ts'
import { SECRET } from './receiver.ts'

/** The published ones, with milliseconds for what they have in minutes. */
export const QUICK: EndpointLimits = {
  ...ENDPOINT_LIMITS,
  schedule: [0, 20, 20, 20],
  timeoutMillis: 300,
  breakMillis: [100],
  throttleMillis: 50,
  retryBurst: 1000,
  retriesPerSecond: 1000,
  closeMillis: 200,
}

export const LOOPBACK = [parseNetwork('127.0.0.0/8')!]

export function webhook(url: string, more: Partial<WebhookSettings> = {}): WebhookSettings {
  return { name: 'soc', url, secrets: () => [SECRET], minScore: 0, groupSeconds: 0, ...more }
}

export class Responding {
  readonly hub: Hub
  readonly events: HubEvent[] = []
  readonly logged: string[] = []
  readonly directory: string
  responder!: Responder
  settings: RespondSettings
  readonly #parts: Partial<ResponderParts>

  static async start(
    webhooks: readonly WebhookSettings[],
    parts: Partial<ResponderParts> = {},
  ): Promise<Responding> {
    const directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-respond-'))
    const one = new Responding(directory, webhooks, parts)
    await one.open()
    return one
  }

  private constructor(
    directory: string,
    webhooks: readonly WebhookSettings[],
    parts: Partial<ResponderParts>,
  ) {
    this.directory = directory
    this.settings = { directory, webhooks, allowTargets: LOOPBACK }
    this.#parts = parts
    this.hub = new Hub(this.log)
    this.hub.subscribe((event) => this.events.push(event))
  }

  readonly log: ResponderParts['log'] = (level, message, fields) =>
    void this.logged.push(JSON.stringify({ level, message, ...fields }))

  async open(webhooks = this.settings.webhooks): Promise<void> {
    this.settings = { ...this.settings, webhooks }
    this.responder = await Responder.open(this.settings, {
      log: this.log,
      hub: this.hub,
      version: '1',
      limits: QUICK,
      ...this.#parts,
    })
  }

  get #steps(): DeliveryStep[] {
    return this.events.flatMap(({ type, data }) => (type === 'delivery' ? [data] : []))
  }

  /** Until a delivery got so far. */
  async step(fits: (step: DeliveryStep) => boolean): Promise<DeliveryStep> {
    for (;;) {
      const found = this.#steps.find(fits)
      if (found !== undefined) return found
      await this.#next()
    }
  }

  /** Until so many messages came to this end. */
  async until(state: DeliveryState, count = 1): Promise<void> {
    const seen = () =>
      new Set(this.#steps.filter((step) => step.state === state).map(({ id }) => id)).size
    while (seen() < count) await this.#next()
  }

  /** Until anything more is told. */
  #next(): Promise<void> {
    return new Promise((resolve) => {
      const end = this.hub.subscribe(() => {
        end()
        resolve()
      })
    })
  }

  async stop(): Promise<void> {
    await this.responder.close()
    await rm(this.directory, { recursive: true, force: true })
  }
}
