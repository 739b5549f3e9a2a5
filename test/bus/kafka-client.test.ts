// What Kafka's client says, and what becomes of it: what passes by itself is no error, the rest has its cure.

import { once } from 'node:events'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { busErrorOf, kafkaClient } from '../../src/bus/kafka-client.ts'

const require = createRequire(import.meta.url)

/** A connection of kafkajs, as far as it is used here. */
interface Connection {
  socket: Socket
  connect(): Promise<boolean>
  disconnect(): Promise<boolean>
}

const LOADING = "The coordinator is loading and hence can't process requests for this group"

test('what is tried again anyway is no error in the log; what is not, is', () => {
  const lines: string[] = []
  const client = kafkaClient(
    {
      brokers: ['127.0.0.1:1'],
      clientId: 'test',
      log: (level, message) => lines.push(`${level}: ${message}`),
    },
    1,
  )
  const logger = client.logger().namespace('Consumer')
  logger.error(`Crash: KafkaJSProtocolError: ${LOADING}`)
  logger.error(LOADING)
  logger.error('Crash: TypeError: of our own')
  expect(lines).toEqual([
    `debug: Crash: KafkaJSProtocolError: ${LOADING}`,
    `debug: ${LOADING}`,
    'error: Crash: TypeError: of our own',
  ])
})

test.each([
  ['GROUP_LOAD_IN_PROGRESS', 'unreachable', 'the broker has just started: this passes by itself'],
  ['TOPIC_AUTHORIZATION_FAILED', 'refused', 'the user may not: grant it the right to this topic'],
  ['', 'unreachable', 'is it running at this address?'],
])('an error of the broker is told with its cure: %s', (type, kind, cure) => {
  const error = busErrorOf(Object.assign(new Error('no'), { type }), 'joining')
  expect(error).toMatchObject({ kind, message: expect.stringContaining(`joining: no (${cure}`) })
})

test('a connection that is ended again and again while its broker is away holds no more and no more listeners', async () => {
  const Connection = require('kafkajs/src/network/connection') as new (
    options: object,
  ) => Connection
  const sockets = require('kafkajs/src/network/socketFactory') as () => () => Socket
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const logger = kafkaClient({ brokers: ['127.0.0.1:1'], clientId: 'test' }, 1).logger()
  const connection = new Connection({
    ...{ host: '127.0.0.1', port, logger, socketFactory: sockets() },
    ...{ requestTimeout: 1000, connectionTimeout: 1000 },
  })
  await connection.connect()
  if (!connection.socket.destroyed) await once(connection.socket, 'close')
  server.close()
  const held = () =>
    connection.socket
      .eventNames()
      .reduce((sum, name) => sum + connection.socket.listenerCount(name), 0)
  const before = held()
  for (let round = 0; round < 50; round++) await connection.disconnect()
  expect(held()).toBe(before)
})
