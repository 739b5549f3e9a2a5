// One endpoint: what waits for it, what is tried again when, and how much it is spared. Its troubles are its own: a
// receiver that hangs has its few connections, its breaker and its queue, and no other endpoint notices.
//
// At a low rate each alert is a message of its own and goes at once. When alerts come faster than messages may go,
// they gather, and the next message is about all of them.

import { setTimeout as sleep } from 'node:timers/promises'
import { failpoint } from '../failpoint.ts'
import type { Log } from '../telemetry.ts'
import type { BookedAlert } from './alert-book.ts'
import { DueQueue } from './due-queue.ts'
import type { EndpointLimits } from './endpoint-limits.ts'
import { type DeliveryState, type Mail, mailId, revive } from './mail.ts'
import { MESSAGE_ALERTS_MAX, writeMessage } from './message.ts'
import type { Notifier, Outcome } from './notifier.ts'
import type { Outbox } from './outbox.ts'
import { Allowance, RETRY_AFTER_MAX, retryPause } from './retry.ts'
import { Sender } from './sender.ts'

export interface Pace {
  /** Seconds that an alert waits for others. */
  groupSeconds: number
  /** Messages that may go each second, if not as the limits say; so many may go at once, too. */
  perSecond?: number
}

export interface EndpointParts {
  outbox: Outbox
  notifier: Notifier
  limits: EndpointLimits
  pace: Pace
  log: Log
  /** Milliseconds since 1970: what is shown and noted. It may be set, back too. */
  now: () => number
  /** Milliseconds of a clock that nobody sets: what is waited for. */
  steady: () => number
  /** A number from 0 to 1. */
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

/** How long what came of the last requests may take to be noted when the endpoint is closed. */
const NOTE_MILLIS = 1000

/** The longest that a timer can be set for. */
const TIMER_MAX = 2 ** 31 - 1

const GONE_WORDS =
  'an endpoint wants nothing any more: it is disabled until its URL changes or something is sent again'

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
  #lastError: string | undefined
  readonly #parts: Omit<EndpointParts, 'notifier'>
  readonly #sender: Sender
  #groupSeconds: number
  /** Mails that were never tried, and others. */
  readonly #fresh = new DueQueue()
  readonly #again = new DueQueue()
  #waiting: BookedAlert[] = []
  /** Since when the first of them waits, by the steady clock. */
  #waitingSince = 0
  readonly #sending = new Set<Promise<void>>()
  #forming = false
  #closed = false
  #messages: Allowance
  readonly #retries: Allowance
  #timer: NodeJS.Timeout | undefined

  constructor(name: string, { notifier, ...parts }: EndpointParts) {
    this.name = name
    this.#parts = parts
    this.#groupSeconds = parts.pace.groupSeconds
    const { limits, steady } = parts
    this.#sender = new Sender(notifier, limits, steady)
    this.#messages = messagesOf(parts.pace, limits, steady())
    this.#retries = new Allowance(limits.retryBurst, limits.retriesPerSecond, steady())
  }

  get queued(): number {
    return this.#fresh.size + this.#again.size + this.#waiting.length + this.#sending.size
  }

  /** Since when what is to be sent next waits; undefined if nothing does. */
  get waitingSince(): number | undefined {
    const first = (this.#fresh.peek() ?? this.#again.peek())?.createdAt
    if (this.#waiting.length === 0) return first
    const { now, steady } = this.#parts
    const since = now() - (steady() - this.#waitingSince)
    return Math.min(first ?? since, since)
  }

  get target(): string {
    return this.#sender.target
  }

  get state(): EndpointState {
    return this.#disabled === undefined ? this.#sender.state : 'disabled'
  }

  /** Why the last try failed; undefined if it did not. */
  get lastError(): string | undefined {
    return this.#lastError ?? this.#disabled
  }

  /** Times that it was left alone because it failed. */
  get opened(): number {
    return this.#sender.opened
  }

  get #disabled(): string | undefined {
    const disabled = this.#parts.outbox.disabled.get(this.name)
    return disabled?.key === this.#sender.key ? disabled.why : undefined
  }

  /** What a person should know of it; undefined if it does well. */
  get trouble(): string | undefined {
    const { name, state, lastError = '' } = this
    if (state === 'disabled') return `webhook ${name} is disabled: ${this.#disabled}`
    if (state === 'held') return `webhook ${name} fails and is left alone for a while: ${lastError}`
    return undefined
  }

  /** What goes on with a mail of this endpoint, or (undefined) with an alert that waits for one. */
  stateOf(mail: Mail | undefined): DeliveryState {
    if (mail !== undefined && mail.state !== 'queued') return mail.state
    return this.state === 'held' || this.state === 'disabled' ? 'held' : 'queued'
  }

  /** Sends by another notifier from now on. What waits goes there. */
  configure(notifier: Notifier, pace: Pace): void {
    const { limits, steady } = this.#parts
    this.#groupSeconds = pace.groupSeconds
    this.#messages = messagesOf(pace, limits, steady())
    this.#sender.use(notifier).catch(this.#parts.fail)
    this.pump()
  }

  /** Alerts that are to be told here. They are noted as waiting by whoever calls. */
  offer(alerts: readonly BookedAlert[]): void {
    if (alerts.length === 0) return
    if (this.#waiting.length === 0) this.#waitingSince = this.#parts.steady()
    this.#waiting.push(...alerts)
  }

  /** Messages about what waits, as far as they may go now. They must be noted, then given to `enqueue`. */
  form(): Mail[] {
    const mails: Mail[] = []
    const [now, steady] = [this.#parts.now(), this.#parts.steady()]
    while (this.#waiting.length > 0 && this.#mayForm(steady, mails.length)) {
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
    // Of an earlier process.
    this.#lastError ??= mail.lastError
    if (this.#disabled !== undefined) this.#died(mail, this.#disabled)
    else if (this.#fresh.size + this.#again.size >= this.#parts.limits.queueMax)
      this.#died(mail, 'too many messages wait already')
    else this.#queue(mail)
  }

  /**
   * Puts it where it waits. When it is due was noted by the wall clock, perhaps of a process that had another one: what
   * was never tried does not wait, and nothing waits for longer than anybody may ask for.
   */
  #queue(mail: Mail): void {
    const { now, steady } = this.#parts
    const wait = Math.min(Math.max(0, mail.nextAt - now()), 2 * RETRY_AFTER_MAX)
    if (mail.attempts === 0) this.#fresh.add(mail, steady())
    else this.#again.add(mail, steady() + wait)
  }

  /** Sends what is due, and comes back when more is. */
  pump(): void {
    if (this.#closed) return
    clearTimeout(this.#timer)
    const { steady, fail } = this.#parts
    while (steady() >= this.#sender.blockedUntil && this.#sending.size < this.#sender.concurrency) {
      const mail = this.#next(steady())
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
    const now = this.#parts.steady()
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
    if (now() - (mail.since ?? mail.createdAt) > limits.ageMax)
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
      this.#queue(mail)
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
    this.#lastError = undefined
    mail.state = 'delivered'
    delete mail.lastError
    told(mail, outcome)
    await outbox.progress(mail)
  }

  async #gone(mail: Mail, why: string): Promise<void> {
    const { outbox, log, told } = this.#parts
    const { target } = this
    this.counters.failed++
    log('error', GONE_WORDS, { endpoint: this.name, target, why })
    await outbox.disable(this.name, { key: this.#sender.key, target, why })
    this.#died(mail, why)
    for (const one of [...this.#fresh.drain(), ...this.#again.drain()]) this.#died(one, why)
    told(mail, { kind: 'gone', why })
  }

  async #failed(mail: Mail, outcome: Outcome & { kind: 'failed' }): Promise<void> {
    const { outbox, now, random, limits, log, told } = this.#parts
    this.counters.failed++
    mail.lastError = this.#lastError = outcome.why
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
    this.#queue(mail)
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
    revive(mail, now())
    await outbox.progress(mail)
    told(mail, undefined)
    this.#queue(mail)
    this.pump()
  }

  /** Takes all that waits away: the endpoint is no more. */
  dissolve(why: string): void {
    for (const mail of [...this.#fresh.drain(), ...this.#again.drain()]) this.#died(mail, why)
  }

  /** Lets what is under way end, within bounds: what cannot be noted, the disk being full, is not waited for. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    const { closeMillis } = this.#parts.limits
    const over = new AbortController()
    const done = Promise.all([...this.#sending]).finally(() => over.abort())
    const wait = (millis: number) => sleep(millis, undefined, { signal: over.signal })
    await Promise.race([done, wait(closeMillis).catch(() => {})])
    this.#sender.abort()
    await Promise.race([done, wait(NOTE_MILLIS).catch(() => {})])
    await this.#sender.close()
  }
}

function lastWords({ lastError }: Mail): string {
  return lastError === undefined ? '' : `; at last: ${lastError}`
}

function messagesOf({ perSecond }: Pace, limits: EndpointLimits, now: number): Allowance {
  const each = perSecond ?? limits.perSecond
  return new Allowance(Math.max(limits.burst, each), each, now)
}
