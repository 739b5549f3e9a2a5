// A member whose brokers are away: how long it waits before it tries again, while what it should read piles up.

import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { KafkaMember } from '../../src/bus/kafka-member.ts'

/** A port of this machine at which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

test('where nobody answers, it is tried again after two seconds at most', async () => {
  const waits: number[] = []
  const member = new KafkaMember(
    {
      brokers: [`127.0.0.1:${await closedPort()}`],
      clientId: 'test',
      topic: 'nowhere',
      groupId: 'nobody',
    },
    {
      leaving: () => {},
      joined: () => Promise.resolve(),
      outOfRange: () => Promise.resolve(),
      batch: () => {},
      look: () => {},
    },
    ({ detail }) => waits.push(Number(/again in (\d+) ms$/.exec(detail)?.[1])),
  )
  await expect.poll(() => waits.length, { timeout: 40_000 }).toBeGreaterThanOrEqual(4)
  member.stop()
  await member.leave()
  expect(waits.slice(0, 4)).toEqual([500, 1000, 2000, 2000])
}, 60_000)
