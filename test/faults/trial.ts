// A trial: an arena, a fault done to it, a verdict, a row. Trials of one file share a reference.

import { beforeAll, test } from 'vitest'
import { kafkaAvailable } from '../bus/broker.ts'
import { Arena, type ArenaPlan } from './arena.ts'
import { keepRow, skippedRow } from './fault-table.ts'
import { expectUnharmed, judge, type Trial } from './judge.ts'
import { uniformNumbers } from './many-flows.ts'
import type { Known } from './oracle.ts'
import { makeReference } from './reference.ts'

export interface Tried extends Omit<Trial, 'fault'> {
  /** What must have happened, or the trial has shown nothing. */
  atLeastKills?: number
}

export type Work = (arena: Arena, random: () => number) => Promise<Tried>

/** Far more than is needed on a machine that has nothing else to do. */
const TRIAL_MILLIS = 1_200_000

/** Flows of each of the sensors s0 to s3 that trials may use. */
export const FLOWS_MAX = 200_000

/**
 * @returns declares a trial as a test of its own: `vitest -t NAME` runs it alone. One that cannot be run here, for a
 * reason that is given, is skipped loudly, and its row says so.
 */
export async function trials(): Promise<(plan: ArenaPlan, work: Work, notHere?: string) => void> {
  const available = await kafkaAvailable()
  let known: Known
  beforeAll(async () => {
    if (available)
      known = await makeReference({ s0: FLOWS_MAX, s1: FLOWS_MAX, s2: FLOWS_MAX, s3: FLOWS_MAX })
  }, TRIAL_MILLIS)
  return (plan, work, notHere) => {
    test.skipIf(!available)(
      plan.name,
      { timeout: plan.patienceMillis ?? TRIAL_MILLIS },
      async ({ skip }) => {
        if (notHere !== undefined) {
          process.stderr.write(`\n*** SKIPPED: ${plan.name}: ${notHere}\n\n`)
          keepRow(skippedRow(plan.name, notHere))
          skip(notHere)
        }
        const seed = Number(process.env.FAULTS_SEED ?? Date.now() & 0xffff)
        const arena = await Arena.start(plan)
        try {
          const { atLeastKills = 0, ...tried } = await work(arena, uniformNumbers(seed))
          const row = await judge(arena, known, { fault: plan.name, ...tried })
          process.stderr.write(`${JSON.stringify(row)}\n`)
          expectUnharmed(row, `seed ${seed}, FAULTS_SEED=${seed} repeats it`)
          if (row.kills < atLeastKills) throw new Error(`only ${row.kills} kills: nothing is shown`)
        } finally {
          await arena.close()
        }
      },
    )
  }
}
