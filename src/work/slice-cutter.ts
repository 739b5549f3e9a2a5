// Cuts the messages of a partition into slices: runs that are stored by one INSERT a table and day. A slice ends when
// it is large, or when its first message has waited long enough. Order stays, nothing is left out.

import type { Message } from './message.ts'

export interface SliceLimits {
  /** Messages, flow records and bytes of a slice at most; one message alone may be larger. */
  chunks: number
  records: number
  bytes: number
  /** How long the first message of a slice waits for more. */
  lingerMillis: number
}

export class SliceCutter<M extends Message = Message> {
  readonly #limits: () => SliceLimits
  #messages: M[] = []
  #records = 0
  #bytes = 0
  #since = 0

  /** @param limits asked each time: they may change with the load */
  constructor(limits: () => SliceLimits) {
    this.#limits = limits
  }

  get empty(): boolean {
    return this.#messages.length === 0
  }

  /**
   * Takes the next message. @returns the slice before it, if it does not fit in there any more
   * @param now milliseconds of any clock that does not go back
   */
  add(message: M, now: number): M[] | undefined {
    const limits = this.#limits()
    const fits =
      this.empty ||
      (this.#messages.length < limits.chunks &&
        this.#records + message.records <= limits.records &&
        this.#bytes + message.delivery.bytes.length <= limits.bytes)
    const before = fits ? undefined : this.cut()
    if (this.empty) this.#since = now
    this.#messages.push(message)
    this.#records += message.records
    this.#bytes += message.delivery.bytes.length
    return before
  }

  /** Nothing more fits in. */
  get full(): boolean {
    const { chunks, records, bytes } = this.#limits()
    return this.#messages.length >= chunks || this.#records >= records || this.#bytes >= bytes
  }

  /** Milliseconds until the slice is to be cut: 0 if it is full or has waited long enough. Never call it when empty. */
  due(now: number): number {
    return this.full ? 0 : Math.max(0, this.#since + this.#limits().lingerMillis - now)
  }

  /** What was collected, and begins anew. */
  cut(): M[] {
    const messages = this.#messages
    this.#messages = []
    this.#records = 0
    this.#bytes = 0
    return messages
  }
}
