// A webhook as a receiver sees it, and as the receiver's answer is understood.

import type { AddressInfo } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseNetwork } from '../../src/address.ts'
import { testMessage } from '../../src/respond/message.ts'
import { targetGuard } from '../../src/respond/target-guard.ts'
import {
  outcomeOf,
  shownTarget,
  signedHeaders,
  WebhookNotifier,
} from '../../src/respond/webhook.ts'
import { Receiver, SECRET } from './receiver.ts'

const LOOPBACK = [parseNetwork('127.0.0.0/8')!]
const OTHER = `whsec_${Buffer.alloc(24, 9).toString('base64')}`
const NO_SIGNAL = new AbortController().signal

const notifierTo = (url: string, secrets = [SECRET]) =>
  new WebhookNotifier({ url, secrets: () => secrets, version: '1.2.3' }, targetGuard(LOOPBACK))

test('the signature of the example that Standard Webhooks publishes', () => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const message = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', body: '{"test": 2432232314}' }
  expect(signedHeaders(message, [secret], 1_614_265_330_000)).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  })
})

test('while a secret is changed, who knows either of the two can verify', () => {
  const message = { id: 'msg_1', body: '{"a":1}' }
  const headers = signedHeaders(message, [OTHER, SECRET], Date.now())
  for (const secret of [OTHER, SECRET])
    expect(new Webhook(secret).verify(message.body, headers)).toEqual({ a: 1 })
  const stranger = new Webhook(`whsec_${Buffer.alloc(32).toString('base64')}`)
  expect(() => stranger.verify(message.body, headers)).toThrow()
})

test.each([
  ['https://example.com/hooks/s3cr3t?t=1', 'https://example.com/…'],
  ['https://example.com', 'https://example.com/'],
  ['https://u:p@example.com/', 'https://example.com/'],
  ['not a url', '(no URL)'],
])('%s is shown as %s', (url, shown) => {
  expect(shownTarget(url)).toBe(shown)
})

test.each([
  [200, { kind: 'delivered' }],
  [204, { kind: 'delivered' }],
  [301, { kind: 'failed', broken: false }],
  [308, { kind: 'failed' }],
  [400, { kind: 'failed', broken: false, throttled: false }],
  [404, { kind: 'failed' }],
  [410, { kind: 'gone' }],
  [429, { kind: 'failed', broken: true, throttled: true, retryAfter: 7000 }],
  [500, { kind: 'failed', broken: true, throttled: false }],
  [502, { kind: 'failed', throttled: true }],
  [503, { kind: 'failed', throttled: false, retryAfter: 7000 }],
  [504, { kind: 'failed', throttled: true }],
])('status %d', (status, outcome) => {
  expect(outcomeOf(status, '7', 0)).toMatchObject(outcome)
})

describe('sent', () => {
  let receiver: Receiver
  beforeAll(async () => {
    receiver = await Receiver.start()
  })
  beforeEach(() => {
    receiver.answer = (_, response) => response.writeHead(204).end()
  })
  afterAll(() => receiver.stop())

  test('arrives as it was written, verified by the library', async () => {
    const notifier = notifierTo(receiver.url)
    const body = testMessage(Date.now())
    expect(await notifier.send({ id: 'msg_1', body }, NO_SIGNAL)).toEqual({
      kind: 'delivered',
      status: 204,
    })
    expect(receiver.received.at(-1)).toMatchObject({ id: 'msg_1', path: '/hooks/s3cr3t-path' })
    expect(receiver.wrong).toEqual([])
    await notifier.close()
  })

  test.each([
    ['an endless body', (write: (text: string) => boolean) => void write('x'.repeat(1000))],
    ['a huge body', (write: (text: string) => boolean) => void write('x'.repeat(1 << 24))],
  ])('%s changes nothing: the status counts', async (_, begin) => {
    const notifier = notifierTo(receiver.url)
    receiver.answer = (_, response) => {
      response.writeHead(200)
      begin((text) => response.write(text))
    }
    const body = testMessage(Date.now())
    const outcome = await notifier.send({ id: 'msg_2', body }, NO_SIGNAL)
    expect(outcome).toEqual({ kind: 'delivered', status: 200 })
    await notifier.close()
  })

  test('HTML with a status of success is success; what it says is nowhere', async () => {
    const notifier = notifierTo(receiver.url)
    receiver.answer = (_, response) =>
      response.writeHead(500, 'bad\tthing').end('<script>alert(1)</script>')
    const outcome = await notifier.send({ id: 'msg_3', body: testMessage(0) }, NO_SIGNAL)
    expect(outcome).toEqual({
      kind: 'failed',
      status: 500,
      why: 'the receiver answered 500',
      broken: true,
      throttled: false,
    })
    await notifier.close()
  })

  test('a receiver that hangs is left when the time is over', async () => {
    const notifier = notifierTo(receiver.url)
    const ending = new AbortController()
    receiver.answer = () => ending.abort()
    const outcome = await notifier.send({ id: 'msg_4', body: testMessage(0) }, ending.signal)
    expect(outcome).toMatchObject({ kind: 'failed', why: 'no answer in time' })
    await notifier.close()
  })
})

test.each([
  ['nothing listens', undefined, 'the receiver refuses connections'],
  ['it is no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 'the receiver does not speak HTTP'],
  ['it hangs up', '', 'the receiver broke the connection off'],
])('where %s it says so, without the path', async (_, greeting, why) => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.end(greeting ?? '')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  if (greeting === undefined) await new Promise((resolve) => server.close(resolve))
  const notifier = notifierTo(`http://127.0.0.1:${port}/s3cr3t`)
  const outcome = await notifier.send({ id: 'msg_5', body: '{}' }, NO_SIGNAL)
  expect(outcome).toEqual({ kind: 'failed', why, broken: true, throttled: false })
  await notifier.close()
  server.close()
})
