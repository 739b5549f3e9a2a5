// Where a member of a group stands in its partitions: what the group has committed, and what the broker holds.

import { busErrorOf } from './kafka-client.ts'
import type { Membership } from './kafka-patch.ts'
import { KafkaJSNonRetriableError } from './kafkajs.ts'

export interface Stand {
  partition: number
  /** The committed offset, below 0 if there is none, and what was noted with it. */
  committed: bigint
  metadata: string
  /** The oldest offset that the broker has, and the one that the next message will have. */
  first: bigint
  end: bigint
}

/** The offset that the next message of each partition will have. @throws what kafkajs says */
export async function fetchEnds(
  membership: Membership,
  topic: string,
  partitions: readonly number[],
): Promise<Map<number, bigint>> {
  return await fetchLimits(membership, topic, partitions, false)
}

/** @throws KafkaJSNonRetriableError: without this nothing may be delivered, so the consumer must end */
export async function fetchStands(
  membership: Membership,
  topic: string,
  partitions: readonly number[],
): Promise<Stand[]> {
  const { cluster, groupId } = membership
  try {
    const coordinator = await cluster.findGroupCoordinator({ groupId })
    const wanted = partitions.map((partition) => ({ partition }))
    const { responses } = await coordinator.offsetFetch({
      groupId,
      topics: [{ topic, partitions: wanted }],
    })
    const [firsts, ends] = await Promise.all([
      fetchLimits(membership, topic, partitions, true),
      fetchLimits(membership, topic, partitions, false),
    ])
    return responses[0]!.partitions.map(({ partition, offset, metadata }) => ({
      partition,
      committed: BigInt(offset),
      metadata: metadata ?? '',
      first: firsts.get(partition)!,
      end: ends.get(partition)!,
    }))
  } catch (error) {
    throw new KafkaJSNonRetriableError(
      busErrorOf(error, 'positions of the group cannot be read').message,
    )
  }
}

async function fetchLimits(
  { cluster }: Membership,
  topic: string,
  partitions: readonly number[],
  fromBeginning: boolean,
): Promise<Map<number, bigint>> {
  const wanted = partitions.map((partition) => ({ partition }))
  const [found] = await cluster.fetchTopicsOffset([{ topic, partitions: wanted, fromBeginning }])
  return new Map(found!.partitions.map(({ partition, offset }) => [partition, BigInt(offset)]))
}
