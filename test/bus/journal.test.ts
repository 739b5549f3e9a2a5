// The embedded journal, held by the contract, by its own examples, and by whatever a disk may do to it.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { Journal } from '../../src/bus/journal.ts'
import { busContract } from './contract.ts'

let root = ''
let count = 0

busContract({
  name: 'journal',
  async start() {
    root = await mkdtemp(path.join(tmpdir(), 'bailiwick-journal-'))
  },
  async stream({ inFlightBytes }) {
    const directory = path.join(root, String(count++))
    const open = () => Journal.open({ directory, stream: 'test', inFlightBytes }, () => {})
    let journal = await open()
    return {
      sink: async () => journal.sink(),
      source: async () => journal.source(),
      async restart() {
        await journal.close()
        journal = await open()
      },
      close: () => journal.close(),
    }
  },
  stop: () => rm(root, { recursive: true, force: true }),
})

test('what is durable can be read from anywhere on, beside its consumer', async () => {
  const directory = path.join(root, 'beside')
  const journal = await Journal.open(
    { directory, stream: 'test', segmentBytes: 1 << 10, maxBytes: 1 << 20 },
    () => {},
  )
  expect([journal.committed, journal.nextId]).toEqual([0n, 0n])
  const sink = journal.sink()
  for (let n = 0; n < 20; n++) await sink.send({ key: 'a/0', bytes: Buffer.alloc(300, n) })
  const read = async (id: bigint) => {
    const found: [bigint, number][] = []
    for await (const { offset, bytes } of journal.recordsFrom(id)) found.push([offset, bytes[0]!])
    return found
  }
  const all = Array.from({ length: 20 }, (_, n): [bigint, number] => [BigInt(n), n])
  expect(await read(0n)).toEqual(all)
  expect(await read(13n)).toEqual(all.slice(13))
  expect(await read(journal.nextId)).toEqual([])
  for await (const claim of journal.source().claims()) {
    for (let n = 0; n < 10; n++) await claim.next(1000)
    await claim.commit(10n)
    break
  }
  expect([journal.committed, journal.nextId]).toEqual([10n, 20n])
  // Segments that hold nothing else are gone.
  const left = await read(0n)
  expect(left.length).toBeLessThan(20)
  expect(left).toEqual(all.slice(20 - left.length))
  await journal.close()
})
