// The alerts that are remembered: findings with one id, in any order and any number of times, give the same alert. An
// alert is the union of what its findings say (earliest, latest, the set of flows, the worst), so nothing depends on
// who came first. Pure but for what it is told of the time.

import type { FindingEvent } from './finding.ts'
import type { Mail } from './mail.ts'

/** Alerts remembered with all they hold; the store has the older ones. */
export const BOOK_MAX = 10_000
/** Distinct flows that one alert counts; it stays there. */
export const FLOWS_MAX = 1000
/** Flows that all alerts remember together, beyond the first few of each. */
const ALL_FLOWS_MAX = 200_000
const FLOWS_LEAST = 16
/** Alerts that are kept beyond the limit because a message about them is still to be made. */
const WAITING_MAX = 5000
/** Ids of alerts that went out of the book, in each of two generations: what comes for them is no new alert. */
const GONE_MAX = 250_000

export interface BookedAlert {
  readonly id: string
  /** Milliseconds since 1970 of the wall clock. */
  raisedAt: number
  /** Microseconds of the data. */
  first: number
  last: number
  /** The finding with the highest score. */
  evidence: FindingEvent
  /** Of distinct flows, at most FLOWS_MAX. */
  readonly flows: Set<number>
  /** By endpoint: the mail that tells of it, or undefined while it waits for one. */
  readonly deliveries: Map<string, Mail | undefined>
}

/** What an alert gained, as it is noted. Noted twice it changes nothing. */
export interface AlertChange {
  id: string
  raisedAt: number
  first: number
  last: number
  /** Beginnings of flow ids, in hexadecimal. */
  flows: string[]
  /** Where the worst finding changed; always when the alert is new. */
  evidence?: FindingEvent
  /** Endpoints that are to be told and for which there is no mail yet. */
  waiting?: string[]
  /** Endpoints for which there is a mail; where that is no longer held, it has come to this end. */
  told?: [endpoint: string, mail: string, attempts: number, end: 'delivered' | 'dead'][]
}

export interface BookCounters {
  raised: number
  /** Findings taken, and of them those that changed nothing. */
  findings: number
  repeated: number
  /** Findings of alerts that were out of the book. */
  late: number
}

export class AlertBook {
  /** Oldest first. */
  readonly #alerts = new Map<string, BookedAlert>()
  readonly #max: number
  #gone: [Set<number>, Set<number>] = [new Set(), new Set()]
  #flows = 0
  readonly counters: BookCounters = { raised: 0, findings: 0, repeated: 0, late: 0 }

  constructor(max = BOOK_MAX) {
    this.#max = max
  }

  get size(): number {
    return this.#alerts.size
  }

  get(id: string): BookedAlert | undefined {
    return this.#alerts.get(id)
  }

  /** Oldest first. */
  all(): IterableIterator<BookedAlert> {
    return this.#alerts.values()
  }

  /** Newest first, from before the alert of that id on; who asks beyond one that went has seen all that is held. */
  newest({ limit, before }: { limit: number; before?: string }): BookedAlert[] {
    const all = [...this.#alerts.values()].reverse()
    if (before === undefined) return all.slice(0, limit)
    const at = all.findIndex(({ id }) => id === before)
    return at < 0 ? [] : all.slice(at + 1, at + 1 + limit)
  }

  /**
   * Takes findings. @param now milliseconds since 1970
   * @returns what changed, by alert; not what was known already
   */
  absorb(events: readonly FindingEvent[], now: number): AlertChange[] {
    const changes = new Map<string, AlertChange>()
    for (const event of events) {
      this.counters.findings++
      const known = this.#alerts.get(event.alertId)
      if (known === undefined && this.#isGone(event.alertId)) {
        this.counters.late++
        continue
      }
      const gain = gainOf(known, event, now, this.#flows < ALL_FLOWS_MAX)
      if (gain === undefined) {
        this.counters.repeated++
        continue
      }
      this.merge(gain)
      const before = changes.get(gain.id)
      changes.set(gain.id, before === undefined ? gain : joined(before, gain))
    }
    this.#trim(this.#max)
    return [...changes.values()]
  }

  /** Takes what was noted. @returns the alert, or undefined if nothing is known of it */
  merge(change: AlertChange): BookedAlert | undefined {
    let alert = this.#alerts.get(change.id)
    if (alert === undefined) {
      if (change.evidence === undefined) return undefined
      const { id, raisedAt, first, last, evidence } = change
      alert = { id, raisedAt, first, last, evidence, flows: new Set(), deliveries: new Map() }
      this.#alerts.set(id, alert)
      this.counters.raised++
      // While notes are read, more of them may come than are kept.
      this.#trim(2 * this.#max)
    }
    alert.raisedAt = Math.min(alert.raisedAt, change.raisedAt)
    alert.first = Math.min(alert.first, change.first)
    alert.last = Math.max(alert.last, change.last)
    if (change.evidence !== undefined && isWorse(change.evidence, alert.evidence))
      alert.evidence = change.evidence
    const before = alert.flows.size
    for (const flow of change.flows)
      if (alert.flows.size < FLOWS_MAX) alert.flows.add(Number.parseInt(flow, 16))
    this.#flows += alert.flows.size - before
    for (const endpoint of change.waiting ?? [])
      if (!alert.deliveries.has(endpoint)) alert.deliveries.set(endpoint, undefined)
    for (const told of change.told ?? []) alert.deliveries.set(told[0], toldMail(alert, told))
    return alert
  }

  /** After notes were read: in the order they were raised, no more than are kept. */
  settle(): void {
    const all = [...this.#alerts.values()].sort((a, b) => a.raisedAt - b.raisedAt)
    this.#alerts.clear()
    for (const alert of all) this.#alerts.set(alert.id, alert)
    this.#trim(this.#max)
  }

  /** All of an alert, as it is noted when old notes are thrown away. */
  static whole(alert: BookedAlert): AlertChange {
    const { id, raisedAt, first, last, evidence } = alert
    const deliveries = [...alert.deliveries]
    return {
      id,
      raisedAt,
      first,
      last,
      evidence,
      flows: [...alert.flows].map((flow) => flow.toString(16)),
      waiting: deliveries.filter(([, mail]) => mail === undefined).map(([endpoint]) => endpoint),
      told: deliveries.flatMap(([endpoint, mail]) =>
        mail === undefined
          ? []
          : [[endpoint, mail.id, mail.attempts, mail.state === 'dead' ? 'dead' : 'delivered']],
      ),
    }
  }

  /** Ids that went out of the book, as 52-bit numbers, older ones first. */
  goneIds(): number[] {
    return [...this.#gone[1], ...this.#gone[0]]
  }

  addGone(ids: Iterable<number>): void {
    for (const id of ids) {
      if (this.#gone[0].size >= GONE_MAX) this.#gone = [new Set(), this.#gone[0]]
      this.#gone[0].add(id)
    }
  }

  #isGone(id: string): boolean {
    const number = numberOf(id)
    return this.#gone[0].has(number) || this.#gone[1].has(number)
  }

  #trim(max: number): void {
    for (const alert of this.#alerts.values()) {
      if (this.#alerts.size <= max) return
      // A process that dies now must find it again, or nobody is ever told of it.
      if (this.#alerts.size <= max + WAITING_MAX && isWaiting(alert)) continue
      this.#alerts.delete(alert.id)
      this.#flows -= alert.flows.size
      this.addGone([numberOf(alert.id)])
    }
  }
}

/** The first 52 bits of an id that is itself a hash. */
function numberOf(uuid: string): number {
  return Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13) + uuid.slice(15, 16), 16)
}

function isWaiting({ deliveries }: BookedAlert): boolean {
  for (const mail of deliveries.values()) if (mail === undefined) return true
  return false
}

/** What a finding adds to what is known; undefined if nothing. */
function gainOf(
  known: BookedAlert | undefined,
  event: FindingEvent,
  now: number,
  room: boolean,
): AlertChange | undefined {
  const flow = numberOf(event.flowId)
  const change: AlertChange = {
    id: event.alertId,
    raisedAt: known?.raisedAt ?? now,
    first: event.ts,
    last: event.ts,
    flows: [flow.toString(16)],
  }
  if (known === undefined) return { ...change, evidence: event }
  const limit = room ? FLOWS_MAX : FLOWS_LEAST
  if (known.flows.has(flow) || known.flows.size >= limit) change.flows = []
  const worse = isWorse(event, known.evidence)
  const wider = event.ts < known.first || event.ts > known.last
  if (change.flows.length === 0 && !worse && !wider) return undefined
  return worse ? { ...change, evidence: event } : change
}

function joined(a: AlertChange, b: AlertChange): AlertChange {
  const evidence = b.evidence ?? a.evidence
  return {
    ...a,
    first: Math.min(a.first, b.first),
    last: Math.max(a.last, b.last),
    flows: [...a.flows, ...b.flows],
    ...(evidence === undefined ? {} : { evidence }),
  }
}

/** A total order of findings: the higher score, then the earlier, then by where they stand. */
function isWorse(a: FindingEvent, b: FindingEvent): boolean {
  if (a.score !== b.score) return a.score > b.score
  if (a.ts !== b.ts) return a.ts < b.ts
  if (a.chunkId !== b.chunkId) return a.chunkId < b.chunkId
  if (a.row !== b.row) return a.row < b.row
  return a.ruling > b.ruling
}

/** What is left of a mail that is no longer held. */
function toldMail(
  alert: BookedAlert,
  [endpoint, id, attempts, state]: NonNullable<AlertChange['told']>[number],
): Mail {
  return {
    id,
    endpoint,
    alerts: [alert.id],
    createdAt: alert.raisedAt,
    state,
    attempts,
    nextAt: 0,
    body: undefined,
    place: -1n,
  }
}
