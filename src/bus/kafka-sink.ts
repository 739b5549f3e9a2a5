// Sends messages to a topic. Per partition one request is under way at a time, so messages of one key keep their
// order, and a message is sent again until it is acknowledged by all replicas in sync: what may come of that is a
// message twice, never one less.
//
// The producer is not "idempotent" on purpose. kafkajs takes the sequence number of a request back when it times out
// and gives it to whatever is sent next; if the first one did arrive, the broker takes the second for a repetition,
// acknowledges it and drops it. Chunks have ids, so a repetition is harmless; a loss is not.

import type { Producer } from 'kafkajs'
import {
  BusError,
  checkOutgoing,
  messageBytesMax,
  type Outgoing,
  type Place,
  parseLaneKey,
  type Sink,
  type TellTrouble,
} from './bus.ts'
import { crc32c } from './crc32c.ts'
import { busErrorOf, disconnect, type KafkaSettings, kafkaClient } from './kafka-client.ts'
import { checkTopic } from './kafka-topics.ts'
import { CompressionTypes, Partitioners } from './kafkajs.ts'

export interface KafkaSinkSettings extends KafkaSettings {
  topic: string
}

interface Waiting {
  message: Outgoing
  resolve: (place: Place) => void
  reject: (error: unknown) => void
}

/** Messages that are sent together, in bytes before compression: a default broker takes 1 MiB. */
const REQUEST_BYTES = 900 << 10
/** Only where nobody answers: to try costs nothing, and what arrives piles up meanwhile. */
const BACKOFF_MILLIS = [250, 500, 1000, 2000]
/** How long `close` waits for what is open. */
const CLOSE_MILLIS = 5000

/**
 * The partition of a key. Lanes of one sensor are dealt evenly, which a hash of the whole key would not do.
 */
export function partitionOf(key: string, partitions: number): number {
  const lane = parseLaneKey(key)
  if (lane === undefined) return crc32c(Buffer.from(key)) % partitions
  return (crc32c(Buffer.from(lane.sensor)) + lane.lane) % partitions
}

export class KafkaSink implements Sink {
  readonly #settings: KafkaSinkSettings
  readonly #tell: TellTrouble
  readonly #producer: Producer
  readonly #queues = new Map<number, { waiting: Waiting[]; running: Promise<void> | undefined }>()
  readonly #closing = new AbortController()
  #ready: Promise<number> | undefined
  #unreachable = false
  readonly counters = { sent: 0, sentBytes: 0, requests: 0, retries: 0 }

  constructor(settings: KafkaSinkSettings, tell: TellTrouble) {
    this.#settings = settings
    this.#tell = tell
    this.#producer = kafkaClient(settings, 2).producer({
      allowAutoTopicCreation: false,
      // Not used, as each message has its partition; without it kafkajs warns of a change of its default.
      createPartitioner: Partitioners.DefaultPartitioner,
      metadataMaxAge: 60_000,
    })
  }

  async send(message: Outgoing, signal?: AbortSignal): Promise<Place> {
    checkOutgoing(message, messageBytesMax(this.#settings.topic))
    this.#throwIfClosed()
    signal?.throwIfAborted()
    const partitions = await this.#connected(signal)
    this.#throwIfClosed()
    const partition = partitionOf(message.key, partitions)
    let queue = this.#queues.get(partition)
    if (queue === undefined)
      this.#queues.set(partition, (queue = { waiting: [], running: undefined }))
    const { waiting } = queue
    return await new Promise<Place>((resolve, reject) => {
      const mine: Waiting = { message, resolve, reject }
      const abort = () => {
        const at = waiting.indexOf(mine)
        if (at >= 0) waiting.splice(at, 1)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', abort, { once: true })
      const forget = () => signal?.removeEventListener('abort', abort)
      mine.resolve = (place) => {
        forget()
        resolve(place)
      }
      mine.reject = (error) => {
        forget()
        reject(error)
      }
      waiting.push(mine)
      queue.running ??= this.#drain(partition, queue)
    })
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    const open = [...this.#queues.values()].map(({ running }) => running)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MILLIS)
    })
    await Promise.race([Promise.all(open), late])
    clearTimeout(timer)
    this.#closing.abort()
    await disconnect(this.#producer)
  }

  #throwIfClosed(): void {
    if (this.#closing.signal.aborted) throw new BusError('closed', 'the Kafka sink is closed')
  }

  /** The number of partitions, once the cluster was reached. */
  async #connected(signal: AbortSignal | undefined): Promise<number> {
    this.#ready ??= this.#untilReached(async () => {
      const partitions = await checkTopic(this.#settings, this.#settings.topic)
      await this.#producer.connect()
      return partitions
    }).catch((error) => {
      // The next send may find things mended.
      this.#ready = undefined
      throw error
    })
    if (signal === undefined) return await this.#ready
    let abort = () => {}
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
    })
    try {
      return await Promise.race([this.#ready, aborted])
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  async #drain(
    partition: number,
    queue: { waiting: Waiting[]; running: Promise<void> | undefined },
  ): Promise<void> {
    while (queue.waiting.length > 0) {
      const group = takeGroup(queue.waiting)
      try {
        await this.#sendGroup(partition, group)
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    // In the same turn as the last look.
    queue.running = undefined
  }

  async #sendGroup(partition: number, group: readonly Waiting[]): Promise<void> {
    try {
      const base = await this.#untilReached(() => this.#request(partition, group))
      for (const [at, { resolve }] of group.entries())
        resolve({ stream: this.#settings.topic, partition, offset: base + BigInt(at) })
    } catch (error) {
      if (!(error instanceof BusError) || error.kind !== 'too_large' || group.length === 1)
        throw error
      // Together they are too large for this topic; alone they may not be.
      for (const one of group)
        await this.#sendGroup(partition, [one]).catch((fault) => one.reject(fault))
    }
  }

  /** The offset of the first message. */
  async #request(partition: number, group: readonly Waiting[]): Promise<bigint> {
    const { topic } = this.#settings
    const messages = group.map(({ message: { key, bytes } }) => ({
      key,
      value: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      partition,
    }))
    this.counters.requests++
    const [answer] = await this.#producer.send({
      topic,
      messages,
      acks: -1,
      compression: CompressionTypes.LZ4,
    })
    this.counters.sent += messages.length
    this.counters.sentBytes += messages.reduce((sum, { value }) => sum + value.length, 0)
    return BigInt(answer?.baseOffset ?? '-1')
  }

  /** Tries until it succeeds, is refused, or the sink is closed. */
  async #untilReached<T>(work: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        const done = await work()
        if (this.#unreachable) {
          this.#unreachable = false
          this.#tellState('recovered', 'messages are acknowledged again')
        }
        return done
      } catch (error) {
        const fault = busErrorOf(error, `Kafka at ${this.#settings.brokers.join(',')}`)
        if (this.#closing.signal.aborted)
          throw new BusError('closed', 'the Kafka sink was closed', { cause: error })
        if (fault.kind !== 'unreachable') throw fault
        this.counters.retries++
        if (!this.#unreachable) {
          this.#unreachable = true
          this.#tellState('unreachable', fault.message)
        }
        await this.#pause(BACKOFF_MILLIS[Math.min(tries, BACKOFF_MILLIS.length - 1)]!)
      }
    }
  }

  #tellState(kind: 'unreachable' | 'recovered', detail: string): void {
    this.#tell({ kind, where: this.#settings.topic, detail })
  }

  #pause(millis: number): Promise<void> {
    const { signal } = this.#closing
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, millis)
      signal.addEventListener('abort', done)
    })
  }
}

function takeGroup(waiting: Waiting[]): Waiting[] {
  let size = 0
  let count = 0
  for (const { message } of waiting) {
    size += message.bytes.length + message.key.length
    if (count > 0 && size > REQUEST_BYTES) break
    count++
  }
  return waiting.splice(0, count)
}
