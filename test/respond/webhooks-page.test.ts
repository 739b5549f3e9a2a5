// docs/webhooks.md against the program: its example verifies, its figures are those of the code.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { Webhook } from 'standardwebhooks'
import { afterEach, expect, test, vi } from 'vitest'
import { ENDPOINT_LIMITS } from '../../src/respond/endpoint-limits.ts'
import { MESSAGE, MESSAGE_ALERTS_MAX, MESSAGE_BYTES_MAX } from '../../src/respond/message.ts'
import { DEAD_MAX } from '../../src/respond/responder.ts'
import { AGE_MAX, RETRY_AFTER_MAX, RETRY_SCHEDULE } from '../../src/respond/retry.ts'

const PAGE = readFileSync(path.join(import.meta.dirname, '../../docs/webhooks.md'), 'utf8')
const prose = PAGE.replaceAll(/\s+/g, ' ')

afterEach(() => void vi.useRealTimers())

test('the example is a message that verifies', () => {
  const [head, body] = /```http\n([\s\S]*?)\n\n([\s\S]*?)\n```/.exec(PAGE)!.slice(1)
  const headers = Object.fromEntries(
    head!
      .split('\n')
      .slice(1)
      .map((line) => line.split(': ') as [string, string]),
  )
  const secret = /signed with `(whsec_[^`]+)`/.exec(PAGE)![1]!
  vi.useFakeTimers({ now: Number(headers['webhook-timestamp']) * 1000 })
  const verified = new Webhook(secret).verify(body!, headers)
  expect(MESSAGE.parse(verified)).toMatchObject({ type: 'alerts.raised', data: { count: 1 } })
})

const HOUR = 3_600_000
const pauseText = (millis: number) =>
  millis === 0
    ? '0'
    : millis < 60_000
      ? `${millis / 1000} s`
      : millis < HOUR
        ? `${millis / 60_000} min`
        : `${millis / HOUR} h`

test('the schedule is that of the code', () => {
  expect(PAGE).toContain(`| after | ${RETRY_SCHEDULE.map(pauseText).join(' | ')} |`)
  expect(RETRY_SCHEDULE.length).toBe(10)
  expect(Math.floor(RETRY_SCHEDULE.reduce((sum, pause) => sum + pause, 0) / HOUR)).toBe(75)
})

test.each([
  [`after ${ENDPOINT_LIMITS.timeoutMillis / 1000} s without an answer`],
  [`fewer than ${MESSAGE_BYTES_MAX.toLocaleString('en')} bytes and at most ${MESSAGE_ALERTS_MAX}`],
  [`\`Retry-After\` says (up to ${RETRY_AFTER_MAX / HOUR} h)`],
  [`older than ${AGE_MAX / HOUR / 24} days`],
  [`After ${ENDPOINT_LIMITS.breakAfter} failures in a row`],
  [`for ${ENDPOINT_LIMITS.breakMillis.map(pauseText).join(', ').replace(', ', ', then ')}`],
  [
    `queue of ${ENDPOINT_LIMITS.queueMax.toLocaleString('en')} messages, ${ENDPOINT_LIMITS.concurrency} requests`,
  ],
  [`with ${ENDPOINT_LIMITS.retryBurst} at once and one a second on top`],
  [`else ${ENDPOINT_LIMITS.throttleMillis / 1000} s, twice that`],
  [`up to ${(ENDPOINT_LIMITS.throttleMillis / 1000) * 64} s`],
  [`(the newest ${DEAD_MAX.toLocaleString('en')})`],
])('it says %j', (words) => {
  expect(prose).toContain(words)
})
