// One endpoint: what waits for it, what is tried again when, and how much it is spared. Its troubles are its own: a
// receiver that hangs has its few connections, its breaker and its queue, and no other endpoint notices.
//
// At a low rate each alert is a message of its own and goes at once. When alerts come faster than messages may go,
// they gather, and the next message is about all of them.

import { failpoint } from '../failpoint.ts'
import type { Log } from '../telemetry.ts'
import type { BookedAlert } from './alert-book.ts'
import { DueQueue } from './due-queue.ts'
import { type DeliveryState, type Mail, mailId } from './mail.ts'
import { MESSAGE_ALERTS_MAX, writeMessage } from './message.ts'
import type { Notifier, Outcome } from './notifier.ts'
import type { Outbox } from './outbox.ts'
import { AGE_MAX, Allowance, RETRY_SCHEDULE, retryPause } from './retry.ts'
import { Sender, type SenderLimits } from './sender.ts'

export interface EndpointLimits extends SenderLimits {
  /** Pauses before the tries, milliseconds. */
  schedule: readonly number[]
  /** Messages that may go at once, and each second; what comes beyond is grouped. */
  burst: number
  perSecond: number
  /** Messages that wait. */
  queueMax: number
  /** Tries again for each first one, and that may come on top: at once, and each second. */
  retryShare: number
  retryBurst: number
  retriesPerSecond: number
  ageMax: number
  /** How long what is under way may take when the endpoint is closed. */
  closeMillis: number
}

export const ENDPOINT_LIMITS: EndpointLimits = {
  schedule: RETRY_SCHEDULE,
  timeoutMillis: 15_000,
  concurrency: 4,
  burst: 10,
  perSecond: 1,
  breakAfter: 5,
  breakMillis: [10_000, 30_000, 60_000, 300_000],
  throttleMillis: 5000,
  queueMax: 20_000,
  retryShare: 0.1,
  retryBurst: 10,
  retriesPerSecond: 1,
  ageMax: AGE_MAX,
  closeMillis: 3000,
}

export interface EndpointParts {
  outbox: Outbox
  notifier: Notifier
  limits: EndpointLimits
  /** Seconds that an alert waits for others. */
  groupSeconds: number
  log: Log
  /** Milliseconds since 1970, and a number from 0 to 1. */
  now: () => number
  random: () => number
  /** A mail came to an end, or one step further. */
  told: (mail: Mail, outcome: Outcome | undefined) => void
  /** Something that must end the process. */
  fail: (error: unknown) => void
}

export interface EndpointCounters {
  /** Requests by how they went. */
  delivered: number
  failed: number
  /** Messages made, and alerts in them. */
  messages: number
  alerts: number
  died: number
}

/** The longest that a timer can be set for. */
const TIMER_MAX = 2 ** 31 - 1

/** disabled: it said that it is gone. held: it fails, and is left alone for a while. */
export type EndpointState = 'working' | 'throttled' | 'held' | 'disabled'

export class Endpoint {
  readonly name: string
  readonly counters: EndpointCounters = {
    delivered: 0,
    failed: 0,
    messages: 0,
    alerts: 0,
    died: 0,
  }
  lastDeliveredAt: number | undefined
  lastError: string | undefined
  readonly #parts: Omit<EndpointParts, 'notifier'>
  readonly #sender: Sender
  #groupSeconds: number
  /** Mails that were never tried, and others. */
  readonly #fresh = new DueQueue()
  readonly #again = new DueQueue()
  #waiting: BookedAlert[] = []
  /** Since when the first of them waits. */
  #waitingSince = 0
  readonly #sending = new Set<Promise<void>>()
  #forming = false
  #closed = false
  readonly #messages: Allowance
  readonly #retries: Allowance
  #timer: NodeJS.Timeout | undefined

  constructor(name: string, { notifier, ...parts }: EndpointParts) {
    this.name = name
    this.#parts = parts
    this.#groupSeconds = parts.groupSeconds
    const { limits, now } = parts
    this.#sender = new Sender(notifier, limits, now)
    this.#messages = new Allowance(limits.burst, limits.perSecond, now())
    this.#retries = new Allowance(limits.retryBurst, limits.retriesPerSecond, now())
  }

  get queued(): number {
    return this.#fresh.size + this.#again.size + this.#waiting.length + this.#sending.size
  }

  /** Since when what is to be sent next waits; undefined if nothing does. */
  get waitingSince(): number | undefined {
    const first = (this.#fresh.peek() ?? this.#again.peek())?.createdAt
    if (this.#waiting.length === 0) return first
    return Math.min(first ?? this.#waitingSince, this.#waitingSince)
  }

  get target(): string {
    return this.#sender.target
  }

  get state(): EndpointState {
    return this.#disabled === undefined ? this.#sender.state : 'disabled'
  }

  /** Times that it was left alone because it failed. */
  get opened(): number {
    return this.#sender.opened
  }

  get #disabled(): string | undefined {
    const disabled = this.#parts.outbox.disabled.get(this.name)
    return disabled?.target === this.target ? disabled.why : undefined
  }

  /** What goes on with a mail of this endpoint, or (undefined) with an alert that waits for one. */
  stateOf(mail: Mail | undefined): DeliveryState {
    if (mail !== undefined && mail.state !== 'queued') return mail.state
    return this.state === 'held' || this.state === 'disabled' ? 'held' : 'queued'
  }

  /** Sends by another notifier from now on. What waits goes there. */
  configure(notifier: Notifier, groupSeconds: number): void {
    this.#groupSeconds = groupSeconds
    this.#sender.use(notifier).catch(this.#parts.fail)
    this.pump()
  }

  /** Alerts that are to be told here. They are noted as waiting by whoever calls. */
  offer(alerts: readonly BookedAlert[]): void {
    if (alerts.length === 0) return
    if (this.#waiting.length === 0) this.#waitingSince = this.#parts.now()
    this.#waiting.push(...alerts)
  }

  /** Messages about what waits, as far as they may go now. They must be noted, then given to `enqueue`. */
  form(): Mail[] {
    const mails: Mail[] = []
    const now = this.#parts.now()
    while (this.#waiting.length > 0 && this.#mayForm(now, mails.length)) {
      const { body, taken } = writeMessage(this.#waiting, now)
      const alerts = this.#waiting.splice(0, taken).map(({ id }) => id)
      this.counters.messages++
      this.counters.alerts += taken
      mails.push({
        id: mailId(this.name, alerts),
        endpoint: this.name,
        alerts,
        createdAt: now,
        state: 'queued',
        attempts: 0,
        nextAt: now,
        body,
        place: -1n,
      })
    }
    return mails
  }

  #mayForm(now: number, formed: number): boolean {
    if (this.#waiting.length >= MESSAGE_ALERTS_MAX || this.#disabled !== undefined) return true
    if (now < this.#waitingSince + this.#groupSeconds * 1000) return false
    if (now < this.#sender.blockedUntil || this.#fresh.size + formed > 0) return false
    return this.#sending.size < this.#sender.concurrency && this.#messages.take(now)
  }

  /** Takes a mail that is noted durably. */
  enqueue(mail: Mail): void {
    if (this.#disabled !== undefined) this.#died(mail, this.#disabled)
    else if (this.#fresh.size + this.#again.size >= this.#parts.limits.queueMax)
      this.#died(mail, 'too many messages wait already')
    else this.#queueOf(mail).add(mail)
  }

  #queueOf(mail: Mail): DueQueue {
    return mail.attempts === 0 ? this.#fresh : this.#again
  }

  /** Sends what is due, and comes back when more is. */
  pump(): void {
    if (this.#closed) return
    clearTimeout(this.#timer)
    const { now, fail } = this.#parts
    while (now() >= this.#sender.blockedUntil && this.#sending.size < this.#sender.concurrency) {
      const mail = this.#next(now())
      if (mail === undefined) break
      const sending = this.#send(mail)
        .catch(fail)
        .finally(() => {
          this.#sending.delete(sending)
          this.pump()
        })
      this.#sending.add(sending)
    }
    this.#gather()
    this.#sleep()
  }

  /** What is tried again is bounded by its allowance, so it may go first. */
  #next(now: number): Mail | undefined {
    const due = (queue: DueQueue) => (queue.nextAt ?? Number.POSITIVE_INFINITY) <= now
    if (due(this.#again) && this.#retries.take(now)) return this.#again.take()
    return due(this.#fresh) ? this.#fresh.take() : undefined
  }

  /** What gathered becomes a message when one may go. */
  #gather(): void {
    if (this.#forming) return
    const mails = this.form()
    if (mails.length === 0) return
    this.#forming = true
    this.#parts.outbox
      .note([], mails)
      .then(() => {
        this.#forming = false
        for (const mail of mails) this.enqueue(mail)
        this.pump()
      })
      .catch(this.#parts.fail)
  }

  /** Until there may be something to do. Where all requests are taken, the end of one wakes. */
  #sleep(): void {
    if (this.#sending.size >= this.#sender.concurrency) return
    const now = this.#parts.now()
    const wakes: number[] = []
    if (this.#again.nextAt !== undefined)
      wakes.push(Math.max(this.#again.nextAt, now + this.#retries.wait(now)))
    if (this.#fresh.nextAt !== undefined) wakes.push(this.#fresh.nextAt)
    else if (this.#waiting.length > 0 && !this.#forming)
      wakes.push(
        Math.max(this.#waitingSince + this.#groupSeconds * 1000, now + this.#messages.wait(now)),
      )
    if (wakes.length === 0) return
    const at = Math.max(Math.min(...wakes), this.#sender.blockedUntil)
    this.#timer = setTimeout(() => this.pump(), Math.min(Math.max(1, at - now), TIMER_MAX))
    // What is not yet due keeps no process.
    this.#timer.unref()
  }

  async #send(mail: Mail): Promise<void> {
    const { outbox, now, limits, told } = this.#parts
    if (now() - mail.createdAt > limits.ageMax)
      return this.#died(mail, `not delivered in time${lastWords(mail)}`)
    const body = await outbox.bodyOf(mail)
    if (body === undefined) return this.#died(mail, 'its text is damaged on the disk')
    if (mail.attempts === 0) this.#retries.give(limits.retryShare)
    mail.state = 'sending'
    told(mail, undefined)
    const outcome = await this.#sender.send({ id: mail.id, body })
    mail.state = 'queued'
    if (outcome === undefined) {
      // Not sent: the endpoint fails, or the process ends.
      mail.nextAt = now() + 1
      this.#queueOf(mail).add(mail)
      return
    }
    mail.attempts++
    if (outcome.kind === 'delivered') await this.#delivered(mail, outcome)
    else if (outcome.kind === 'gone') await this.#gone(mail, outcome.why)
    else await this.#failed(mail, outcome)
  }

  async #delivered(mail: Mail, outcome: Outcome): Promise<void> {
    const { outbox, now, told } = this.#parts
    await failpoint('F9_outbox_send')
    this.counters.delivered++
    this.lastDeliveredAt = now()
    mail.state = 'delivered'
    delete mail.lastError
    told(mail, outcome)
    await outbox.progress(mail)
  }

  async #gone(mail: Mail, why: string): Promise<void> {
    const { outbox, log, told } = this.#parts
    const { target } = this
    this.counters.failed++
    log(
      'error',
      'an endpoint wants nothing any more: it is disabled until its URL changes or something is sent again',
      {
        endpoint: this.name,
        target,
        why,
      },
    )
    await outbox.disable(this.name, { target, why })
    this.#died(mail, why)
    for (const one of [...this.#fresh.drain(), ...this.#again.drain()]) this.#died(one, why)
    told(mail, { kind: 'gone', why })
  }

  async #failed(mail: Mail, outcome: Outcome & { kind: 'failed' }): Promise<void> {
    const { outbox, now, random, limits, log, told } = this.#parts
    this.counters.failed++
    mail.lastError = this.lastError = outcome.why
    const pause = retryPause(limits.schedule, mail.attempts, outcome.retryAfter, random())
    log('warn', 'a message was not taken', {
      endpoint: this.name,
      message: mail.id,
      attempts: mail.attempts,
      why: outcome.why,
      ...(pause === undefined ? {} : { again_in_seconds: Math.round(pause / 1000) }),
    })
    if (pause === undefined) return this.#died(mail, outcome.why)
    mail.nextAt = now() + pause
    told(mail, outcome)
    await outbox.progress(mail)
    this.#again.add(mail)
  }

  #died(mail: Mail, why: string): void {
    const { outbox, now, told, fail } = this.#parts
    this.counters.died++
    mail.state = 'dead'
    mail.lastError = why
    mail.diedAt = now()
    outbox.progress(mail).catch(fail)
    outbox.forgetBody(mail)
    told(mail, undefined)
  }

  /** Sends a dead mail again, under its id, as if it were new. It also lifts a ban. */
  async redrive(mail: Mail): Promise<void> {
    const { outbox, now, told } = this.#parts
    if (outbox.disabled.has(this.name)) await outbox.disable(this.name, undefined)
    mail.state = 'queued'
    mail.attempts = 0
    mail.nextAt = now()
    delete mail.diedAt
    await outbox.progress(mail)
    told(mail, undefined)
    this.#fresh.add(mail)
    this.pump()
  }

  /** Takes all that waits away: the endpoint is no more. */
  dissolve(why: string): void {
    for (const mail of [...this.#fresh.drain(), ...this.#again.drain()]) this.#died(mail, why)
  }

  /** Lets what is under way end, within bounds. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    const late = setTimeout(() => this.#sender.abort(), this.#parts.limits.closeMillis)
    await Promise.all([...this.#sending])
    clearTimeout(late)
    await this.#sender.close()
  }
}

function lastWords({ lastError }: Mail): string {
  return lastError === undefined ? '' : `; at last: ${lastError}`
}
