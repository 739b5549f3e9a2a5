// What is kept in memory between writer and consumer: bounded, in order, each record once.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { NODE_DISK } from '../../src/bus/disk.ts'
import { Journal } from '../../src/bus/journal.ts'
import { KeptRecords } from '../../src/bus/kept-records.ts'

const message = (size: number) => ({ key: 's/0', bytes: new Uint8Array(size) })

test('gives each record once, by its id, and forgets what was passed over', () => {
  const kept = new KeptRecords('chunks', 100)
  for (let id = 5n; id < 9n; id++) kept.keep(id, 1000 + Number(id), message(10))
  expect(kept.take(4n)).toBeUndefined()
  const { bytes } = message(10)
  const about = { stream: 'chunks', partition: 0, key: 's/0', bytes }
  expect(kept.take(5n)).toEqual({ ...about, offset: 5n, acceptedAt: 1005 })
  expect(kept.take(5n)).toBeUndefined()
  expect(kept.take(7n)?.offset).toBe(7n)
  expect(kept.bytes).toBe(10)
  expect(kept.take(6n)).toBeUndefined()
  expect(kept.take(20n)).toBeUndefined()
  expect(kept.bytes).toBe(0)
})

test('keeps no more than it may; what came when it was full is for the disk', () => {
  const kept = new KeptRecords('chunks', 25)
  for (let id = 0n; id < 4n; id++) kept.keep(id, 0, message(10))
  expect(kept.bytes).toBe(20)
  expect(kept.take(0n)?.offset).toBe(0n)
  kept.keep(4n, 0, message(10))
  expect([1n, 2n, 3n, 4n].map((id) => kept.take(id)?.offset)).toEqual([
    1n,
    undefined,
    undefined,
    4n,
  ])
  expect(kept.bytes).toBe(0)
})

test('a journal hands on what it has in memory, and the rest from the disk, in order', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'bailiwick-kept-'))
  let opened = 0
  const open: typeof NODE_DISK.open = (name, how) => {
    if (how === 'read' && name.endsWith('.seg')) opened++
    return NODE_DISK.open(name, how)
  }
  const settings = { directory, stream: 'chunks', keptBytes: 1000 }
  const journal = await Journal.open(settings, () => {}, { ...NODE_DISK, open })
  try {
    const source = journal.source()
    const sink = journal.sink()
    let sent = 0
    const send = async (bytes: number) => {
      await sink.send({ key: 's/0', bytes: new Uint8Array(bytes).fill(sent++) })
    }
    const openedBy: number[] = []
    const read: number[] = []
    for await (const claim of source.claims()) {
      const take = async (count: number) => {
        for (let i = 0; i < count; i++) read.push((await claim.next(5000))!.bytes[0]!)
        openedBy.push(opened)
      }
      await send(900)
      await take(1)
      // Both at once, so that the second finds no room.
      await Promise.all([send(900), send(900), send(50)])
      await take(3)
      await send(900)
      await take(1)
      break
    }
    expect(read).toEqual([0, 1, 2, 3, 4])
    expect(openedBy[0]).toBe(0)
    expect(openedBy[2]).toBe(openedBy[1])
    expect(source.counters).toMatchObject({ holes: 0, delivered: 5 })
  } finally {
    await journal.close()
    rmSync(directory, { recursive: true })
  }
})
