// The end of a topic as it grows, for those who look on: all partitions, from outside any group, so that each of any
// number of them sees everything and nothing is left behind at the brokers. What was missed is not fetched again.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Delivery, TellTrouble } from './bus.ts'
import { busErrorOf, type KafkaSettings, protocolType } from './kafka-client.ts'
import { KafkaReader } from './kafka-reader.ts'

/** A broker answers as soon as there is anything, at the latest after this. */
const WAIT_MILLIS = 1000
/** Partitions may be added to a topic, and move between brokers: looked at anew so often. */
const LOOK_MILLIS = 30_000
const PAUSE_MILLIS = 250
const PAUSE_MAX_MILLIS = 5000

export class KafkaTail {
  readonly #settings: KafkaSettings
  readonly #reader: KafkaReader
  readonly #tell: TellTrouble
  /** The offset that is read next, by partition. */
  readonly #positions = new Map<number, bigint>()
  #unreachable = false

  /**
   * @param back messages of each partition that are handed out although they are older
   * @throws BusError `unreachable`, `refused`, or `no_stream` if there is no such topic
   */
  static async open(
    settings: KafkaSettings,
    topic: string,
    back: bigint,
    tell: TellTrouble,
  ): Promise<KafkaTail> {
    const tail = new KafkaTail(settings, await KafkaReader.open(settings, topic), tell)
    try {
      for (const { partition, first, end } of await tail.#reader.ranges()) {
        const held = end - first
        tail.#positions.set(partition, end - (held < back ? held : back))
      }
    } catch (error) {
      await tail.close()
      throw error
    }
    return tail
  }

  private constructor(settings: KafkaSettings, reader: KafkaReader, tell: TellTrouble) {
    this.#settings = settings
    this.#reader = reader
    this.#tell = tell
  }

  /**
   * Hands out what comes, each partition in order, until the signal aborts. A broker that is gone is waited for.
   * @throws BusError `refused`: what waiting does not mend
   */
  async run(take: (delivery: Delivery) => void, signal: AbortSignal): Promise<void> {
    for (let pause = PAUSE_MILLIS; !signal.aborted; ) {
      const round = new AbortController()
      const over = AbortSignal.any([signal, round.signal, AbortSignal.timeout(LOOK_MILLIS)])
      try {
        const leaders = this.#reader.leaders()
        await Promise.all(
          [...leaders].map(async ([node, partitions]) => {
            try {
              while (!over.aborted) {
                await this.#fetch(node, partitions, take, over)
                this.#heard()
                pause = PAUSE_MILLIS
              }
            } finally {
              round.abort()
            }
          }),
        )
      } catch (error) {
        if (signal.aborted) return
        if (protocolType(error) === 'OFFSET_OUT_OF_RANGE') await this.#moveOn()
        else this.#failed(error)
        await sleep(pause, undefined, { signal }).catch(() => {})
        pause = Math.min(PAUSE_MAX_MILLIS, pause * 2)
      }
      if (!signal.aborted) await this.#reader.refresh()
    }
  }

  async close(): Promise<void> {
    await this.#reader.close()
  }

  async #fetch(
    node: number,
    partitions: readonly number[],
    take: (delivery: Delivery) => void,
    over: AbortSignal,
  ): Promise<void> {
    const wanted = partitions.map((partition) => ({
      partition,
      // One that was added since begins at its beginning.
      from: this.#positions.get(partition) ?? 0n,
    }))
    for (const delivery of await this.#reader.fetchFrom(node, wanted, WAIT_MILLIS)) {
      if (over.aborted) return
      const { partition, offset } = delivery
      // A batch is handed over whole, whatever was asked for.
      if (offset < (this.#positions.get(partition) ?? 0n)) continue
      this.#positions.set(partition, offset + 1n)
      if (delivery.bytes.length > 0) take(delivery)
    }
  }

  /** What was to be read is gone, or the topic was made anew. */
  async #moveOn(): Promise<void> {
    try {
      for (const { partition, first, end } of await this.#reader.ranges()) {
        const position = this.#positions.get(partition) ?? 0n
        if (position >= first && position <= end) continue
        this.#positions.set(partition, position < first ? first : end)
        this.#tell({
          kind: 'hole',
          where: `${this.#reader.topic} ${partition}:${position}`,
          detail: 'it was removed before it was read',
        })
      }
    } catch (error) {
      this.#failed(error)
    }
  }

  /** @throws BusError if it does not pass */
  #failed(error: unknown): void {
    const fault = busErrorOf(error, `Kafka at ${this.#settings.brokers.join(',')}`)
    // A broker that has just begun does not know its topics yet.
    if (fault.kind !== 'unreachable' && fault.kind !== 'no_stream') throw fault
    if (!this.#unreachable)
      this.#tell({ kind: 'unreachable', where: this.#reader.topic, detail: fault.message })
    this.#unreachable = true
  }

  #heard(): void {
    if (this.#unreachable)
      this.#tell({ kind: 'recovered', where: this.#reader.topic, detail: 'it is read again' })
    this.#unreachable = false
  }
}
