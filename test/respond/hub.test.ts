// What is told to whoever looks on: in order, to everybody, waiting for nobody.

import { expect, test } from 'vitest'
import { HUB_LISTENERS_MAX, HUB_RING, Hub, type HubEvent, HubFull } from '../../src/respond/hub.ts'
import { alertId, deliveryStep, deskAlert, waiting } from '../api/desk.ts'

const quiet = () => {}
const alert = (name: string | number) => deskAlert(String(name))

test('who comes later has what was told after the last event it knows', () => {
  const hub = new Hub(quiet)
  const first = hub.publish('alert', alert(1))
  const second = hub.publish('delivery', deliveryStep('1', { state: 'delivered' }))
  const third = hub.publish('alert', alert(2))
  expect(hub.since(first.id)).toEqual([second, third])
  expect(hub.since(0)).toHaveLength(3)
})

test('many of one type do not push out another, and no more than a ring is kept', () => {
  const hub = new Hub(quiet)
  const rare = hub.publish('revocation', waiting('rare', alertId('0')))
  const often = Array.from({ length: 5 * HUB_RING }, (_, n) => hub.publish('alert', alert(n)))
  const all = hub.since(0)
  expect(all.map(({ id }) => id)).toEqual([
    rare.id,
    ...often.slice(4 * HUB_RING).map(({ id }) => id),
  ])
})

test('ids go on counting up in the next process', () => {
  let now = 1_700_000_000_000
  const before = new Hub(quiet, () => now)
  const last = before.publish('notice', {})
  now += 1000
  expect(new Hub(quiet, () => now).publish('notice', {}).id).toBeGreaterThan(last.id)
})

test('a listener that throws is taken off; the others hear on', () => {
  const hub = new Hub(quiet)
  const heard: HubEvent[] = []
  hub.subscribe(() => {
    throw new Error('full')
  })
  const end = hub.subscribe((event) => heard.push(event))
  hub.publish('notice', {})
  hub.publish('notice', {})
  expect([heard.length, hub.listeners, hub.thrownOut]).toEqual([2, 1, 1])
  end()
  hub.publish('notice', {})
  expect(heard).toHaveLength(2)
})

test('there is a limit to listeners', () => {
  const hub = new Hub(quiet)
  for (let n = 0; n < HUB_LISTENERS_MAX; n++) hub.subscribe(() => {})
  expect(() => hub.subscribe(() => {})).toThrow(HubFull)
})
