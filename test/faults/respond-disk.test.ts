// What follows a finding, on a disk that is really full, and on one that forgot the end of what was written or changed it:
// nothing is taken that cannot be kept, it goes on by itself when there is room, and what was lost is said.

import { mkdtempSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { SECRET } from '../respond/receiver.ts'
import { runProgram } from './program.ts'
import { RespondArena } from './respond-arena.ts'
import { auditRecords, judgeResponse } from './respond-judge.ts'
import { keepRespondRow } from './respond-table.ts'
import { fillDisk, freeBytes, mountSmall, noSmallDisk, unmountSmall } from './small-disk.ts'

let arena: RespondArena | undefined
let mounted: string | undefined
let letGo: (() => void) | undefined
afterEach(async () => {
  letGo?.()
  letGo = undefined
  await arena?.close()
  arena = undefined
  if (mounted !== undefined) {
    await unmountSmall(mounted)
    rmdirSync(mounted)
  }
  mounted = undefined
})

/** A disk of its own for what follows a finding. */
async function onSmallDisk(): Promise<RespondArena> {
  mounted = mkdtempSync(path.join(tmpdir(), 'bailiwick-full-'))
  await mountSmall(mounted, '24m')
  arena = await RespondArena.start({ data: path.join(mounted, 'data') })
  await arena.open()
  return arena
}

function fill(): void {
  const end = fillDisk(mounted!)
  letGo = () => {
    letGo = undefined
    end()
  }
}

describe.skipIf(noSmallDisk !== undefined)('a disk that is full', () => {
  test('holds findings back and says so; it goes on by itself', { timeout: 200_000 }, async () => {
    const one = await onSmallDisk()
    one.give(30)
    await one.settled()
    const before = one.taken
    fill()
    expect(freeBytes(mounted!)).toBe(0)
    // More than fits into what the files have of their last blocks.
    one.give(600)
    await one.until('it says that it is full', ({ ready }) => !ready, 30_000)
    expect((await one.status()).reason).toMatch(/no space left on the disk/)
    await sleep(1500)
    expect(one.taken).toBeLessThan(before + 600)
    const atOnce = one.taken
    letGo!()
    const ready = await one.until('it goes on', (status) => status.ready, 30_000)
    const recoverySeconds = ready + (await one.settled())
    const row = judgeResponse(one, {
      ...{ fault: 'its disk really full', recoverySeconds },
      events: `${atOnce} of ${one.given} findings taken before there was room`,
    })
    keepRespondRow(row)
    expect(row.faults).toEqual([])
    await runProgram(['audit', 'verify', one.auditFile])
    expect(one.errors).not.toContain(SECRET)
  })

  test('is no reason not to end, and one not to begin', { timeout: 200_000 }, async () => {
    const one = await onSmallDisk()
    one.give(60)
    await one.until('some of it is told', () => one.received().length > 3)
    fill()
    one.give(300)
    await one.until('it says that it is full', ({ ready }) => !ready, 30_000)
    // Told to end it does, although nothing can be written.
    expect(await one.stop()).toBe(0)
    await one.open()
    await expect(one.dies(10_000)).rejects.toThrow(/ended by 70: .*no space left on the disk/)
    letGo!()
    await one.open()
    await one.dies(300)
    await one.open()
    const recoverySeconds = await one.settled()
    const fault = 'a full disk, ended and started meanwhile, then kill -9'
    const row = judgeResponse(one, { fault, recoverySeconds })
    keepRespondRow(row)
    expect(row.faults).toEqual([])
  })
})

test('what a loss of power cut short is taken off, told, and given again', {
  timeout: 200_000,
}, async () => {
  arena = await RespondArena.start()
  for (const torn of ['{"seq":', 'é'.repeat(3), '\u0000'.repeat(40)]) {
    await arena.open()
    arena.give(30)
    await arena.dies(600)
    arena.tear(Buffer.from(torn).subarray(0, -1))
    await runProgram(['audit', 'verify', arena.auditFile])
  }
  await arena.open()
  const row = judgeResponse(arena, {
    ...{ fault: 'torn ends of outbox and audit log', recoverySeconds: await arena.settled() },
    events: '3 of each',
  })
  keepRespondRow(row)
  expect(row.faults).toEqual([])
  expect(auditRecords(arena).filter(({ action }) => action === 'audit.torn')).toHaveLength(3)
})

test('an audit log that was changed is never gone on with', { timeout: 100_000 }, async () => {
  arena = await RespondArena.start()
  await arena.open()
  arena.give(30)
  await arena.settled()
  expect(await arena.stop()).toBe(0)
  const bytes = readFileSync(arena.auditFile)
  const changed = Buffer.from(bytes)
  changed[bytes.length >> 1]! ^= 1
  writeFileSync(arena.auditFile, changed)
  await runProgram(['audit', 'verify', arena.auditFile], { codes: [1] })
  await arena.open()
  await expect(arena.dies(10_000)).rejects.toThrow(/audit\.log:\d+ .*keep the file/)
  expect(readFileSync(arena.auditFile)).toEqual(changed)
})

test('a byte of the outbox that flipped loses no more than its note, and is told', {
  timeout: 100_000,
}, async () => {
  arena = await RespondArena.start()
  await arena.open()
  for (let i = 0; i < 20; i++) {
    arena.give(9)
    await sleep(20)
  }
  await arena.settled()
  expect(await arena.stop()).toBe(0)
  const outbox = path.join(arena.data, 'respond')
  const name = readdirSync(outbox).find((one) => one.endsWith('.seg'))!
  const bytes = readFileSync(path.join(outbox, name))
  bytes[bytes.length >> 1]! ^= 0x20
  writeFileSync(path.join(outbox, name), bytes)
  await arena.open()
  arena.give(9)
  await arena.settled()
  const { ready, reason } = await arena.status()
  expect([ready, reason]).toEqual([true, expect.stringMatching(/damaged on the disk/)])
  // What it was damaged in had been told; it may be told again, which is not known any more, and is never kept back.
  const row = judgeResponse(arena, { fault: 'a flipped byte in the outbox', recoverySeconds: 0 })
  expect(row.missing).toBe(0)
  expect(row.faults.filter((words) => words.startsWith('I6'))).toEqual([])
})
