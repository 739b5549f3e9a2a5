// What Kafka's client says, and what becomes of it: what passes by itself is no error, the rest has its cure.

import { expect, test } from 'vitest'
import { busErrorOf, kafkaClient } from '../../src/bus/kafka-client.ts'

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
