// Very many deaths between a finding and what follows it: at each place in turn, and anywhere.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { uniformNumbers } from './many-flows.ts'
import { runProgram } from './program.ts'
import { RespondArena, type RespondPlan } from './respond-arena.ts'
import { auditRecords, judgeResponse } from './respond-judge.ts'
import { keepRespondRow } from './respond-table.ts'

const PLACES = ['F8_alert_outbox', 'F9_outbox_send', 'F10_send_ack']
const TIMEOUT = 1_500_000

let arena: RespondArena
afterEach(() => arena.close())

interface Deaths {
  fault: string
  deaths: number
  /** Failpoints of a life; undefined: killed anywhere. */
  arm: (life: number) => string | undefined
  plan?: RespondPlan
  /** After each death. */
  after?: (life: number) => void
  perHour?: number
}

async function dieOften({ fault, deaths, arm, plan = {}, after, perHour }: Deaths) {
  const seed = Number(process.env.FAULTS_SEED ?? Date.now() & 0xffff)
  const random = uniformNumbers(seed)
  arena = await RespondArena.start({ lost: 11, ...plan })
  let atPlace = 0
  for (let life = 0; life < deaths; life++) {
    const failpoints = arm(life)
    await arena.open(failpoints)
    // A passage of F8 for each of the batches it is given, and messages, and calls, to die of.
    const passages = Number(failpoints?.split('@')[1] ?? 1)
    const calls = failpoints?.startsWith('F10') ?? false
    arena.give((calls ? 90 : 30 * passages) + Math.floor(random() * 30))
    // Where there is nothing left to call, nobody dies of it.
    if (await arena.dies(failpoints === undefined ? random() * 900 : 4000)) atPlace++
    after?.(life)
    auditRecords(arena)
    if (life % 10 === 0) await runProgram(['audit', 'verify', arena.auditFile])
  }
  await arena.open()
  const recoverySeconds = await arena.settled()
  const row = judgeResponse(arena, {
    ...{ fault, recoverySeconds, events: arm(0) === undefined ? '' : `${atPlace} at the place` },
    ...(perHour === undefined ? {} : { perHour }),
  })
  keepRespondRow(row)
  expect(row.faults, `seed ${seed}, FAULTS_SEED=${seed} repeats it`).toEqual([])
  expect(row.kills).toBe(deaths)
  expect(await arena.stop()).toBe(0)
}

test('at F8, F9 and F10 in turn', { timeout: TIMEOUT }, () =>
  dieOften({
    fault: 'kill -9 at F8, F9, F10 in turn',
    deaths: 100,
    arm: (life) => `${PLACES[life % 3]}=kill@${1 + (life % 4)}`,
  }),
)

test('anywhere', { timeout: TIMEOUT }, () =>
  dieOften({ fault: 'kill -9 at random moments', deaths: 60, arm: () => undefined }),
)

test('anywhere, with torn ends after each', { timeout: TIMEOUT }, () =>
  dieOften({
    fault: 'kill -9 at random moments, ends torn each time',
    deaths: 30,
    arm: () => undefined,
    after: (life) => arena.tear(Buffer.alloc(1 + ((life * 37) % 900), 0x7b)),
  }),
)

test('at F10 with a cap of ten an hour', { timeout: TIMEOUT }, () =>
  dieOften({
    fault: 'kill -9 at F10, a cap of ten an hour',
    deaths: 30,
    arm: (life) => `F10_send_ack=kill@${1 + (life % 2)}`,
    plan: { revocation: { per_hour: 10 } },
    perHour: 10,
  }),
)

test('while the receiver is away', { timeout: TIMEOUT }, async () => {
  arena = await RespondArena.start()
  await arena.open()
  arena.give(300)
  await sleep(300)
  arena.receiver('SIGSTOP')
  for (let life = 0; life < 10; life++) {
    await arena.dies(700)
    await arena.open()
    arena.give(30)
  }
  arena.receiver('SIGCONT')
  const recoverySeconds = await arena.settled()
  const row = judgeResponse(arena, {
    ...{ fault: 'kill -9 while the receiver stands still', recoverySeconds },
  })
  keepRespondRow(row)
  expect(row.faults).toEqual([])
})
