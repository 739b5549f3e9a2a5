// What follows a finding, as one part of a process: alerts and their webhooks, revocations, and the hub that tells of
// both. Findings that it has taken are durable for all of them.

import path from 'node:path'
import type { EndpointLimits } from '../respond/endpoint-limits.ts'
import type { FindingEvent } from '../respond/finding.ts'
import { Hub } from '../respond/hub.ts'
import type { PlacedSecret, RespondPart, WebhookSettings } from '../respond/respond-settings.ts'
import { Responder } from '../respond/responder.ts'
import { HttpRevoker, type Revoker } from '../respond/revoke-call.ts'
import { type Activity, Revoking } from '../respond/revoking.ts'
import { Secret, SecretError } from '../respond/secret.ts'
import { targetGuard } from '../respond/target-guard.ts'
import { testWebhook, type WebhookDesk, type WebhookTest } from '../respond/webhook-desk.ts'
import type { Log, Observed } from '../telemetry.ts'
import { Opened } from './opened.ts'

export interface ResponseParts {
  log: Log
  /** Of the program. */
  version: string
  /** Holds `respond/` (alerts and what is to be sent) and `audit/` (revocations). One process has it. */
  directory: string
  /** What is known of an agent since a time, in microseconds; by the sensor that saw it, where it matters which. */
  activity: (agent: string, sinceMicros: number, sensor: string) => Promise<Activity>
  now?: () => number
  /** Of each webhook; those of docs/webhooks.md where undefined. */
  limits?: EndpointLimits
}

export interface Response {
  hub: Hub
  desk: Responder
  revocations: Revoking
  webhooks: WebhookDesk
  observed: readonly Observed[]
  /** Rejects when the disk failed: the process must end with 70. Resolves when it is closed. */
  ended: Promise<void>
  /** Resolves when alerts, what is to be sent of them, and revocations are durable. The same again changes nothing. */
  take(events: readonly FindingEvent[]): Promise<void>
  close(): Promise<void>
}

/**
 * Opens it, and goes on with what the process before left.
 * @throws SecretError, AuditBroken · BusError `in_use` if another process has the directory · BusFault
 */
export async function openResponse(settings: RespondPart, parts: ResponseParts): Promise<Response> {
  const { log, version, directory, activity, now = Date.now, limits } = parts
  const hub = new Hub(log, now)
  const secrets = new Secrets(settings, log)
  const revokers = revokersOf(settings, secrets, version, now)
  let revocations: Revoking | undefined
  // Alerts close first: then nothing more is given to revocations.
  const opened = new Opened(log)
  opened.closing('calls', () => Promise.all([...revokers.values()].map((one) => one.close())))
  opened.closing('revocations', () => revocations?.close())
  const webhooks = {
    webhooks: settings.webhooks.map((webhook) => webhookOf(webhook, secrets)),
    allowTargets: settings.allowTargets,
  }
  // First, because it is what only one process can open; findings come to both later.
  const desk = await Responder.open(
    { directory: path.join(directory, 'respond'), ...webhooks },
    {
      ...{ log, hub, version, now, ...(limits && { limits }) },
      desks: [{ take: async (events) => revocations?.take(events) }],
    },
  )
  opened.closing('alerts', () => desk.close())
  try {
    revocations = await Revoking.open({
      ...{ directory: path.join(directory, 'audit'), settings: settings.revocation, log, hub },
      ...{ activity, now },
      call: (endpoint, request, id, signal) => revokers.get(endpoint)!.call(request, id, signal),
    })
  } catch (error) {
    await opened.close()
    throw error
  }
  const ended = Promise.all([desk.ended, revocations.ended]).then(() => {})
  // Whoever waits for it hears of it; where nobody does, the next `take` says it.
  ended.catch(() => {})
  return {
    ...{ hub, desk, revocations, observed: [desk, revocations, secrets], ended },
    webhooks: {
      endpoints: () => desk.endpoints(),
      test: (name) => testWebhook(name, webhooks, version),
    },
    take: (events) => desk.take(events),
    close: () => opened.close(),
  }
}

/**
 * Sends a message that tells of nothing to a webhook of the settings, without opening anything.
 * @throws SecretError · RespondError if there is no such webhook
 */
export function testOneWebhook(
  name: string,
  settings: RespondPart,
  version: string,
): Promise<WebhookTest> {
  const secrets = new Secrets(settings, () => {})
  const webhooks = settings.webhooks.map((webhook) => webhookOf(webhook, secrets))
  return testWebhook(name, { webhooks, allowTargets: settings.allowTargets }, version)
}

/** Messages to one webhook in a second, unless its settings say another number. */
const PER_SECOND = 25

function webhookOf(part: RespondPart['webhooks'][number], secrets: Secrets): WebhookSettings {
  const { name, url, kinds, min_score = 0, group_seconds = 0, max_per_second } = part
  return {
    ...{ name, url, secrets: secrets.of('webhooks', name) },
    ...(kinds === undefined ? {} : { kinds }),
    ...{
      minScore: min_score,
      groupSeconds: group_seconds,
      perSecond: max_per_second ?? PER_SECOND,
    },
  }
}

function revokersOf(
  { revocation, allowTargets }: RespondPart,
  secrets: Secrets,
  version: string,
  now: () => number,
): Map<string, Revoker> {
  return new Map(
    revocation.endpoints.map((endpoint) => {
      const guard = targetGuard(allowTargets)
      const sending = { guard, secrets: secrets.of('revocations', endpoint.name), version, now }
      return [endpoint.name, new HttpRevoker(endpoint, sending)]
    }),
  )
}

/** The secrets of all endpoints; what is wrong with their files is a warning while the process runs. */
class Secrets implements Observed {
  readonly #byName = { webhooks: new Map<string, Secret>(), revocations: new Map<string, Secret>() }

  readonly #log: Log

  /** @throws SecretError */
  constructor({ webhooks, revocation, secrets }: RespondPart, log: Log) {
    this.#log = log
    const open = (of: keyof RespondPart['secrets'], name: string) => {
      const placed: PlacedSecret | undefined = secrets[of].get(name)
      if (placed === undefined) throw new SecretError(`${name} has no secret`)
      this.#byName[of].set(name, new Secret(placed.source, placed.place))
    }
    for (const { name } of webhooks) open('webhooks', name)
    for (const { name } of revocation.endpoints) open('revocations', name)
    for (const warning of this.#warnings) log('warn', warning)
  }

  of(kind: keyof RespondPart['secrets'], name: string): () => readonly string[] {
    const secret = this.#byName[kind].get(name)!
    let told = secret.warning
    return () => {
      const texts = secret.texts()
      const { warning } = secret
      if (warning !== told && warning !== undefined) this.#log('warn', warning)
      told = warning
      return texts
    }
  }

  get #warnings(): string[] {
    const all = [...this.#byName.webhooks.values(), ...this.#byName.revocations.values()]
    return all.flatMap(({ warning }) => (warning === undefined ? [] : [warning]))
  }

  samples() {
    return []
  }

  readiness() {
    const warnings = this.#warnings
    if (warnings.length === 0) return { ready: true, reason: '' }
    return { ready: true, reason: warnings[0]!, warning: warnings.join('; ') }
  }
}
