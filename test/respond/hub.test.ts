// What is told to whoever looks on: in order, to everybody, waiting for nobody.

import { expect, test } from 'vitest'
import { HUB_LISTENERS_MAX, HUB_RING, Hub, type HubEvent, HubFull } from '../../src/respond/hub.ts'

const quiet = () => {}

test('who comes later has what was told after the last event it knows', () => {
  const hub = new Hub(quiet)
  const first = hub.publish('alert', { n: 1 })
  hub.publish('delivery', { n: 2 })
  hub.publish('alert', { n: 3 })
  expect(hub.since(first.id).map(({ data }) => data.n)).toEqual([2, 3])
  expect(hub.since(0)).toHaveLength(3)
})

test('many of one type do not push out another, and no more than a ring is kept', () => {
  const hub = new Hub(quiet)
  hub.publish('revocation', { n: 'rare' })
  for (let n = 0; n < 5 * HUB_RING; n++) hub.publish('alert', { n })
  const all = hub.since(0)
  expect(all).toHaveLength(HUB_RING + 1)
  expect(all[0]!.data.n).toBe('rare')
  expect(all[1]!.data.n).toBe(4 * HUB_RING)
})

test('ids go on counting up in the next process', () => {
  let now = 1_700_000_000_000
  const before = new Hub(quiet, () => now)
  const last = before.publish('alert', {})
  now += 1000
  expect(new Hub(quiet, () => now).publish('alert', {}).id).toBeGreaterThan(last.id)
})

test('a listener that throws is taken off; the others hear on', () => {
  const hub = new Hub(quiet)
  const heard: HubEvent[] = []
  hub.subscribe(() => {
    throw new Error('full')
  })
  const end = hub.subscribe((event) => heard.push(event))
  hub.publish('alert', {})
  hub.publish('alert', {})
  expect([heard.length, hub.listeners, hub.thrownOut]).toEqual([2, 1, 1])
  end()
  hub.publish('alert', {})
  expect(heard).toHaveLength(2)
})

test('there is a limit to listeners', () => {
  const hub = new Hub(quiet)
  for (let n = 0; n < HUB_LISTENERS_MAX; n++) hub.subscribe(() => {})
  expect(() => hub.subscribe(() => {})).toThrow(HubFull)
})
