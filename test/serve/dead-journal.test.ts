// Dead letters of one process: kept as long as there is room; the oldest go first, never the worker's progress.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DEAD_STREAM, LETTER_BYTES_MAX } from '../../src/bus/bus.ts'
import { Journal } from '../../src/bus/journal.ts'
import { DeadJournal } from '../../src/serve/dead-journal.ts'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-dead-'))
})
afterEach(() => rm(directory, { recursive: true }))

const warnings: unknown[] = []
const open = (maxBytes: number) =>
  DeadJournal.open(directory, {
    log: (_, __, fields) => warnings.push(fields),
    tell: () => {},
    maxBytes,
  })

async function kept(): Promise<{ first: number; count: number }> {
  const journal = await Journal.open({ directory, stream: DEAD_STREAM }, () => {})
  const offsets: bigint[] = []
  for await (const { offset } of journal.recordsFrom(0n)) offsets.push(offset)
  await journal.close()
  return { first: Number(offsets[0]), count: offsets.length }
}

test('takes the largest letter there is', async () => {
  const dead = await open(256 << 20)
  await dead.send({ key: 'dead', bytes: new Uint8Array(LETTER_BYTES_MAX) })
  await dead.close()
  expect(await kept()).toEqual({ first: 0, count: 1 })
})

test('forgets the oldest when there is no more room, also those of the process before', async () => {
  const letter = { key: 'dead', bytes: new Uint8Array(64 << 10) }
  for (const part of [0, 1, 2]) {
    const dead = await open(4 << 20)
    for (let i = 0; i < 40; i++) await dead.send(letter)
    const bytes = dead.samples().find(({ name }) => name === 'dead_letter_bytes')
    expect(bytes?.value, `part ${part}`).toBeLessThanOrEqual(4 << 20)
    expect(dead.readiness()).toEqual({ ready: true, reason: '' })
    await dead.close()
  }
  const { first, count } = await kept()
  expect(first + count).toBe(120)
  expect(count).toBeGreaterThan(30)
  expect(first).toBeGreaterThan(40)
  expect(warnings.length).toBeGreaterThan(0)
})
