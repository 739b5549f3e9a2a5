// The live stream as whoever listens has it: what was missed comes again or is said to be gone, and nobody is waited for.

import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readEvents, type ServerEvent } from '../../src/api/event-reader.ts'
import { RING_MAX, STREAMS_OF_ONE_MAX } from '../../src/api/live-stream.ts'
import { alertId, deliveryStep, deskAlert, waiting } from './desk.ts'
import { openWorld, type World } from './world.ts'

const until = { timeout: 20_000, interval: 20 }
let world: World

beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

/** Listens, after the event of that id; `next` is what comes, in turn. */
async function listen(after?: string) {
  const leave = new AbortController()
  const headers = after === undefined ? {} : { 'last-event-id': after }
  const answer = await world.get('/api/v1/stream', { headers, signal: leave.signal })
  const events = answer.ok ? readEvents(answer.body!) : undefined
  const next = async (): Promise<ServerEvent> => (await events!.next()).value
  return { status: answer.status, next, leave: () => leave.abort() }
}

const metric = async (name: string) => {
  const text = await (await fetch(`${world.api.address}/metrics`)).text()
  return Number(new RegExp(`^bailiwick_${name} (\\d+)$`, 'm').exec(text)?.[1])
}
const notice = (n: number) => world.hub.publish('notice', { n })

test('each kind of event comes in the words of the API', async () => {
  const { next, leave } = await listen()
  expect((await next()).event).toBe('hello')
  world.hub.publish('alert', deskAlert('a'))
  world.hub.publish('delivery', deliveryStep('a', { state: 'dead', lastError: 'it answers 500' }))
  world.hub.publish('revocation', waiting('rev_1', alertId('a')))
  notice(1)
  const events = [await next(), await next(), await next(), await next()]
  expect(events.map(({ event, data }) => [event, JSON.parse(data)])).toMatchObject([
    ['alert', { alert: { id: alertId('a'), service: 'tcp/443', owner: 'finance@corp.example' } }],
    ['delivery', { delivery: { alerts: [alertId('a')], last_error: 'it answers 500' } }],
    ['revocation', { revocation: { id: 'rev_1', alert_id: alertId('a'), decided_by: null } }],
    ['notice', { notice: { n: 1 } }],
  ])
  leave()
})

test('who comes back has what was told meanwhile, once; where that is gone it is told of a gap', async () => {
  const first = await listen()
  await first.next()
  notice(1)
  const { id } = await first.next()
  first.leave()
  notice(2)
  notice(3)
  const again = await listen(id)
  const missed = [await again.next(), await again.next()]
  expect(missed.map(({ data }) => JSON.parse(data).notice)).toEqual([{ n: 2 }, { n: 3 }])
  expect(await again.next()).toMatchObject({ event: 'hello', id: missed[1]!.id })
  again.leave()
  for (let n = 0; n < RING_MAX; n++) notice(n)
  const late = await listen(id)
  expect((await late.next()).event).toBe('gap')
  late.leave()
  // An id of another process, which counted further.
  const ahead = await listen('9999999999999999')
  expect((await ahead.next()).event).toBe('gap')
  ahead.leave()
})

test('one token has so many streams and no more; those that ended do not count', async () => {
  await expect.poll(() => metric('live_stream_clients'), until).toBe(0)
  const some = await Promise.all(Array.from({ length: STREAMS_OF_ONE_MAX }, () => listen()))
  expect(some.map(({ status }) => status)).toEqual(some.map(() => 200))
  expect((await listen()).status).toBe(503)
  for (const { leave } of some) leave()
  await expect.poll(() => metric('live_stream_clients'), until).toBe(0)
  const { status, leave } = await listen()
  expect(status).toBe(200)
  leave()
})

test('who does not read is cut off, and the others hear on', async () => {
  const { hostname, port, host } = new URL(world.api.address)
  const slow = connect(Number(port), hostname).pause()
  slow.on('error', () => {})
  slow.write(
    `GET /api/v1/stream HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${world.token}\r\n\r\n`,
  )
  const { next, leave } = await listen()
  expect((await next()).event).toBe('hello')
  await expect.poll(() => metric('live_stream_clients'), until).toBe(2)
  const words = 'x'.repeat(200_000)
  for (let n = 0; (await metric('live_stream_cut_off_total')) === 0; n++) {
    expect(n).toBeLessThan(200)
    world.hub.publish('notice', { n, words })
    expect(JSON.parse((await next()).data).notice.n).toBe(n)
  }
  expect(await metric('live_stream_clients')).toBe(1)
  leave()
  slow.destroy()
})
