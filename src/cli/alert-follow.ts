// `bailiwick alerts --follow`: the live stream of a process as lines. What was raised while nobody was connected is read
// from the list, so that each alert is shown once, whatever happened to the connection.

import { z } from 'zod'
import { AlertPage } from '../api/alert-list.ts'
import { AlertShown, DeliveryShown } from '../api/alert-shape.ts'
import { RevocationShown } from '../api/revocation-routes.ts'
import { printable, printableJson } from '../wire-text.ts'
import { alertText, clockText, deliveryWords, revocationWords } from './alert-text.ts'
import { type AlertWishes, queryOf } from './alert-wishes.ts'
import type { ApiClient } from './api-client.ts'
import { say, type Terminal } from './terminal.ts'

export interface FollowShown {
  wishes: AlertWishes
  /** Alerts that are shown before the new ones. */
  limit: number
  json: boolean
}

/** Alerts that are remembered, so that none is shown twice. */
const SEEN_MAX = 10_000
/** After a gap so many of the newest are looked at. */
const GAP_MAX = 500

const AlertTold = z.object({ alert: AlertShown })
const DeliveryTold = z.object({ delivery: DeliveryShown.extend({ alerts: z.array(z.string()) }) })
const RevocationTold = z.object({ revocation: RevocationShown })
const NoticeTold = z.object({ notice: z.record(z.string(), z.unknown()) })

/** Prints until the signal aborts or nobody reads. @throws CommandError */
export async function followAlerts(
  client: ApiClient,
  shown: FollowShown,
  terminal: Terminal,
): Promise<void> {
  const follower = new Follower(client, shown, terminal)
  for await (const told of client.follow()) {
    if (terminal.out.gone) return
    if (told.type === 'lost') await follower.lost(told.why)
    else if (told.type === 'event') await follower.take(told.event, told.data)
  }
}

class Follower {
  readonly #client: ApiClient
  readonly #shown: FollowShown
  readonly #terminal: Terminal
  /** Highest score that was shown of an alert, by its id; oldest first. */
  readonly #seen = new Map<string, number>()
  #begun = false
  #lost = false

  constructor(client: ApiClient, shown: FollowShown, terminal: Terminal) {
    this.#client = client
    this.#shown = shown
    this.#terminal = terminal
  }

  async lost(why: string): Promise<void> {
    if (!this.#lost && !this.#terminal.quiet)
      await say(this.#terminal, `bailiwick: no connection (${why}); trying until there is one`)
    this.#lost = true
  }

  async take(event: string, data: unknown): Promise<void> {
    if (event === 'hello' || event === 'gap') return this.#connected(event === 'gap')
    if (event === 'alert') {
      const told = AlertTold.safeParse(data)
      if (told.success) await this.#alert(told.data.alert)
    } else if (event === 'delivery') {
      const told = DeliveryTold.safeParse(data)
      if (told.success && this.#concerns(told.data.delivery.alerts))
        await this.#write(event, data, this.#delivery(told.data.delivery))
    } else if (event === 'revocation') {
      const told = RevocationTold.safeParse(data)
      if (told.success && this.#concerns([told.data.revocation.alert_id]))
        await this.#write(event, data, this.#revocation(told.data.revocation))
    } else if (event === 'notice') {
      const told = NoticeTold.safeParse(data)
      if (told.success)
        await this.#write(event, data, `notice: ${printableJson(told.data.notice)}\n`)
    }
  }

  async #connected(gap: boolean): Promise<void> {
    if (this.#lost && !this.#terminal.quiet) await say(this.#terminal, 'bailiwick: connected again')
    this.#lost = false
    const limit = this.#begun ? GAP_MAX : this.#shown.limit
    if (limit > 0 && (!this.#begun || gap)) {
      const query = queryOf(this.#shown.wishes, limit)
      const { alerts } = await this.#client.get(`/api/v1/alerts?${query}`, AlertPage)
      for (const alert of alerts.reverse()) await this.#alert(alert)
    }
    this.#begun = true
  }

  /** One that is told again is shown again only if it became worse, for people; as data, each time. */
  async #alert(alert: AlertShown): Promise<void> {
    if (!this.#wanted(alert)) return
    const before = this.#seen.get(alert.id)
    this.#seen.delete(alert.id)
    this.#seen.set(alert.id, Math.max(before ?? 0, alert.score))
    if (this.#seen.size > SEEN_MAX) this.#seen.delete(this.#seen.keys().next().value!)
    if (before !== undefined && before >= alert.score && !this.#shown.json) return
    const { colours, width } = this.#terminal
    await this.#write('alert', { alert }, alertText(alert, colours, width))
  }

  #wanted({ agent, kind, destination, score, last }: AlertShown): boolean {
    const { wishes } = this.#shown
    return (
      (wishes.agent === undefined || agent === wishes.agent) &&
      (wishes.kind === undefined || kind === wishes.kind) &&
      (wishes.destination === undefined || destination === wishes.destination) &&
      score >= (wishes.min_score ?? 0) &&
      (wishes.from === undefined || Date.parse(last) >= Date.parse(wishes.from))
    )
  }

  /** What follows from alerts that are not shown is not shown. */
  #concerns(alerts: readonly string[]): boolean {
    return Object.keys(this.#shown.wishes).length === 0 || alerts.some((id) => this.#seen.has(id))
  }

  /** Only ends are worth a line. */
  #delivery(delivery: z.infer<typeof DeliveryTold>['delivery']): string {
    const { colours } = this.#terminal
    if (!['delivered', 'dead', 'held'].includes(delivery.state)) return ''
    const of = delivery.alerts.map((id) => printable(id)).join(', ')
    const why = delivery.last_error === null ? '' : `: ${printable(delivery.last_error)}`
    return `${nowText()}  ${deliveryWords(delivery, colours)}${why}  ${colours.dim(of)}\n`
  }

  #revocation({ id, state, sentence, detail }: z.infer<typeof RevocationShown>): string {
    const { colours } = this.#terminal
    const why = detail === null ? '' : ` (${printable(detail)})`
    const words = `revocation ${printable(id)} ${revocationWords(state, colours)}${why}`
    return `${nowText()}  ${words}: ${printable(sentence)}\n`
  }

  async #write(event: string, data: unknown, text: string): Promise<void> {
    const { out } = this.#terminal
    await out.write(this.#shown.json ? `${printableJson({ event, ...(data as object) })}\n` : text)
  }
}

function nowText(): string {
  return clockText(new Date().toISOString())
}
