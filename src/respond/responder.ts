// From finding to action: takes findings, keeps alerts, sends each to whoever wants it, at least once and under one id.
// What it has taken is durable before it says so; a process that is killed at any moment goes on where it was.

import { BusFault } from '../bus/bus.ts'
import { failpoint } from '../failpoint.ts'
import type { Log, Observed, Readiness, Sample } from '../telemetry.ts'
import type { AlertChange, BookedAlert } from './alert-book.ts'
import {
  type AlertView,
  alertView,
  type DeadDelivery,
  deadView,
  type EndpointView,
} from './alert-view.ts'
import { Ending } from './ending.ts'
import { Endpoint } from './endpoint.ts'
import { ENDPOINT_LIMITS, type EndpointLimits } from './endpoint-limits.ts'
import type { FindingEvent } from './finding.ts'
import type { Hub } from './hub.ts'
import type { Mail } from './mail.ts'
import type { Notifier, Outcome } from './notifier.ts'
import { Outbox, type OutboxSettings } from './outbox.ts'
import { respondSamples } from './respond-samples.ts'
import type { RespondSettings, WebhookSettings } from './respond-settings.ts'
import { targetGuard } from './target-guard.ts'
import { WebhookNotifier } from './webhook.ts'

/** Findings that are noted at once. */
const TAKE_MAX = 500
/** Messages that are tried no more and are kept, so that they can be sent again; the oldest goes. */
export const DEAD_MAX = 10_000

/** Troubles that are told at once. */
const TROUBLES_MAX = 5

/** Somebody else who acts on findings, such as revocation. */
export interface Desk {
  /**
   * Takes the findings that an alert was raised for, once that is durable. The same may come again, after a crash too:
   * nothing of it may be forgotten once this has resolved.
   */
  take(events: readonly FindingEvent[]): Promise<void>
}

export interface ResponderParts {
  log: Log
  hub: Hub
  /** Of the program. */
  version: string
  desks?: readonly Desk[]
  limits?: EndpointLimits
  outbox?: Omit<OutboxSettings, 'directory'>
  /** What sends for a webhook; the real thing where undefined. */
  notifierOf?: (webhook: WebhookSettings, settings: RespondSettings) => Notifier
  now?: () => number
  /** Milliseconds of a clock that nobody sets. */
  steady?: () => number
  random?: () => number
}

/** There is no such thing; the message is for people. */
export class RespondError extends Error {
  override readonly name = 'RespondError'
}

export class Responder implements Observed {
  readonly #ending = new Ending()
  readonly #parts: ResponderParts
  readonly #outbox: Outbox
  readonly #now: () => number
  readonly #endpoints = new Map<string, Endpoint>()
  readonly #webhooks = new Map<string, WebhookSettings>()
  /** Oldest first. */
  readonly #dead = new Map<string, Mail>()
  #deadDropped = 0
  #closing = false
  #fault: unknown

  /** @throws BusError `in_use` if another process has the directory · BusFault if the disk fails */
  static async open(settings: RespondSettings, parts: ResponderParts): Promise<Responder> {
    const given = { ...parts.outbox, directory: settings.directory }
    const responder = new Responder(parts, await Outbox.open(given, parts.log))
    responder.reload(settings)
    responder.#resume()
    return responder
  }

  private constructor(parts: ResponderParts, outbox: Outbox) {
    this.#parts = parts
    this.#outbox = outbox
    this.#now = parts.now ?? Date.now
  }

  /** See Ending. */
  get ended(): Promise<void> {
    return this.#ending.over
  }

  /**
   * Takes findings. The same ones again change nothing.
   * @returns resolves when alerts and what is to be sent of them are on the disk; waits while that is full
   * @throws BusFault
   */
  async take(events: readonly FindingEvent[]): Promise<void> {
    for (let at = 0; at < events.length; at += TAKE_MAX) {
      const some = events.slice(at, at + TAKE_MAX)
      await this.#takeSome(some)
      for (const desk of this.#parts.desks ?? []) await desk.take(some)
    }
  }

  async #takeSome(events: readonly FindingEvent[]): Promise<void> {
    if (this.#fault !== undefined) throw this.#fault
    const { book } = this.#outbox
    const changes = book.absorb(events, this.#now())
    // What is known already may be known by somebody who still waits for the disk.
    if (changes.length === 0) return await this.#outbox.settled()
    for (const change of changes) this.#assign(change)
    const mails = [...this.#endpoints.values()].flatMap((endpoint) => endpoint.form())
    await this.#outbox.note(changes, mails)
    await failpoint('F8_alert_outbox')
    for (const mail of mails) this.#endpoints.get(mail.endpoint)?.enqueue(mail)
    for (const endpoint of this.#endpoints.values()) endpoint.pump()
    this.#publish(changes)
  }

  /** Gives a changed alert to the endpoints that want it and have not had it. */
  #assign(change: AlertChange): void {
    const alert = this.#outbox.book.get(change.id)
    if (alert === undefined) return
    const wanting = [...this.#webhooks.values()].filter(
      (webhook) => !alert.deliveries.has(webhook.name) && wants(webhook, alert),
    )
    for (const { name } of wanting) {
      alert.deliveries.set(name, undefined)
      this.#endpoints.get(name)?.offer([alert])
    }
    if (wanting.length > 0) change.waiting = wanting.map(({ name }) => name)
  }

  #publish(changes: readonly AlertChange[]): void {
    for (const { id } of changes) {
      const alert = this.#outbox.book.get(id)
      if (alert !== undefined) this.#parts.hub.publish('alert', this.#view(alert))
    }
  }

  /** Newest first, from before the alert of that id on; the store has those that are no longer held. */
  alerts(options: { limit: number; before?: string }): AlertView[] {
    return this.#outbox.book.newest(options).map((alert) => this.#view(alert))
  }

  alert(id: string): AlertView | undefined {
    const alert = this.#outbox.book.get(id)
    return alert === undefined ? undefined : this.#view(alert)
  }

  #view(alert: BookedAlert): AlertView {
    return alertView(alert, (endpoint, mail) =>
      mail?.state === 'delivered' || mail?.state === 'dead'
        ? mail.state
        : (this.#endpoints.get(endpoint)?.stateOf(mail) ?? 'held'),
    )
  }

  /** Newest first. */
  dead(): DeadDelivery[] {
    return [...this.#dead.values()].reverse().map(deadView)
  }

  endpoints(): EndpointView[] {
    return [...this.#endpoints.values()].map((endpoint) => {
      const { name, target, state, queued, lastError, lastDeliveredAt } = endpoint
      const dead = [...this.#dead.values()].filter((mail) => mail.endpoint === name).length
      return {
        name,
        target,
        state,
        queued,
        dead,
        delivered: endpoint.counters.delivered,
        ...(lastDeliveredAt === undefined ? {} : { lastDeliveredAt }),
        ...(lastError === undefined ? {} : { lastError }),
      }
    })
  }

  /** Sends a dead delivery again, under the same id. @throws RespondError if there is none of this id */
  async redrive(id: string): Promise<void> {
    const mail = this.#dead.get(id)
    if (mail === undefined) throw new RespondError('there is no dead delivery of this id')
    const endpoint = this.#endpoints.get(mail.endpoint)
    if (endpoint === undefined)
      throw new RespondError(`there is no webhook ${mail.endpoint} any more`)
    this.#dead.delete(id)
    await endpoint.redrive(mail)
  }

  /** Uses other settings from now on. The directory stays. What waits for a webhook that is no more is dead. */
  reload(settings: RespondSettings): void {
    const names = new Set(settings.webhooks.map(({ name }) => name))
    for (const [name, endpoint] of this.#endpoints) {
      if (names.has(name)) continue
      this.#endpoints.delete(name)
      this.#webhooks.delete(name)
      endpoint.dissolve('there is no webhook of this name any more')
      endpoint.close().catch(this.#fail)
    }
    for (const webhook of settings.webhooks) {
      const notifier = this.#notifier(webhook, settings)
      this.#webhooks.set(webhook.name, webhook)
      const known = this.#endpoints.get(webhook.name)
      if (known !== undefined) known.configure(notifier, webhook)
      else this.#endpoints.set(webhook.name, this.#endpoint(webhook, notifier))
    }
  }

  #notifier(webhook: WebhookSettings, settings: RespondSettings): Notifier {
    const { notifierOf, version, limits = ENDPOINT_LIMITS } = this.#parts
    if (notifierOf !== undefined) return notifierOf(webhook, settings)
    const guard = targetGuard(settings.allowTargets, { connections: limits.concurrency })
    const { url, secrets } = webhook
    return new WebhookNotifier({ url, secrets, version }, guard, this.#now)
  }

  #endpoint(webhook: WebhookSettings, notifier: Notifier): Endpoint {
    const { log, limits = ENDPOINT_LIMITS, random = Math.random } = this.#parts
    const { steady = () => performance.now() } = this.#parts
    return new Endpoint(webhook.name, {
      outbox: this.#outbox,
      notifier,
      limits,
      pace: webhook,
      log,
      now: this.#now,
      steady,
      random,
      told: (mail, outcome) => this.#told(mail, outcome),
      fail: this.#fail,
    })
  }

  /** Takes up what was left by the process before. */
  #resume(): void {
    const { mails, book } = this.#outbox
    const dead = [...mails.values()].filter(({ state }) => state === 'dead')
    for (const mail of dead.sort((a, b) => (a.diedAt ?? 0) - (b.diedAt ?? 0)))
      this.#dead.set(mail.id, mail)
    for (const mail of mails.values()) {
      if (mail.state === 'dead') continue
      const endpoint = this.#endpoints.get(mail.endpoint)
      if (endpoint !== undefined) endpoint.enqueue(mail)
      else this.#orphan(mail)
    }
    for (const alert of book.all())
      for (const [name, mail] of alert.deliveries)
        if (mail === undefined) this.#endpoints.get(name)?.offer([alert])
    for (const endpoint of this.#endpoints.values()) endpoint.pump()
  }

  #orphan(mail: Mail): void {
    mail.state = 'dead'
    mail.diedAt = this.#now()
    mail.lastError = 'there is no webhook of this name any more'
    this.#outbox.progress(mail).catch(this.#fail)
    this.#told(mail, undefined)
  }

  #told(mail: Mail, outcome: Outcome | undefined): void {
    const { hub, log } = this.#parts
    const { id, endpoint, state, attempts, alerts, lastError, nextAt } = mail
    hub.publish('delivery', {
      id,
      endpoint,
      state,
      attempts,
      alerts,
      ...(outcome?.kind === 'delivered' ? { status: outcome.status } : {}),
      ...(lastError === undefined ? {} : { lastError }),
      ...(state === 'queued' ? { nextAt } : {}),
    })
    if (state !== 'dead') return
    this.#dead.set(id, mail)
    if (this.#dead.size <= DEAD_MAX) return
    const [oldest] = this.#dead.values()
    this.#dead.delete(oldest!.id)
    this.#deadDropped++
    log('error', 'a dead message is forgotten: there are too many', { message: oldest!.id })
    this.#outbox.progress(oldest!, true).catch(this.#fail)
  }

  readonly #fail = (error: unknown): void => {
    if (this.#fault !== undefined || this.#closing) return
    this.#fault = error
    this.#ending.failed(error)
    if (!(error instanceof BusFault)) this.#parts.log('error', 'responding failed', { err: error })
  }

  samples(): Sample[] {
    return respondSamples(this.#outbox, this.#endpoints.values(), {
      dead: this.#dead.size,
      dropped: this.#deadDropped,
      now: this.#now(),
    })
  }

  readiness(): Readiness {
    const { waitsFor, fault } = this.#outbox
    if (this.#fault !== undefined || fault !== undefined)
      return { ready: false, reason: 'alerts cannot be kept: the disk failed' }
    if (waitsFor === 'disk')
      return { ready: false, reason: 'alerts wait: no space left on the disk of the outbox' }
    if (waitsFor === 'room')
      return { ready: false, reason: 'alerts wait: the outbox is full of what cannot be delivered' }
    const troubles = this.#troubles()
    if (troubles.length === 0) return { ready: true, reason: '' }
    return { ready: true, reason: '', warning: troubles.slice(0, TROUBLES_MAX).join('; ') }
  }

  /** What goes wrong without stopping it, in words. */
  #troubles(): string[] {
    const { lost } = this.#outbox
    const dead = this.#dead.size
    const many = dead === 1 ? '1 message is' : `${dead} messages are`
    return [
      ...[...this.#endpoints.values()].flatMap(({ trouble }) => trouble ?? []),
      ...(dead === 0 ? [] : [`${many} tried no more; redrive when the receiver is mended`]),
      ...(lost === 0 ? [] : [`${lost} notes of the outbox were damaged on the disk`]),
    ]
  }

  /** Lets what is under way end, within bounds. What was not sent is sent by the next process. */
  async close(): Promise<void> {
    this.#closing = true
    await Promise.all([...this.#endpoints.values()].map((endpoint) => endpoint.close()))
    await this.#outbox.close()
    this.#ending.closed()
  }
}

function wants({ kinds, minScore }: WebhookSettings, { evidence }: BookedAlert): boolean {
  return evidence.score >= minScore && (kinds?.includes(evidence.kind) ?? true)
}
