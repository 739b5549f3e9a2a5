// Very many deaths: sensors and workers are killed at each failpoint in turn, and anywhere, with one worker and with
// four.

import { setTimeout as sleep } from 'node:timers/promises'
import { describe } from 'vitest'
import type { Arena } from './arena.ts'
import { POISON_KINDS, poison } from './poison.ts'
import { trials } from './trial.ts'

const FLOWS = 150_000
const SENSORS = [0, 1, 2, 3]
const IN_SENSOR = ['F1_read_journal', 'F2_journal_produce', 'F3_produce_ack']
const IN_WORKER = ['F4_fetch_intent', 'F5_intent_insert', 'F6_mid_insert', 'F7_insert_commit']

/** Dies at each of the places in turn, `deaths` times in all, and lives then. */
function dyingInTurn(places: readonly string[], deaths: number, first = 0) {
  return (start: number): string | undefined => {
    if (start >= deaths) return undefined
    const place = places[(start + first) % places.length]
    // A later passage now and then: with some work done in this life.
    return `${place}=kill@${1 + (start % 3)}`
  }
}

/** Four logs that grow to their end. @returns waits until they have */
function grow(arena: Arena, perSecond: number, flows: number): () => Promise<void> {
  const logs = SENSORS.map((number) => arena.following(number).log)
  for (const log of logs) log.grow(perSecond, flows)
  return async () => {
    await arena.until('all is written', () => logs.every(({ written }) => written === flows))
    for (const log of logs) log.end()
  }
}

const trial = await trials()

describe('kill -9', () => {
  trial({ name: 'kill -9 of sensors at F1, F2, F3 in turn' }, async (arena) => {
    for (const number of SENSORS)
      arena.sensor(number, FLOWS, { arm: dyingInTurn(IN_SENSOR, 10, number) })
    arena.worker()
    await arena.until('the sensors are done', () =>
      arena.sensors.every(({ running, exits }) => !running && exits.at(-1)?.code === 0),
    )
    return { recoverySeconds: await arena.settled(), atLeastKills: 30 }
  })

  trial({ name: 'kill -9 of one worker at F4, F5, F6, F7 in turn' }, async (arena) => {
    const written = grow(arena, 600, 40_000)
    const worker = arena.worker({ arm: dyingInTurn(IN_WORKER, 16) })
    await arena.until('it has died often', () => worker.kills >= 16)
    await written()
    return { recoverySeconds: await arena.settled(), atLeastKills: 16 }
  })

  trial({ name: 'kill -9 of four workers at F4, F5, F6, F7 in turn' }, async (arena) => {
    const written = grow(arena, 800, 60_000)
    for (const first of [0, 1, 2, 3])
      arena.worker({ arm: dyingInTurn(IN_WORKER, 15, first), pauseMillis: 500 })
    await written()
    await arena.until('they have died often', () => arena.kills >= 50)
    return { recoverySeconds: await arena.settled(), atLeastKills: 50 }
  })

  trial({ name: 'kill -9 of anything at random moments' }, async (arena, random) => {
    const written = grow(arena, 1250, 100_000)
    for (let i = 0; i < 3; i++) arena.worker({ pauseMillis: 500 })
    let servers = 0
    for (let i = 0; i < 60; i++) {
      await sleep(400 + random() * 1600)
      const all = [...arena.sensors, ...arena.workers]
      const victim = Math.floor(random() * (all.length + 1))
      if (victim < all.length) all[victim]!.signal('SIGKILL')
      else {
        servers++
        await arena.store.kill()
      }
    }
    await written()
    const recoverySeconds = await arena.settled()
    return {
      recoverySeconds,
      furtherKills: servers,
      events: `${servers} of them of the store`,
      atLeastKills: 50,
    }
  })

  trial({ name: 'poison beside chunks, kill -9 at F11 and F12' }, async (arena, random) => {
    const written = grow(arena, 1000, 40_000)
    const poisons = Array.from({ length: 5 * POISON_KINDS.length }, (_, i) => poison(i, random))
    const arm = (start: number) =>
      start < 10 ? 'F11_dead_letter=kill@1,F12_drain=kill@1' : undefined
    const workers = [arena.worker({ arm }), arena.worker({ arm })]
    for (const one of poisons) {
      await arena.poison([one])
      await sleep(600)
      // A drain that dies, too.
      if (random() < 0.3) workers[Math.floor(random() * 2)]!.signal('SIGTERM')
    }
    for (const worker of workers) worker.rearm(undefined)
    await written()
    const recoverySeconds = await arena.settled()
    return {
      recoverySeconds,
      poison: poisons,
      events: `${poisons.length} messages of poison`,
      atLeastKills: 12,
    }
  })
})
