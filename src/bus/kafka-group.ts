// How a consumer group of a topic is doing, as the brokers see it.

import { busErrorOf, disconnect, type KafkaSettings, kafkaClient } from './kafka-client.ts'

export interface GroupState {
  /** As Kafka calls it: `Stable`, `Empty`, `PreparingRebalance`, `Dead` … */
  state: string
  members: number
  /** Messages that the group has not committed, over all partitions. */
  behind: bigint
}

/**
 * Looks at a group; one that never was is `Dead`, and everything on the topic is before it.
 * @throws BusError
 */
export async function groupState(
  settings: KafkaSettings,
  groupId: string,
  topic: string,
): Promise<GroupState> {
  const admin = kafkaClient(settings, 2).admin()
  try {
    await admin.connect()
    const { groups } = await admin.describeGroups([groupId])
    const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] })
    const positions = new Map(
      committed?.partitions.map(({ partition, offset }) => [partition, BigInt(offset)]),
    )
    let behind = 0n
    for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
      const position = positions.get(partition) ?? -1n
      // Nothing committed is -1; what retention took away is not lag.
      const from = position > BigInt(low) ? position : BigInt(low)
      behind += BigInt(high) - from
    }
    const group = groups[0]
    return { state: group?.state ?? 'Dead', members: group?.members.length ?? 0, behind }
  } catch (error) {
    throw busErrorOf(error, `group ${groupId} at ${settings.brokers.join(',')}`)
  } finally {
    await disconnect(admin)
  }
}
