// A store that tries again when a failure may be over soon: a server that starts anew, too many parts, a connection
// cut before the answer. Everything a store is asked can be asked twice, so also an answer that was lost is no harm.

import { setTimeout as sleep } from 'node:timers/promises'
import type { QueryName, StoreQueries } from './queries.ts'
import type { ChunkState, DeadLetterNote, Slice, Store, StreamNote } from './store.ts'
import { StoreError, StoreSilentError, StoreUnreachableError } from './store-error.ts'

/** Pauses between tries, in milliseconds: a server that is back within eight seconds is waited for. */
export const PAUSES: readonly number[] = [250, 500, 1000, 2000, 4000]

/**
 * `store`, which tries what fails with a retriable StoreError again after each of the pauses. Then the last error
 * is thrown, and says so.
 * @param signal ends the pauses; its reason is thrown. So does closing the store, with the error that was met.
 */
export function steadfast(
  store: Store,
  signal: AbortSignal,
  pauses: readonly number[] = PAUSES,
): Store {
  return new SteadfastStore(store, signal, pauses)
}

class SteadfastStore implements Store {
  readonly address: string
  readonly temporary: boolean
  readonly #store: Store
  readonly #signal: AbortSignal
  readonly #pauses: readonly number[]
  readonly #closing = new AbortController()

  constructor(store: Store, signal: AbortSignal, pauses: readonly number[]) {
    this.#store = store
    this.#signal = signal
    this.#pauses = pauses
    this.address = store.address
    this.temporary = store.temporary
  }

  completed(chunkIds: readonly string[]): Promise<Map<string, ChunkState>> {
    return this.#try(() => this.#store.completed(chunkIds))
  }

  /** The store looks at what is there of a slice before it writes, so a lost answer doubles nothing. */
  insertSlice(slice: Slice): Promise<void> {
    return this.#try(() => this.#store.insertSlice(slice), true)
  }

  noteRun(run: string, chunkIds: readonly string[]): Promise<void> {
    return this.#try(() => this.#store.noteRun(run, chunkIds))
  }

  noteDeadLetters(letters: readonly DeadLetterNote[]): Promise<void> {
    return this.#try(() => this.#store.noteDeadLetters(letters))
  }

  wantBack(chunkIds: readonly string[]): Promise<void> {
    return this.#try(() => this.#store.wantBack(chunkIds))
  }

  noteStream(notes: readonly StreamNote[]): Promise<void> {
    return this.#try(() => this.#store.noteStream(notes))
  }

  query<N extends QueryName>(
    name: N,
    params: StoreQueries[N]['params'],
  ): Promise<StoreQueries[N]['row'][]> {
    return this.#try(() => this.#store.query(name, params))
  }

  close(): Promise<void> {
    this.#closing.abort()
    return this.#store.close()
  }

  /** @param silence whether to ask a server again that took the question and never answered: it was waited for */
  async #try<T>(work: () => Promise<T>, silence = false): Promise<T> {
    const passes = (error: unknown): error is StoreError =>
      error instanceof StoreError &&
      error.retriable &&
      (silence || !(error instanceof StoreSilentError))
    for (const pause of this.#pauses) {
      try {
        return await work()
      } catch (error) {
        if (!passes(error)) throw error
        await this.#pause(pause, error)
      }
    }
    try {
      return await work()
    } catch (error) {
      throw passes(error) ? this.#givenUp(error) : error
    }
  }

  async #pause(millis: number, error: StoreError): Promise<void> {
    try {
      await sleep(millis, undefined, {
        signal: AbortSignal.any([this.#signal, this.#closing.signal]),
      })
    } catch {
      this.#signal.throwIfAborted()
      throw error
    }
  }

  #givenUp(error: StoreError): StoreError {
    const seconds = Math.round(this.#pauses.reduce((sum, pause) => sum + pause, 0) / 1000)
    const words = `${error.message}; tried ${this.#pauses.length + 1} times in ${seconds} seconds; what is stored stays, run again to complete it`
    const options = { cause: error, code: error.code }
    if (error instanceof StoreUnreachableError) return new StoreUnreachableError(words, options)
    if (error instanceof StoreSilentError) return new StoreSilentError(words, options)
    return new StoreError(words, options)
  }
}
