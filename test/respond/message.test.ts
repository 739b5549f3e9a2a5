// What a webhook says: complete, below its size whatever the traffic held, and hostile text in it is data.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AlertBook, type BookedAlert } from '../../src/respond/alert-book.ts'
import type { FindingEvent } from '../../src/respond/finding.ts'
import {
  MESSAGE,
  MESSAGE_ALERTS_MAX,
  MESSAGE_BYTES_MAX,
  testMessage,
  writeMessage,
} from '../../src/respond/message.ts'
import { finding, uuid } from './made-findings.ts'

function alertsOf(events: FindingEvent[]): BookedAlert[] {
  const book = new AlertBook()
  book.absorb(events, 1_700_000_000_000)
  return [...book.all()]
}

test('one alert, in full', () => {
  const { body, taken } = writeMessage(alertsOf([finding('a')]), 1_700_000_000_000)
  const message = MESSAGE.parse(JSON.parse(body))
  expect(taken).toBe(1)
  expect(message).toMatchObject({ type: 'alerts.raised', timestamp: '2023-11-14T22:13:20.000Z' })
  expect(message.data.count).toBe(1)
  expect(message.data.alerts[0]).toMatchObject({
    id: uuid('alert', 'a'),
    agent: 'spiffe://acme.example/agents/invoice',
    destination: 'host-a.example.net',
    port: 443,
    first: '2023-11-14T22:13:20.000Z',
    flows: 1,
    evidence: { handshake: 'completed', direction_sure: true },
  })
})

test('many alerts: the first in full, all of them at least in short, as many as fit', () => {
  const all = alertsOf(Array.from({ length: 500 }, (_, n) => finding(n)))
  const seen: string[] = []
  let messages = 0
  for (let left = all; left.length > 0; messages++) {
    const { body, taken } = writeMessage(left, 0)
    const { data } = MESSAGE.parse(JSON.parse(body))
    expect(Buffer.byteLength(body)).toBeLessThan(MESSAGE_BYTES_MAX)
    expect(data.count).toBe(taken)
    expect(taken).toBeLessThanOrEqual(MESSAGE_ALERTS_MAX)
    seen.push(...[...data.alerts, ...data.more].map(({ id }) => id))
    left = left.slice(taken)
  }
  expect(seen).toEqual(all.map(({ id }) => id))
  expect(messages).toBeLessThan(20)
})

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 3000 }),
  fc.constantFrom(
    '\u202e'.repeat(5000),
    '"'.repeat(9000),
    '\u0000\u001b]8;;http://x\u0007',
    '😀'.repeat(999),
    '\ud800',
  ),
)

test('whatever the texts are, it is below its size, valid, and printable when read', () => {
  const word = fc.tuple(hostile, hostile, hostile, hostile, hostile)
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1, maxLength: 30 }),
      fc.double({ noNaN: true }),
      (texts, ts) => {
        const events = texts.map(([destination, peerName, rule, sentence, agent], n) =>
          finding(n, 0, { destination, peerName, rule, sentence, agent, subject: agent, ts }),
        )
        const { body } = writeMessage(alertsOf(events), 0)
        expect(Buffer.byteLength(body)).toBeLessThan(MESSAGE_BYTES_MAX)
        expect(body).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufeff]/u)
        const { data } = MESSAGE.parse(JSON.parse(body))
        for (const one of data.alerts)
          expect(one.sentence + one.destination).not.toMatch(/[\p{Cc}\u202e]|\p{Surrogate}/u)
      },
    ),
    { numRuns: 200 },
  )
})

test('a message about nothing', () => {
  expect(MESSAGE.parse(JSON.parse(testMessage(0))).type).toBe('webhook.test')
})
