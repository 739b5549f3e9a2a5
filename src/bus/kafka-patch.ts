// What kafkajs 2.2.4 gets wrong and offers no setting for, replaced from outside. Loading another version fails: each
// of these must be looked at again first.
//
// - RequestQueue arms a timer of 1 ms for ever, also when nothing waits (kafkajs#1556; a negative delay on Node 24).
// - `Consumer#commitOffsets` repeats a refused commit under the generation that is current by then, and says nothing
//   when the consumer does not run, so a member that lost its partition may commit it. Here a membership is frozen
//   when it is won, and its commits carry its own generation: the broker refuses them afterwards.
// - Ending a connection whose socket is gone already leaves a listener on the dead socket, each time: one for every try of
//   a client whose broker is away.
// - OFFSET_OUT_OF_RANGE moves the group to a default offset silently. Here the consumer is asked.
// - What is sent is copied some ten times, each time into a zeroed buffer of the next power of two: 12 MB of memory for a
//   chunk of 1.7 MB, which is a full collection every few chunks. And its CRC-32C takes a byte at a time.
// - What a fetch brings is decompressed without a bound, and what cannot be decoded ends the consumer (kafka-records.ts).

import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { crc32c } from './crc32c.ts'
import { recordsOf } from './kafka-records.ts'

const require = createRequire(import.meta.url)

/** The version whose insides this file knows. */
export const KAFKAJS_VERSION = '2.2.4'

/** kafkajs's reader of a response. */
interface ResponseDecoder {
  readInt32(): number
  canReadBytes(length: number): boolean
  readBytes(length: number): Buffer
}

interface RequestQueue {
  pending: unknown[]
  throttledUntil: number
  throttleCheckTimeoutId: NodeJS.Timeout | null
  checkPendingRequests(): void
}

interface Connection {
  socket?: Socket
}

export interface GroupCoordinator {
  offsetCommit(request: {
    groupId: string
    memberId: string
    groupGenerationId: number
    topics: {
      topic: string
      partitions: { partition: number; offset: string; metadata: string }[]
    }[]
  }): Promise<unknown>
  offsetFetch(request: {
    groupId: string
    topics: { topic: string; partitions: { partition: number }[] }[]
  }): Promise<{
    responses: {
      topic: string
      partitions: { partition: number; offset: string; metadata: string | null }[]
    }[]
  }>
}

export interface GroupCluster {
  findGroupCoordinator(request: { groupId: string }): Promise<GroupCoordinator>
  fetchTopicsOffset(
    topics: { topic: string; partitions: { partition: number }[]; fromBeginning: boolean }[],
  ): Promise<{ topic: string; partitions: { partition: number; offset: string }[] }[]>
}

interface OffsetManager {
  nextOffset(topic: string, partition: number): { toString(): string }
  resolveOffset(place: { topic: string; partition: number; offset: string }): void
}

interface ConsumerGroup {
  cluster: GroupCluster
  groupId: string
  generationId: number
  memberId: string
  offsetManager: OffsetManager
  assigned(): { topic: string; partitions: number[] }[]
  resume(topics: { topic: string; partitions: number[] }[]): void
  joinAndSync(): Promise<unknown>
  recoverFromOffsetOutOfRange(error: { topic: string; partition: number }): Promise<void>
}

/** One generation of a group as one member lived it. It never changes. */
export class Membership {
  readonly cluster: GroupCluster
  readonly groupId: string
  readonly generationId: number
  readonly memberId: string
  readonly assigned: readonly { topic: string; partitions: readonly number[] }[]
  readonly #offsets: OffsetManager

  constructor(group: ConsumerGroup) {
    this.cluster = group.cluster
    this.groupId = group.groupId
    this.generationId = group.generationId
    this.memberId = group.memberId
    this.assigned = group.assigned().map(({ topic, partitions }) => ({
      topic,
      partitions: [...partitions],
    }))
    this.#offsets = group.offsetManager
  }

  /** Where the next fetch will begin. */
  position(topic: string, partition: number): bigint {
    return BigInt(this.#offsets.nextOffset(topic, partition).toString())
  }

  moveTo(topic: string, partition: number, offset: bigint): void {
    this.#offsets.resolveOffset({ topic, partition, offset: String(offset - 1n) })
  }

  /** @throws what the coordinator says, at the first try: also when this generation is over */
  async commit(topic: string, partition: number, offset: bigint, metadata: string): Promise<void> {
    const { groupId, memberId, generationId } = this
    const coordinator = await this.cluster.findGroupCoordinator({ groupId })
    const partitions = [{ partition, offset: String(offset), metadata }]
    await coordinator.offsetCommit({
      groupId,
      memberId,
      groupGenerationId: generationId,
      topics: [{ topic, partitions }],
    })
  }
}

/** What a consumer is asked by its group. */
export interface GroupListener {
  /** The group is about to be joined anew: all partitions are lost. */
  leaving(): void
  /** Before anything is fetched. */
  joined(membership: Membership): Promise<void>
  /** The broker has nothing at the position of a partition. Must move it, or the same happens again. */
  outOfRange(topic: string, partition: number): Promise<void>
}

const listeners = new WeakMap<object, GroupListener>()

/** Attaches a listener to the group whose cluster this is (an assigner of partitions is given it). */
export function listenToGroup(cluster: object, listener: GroupListener): void {
  listeners.set(cluster, listener)
}

interface ErrorCode {
  message: string
  retriable: boolean
}

/** Messages of protocol errors that kafkajs tries again by itself. */
export const RETRIABLE_MESSAGES: ReadonlySet<string> = new Set(
  (require('kafkajs/src/protocol/error') as { errorCodes: ErrorCode[] }).errorCodes
    .filter(({ retriable }) => retriable)
    .map(({ message }) => message),
)

/** How long a request waits that has no room among those in flight, when no answer comes in between. */
const CHECK_PENDING_MILLIS = 10

function patch(): void {
  const { version } = require('kafkajs/package.json') as { version: string }
  if (version !== KAFKAJS_VERSION)
    throw new Error(`kafkajs is ${version}; kafka-patch.ts knows ${KAFKAJS_VERSION} only`)

  const queue = require('kafkajs/src/network/requestQueue') as { prototype: object }
  Object.assign(queue.prototype, {
    scheduleCheckPendingRequests(this: RequestQueue) {
      if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return
      const throttled = this.throttledUntil - Date.now()
      this.throttleCheckTimeoutId = setTimeout(
        () => {
          this.throttleCheckTimeoutId = null
          this.checkPendingRequests()
        },
        throttled > 0 ? throttled : CHECK_PENDING_MILLIS,
      )
    },
  })

  const connection = require('kafkajs/src/network/connection') as {
    prototype: { disconnect(): Promise<boolean> }
  }
  const { disconnect } = connection.prototype
  Object.assign(connection.prototype, {
    async disconnect(this: Connection) {
      const { socket } = this
      // Waits for a connection that never comes, to do nothing then.
      if (socket?.destroyed === true) socket.unref = () => socket
      return await disconnect.call(this)
    },
  })

  const group = require('kafkajs/src/consumer/consumerGroup') as { prototype: ConsumerGroup }
  const { joinAndSync, recoverFromOffsetOutOfRange } = group.prototype
  Object.assign(group.prototype, {
    async joinAndSync(this: ConsumerGroup) {
      const listener = listeners.get(this.cluster)
      listener?.leaving()
      await joinAndSync.call(this)
      if (listener === undefined) return
      // A pause is of the membership before, whose messages are all forgotten.
      this.resume(this.assigned())
      await listener.joined(new Membership(this))
    },
    async recoverFromOffsetOutOfRange(
      this: ConsumerGroup,
      error: { topic: string; partition: number },
    ) {
      const listener = listeners.get(this.cluster)
      if (listener === undefined) await recoverFromOffsetOutOfRange.call(this, error)
      else await listener.outOfRange(error.topic, error.partition)
    },
  })
}

/** Versions 4 to 11 of the answer to a fetch share one function for its messages, which they take when first used. */
function patchFetch(): void {
  const fetch = 'kafkajs/src/protocol/requests/fetch'
  for (const version of [4, 5, 7, 8, 11])
    if (require.cache[require.resolve(`${fetch}/v${version}/response`)] !== undefined)
      throw new Error('kafka-patch.ts must be loaded before kafkajs fetches')
  const name = `${fetch}/v4/decodeMessages`
  require(name)
  require.cache[require.resolve(name)]!.exports = async (decoder: ResponseDecoder) => {
    const size = decoder.readInt32()
    if (size <= 0 || !decoder.canReadBytes(size)) return []
    return await recordsOf(decoder.readBytes(size))
  }
}

interface Encoder {
  buf: Buffer
  offset: number
}

/** Buffers that are at least as large as this grow to what is asked for, not to the next power of two. */
const EXACT_FROM = 1 << 16

function patchSending(): void {
  const checksum = 'kafkajs/src/protocol/recordBatch/crc32C'
  if (require.cache[require.resolve('kafkajs/src/protocol/recordBatch/v0')] !== undefined)
    throw new Error('kafka-patch.ts must be loaded before kafkajs sends')
  require(checksum)
  require.cache[require.resolve(checksum)]!.exports = (bytes: Buffer) => crc32c(bytes)
  const encoder = require('kafkajs/src/protocol/encoder') as { prototype: Encoder }
  Object.assign(encoder.prototype, {
    ensureAvailable(this: Encoder, length: number) {
      const needed = this.offset + length
      if (needed <= this.buf.length) return
      const size = needed < EXACT_FROM ? 2 ** Math.ceil(Math.log2(needed + 1)) : needed + 64
      const larger = Buffer.allocUnsafeSlow(size)
      this.buf.copy(larger, 0, 0, this.offset)
      this.buf = larger
    },
  })
}

patch()
patchSending()
patchFetch()
