// kill -9 between a finding and what follows it, by a real process and a real receiver: every alert is told at least once,
// under one id however often, nothing is revoked that must not be, and the audit log holds together after each death.

import { afterEach, expect, test } from 'vitest'
import { runProgram } from './program.ts'
import { RespondArena } from './respond-arena.ts'
import { auditRecords, judgeResponse } from './respond-judge.ts'
import { keepRespondRow } from './respond-table.ts'

let arena: RespondArena
afterEach(() => arena.close())

test('at F8, F9 and F10, and anywhere', { timeout: 300_000 }, async () => {
  const perHour = 12
  arena = await RespondArena.start({ lost: 7, revocation: { per_hour: perHour } })
  const deaths = [
    'F8_alert_outbox=kill@1',
    'F9_outbox_send=kill@1',
    'F10_send_ack=kill@1',
    'F10_send_ack=kill@2',
    'F9_outbox_send=kill@3',
    undefined,
    'F8_alert_outbox=kill@2',
    undefined,
  ]
  let records = 0
  for (const [at, failpoints] of deaths.entries()) {
    await arena.open(failpoints)
    arena.give(45)
    const itself = await arena.dies(failpoints === undefined ? 40 * at : 30_000)
    expect(itself, failpoints).toBe(failpoints !== undefined)
    const before = records
    records = auditRecords(arena).length
    expect(records).toBeGreaterThanOrEqual(before)
    await runProgram(['audit', 'verify', arena.auditFile])
  }
  await arena.open()
  const row = judgeResponse(arena, {
    ...{ fault: 'kill -9 at F8, F9, F10', recoverySeconds: await arena.settled(), perHour },
  })
  keepRespondRow(row)
  expect(row.faults).toEqual([])
  expect([row.kills, row.missing, row.doubled, row.altered]).toEqual([deaths.length, 0, 0, 0])
  // As many as the cap lets through, although more might have been.
  expect(row.revoked).toBe(perHour)
  expect(await arena.stop()).toBe(0)
})
