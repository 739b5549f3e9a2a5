// From a finding to a webhook: each alert once in effect, whatever the receiver does, and its state in clear words.

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { finding, uuid } from './made-findings.ts'
import { Receiver } from './receiver.ts'
import { QUICK, Responding, webhook } from './responding.ts'

let receiver: Receiver
let one: Responding | undefined
beforeEach(async () => {
  receiver = await Receiver.start()
})
afterEach(async () => {
  await one?.stop()
  one = undefined
  await receiver.stop()
})

const start = async (...given: Parameters<typeof Responding.start>) => {
  one = await Responding.start(...given)
  return one
}

test('an alert goes at once, signed, and its view says so', async () => {
  const { responder, events } = await start([webhook(receiver.url)])
  await responder.take([finding('a')])
  await one!.until('delivered')
  expect(receiver.wrong).toEqual([])
  expect(receiver.alerts).toEqual([uuid('alert', 'a')])
  expect(responder.alerts({ limit: 10 })).toMatchObject([
    {
      id: uuid('alert', 'a'),
      flows: 1,
      score: 70,
      deliveries: [{ endpoint: 'soc', state: 'delivered', attempts: 1 }],
    },
  ])
  expect(
    events.map((event) => [event.type, event.type === 'delivery' && event.data.state]),
  ).toEqual([
    ['alert', false],
    ['delivery', 'sending'],
    ['delivery', 'delivered'],
  ])
})

test('the same finding again, and another flow of the alert, send nothing more', async () => {
  const { responder } = await start([webhook(receiver.url)])
  await responder.take([finding('a', 1)])
  await responder.take([finding('a', 1)])
  await responder.take([finding('a', 2), finding('b', 1)])
  await receiver.untilAlerts(2)
  expect(receiver.alerts).toEqual([uuid('alert', 'a'), uuid('alert', 'b')])
  expect(responder.alert(uuid('alert', 'a'))).toMatchObject({ flows: 2 })
})

test('who wants some alerts only gets those, one that becomes worse once it is bad enough', async () => {
  const { responder } = await start([
    webhook(receiver.url, { name: 'bad', minScore: 80 }),
    webhook(receiver.url, { name: 'strangers', kinds: ['unregistered'] }),
  ])
  await responder.take([finding('a', 1), finding('u', 1, { kind: 'unregistered', score: 5 })])
  await receiver.untilAlerts(1)
  await responder.take([finding('a', 2, { score: 95 })])
  await receiver.untilAlerts(2)
  expect(receiver.alerts).toEqual([uuid('alert', 'u'), uuid('alert', 'a')])
})

test('alerts that come faster than messages go are grouped; none is lost', async () => {
  const { responder } = await start([webhook(receiver.url)])
  for (let n = 0; n < 300; n++) await responder.take([finding(n)])
  await receiver.untilAlerts(300)
  expect(new Set(receiver.alerts).size).toBe(300)
  expect(receiver.alerts).toHaveLength(300)
  // Ten at once, then a few large ones.
  expect(receiver.received.length).toBeLessThan(30)
  expect(Math.max(...receiver.received.map(({ bytes }) => bytes))).toBeLessThan(20_000)
})

test('a webhook that may get more gets each alert by itself', async () => {
  const { responder } = await start([webhook(receiver.url, { perSecond: 1000 })])
  for (let n = 1; n <= 30; n++) {
    await responder.take([finding(n)])
    await receiver.untilAlerts(n)
  }
  expect(receiver.received).toHaveLength(30)
})

test('where it is wanted, alerts wait for others', async () => {
  const { responder } = await start([webhook(receiver.url, { groupSeconds: 0.2 })])
  await responder.take([finding('a')])
  await responder.take([finding('b')])
  await receiver.untilAlerts(2)
  expect(receiver.received).toHaveLength(1)
})

describe('a receiver that', () => {
  test('fails at first gets the same id again, signed anew, and acts once', async () => {
    const { responder } = await start([webhook(receiver.url)])
    let failures = 2
    receiver.answer = (_, response) =>
      failures-- > 0
        ? response.writeHead(500).end('<html>oh no</html>')
        : response.writeHead(202).end()
    await responder.take([finding('a')])
    await one!.until('delivered')
    expect([receiver.received.length, receiver.effects.size]).toEqual([3, 1])
    expect(responder.alerts({ limit: 1 })[0]!.deliveries).toEqual([
      { endpoint: 'soc', state: 'delivered', attempts: 3 },
    ])
  })

  test('never takes it: the message is dead after the last try, and goes again when asked for', async () => {
    const { responder, logged } = await start([webhook(receiver.url)])
    receiver.answer = (_, response) => response.writeHead(400).end()
    await responder.take([finding('a')])
    await one!.until('dead')
    expect(receiver.received).toHaveLength(QUICK.schedule.length)
    const [dead] = responder.dead()
    expect(dead).toMatchObject({
      endpoint: 'soc',
      alertId: uuid('alert', 'a'),
      attempts: QUICK.schedule.length,
      lastError: 'the receiver answered 400',
    })
    receiver.answer = (_, response) => response.writeHead(200).end()
    await responder.redrive(dead!.id)
    await one!.until('delivered')
    expect([responder.dead(), receiver.effects.size]).toEqual([[], 1])
    await expect(responder.redrive(dead!.id)).rejects.toThrow('no dead delivery')
    expect(logged.join()).not.toMatch(/s3cr3t-path|whsec_/)
  })

  test('hangs is left after the time limit; another endpoint does not notice', async () => {
    const good = await Receiver.start()
    const { responder } = await start([
      webhook(receiver.url, { name: 'hangs' }),
      webhook(good.url, { name: 'good' }),
    ])
    receiver.answer = () => {}
    await responder.take([finding('a')])
    await good.untilAlerts(1)
    const failed = await one!.step(({ lastError }) => lastError !== undefined)
    expect(failed).toMatchObject({ endpoint: 'hangs', lastError: 'no answer within 0.3 s' })
    expect(good.received).toHaveLength(1)
    await good.stop()
  })

  test('fails again and again is left alone for a while, and gets everything after', async () => {
    const { responder } = await start([webhook(receiver.url)], {
      limits: { ...QUICK, schedule: Array.from({ length: 50 }, () => 10) },
    })
    let broken = true
    receiver.answer = (_, response) => response.writeHead(broken ? 503 : 204).end()
    for (let n = 0; n < 40; n++) await responder.take([finding(n)])
    await one!.step(() => responder.endpoints()[0]!.state === 'held')
    expect(responder.alerts({ limit: 1 })[0]!.deliveries[0]!.state).toBe('held')
    expect(responder.readiness().ready).toBe(true)
    broken = false
    const before = receiver.received.length
    await one!.step(() =>
      responder
        .alerts({ limit: 100 })
        .every(({ deliveries }) => deliveries[0]?.state === 'delivered'),
    )
    expect(new Set(receiver.alertsFrom(before)).size).toBe(40)
  })

  test('says 410 is disabled until its URL changes; what was for it is dead, not lost', async () => {
    const { responder } = await start([webhook(receiver.url)])
    receiver.answer = (_, response) => response.writeHead(410).end()
    await responder.take([finding('a')])
    await one!.until('dead')
    expect(responder.endpoints()).toMatchObject([{ state: 'disabled', dead: 1 }])
    await responder.take([finding('b')])
    await one!.until('dead', 2)
    expect(receiver.received).toHaveLength(1)
    // Also by the next process.
    await responder.close()
    await one!.open()
    expect(one!.responder.endpoints()).toMatchObject([{ state: 'disabled', dead: 2 }])
    receiver.answer = (_, response) => response.writeHead(204).end()
    for (const { id } of one!.responder.dead()) await one!.responder.redrive(id)
    await one!.until('delivered', 2)
    expect(one!.responder.endpoints()).toMatchObject([{ state: 'working', dead: 0 }])
  })

  test('asks for a pause gets it', async () => {
    const { responder } = await start([webhook(receiver.url)])
    let asked = false
    receiver.answer = (_, response) => {
      if (asked) return void response.writeHead(204).end()
      asked = true
      response.writeHead(429, { 'retry-after': '1' }).end()
    }
    await responder.take([finding('a')])
    await one!.step(() => responder.endpoints()[0]!.state === 'throttled')
    await responder.take([finding('b')])
    await one!.until('delivered', 2)
    const [first, second] = receiver.received
    expect(second!.at - first!.at).toBeGreaterThan(950)
  })

  test('redirects to a private address is not followed', async () => {
    const inside = await Receiver.start()
    const { responder } = await start([webhook(receiver.url)])
    receiver.answer = (_, response) => response.writeHead(307, { location: inside.url }).end()
    await responder.take([finding('a')])
    await one!.until('dead')
    expect(inside.received).toEqual([])
    expect(responder.dead()[0]!.lastError).toMatch(/307, a redirect, which is not followed/)
    await inside.stop()
  })

  test('is not to be reached, being private: nothing is sent, and it says what to do', async () => {
    const { responder } = await start([webhook('https://169.254.169.254/latest/s3cr3t')])
    await responder.take([finding('a')])
    await one!.until('dead')
    const { lastError } = responder.dead()[0]!
    expect(lastError).toMatch(/^169\.254\.169\.254 is link-local.*respond\.allow_targets/)
    expect(JSON.stringify(responder.endpoints())).not.toMatch(/s3cr3t/)
  })
})

describe('the next process', () => {
  test('sends what was not sent, and knows what was', async () => {
    const { responder } = await start([webhook(receiver.url)])
    await responder.take([finding('a')])
    await one!.until('delivered')
    receiver.answer = (_, response) => response.socket?.destroy()
    await responder.take([finding('b')])
    await receiver.until(2)
    await responder.close()
    receiver.answer = (_, response) => response.writeHead(204).end()
    await one!.open()
    await receiver.until(3)
    expect(receiver.effects.size).toBe(2)
    await one!.responder.take([finding('a'), finding('b')])
    expect(one!.responder.alerts({ limit: 10 }).map(({ id }) => id)).toEqual([
      uuid('alert', 'b'),
      uuid('alert', 'a'),
    ])
    expect(one!.responder.alerts({ limit: 10, before: uuid('alert', 'b') })).toHaveLength(1)
  })

  test('knows why the last try failed, until one does not', async () => {
    const { responder } = await start([webhook(receiver.url)], {
      limits: { ...QUICK, schedule: [0, 3_600_000] },
    })
    receiver.answer = (_, response) => response.writeHead(500).end()
    await responder.take([finding('a')])
    await one!.step(({ lastError }) => lastError !== undefined)
    await responder.close()
    await one!.open()
    const found = { state: 'working', queued: 1, lastError: 'the receiver answered 500' }
    expect(one!.responder.endpoints()).toMatchObject([found])
    receiver.answer = (_, response) => response.writeHead(204).end()
    await one!.responder.take([finding('b')])
    await one!.until('delivered')
    expect(one!.responder.endpoints()[0]).not.toHaveProperty('lastError')
  })

  test('of which a webhook is gone keeps what was for it as dead', async () => {
    const { responder } = await start([webhook(receiver.url)])
    receiver.answer = (_, response) => response.writeHead(500).end()
    await responder.take([finding('a')])
    await receiver.until(1)
    await responder.close()
    await one!.open([])
    expect(one!.responder.dead()).toMatchObject([{ endpoint: 'soc' }])
    await expect(one!.responder.redrive(one!.responder.dead()[0]!.id)).rejects.toThrow(
      'no webhook soc',
    )
  })
})

test('settings are changed while it runs', async () => {
  const other = await Receiver.start()
  const { responder, settings } = await start([webhook(receiver.url)])
  await responder.take([finding('a')])
  await receiver.until(1)
  responder.reload({ ...settings, webhooks: [webhook(other.url)] })
  await responder.take([finding('b')])
  await other.untilAlerts(1)
  responder.reload({ ...settings, webhooks: [] })
  await responder.take([finding('c')])
  expect([receiver.received.length, other.received.length]).toEqual([1, 1])
  await other.stop()
})

test('others who act on findings get them, the same again too', async () => {
  const seen: string[] = []
  const desk = {
    take: async (events: readonly { flowId: string }[]) =>
      void seen.push(...events.map(({ flowId }) => flowId)),
  }
  const { responder } = await start([], { desks: [desk] })
  await responder.take([finding('a', 1)])
  await responder.take([finding('a', 1)])
  expect(seen).toEqual([uuid('flow', 'a', 1), uuid('flow', 'a', 1)])
})

test('metrics say how each endpoint does', async () => {
  const { responder } = await start([webhook(receiver.url)])
  await responder.take([finding('a')])
  await one!.until('delivered')
  const value = (name: string, label = '') =>
    responder
      .samples()
      .find((sample) => sample.name === name && JSON.stringify(sample.labels ?? {}).includes(label))
      ?.value
  expect(value('alerts_raised_total')).toBe(1)
  expect(value('webhook_requests_total', 'delivered')).toBe(1)
  expect(value('webhook_state', 'working')).toBe(1)
  expect(value('outbox_oldest_seconds')).toBe(0)
})
