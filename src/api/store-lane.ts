// The way from the API to the store: a few questions at a time, a few more in a queue, the rest is sent away at once.
// So a crowd at the pages takes no more of the store than a few of them.

import type { QueryName, StoreQueries } from '../store/queries.ts'
import type { Store } from '../store/store.ts'
import { StoreError } from '../store/store-error.ts'
import { counter, type Log, type Sample } from '../telemetry.ts'
import { Refusal } from './house-rules.ts'

/** Questions at one time, and those that may wait. */
const RUNNING_MAX = 2
const WAITING_MAX = 32
/** ClickHouse refuses what would take too long, too many rows or too much memory. */
const TOO_MUCH = new Set([158, 159, 160, 241, 307, 396])

export class StoreLane {
  readonly #store: Pick<Store, 'query'>
  readonly #log: Log
  readonly #waiting: (() => void)[] = []
  #running = 0
  #asked = 0
  #sentAway = 0

  constructor(store: Pick<Store, 'query'>, log: Log) {
    this.#store = store
    this.#log = log
  }

  /** As `Store.query`. @throws Refusal that says to whom asked what went wrong, and no more */
  async query<N extends QueryName>(
    name: N,
    params: StoreQueries[N]['params'],
  ): Promise<StoreQueries[N]['row'][]> {
    this.#asked++
    await this.#turn()
    try {
      return await this.#store.query(name, params)
    } catch (error) {
      throw this.#refusal(name, error)
    } finally {
      this.#running--
      this.#waiting.shift()?.()
    }
  }

  samples(): Sample[] {
    return [
      counter('api_store_questions_total', 'Questions to the store', this.#asked),
      counter(
        'api_store_refused_total',
        'Questions to the store that found no room in the queue',
        this.#sentAway,
      ),
    ]
  }

  async #turn(): Promise<void> {
    if (this.#running >= RUNNING_MAX) {
      if (this.#waiting.length >= WAITING_MAX) {
        this.#sentAway++
        throw new Refusal(503, 'too many questions at once: ask again in a moment', 2)
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#running++
  }

  #refusal(name: QueryName, error: unknown): unknown {
    if (!(error instanceof StoreError)) return error
    if (error.code !== undefined && TOO_MUCH.has(error.code))
      return new Refusal(
        422,
        'that is too much for one page: ask for less time, or with more filters',
      )
    this.#log('error', 'the store did not answer a question of the API', {
      query: name,
      reason: error.message,
    })
    return new Refusal(503, 'the store does not answer now: the log says why', 5)
  }
}
