// The spool as a bus: what the worker commits is in the ledger first, and who reads files waits for the worker.

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Claim } from '../../src/bus/bus.ts'
import { SpoolSource } from '../../src/serve/spool-source.ts'
import { newEntry } from '../../src/ship/ledger-entry.ts'
import { Shipper } from '../../src/ship/shipper.ts'
import { Spool } from '../../src/ship/spool.ts'
import { numberedChunks } from '../work/working.ts'

const ORIGIN = 'numbered/a-file'
const NEVER = new AbortController().signal

let directory = ''
let spool: Spool
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-spool-source-'))
  spool = await Spool.open({ directory, maxBytes: 64 << 20, lanes: 4 }, () => {})
  const origin = {
    origin: ORIGIN,
    base: ORIGIN,
    kind: 'file',
    format: 'pcap',
    source: 'a',
  } as const
  await spool.ledger.begin(newEntry(origin))
})
afterEach(async () => {
  await spool.close()
  await rm(directory, { recursive: true })
})

async function claimOf(source: SpoolSource): Promise<Claim> {
  for await (const claim of source.claims()) return claim
  throw new Error('no claim')
}

test('a commit waits until the ledger knows on disk what leaves the spool', async () => {
  const source = new SpoolSource(spool)
  const claim = await claimOf(source)
  for (const chunk of numberedChunks(ORIGIN, 3)) await spool.append(chunk)
  for (let i = 0; i < 3; i++) expect((await claim.next(1000))?.offset).toBe(BigInt(i))
  expect(source.oldestAt).toBeGreaterThan(0)

  const committed = source.untilCommitted(3n, NEVER)
  await claim.commit(3n)
  await committed
  expect(source.committed).toBe(3n)
  expect(source.oldestAt).toBeUndefined()
  const ledger = await readFile(path.join(directory, 'ledger.json'), 'utf8')
  expect(ledger).toContain(`"${ORIGIN}"`)
  expect(ledger).toMatch(/"next":"?3/)
  await source.close()
})

test('nothing leaves the spool before the ledger has it', async () => {
  let durable = () => {}
  const written = new Promise<void>((resolve) => {
    durable = resolve
  })
  const ledger = { durable: () => written }
  const source = new SpoolSource({ source: () => spool.source(), ledger })
  const claim = await claimOf(source)
  for (const chunk of numberedChunks(ORIGIN, 3)) await spool.append(chunk)
  for (let i = 0; i < 3; i++) await claim.next(1000)
  const committing = claim.commit(3n)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect([source.committed, source.lag()[0]?.committed]).toEqual([0n, 0n])
  durable()
  await committing
  expect([source.committed, source.lag()[0]?.committed]).toEqual([3n, 3n])
  await source.close()
})

test('whoever reads files waits while enough is before the worker; what is prompt passes by', async () => {
  const source = new SpoolSource(spool)
  const claim = await claimOf(source)
  const shipper = new Shipper('numbered', spool, () => source.untilBelow(1, NEVER))
  const [first, second, third] = numberedChunks(ORIGIN, 3) as Uint8Array<ArrayBuffer>[]
  await shipper.send(first!)
  expect((await claim.next(1000))?.offset).toBe(0n)

  let sent = false
  const sending = shipper.send(second!).then(() => {
    sent = true
  })
  await shipper.send(third!, true)
  expect((await claim.next(1000))?.offset).toBe(1n)
  expect(sent).toBe(false)

  await claim.commit(2n)
  await sending
  expect((await claim.next(1000))?.offset).toBe(2n)
  await shipper.flush()
  shipper.stop()
  await source.close()
})

test('who waits for a position that never comes is let go with the signal', async () => {
  const source = new SpoolSource(spool)
  await claimOf(source)
  const end = new AbortController()
  const waiting = source.untilCommitted(99n, end.signal)
  end.abort()
  await waiting
  await source.close()
})
