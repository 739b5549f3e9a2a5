// What happens, told to whoever looks on: pages, terminals, the live stream. Nobody is waited for, and what is told here
// is gone after a while: what must not be lost stands in the outbox and in the store.

import type { Log } from '../telemetry.ts'
import type { AlertView, DeliveryStep } from './alert-view.ts'
import type { RevocationView } from './revoke-desk.ts'

export const HUB_EVENT_TYPES = ['alert', 'delivery', 'revocation', 'notice'] as const
export type HubEventType = (typeof HUB_EVENT_TYPES)[number]

/** What is told of each. */
export interface HubData {
  alert: AlertView
  delivery: DeliveryStep
  revocation: RevocationView
  /** JSON values. */
  notice: Readonly<Record<string, unknown>>
}

interface Told<T extends HubEventType> {
  /** Counts up over all types, in this process, from the millisecond of its start times 1,000: ids never go back. */
  id: number
  type: T
  /** Milliseconds since 1970. */
  at: number
  data: HubData[T]
}

export type HubEvent = { [T in HubEventType]: Told<T> }[HubEventType]

export type HubListener = (event: HubEvent) => void

/** Events of each type that can be had again. */
export const HUB_RING = 1000
/** Listeners at once. */
export const HUB_LISTENERS_MAX = 1000

/** There are too many listeners already. */
export class HubFull extends Error {
  override readonly name = 'HubFull'
}

export class Hub {
  readonly #log: Log
  readonly #now: () => number
  /** By type, oldest first. */
  readonly #rings = new Map<HubEventType, HubEvent[]>()
  readonly #listeners = new Set<HubListener>()
  #nextId: number
  /** Listeners that threw, and are told nothing more. */
  #thrownOut = 0

  constructor(log: Log, now: () => number = Date.now) {
    this.#log = log
    this.#now = now
    this.#nextId = now() * 1000
    for (const type of HUB_EVENT_TYPES) this.#rings.set(type, [])
  }

  get listeners(): number {
    return this.#listeners.size
  }

  get thrownOut(): number {
    return this.#thrownOut
  }

  publish<T extends HubEventType>(type: T, data: HubData[T]): Told<T> {
    const told: Told<T> = { id: this.#nextId++, type, at: this.#now(), data }
    // The compiler does not see that each of them is one of all.
    const event = told as HubEvent
    const ring = this.#rings.get(type)!
    ring.push(event)
    // In bulk, because taking the first off a list of thousands is not free.
    if (ring.length >= 2 * HUB_RING) ring.splice(0, ring.length - HUB_RING)
    for (const listener of this.#listeners)
      try {
        listener(event)
      } catch (error) {
        this.#listeners.delete(listener)
        this.#thrownOut++
        this.#log('warn', 'a listener failed and is told nothing more', { err: error })
      }
    return told
  }

  /** Events after this id, as far as they are remembered, in order. Of each type the last HUB_RING. */
  since(id: number): HubEvent[] {
    return [...this.#rings.values()]
      .flatMap((ring) => ring.slice(-HUB_RING).filter((event) => event.id > id))
      .sort((a, b) => a.id - b.id)
  }

  /**
   * Calls `listener` with every event from now on, in the turn it happens: it must take it and return. Who cannot keep
   * up cuts itself off; one that throws is taken off.
   * @returns ends it
   * @throws HubFull
   */
  subscribe(listener: HubListener): () => void {
    if (this.#listeners.size >= HUB_LISTENERS_MAX)
      throw new HubFull(`${HUB_LISTENERS_MAX} listeners are the most`)
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}
