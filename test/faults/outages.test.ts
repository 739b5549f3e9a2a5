// A broker that is killed, a store that fails in each of its ways, a worker that is stopped at the worst moment and
// goes on when others have its partitions, poison: while two logs grow. Nothing is missing, twice or altered.

import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, test } from 'vitest'
import { kafkaAvailable } from '../bus/broker.ts'
import { Arena } from './arena.ts'
import { expectUnharmed, judge } from './judge.ts'
import { uniformNumbers } from './many-flows.ts'
import type { Known } from './oracle.ts'
import { POISON_KINDS, poison } from './poison.ts'
import { makeReference } from './reference.ts'

/** What each log grows by between two faults. */
const PIECE = 3000
const FLOWS = 100 + 6 * PIECE
const available = await kafkaAvailable()

describe.skipIf(!available)('outages', () => {
  let known: Known
  beforeAll(async () => {
    known = await makeReference({ s0: FLOWS, s1: FLOWS })
  }, 120_000)

  test('of broker, store and worker, one after the other', { timeout: 590_000 }, async () => {
    const arena = await Arena.start({ name: 'outages' })
    try {
      const logs = [0, 1].map((number) => arena.following(number).log)
      const more = () => {
        for (const log of logs) log.append(PIECE)
      }
      const zombie = arena.worker({
        arm: (start) => (start === 0 ? 'F5_intent_insert=stop@1' : undefined),
      })
      await arena.until('a worker is stopped with an intent', () => zombie.stopped)

      // Meanwhile the broker: the group, its positions and the sensors have to find back.
      arena.worker()
      await arena.killBroker(1)
      more()
      await sleep(1000)
      await arena.startBroker(1)
      // Its partitions go to the other worker, which repeats the slice.
      await arena.caughtUp()
      zombie.signal('SIGCONT')

      const random = uniformNumbers(11)
      const poisons = POISON_KINDS.map((_, i) => poison(i, random))
      await arena.poison(poisons)

      // Done and not said; refused; not done; dead after it was done; and gone for a while.
      for (const fault of ['cut 2', 'fail 252 1', 'drop 1', 'die-late 1', 'refuse']) {
        await arena.store.tell(fault)
        more()
        if (fault === 'refuse') await sleep(2000)
        if (fault === 'refuse') await arena.store.tell('accept')
        await arena.caughtUp()
      }
      for (const log of logs) log.end()
      const recoverySeconds = await arena.settled()
      const row = await judge(arena, known, {
        fault: 'broker killed, store failing, zombie, poison',
        recoverySeconds,
        furtherKills: 1 + arena.store.deaths,
        poison: poisons,
      })
      expectUnharmed(row)
    } finally {
      await arena.close()
    }
  })
})
