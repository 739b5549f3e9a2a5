// Very many deaths: sensors and workers are killed at each failpoint in turn, and anywhere, with one worker and with
// four.

import { setTimeout as sleep } from 'node:timers/promises'
import { describe } from 'vitest'
import { type Poison, poison } from './poison.ts'
import { FLOWS_MAX, trials } from './trial.ts'

const FLOWS = 150_000
const SENSORS = [0, 1, 2, 3]
const IN_SENSOR = ['F1_read_journal', 'F2_journal_produce', 'F3_produce_ack']
const IN_WORKER = ['F4_fetch_intent', 'F5_intent_insert', 'F6_mid_insert', 'F7_insert_commit']

/** Deaths take this long on a machine that is busy: a slice that three died of rests for 45 s, anew with each holder. */
const DEATHS_MILLIS = 600_000

/** Dies at each of the places in turn, `deaths` times in all, and lives then. */
function dyingInTurn(places: readonly string[], deaths: number, first = 0) {
  return (start: number): string | undefined => {
    if (start >= deaths) return undefined
    const place = places[(start + first) % places.length]
    // A later passage now and then: with some work done in this life.
    return `${place}=kill@${1 + (start % 3)}`
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
    const end = arena.arrivals(2000, FLOWS_MAX)
    const worker = arena.worker({ arm: dyingInTurn(IN_WORKER, 16) })
    await arena.until('it has died often', () => worker.kills >= 16, DEATHS_MILLIS)
    end()
    return { recoverySeconds: await arena.settled(), atLeastKills: 16 }
  })

  trial({ name: 'kill -9 of four workers at F4, F5, F6, F7 in turn' }, async (arena) => {
    const end = arena.arrivals(2500, FLOWS_MAX)
    for (const first of [0, 1, 2, 3])
      arena.worker({ arm: dyingInTurn(IN_WORKER, 14, first), pauseMillis: 500 })
    await arena.until('they have died often', () => arena.kills >= 50, DEATHS_MILLIS)
    for (const worker of arena.workers) worker.rearm(undefined)
    end()
    return { recoverySeconds: await arena.settled(), atLeastKills: 50 }
  })

  trial({ name: 'kill -9 of anything at random moments' }, async (arena, random) => {
    const end = arena.arrivals(4000, FLOWS_MAX)
    for (let i = 0; i < 3; i++) arena.worker({ pauseMillis: 500 })
    let servers = 0
    for (let i = 0; i < 60; i++) {
      await sleep(400 + random() * 1600)
      const all = [...arena.sensors, ...arena.workers].filter(({ running }) => running)
      const victim = Math.floor(random() * (all.length + 1))
      if (victim < all.length) all[victim]!.signal('SIGKILL')
      else {
        servers++
        await arena.store.kill()
      }
    }
    end()
    const recoverySeconds = await arena.settled()
    return {
      recoverySeconds,
      furtherKills: servers,
      events: `${servers} of them of the store`,
      atLeastKills: 50,
    }
  })

  trial({ name: 'poison beside chunks, kill -9 at F11 and F12' }, async (arena, random) => {
    const end = arena.arrivals(2000, FLOWS_MAX)
    const arm = () => 'F11_dead_letter=kill@1,F12_drain=kill@1'
    const workers = [arena.worker({ arm, always: true }), arena.worker({ arm, always: true })]
    const poisons: Poison[] = []
    while (arena.kills < 12) {
      // Of all kinds; and now and then a drain that dies.
      const wrong = poison(poisons.length, random)
      poisons.push(wrong)
      await arena.poison([wrong])
      await sleep(1500)
      const one = workers[Math.floor(random() * 2)]!
      // Whoever has not begun yet ends without a drain.
      if (random() < 0.3 && one.saidStarted) one.signal('SIGTERM')
    }
    for (const worker of workers) worker.rearm(undefined)
    end()
    const recoverySeconds = await arena.settled()
    const events = `${poisons.length} messages of poison`
    return { recoverySeconds, poison: poisons, events, atLeastKills: 12 }
  })

  trial({ name: 'poison 1 % of all messages, workers killed at F11' }, async (arena, random) => {
    for (const number of SENSORS) arena.sensorOfMany(number, 500, 100)
    const arm = (start: number) => (start < 4 ? `F11_dead_letter=kill@${1 + start}` : undefined)
    for (let i = 0; i < 2; i++) arena.worker({ arm })
    const poisons: Poison[] = []
    const done = () => arena.sensors.every(({ running }) => !running)
    while (!done() || poisons.length < arena.watch.messages.size / 100) {
      if (poisons.length < arena.watch.messages.size / 100) {
        const one = poison(poisons.length, random)
        poisons.push(one)
        await arena.poison([one])
      } else await sleep(50)
    }
    const recoverySeconds = await arena.settled()
    const events = `${poisons.length} of ${arena.watch.messages.size} messages`
    return { recoverySeconds, poison: poisons, events, atLeastKills: 2 }
  })
})
