// Server-sent events, as whoever reads them sees them: however the bytes are cut, whatever ends a line.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  EVENT_MAX,
  EventStreamError,
  readEvents,
  type ServerEvent,
} from '../../src/api/event-reader.ts'

async function* pieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (const size of [...sizes, bytes.length]) {
    yield bytes.subarray(at, at + size)
    at += size
  }
}

async function read(text: string, sizes: readonly number[] = []): Promise<ServerEvent[]> {
  const events: ServerEvent[] = []
  for await (const event of readEvents(pieces(new TextEncoder().encode(text), sizes)))
    events.push(event)
  return events
}

test('an event has an id, a name and data; comments and blocks without data are none', async () => {
  const text =
    ': heartbeat\n\nid: 7\nevent: alert\ndata: {"a":1}\n\nretry: 2000\n\ndata:x\ndata\n\n'
  expect(await read(text)).toEqual([
    { id: '7', event: 'alert', data: '{"a":1}' },
    { id: '7', event: 'message', data: 'x\n' },
  ])
})

test('one that is cut off at the end is none', async () => {
  expect(await read('data: whole\n\ndata: half\n')).toEqual([
    { id: '', event: 'message', data: 'whole' },
  ])
})

/** As UTF-8 carries it: no half of a pair. */
const whole = (text: string) => Buffer.from(text).toString()

test('are the same however the bytes are cut, and whichever line ends are used', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          id: fc.stringMatching(/^[1-9]\d{0,8}$/),
          event: fc.constantFrom('alert', 'delivery'),
          data: fc.array(
            fc.string({ unit: 'binary' }).map((one) => one.replace(/[\r\n]/g, '')),
            {
              minLength: 1,
              maxLength: 3,
            },
          ),
        }),
        { maxLength: 5 },
      ),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 40 }),
      async (events, end, sizes) => {
        const lines = events.flatMap(({ id, event, data }) => [
          ...[`id: ${id}`, `event: ${event}`],
          ...data.map((one) => `data: ${one}`),
          '',
        ])
        // A lone CR at the very end waits for what may follow it.
        const text = `${lines.map((line) => line + end).join('')}:\n`
        const seen = await read(whole(text), sizes)
        expect(seen).toEqual(
          events.map(({ id, event, data }) => ({
            ...{ id, event },
            data: whole(data.join('\n')),
          })),
        )
      },
    ),
  ))

test('one without end is an error, not memory', async () => {
  const endless = async () => {
    let taken = 0
    async function* body() {
      for (;;) {
        taken += 1 << 16
        yield new TextEncoder().encode('x'.repeat(1 << 16))
      }
    }
    try {
      for await (const _ of readEvents(body())) throw new Error('there is no event in it')
    } finally {
      expect(taken).toBeLessThan(2 * EVENT_MAX)
    }
  }
  await expect(endless()).rejects.toThrow(EventStreamError)
  await expect(read(`${`data: ${'y'.repeat(1000)}\n`.repeat(1100)}\n`)).rejects.toThrow(
    EventStreamError,
  )
})
