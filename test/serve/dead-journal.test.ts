// Dead letters of one process: kept as long as there is room; the oldest go first, never the worker's progress.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CHUNK_STREAM, DEAD_STREAM, LETTER_BYTES_MAX } from '../../src/bus/bus.ts'
import { type DeadLetter, encodeDeadLetter } from '../../src/bus/dead-letter.ts'
import { DeadLetters } from '../../src/bus/dead-letters.ts'
import { Journal } from '../../src/bus/journal.ts'
import { JournalLetters } from '../../src/bus/journal-letters.ts'
import { readJournal } from '../../src/bus/journal-look.ts'
import { DeadJournal } from '../../src/serve/dead-journal.ts'
import { numberedChunks } from '../work/working.ts'

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

describe('bailiwick dlq, of a data directory', () => {
  const dead = () => path.join(directory, 'dead')
  const spool = () => path.join(directory, 'spool')
  const letters = async () =>
    new DeadLetters(await JournalLetters.open({ dead: dead(), spool: spool() }))
  const [chunk] = numberedChunks('numbered/a-file', 1) as [Uint8Array]

  function letter(id: string, diedAt: number): DeadLetter {
    const place = { stream: CHUNK_STREAM, partition: 0, offset: '7', key: 'numbered/0' }
    const when = { acceptedAt: 1_700_000_000_000, diedAt }
    return { id, reason: 'refused', detail: 'too good', ...place, ...when, version: '1' }
  }
  const ids = ['11111111-1111-8111-8111-111111111111', '22222222-2222-8222-8222-222222222222']

  beforeEach(async () => {
    const journal = await DeadJournal.open(dead(), { log: () => {}, tell: () => {} })
    const send = (id: string, at: number, bytes: Uint8Array) =>
      journal.send({ key: 'numbered/0', bytes: encodeDeadLetter(letter(id, at), bytes) })
    await send(ids[0]!, 1, chunk)
    await send(ids[1]!, 2, new Uint8Array(3))
    await journal.close()
  })

  test('lists them while the server runs, newest first, with their bytes', async () => {
    const journal = await DeadJournal.open(dead(), { log: () => {}, tell: () => {} })
    const all = await letters()
    const list = await all.list({ limit: 10 })
    expect(list.letters.map((found) => found.letter.id)).toEqual([ids[1], ids[0]])
    expect(await all.bytesOf(list.letters[1]!)).toEqual(chunk)
    await all.close()
    await journal.close()
  })

  test('sends a chunk again into the spool, marks it, and refuses what no worker would take', async () => {
    const all = await letters()
    const { letters: found } = await all.list({ limit: 10 })
    expect(await all.redrive(found[1]!, chunk, 3)).toBe('sent')
    await expect(all.redrive(found[0]!, new Uint8Array(3), 3)).rejects.toThrow('it is no chunk')
    await all.close()

    const again = await letters()
    const { letters: open } = await again.list({ limit: 10, onlyOpen: true })
    expect(open.map((one) => one.letter.id)).toEqual([ids[1]])
    await again.close()
    const bytes: Uint8Array[] = []
    for await (const { body } of readJournal(spool(), 0n)) bytes.push(body)
    expect(bytes).toEqual([chunk])
  })

  test('says so where there are none', async () => {
    await rm(dead(), { recursive: true })
    await expect(letters()).rejects.toThrow(
      /there are no dead letters in .*: name the data directory/,
    )
  })
})
