// kill -9 at each place between an input and the store, by real processes on a real broker: nothing is missing, nothing
// is there twice, nothing is altered, and nobody has to help.

import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Failpoint } from '../../src/failpoint.ts'
import { kafkaAvailable } from '../bus/broker.ts'
import { Arena } from './arena.ts'
import { expectUnharmed, judge } from './judge.ts'
import { uniformNumbers } from './many-flows.ts'
import type { Known } from './oracle.ts'
import { type Poison, poison } from './poison.ts'
import { makeReference } from './reference.ts'

/** Flows that are added to each log in a turn. */
const PIECE = 150
const TURNS_MAX = 150
const FLOWS = 100 + PIECE * TURNS_MAX
const available = await kafkaAvailable()

/** Dies at one place after the other, a start each, then lives. */
const dyingAt = (...places: string[]) => ({ arm: (start: number) => places[start] })

describe.skipIf(!available)('kill -9', () => {
  let known: Known
  beforeAll(async () => {
    known = await makeReference({ s0: FLOWS, s1: FLOWS })
  }, 120_000)

  test('at F1 to F7, F11 and F12, with two sensors and two workers', {
    timeout: 590_000,
  }, async () => {
    const arena = await Arena.start({ name: 'kill-each' })
    try {
      const random = uniformNumbers(4)
      const poisons: Poison[] = []
      const logs = [
        arena.following(0, dyingAt('F1_read_journal=kill@2', 'F2_journal_produce=kill@1')).log,
        arena.following(1, dyingAt('F3_produce_ack=kill@1')).log,
      ]
      const [one, two] = [
        arena.worker(dyingAt('F4_fetch_intent=kill@1', 'F6_mid_insert=kill@1', 'F12_drain=kill@1')),
        arena.worker(
          dyingAt('F5_intent_insert=kill@1', 'F7_insert_commit=kill@1', 'F11_dead_letter=kill@1'),
        ),
      ]
      // There is something to do until each has died where it should; poison, when it is for the one who dies of it.
      for (let turn = 0; one.kills < 2 || two.kills < 3 || arena.kills < 8; turn++) {
        const kills = [...arena.sensors, ...arena.workers].map((each) => each.kills)
        expect(turn, `something does not die where it should: ${kills}`).toBeLessThan(TURNS_MAX)
        for (const log of logs) log.append(PIECE)
        if (two.starts === 3) {
          const next = poison(poisons.length, random)
          poisons.push(next)
          await arena.poison([next])
        }
        await sleep(1000)
      }
      for (const log of logs) log.end()
      const recoverySeconds = await arena.settled()
      one.signal('SIGTERM')
      await arena.until('the drain has died', () => one.kills === 3)
      await arena.until('and is back', () => one.running)
      const row = await judge(arena, known, {
        fault: 'kill -9 at each place',
        recoverySeconds,
        poison: poisons,
      })
      expectUnharmed(row)
      const died = [...arena.sensors, ...arena.workers].flatMap(({ exits }) =>
        exits.flatMap(({ signal, armed = '' }) =>
          signal === 'SIGKILL' ? [armed.split('=')[0] as Failpoint] : [],
        ),
      )
      expect(new Set(died)).toEqual(
        new Set<Failpoint>([
          'F1_read_journal',
          'F2_journal_produce',
          'F3_produce_ack',
          'F4_fetch_intent',
          'F5_intent_insert',
          'F6_mid_insert',
          'F7_insert_commit',
          'F11_dead_letter',
          'F12_drain',
        ]),
      )
    } finally {
      await arena.close()
    }
  })
})
