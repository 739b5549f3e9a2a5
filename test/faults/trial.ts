// A trial: an arena, a fault done to it, a verdict, a row. Trials of one file share a reference.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, test } from 'vitest'
import { kafkaAvailable } from '../bus/broker.ts'
import type { Front } from '../store/front.ts'
import { Arena, type ArenaPlan } from './arena.ts'
import type { FaultRow } from './fault-table.ts'
import { expectUnharmed, judge, type Trial } from './judge.ts'
import { uniformNumbers } from './many-flows.ts'
import { makeReference } from './reference.ts'

export interface Tried extends Omit<Trial, 'fault'> {
  /** What must have happened, or the trial has shown nothing. */
  atLeastKills?: number
}

export type Work = (arena: Arena, random: () => number) => Promise<Tried>

const TRIAL_MILLIS = 540_000

/**
 * @param flows of each of the sensors s0 to s3 that trials may use
 * @returns declares a trial as a test of its own: `vitest -t NAME` runs it alone
 */
export async function trials(
  flows: number,
): Promise<(plan: ArenaPlan, work: Work, skip?: boolean) => void> {
  const available = await kafkaAvailable()
  const rows: FaultRow[] = []
  let directory = ''
  let reference: Front
  beforeAll(async () => {
    if (!available) return
    directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-reference-'))
    reference = await makeReference(directory, { s0: flows, s1: flows, s2: flows, s3: flows })
  }, 300_000)
  afterAll(async () => {
    await reference?.kill('SIGKILL')
    if (directory !== '') await rm(directory, { recursive: true, force: true })
  })
  return (plan, work, skip = false) => {
    test.skipIf(!available || skip)(
      plan.name,
      { timeout: plan.patienceMillis ?? TRIAL_MILLIS },
      async () => {
        const seed = Number(process.env.FAULTS_SEED ?? Date.now() & 0xffff)
        const arena = await Arena.start(plan)
        try {
          const { atLeastKills = 0, ...tried } = await work(arena, uniformNumbers(seed))
          const row = await judge(arena, reference, { fault: plan.name, ...tried })
          rows.push(row)
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
