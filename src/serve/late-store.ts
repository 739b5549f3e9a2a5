// A store that may be reached later than the rest begins: until then whoever asks is told so, and asks again. Capture,
// judgement and alerts do not wait for a database.

import type { ChunkState, DeadLetterNote, Slice, Store, StreamNote } from '../store/store.ts'
import { StoreUnreachableError } from '../store/store-error.ts'

/** Whoever asks waits so long for it to be there. */
const WAIT_MILLIS = 5000

export class LateStore implements Store {
  readonly temporary = false
  readonly address: string
  #store: Store | undefined
  #closed = false
  readonly #waiting = new Set<() => void>()

  /** @param address as it may be shown */
  constructor(address: string) {
    this.address = address
  }

  /** It is there. */
  reached(store: Store): void {
    this.#store = store
    for (const wake of this.#waiting) wake()
  }

  /** @throws StoreUnreachableError if it does not come for a while */
  async #there(): Promise<Store> {
    if (this.#store === undefined && !this.#closed) await this.#wait()
    if (this.#store !== undefined && !this.#closed) return this.#store
    const state = this.#closed ? 'is closed' : 'is not reached yet'
    throw new StoreUnreachableError(`the store ${this.address} ${state}`)
  }

  async #wait(): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, WAIT_MILLIS)
      this.#waiting.add(done)
    })
  }

  async completed(chunkIds: readonly string[]): Promise<Map<string, ChunkState>> {
    return await (await this.#there()).completed(chunkIds)
  }

  async insertSlice(slice: Slice): Promise<void> {
    await (await this.#there()).insertSlice(slice)
  }

  async noteDeadLetters(letters: readonly DeadLetterNote[]): Promise<void> {
    await (await this.#there()).noteDeadLetters(letters)
  }

  async noteStream(notes: readonly StreamNote[]): Promise<void> {
    await (await this.#there()).noteStream(notes)
  }

  async wantBack(chunkIds: readonly string[]): Promise<void> {
    await (await this.#there()).wantBack(chunkIds)
  }

  async noteRun(run: string, chunkIds: readonly string[]): Promise<void> {
    await (await this.#there()).noteRun(run, chunkIds)
  }

  query: Store['query'] = async (name, params) => await (await this.#there()).query(name, params)

  async close(): Promise<void> {
    const store = this.#store
    this.#closed = true
    for (const wake of this.#waiting) wake()
    await store?.close()
  }
}
