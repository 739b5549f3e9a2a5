// Outages: of brokers and of the store, in each of their ways, while flows arrive at a held rate. What waits is measured
// as it is drained.

import { setTimeout as sleep } from 'node:timers/promises'
import { describe } from 'vitest'
import type { Arena } from './arena.ts'
import { FLOWS_MAX, trials } from './trial.ts'

/** Arrivals that are held throughout, in flows a second. */
const HELD = 10_000
/** A backlog that is worth to be timed, in seconds of arrivals. */
const BACKLOG_SECONDS = 10

/**
 * The fault is over: waits until what came meanwhile is stored.
 * @param arrivalsPerSecond flows a second that arrived until then
 * @returns seconds, and flows a second while the backlog was drained, if there was one
 */
async function drain(arena: Arena, arrivalsPerSecond = HELD) {
  const before = (await arena.stored()) ?? 0
  const began = performance.now()
  const recoverySeconds = await arena.settled()
  const backlog = arena.flows - before
  // Less than that is stored before one could speak of speed.
  if (backlog < BACKLOG_SECONDS * arrivalsPerSecond) return { recoverySeconds }
  const drainedPerSecond = backlog / ((performance.now() - began) / 1000)
  return { recoverySeconds, drainedPerSecond, arrivalsPerSecond }
}

const trial = await trials()

describe('brokers', () => {
  trial({ name: 'the broker killed and back, five times, at 10,000 flows/s' }, async (arena) => {
    const end = arena.arrivals(HELD, 100_000)
    arena.worker()
    arena.worker()
    for (let i = 0; i < 5; i++) {
      await sleep(4000)
      await arena.killBroker(1)
      await sleep(1500)
      await arena.startBroker(1)
    }
    end()
    return { ...(await drain(arena)), furtherKills: 5 }
  })

  trial({ name: 'the broker down for 60 s, at 10,000 flows/s' }, async (arena) => {
    const end = arena.arrivals(HELD, 200_000)
    arena.worker()
    arena.worker()
    await sleep(10_000)
    await arena.until('all are at work', async () => ((await arena.stored()) ?? 0) > 0)
    await arena.killBroker(1)
    await sleep(60_000)
    end()
    await arena.startBroker(1)
    return { ...(await drain(arena)), furtherKills: 1, events: '60 s without' }
  })

  trial(
    { name: 'the broker down for 10 minutes', patienceMillis: 1_200_000 },
    async (arena) => {
      const end = arena.arrivals(1200, FLOWS_MAX)
      arena.worker()
      await sleep(10_000)
      await arena.killBroker(1)
      await sleep(600_000)
      end()
      await arena.startBroker(1)
      return { ...(await drain(arena, 1200)), furtherKills: 1, events: '600 s without' }
    },
    process.env.FAULTS_TEN_MINUTES === '1' ? undefined : 'FAULTS_TEN_MINUTES=1 is not set',
  )

  trial({ name: 'one of three brokers lost and back, each in turn', brokers: 3 }, async (arena) => {
    const end = arena.arrivals(HELD, 100_000)
    arena.worker()
    arena.worker()
    for (const id of [1, 2, 3]) {
      await sleep(5000)
      await arena.killBroker(id)
      await sleep(8000)
      await arena.startBroker(id)
    }
    end()
    return { ...(await drain(arena)), furtherKills: 3 }
  })
})

describe('the store', () => {
  trial({ name: 'the store down for 60 s, at 10,000 flows/s' }, async (arena) => {
    const end = arena.arrivals(HELD, 200_000)
    arena.worker()
    arena.worker()
    await sleep(8000)
    await arena.until('all are at work', async () => ((await arena.stored()) ?? 0) > 0)
    await arena.store.tell('refuse')
    await sleep(60_000)
    end()
    await arena.store.tell('accept')
    return { ...(await drain(arena)), events: '60 s without' }
  })

  trial({ name: 'the store stands still for 45 s, then is slow' }, async (arena) => {
    const end = arena.arrivals(HELD, 100_000)
    arena.worker()
    arena.worker()
    await sleep(6000)
    await arena.store.tell('hang')
    await sleep(45_000)
    await arena.store.tell('calm')
    await arena.store.tell('slow 400')
    await sleep(15_000)
    end()
    await arena.store.tell('calm')
    return { ...(await drain(arena)), events: 'no answers for 45 s, slow ones for 15 s' }
  })

  trial({ name: 'the store stores, and says nothing or dies' }, async (arena, random) => {
    const end = arena.arrivals(HELD, FLOWS_MAX)
    arena.worker()
    arena.worker()
    for (let i = 0; i < 24; i++) {
      const after = Math.floor(random() * 8)
      const faults = [`cut 1 ${after}`, `drop 1 ${after}`, `die-late ${after}`, `die ${after}`]
      const { deaths } = arena.store
      await arena.store.tell(faults[i % 4]!)
      await sleep(1000 + random() * 1000)
      // It dies of an insert, and on a busy machine they are few.
      for (let waits = 0; i % 4 > 1 && arena.store.deaths === deaths && waits < 40; waits++)
        await sleep(100)
    }
    await arena.store.tell('calm')
    end()
    const { deaths } = arena.store
    return {
      ...(await drain(arena)),
      furtherKills: deaths,
      events: '12 answers lost',
      atLeastKills: 5,
    }
  })

  trial({ name: 'the store has too many parts, no memory, no space' }, async (arena) => {
    const end = arena.arrivals(HELD, 100_000)
    arena.worker()
    arena.worker()
    for (const code of [252, 241, 243, 202, 242]) {
      await arena.store.tell(`fail ${code} 6`)
      await sleep(6000)
    }
    await arena.store.tell('calm')
    end()
    return { ...(await drain(arena)), events: '30 refusals with 5 codes' }
  })
})
