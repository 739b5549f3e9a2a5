// Outages: of brokers and of the store, in each of their ways, while flows arrive at a held rate. What waits is measured
// as it is drained.

import { setTimeout as sleep } from 'node:timers/promises'
import { describe } from 'vitest'
import type { Arena } from './arena.ts'
import { trials } from './trial.ts'

const SENSORS = [0, 1, 2, 3]
/** Arrivals that are held throughout: 10,000 flows a second over four sensors. */
const PER_SENSOR = 2500

/** Four logs that grow at 10,000 flows a second; `flows` of each. */
function arrivals(arena: Arena, flows: number) {
  const logs = SENSORS.map((number) => arena.following(number).log)
  for (const log of logs) log.grow(PER_SENSOR, flows)
  return {
    written: () => arena.until('all is written', () => logs.every((log) => log.written === flows)),
    end: () => {
      for (const log of logs) log.end()
    },
  }
}

/**
 * The fault is over: waits until what came meanwhile is stored.
 * @returns seconds, and flows a second while the backlog was drained
 */
async function drain(arena: Arena) {
  const before = (await arena.stored()) ?? 0
  const began = performance.now()
  const recoverySeconds = await arena.settled()
  const drainedPerSecond = (arena.flows - before) / ((performance.now() - began) / 1000)
  return { recoverySeconds, drainedPerSecond }
}

const trial = await trials()

describe('brokers', () => {
  trial({ name: 'the broker killed and back, five times, at 10,000 flows/s' }, async (arena) => {
    const input = arrivals(arena, 100_000)
    arena.worker()
    arena.worker()
    for (let i = 0; i < 5; i++) {
      await sleep(4000)
      await arena.killBroker(1)
      await sleep(1500)
      await arena.startBroker(1)
    }
    await input.written()
    input.end()
    return { ...(await drain(arena)), furtherKills: 5 }
  })

  trial({ name: 'the broker down for 60 s, at 10,000 flows/s' }, async (arena) => {
    const input = arrivals(arena, 200_000)
    arena.worker()
    arena.worker()
    await sleep(10_000)
    await arena.killBroker(1)
    await sleep(60_000)
    await input.written()
    input.end()
    await arena.startBroker(1)
    return { ...(await drain(arena)), furtherKills: 1, events: '60 s without' }
  })

  trial(
    { name: 'the broker down for 10 minutes', patienceMillis: 1_200_000 },
    async (arena) => {
      const logs = SENSORS.map((number) => arena.following(number).log)
      for (const log of logs) log.grow(300, 200_000)
      arena.worker()
      await sleep(10_000)
      await arena.killBroker(1)
      await sleep(600_000)
      for (const log of logs) log.end()
      await arena.startBroker(1)
      return { ...(await drain(arena)), furtherKills: 1, events: '600 s without' }
    },
    process.env.FAULTS_TEN_MINUTES !== '1',
  )

  trial({ name: 'one of three brokers lost and back, each in turn', brokers: 3 }, async (arena) => {
    const input = arrivals(arena, 100_000)
    arena.worker()
    arena.worker()
    for (const id of [1, 2, 3]) {
      await sleep(5000)
      await arena.killBroker(id)
      await sleep(8000)
      await arena.startBroker(id)
    }
    await input.written()
    input.end()
    return { ...(await drain(arena)), furtherKills: 3 }
  })
})

describe('the store', () => {
  trial({ name: 'the store down for 60 s, at 10,000 flows/s' }, async (arena) => {
    const input = arrivals(arena, 150_000)
    arena.worker()
    arena.worker()
    await sleep(8000)
    await arena.store.tell('refuse')
    await sleep(60_000)
    await input.written()
    input.end()
    await arena.store.tell('accept')
    return { ...(await drain(arena)), events: '60 s without' }
  })

  trial({ name: 'the store stands still for 45 s, then is slow' }, async (arena) => {
    const input = arrivals(arena, 100_000)
    arena.worker()
    arena.worker()
    await sleep(6000)
    await arena.store.tell('hang')
    await sleep(45_000)
    await arena.store.tell('calm')
    await arena.store.tell('slow 400')
    await sleep(15_000)
    await input.written()
    input.end()
    await arena.store.tell('calm')
    return { ...(await drain(arena)), events: 'no answers for 45 s, slow ones for 15 s' }
  })

  trial({ name: 'the store stores, and says nothing or dies' }, async (arena, random) => {
    const input = arrivals(arena, 150_000)
    arena.worker()
    arena.worker()
    for (let i = 0; i < 30; i++) {
      const after = Math.floor(random() * 8)
      const faults = [`cut 1 ${after}`, `drop 1 ${after}`, `die-late ${after}`, `die ${after}`]
      await arena.store.tell(faults[i % 4]!)
      await sleep(1000 + random() * 1000)
    }
    await arena.store.tell('calm')
    await input.written()
    input.end()
    const { deaths } = arena.store
    return {
      ...(await drain(arena)),
      furtherKills: deaths,
      events: '15 answers lost',
      atLeastKills: 5,
    }
  })

  trial({ name: 'the store has too many parts, no memory, no space' }, async (arena) => {
    const input = arrivals(arena, 100_000)
    arena.worker()
    arena.worker()
    for (const code of [252, 241, 243, 202, 242]) {
      await arena.store.tell(`fail ${code} 6`)
      await sleep(6000)
    }
    await arena.store.tell('calm')
    await input.written()
    input.end()
    return { ...(await drain(arena)), events: '30 refusals with 5 codes' }
  })
})
