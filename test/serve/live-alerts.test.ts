// Alerts as one sees them who only looks on: put together of findings in any order, told as they change.

import { expect, test } from 'vitest'
import type { Delivery } from '../../src/bus/bus.ts'
import { encodeFindings, type FindingEvent } from '../../src/respond/finding.ts'
import { Hub } from '../../src/respond/hub.ts'
import { LiveAlerts } from '../../src/serve/live-alerts.ts'
import { finding, uuid } from '../respond/made-findings.ts'

function looking(trouble = '') {
  const said: string[] = []
  const hub = new Hub(() => {})
  const alerts = new LiveAlerts({
    hub,
    log: (_, message) => said.push(message),
    trouble: () => trouble,
  })
  let offset = 0n
  const delivery = (bytes: Uint8Array, more: Partial<Delivery> = {}): Delivery => {
    return {
      ...{ stream: 'bailiwick.alerts.v1', partition: 0, offset: offset++, key: 'k', bytes },
      ...{ acceptedAt: 1_700_000_000_500, ...more },
    }
  }
  const take = (...events: FindingEvent[]) => alerts.take(delivery(encodeFindings(events)))
  return { alerts, hub, said, take, delivery }
}

test('findings of one id are one alert, told when it changes and not when they come again', () => {
  const { alerts, hub, take } = looking()
  take(finding('a', 1, { score: 70 }), finding('b', 1))
  take(finding('a', 2, { score: 90, sentence: 'worse' }))
  take(finding('a', 1, { score: 70 }))
  const told = hub.since(0).map(({ type, data }) => type === 'alert' && [data.id, data.flows])
  expect(told).toEqual([
    [uuid('alert', 'a'), 1],
    [uuid('alert', 'b'), 1],
    [uuid('alert', 'a'), 2],
  ])
  expect(alerts.alert(uuid('alert', 'a'))).toMatchObject({
    ...{ flows: 2, score: 90, sentence: 'worse', deliveries: [] },
    // When Kafka took it: the same for all who look on.
    raisedAt: 1_700_000_000_500,
  })
})

test('newest first, page by page; who asks beyond what is held gets nothing', () => {
  const { alerts, take } = looking()
  for (const name of ['a', 'b', 'c']) take(finding(name))
  const ids = (names: string) => [...names].map((name) => uuid('alert', name))
  const seen = (options: { limit: number; before?: string }) =>
    alerts.alerts(options).map(({ id }) => id)
  expect(seen({ limit: 10 })).toEqual(ids('cba'))
  expect(seen({ limit: 1 })).toEqual(ids('c'))
  expect(seen({ limit: 10, before: uuid('alert', 'b') })).toEqual(ids('a'))
  expect(seen({ limit: 10, before: uuid('alert', 'gone') })).toEqual([])
})

test('what cannot be read is counted, said, and passed over', () => {
  const { alerts, said, take, delivery } = looking()
  alerts.take(delivery(Buffer.from('{')))
  alerts.take(delivery(Buffer.from('{"v":2}')))
  alerts.take(delivery(new Uint8Array(0), { unreadable: 'a batch of no known codec' }))
  take(finding('a'))
  expect(said).toHaveLength(3)
  const values = Object.fromEntries(alerts.samples().map(({ name, value }) => [name, value]))
  expect(values).toEqual({
    live_findings_total: 1,
    live_messages_total: 4,
    live_unreadable_total: 3,
    live_alerts_total: 1,
  })
  expect(alerts.readiness()).toEqual({ ready: true, reason: '' })
  expect(looking('Kafka is away').alerts.readiness().warning).toContain('Kafka is away')
})
