// Records of a journal that are durable and still in memory: the consumer of a process that keeps up gets them without
// reading them back. What has no room here is on the disk like everything else.

import type { Delivery, Outgoing } from './bus.ts'

export class KeptRecords {
  readonly #stream: string
  readonly #bytesMax: number
  readonly #records = new Map<bigint, Delivery>()
  #bytes = 0

  /** @param bytesMax of all messages together; 0 keeps nothing */
  constructor(stream: string, bytesMax: number) {
    this.#stream = stream
    this.#bytesMax = bytesMax
  }

  /** Whether anything is ever kept. */
  get enabled(): boolean {
    return this.#bytesMax > 0
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes
  }

  /** Keeps a record if there is room. Ids ascend. */
  keep(id: bigint, acceptedAt: number, { key, bytes }: Outgoing): void {
    if (this.#bytes + bytes.length > this.#bytesMax) return
    this.#bytes += bytes.length
    this.#records.set(id, {
      stream: this.#stream,
      partition: 0,
      offset: id,
      acceptedAt,
      key,
      bytes,
    })
  }

  /** The record of this id, if it is kept; it and those before it are forgotten. */
  take(id: bigint): Delivery | undefined {
    for (const [kept, record] of this.#records) {
      if (kept > id) return undefined
      this.#records.delete(kept)
      this.#bytes -= record.bytes.length
      if (kept === id) return record
    }
    return undefined
  }
}
