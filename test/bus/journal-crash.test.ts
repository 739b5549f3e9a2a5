// What a crash, a power cut, a full or a failing disk may do to a journal, and what must be left of it.

import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BusFault, type Delivery, type Trouble } from '../../src/bus/bus.ts'
import { type Disk, type DiskFile, NODE_DISK } from '../../src/bus/disk.ts'
import { Journal, type JournalSettings } from '../../src/bus/journal.ts'
import { writeCheckpoint } from '../../src/bus/journal-checkpoint.ts'
import { RECORD_HEAD_BYTES, SEGMENT_HEAD_BYTES } from '../../src/bus/journal-record.ts'
import { uniformNumbers } from '../faults/many-flows.ts'
import { firstClaim, sliceOf, take, text } from './contract.ts'

let root = ''
let count = 0
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'bailiwick-crash-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const fresh = () => path.join(root, String(count++))
const body = (i: number) => `body ${i} ${'.'.repeat((i * 7) % 30)}`

async function open(
  directory: string,
  settings: Partial<JournalSettings> = {},
  disk: Disk = NODE_DISK,
): Promise<{ journal: Journal; troubles: Trouble[] }> {
  const troubles: Trouble[] = []
  const small = { segmentBytes: 1 << 16, maxBytes: 1 << 20, fullRetryMillis: 20 }
  const journal = await Journal.open(
    { directory, stream: 'test', ...small, ...settings },
    (trouble) => troubles.push(trouble),
    disk,
  )
  return { journal, troubles }
}

/** A closed journal of `records` records. */
async function written(records: number, settings: Partial<JournalSettings> = {}): Promise<string> {
  const directory = fresh()
  const { journal } = await open(directory, settings)
  const sink = journal.sink()
  for (let i = 0; i < records; i++) await sink.send({ key: 'probe/0', bytes: Buffer.from(body(i)) })
  await journal.close()
  return directory
}

const segmentsOf = async (directory: string) =>
  (await readdir(directory)).filter((name) => name.endsWith('.seg')).sort()

/** For tests of what is read, thousands of times: without waiting for the medium. */
const HASTY = wrapped(() => ({ sync: async () => {} }), { syncDirectory: async () => {} })

/** All that a journal delivers at once, after one more message is sent that must be the last. */
async function readAll(directory: string, disk: Disk = HASTY) {
  const { journal, troubles } = await open(directory, {}, disk)
  const source = journal.source()
  const claim = await firstClaim(source)
  await journal.sink().send({ key: 'end/0', bytes: Buffer.from('end') })
  const taken: Delivery[] = []
  for (let one: Delivery | undefined; (one = await claim.next(5000)) !== undefined; ) {
    if (one.key === 'end/0') break
    taken.push(one)
  }
  const { counters } = source
  const { tornBytes } = journal.counters
  await journal.close()
  return { taken, troubles, holes: counters.holeOffsets, tornBytes, intent: claim.intent, claim }
}

const bodiesOf = (taken: readonly Delivery[]) => taken.map(({ bytes }) => text(bytes))

describe('a journal that was cut', () => {
  test('at any byte gives everything before the cut, and goes on', async () => {
    const directory = await written(3)
    const [name] = await segmentsOf(directory)
    const whole = await readFile(path.join(directory, name!))
    const ends = [SEGMENT_HEAD_BYTES]
    for (let i = 0; i < 3; i++)
      ends.push(ends.at(-1)! + RECORD_HEAD_BYTES + 'probe/0'.length + body(i).length)
    expect(ends.at(-1)).toBe(whole.length)

    const copy = fresh()
    for (let length = 0; length < whole.length; length++) {
      await cp(directory, copy, { recursive: true })
      await writeFile(path.join(copy, name!), whole.subarray(0, length))
      const { taken, tornBytes } = await readAll(copy)
      const left = ends.filter((end, i) => i > 0 && end <= length).length
      expect(bodiesOf(taken), `cut at ${length}`).toEqual(
        Array.from({ length: left }, (_, i) => body(i)),
      )
      expect(tornBytes).toBe(Math.max(0, length - ends[left]!))
      const file = await stat(path.join(copy, name!)).catch(() => undefined)
      expect(file?.size, `cut at ${length}`).toBe(left === 0 ? undefined : ends[left])
      await rm(copy, { recursive: true })
    }
  })

  test('never gives the number of a lost record to another one', async () => {
    const directory = await written(3)
    const [name] = await segmentsOf(directory)
    const whole = await readFile(path.join(directory, name!))
    await writeFile(path.join(directory, name!), whole.subarray(0, whole.length - 1))
    const { journal } = await open(directory)
    const { offset } = await journal.sink().send({ key: 'probe/0', bytes: Buffer.from('new') })
    expect(offset).toBeGreaterThan(2n)
    await journal.close()
    const { taken, holes } = await readAll(directory)
    expect(bodiesOf(taken)).toEqual([body(0), body(1), 'new'])
    // What was cut had not been acknowledged, so it is no loss.
    expect(holes).toBe(0n)
  })

  test('does not use numbers again that an intent names, even if every record is gone', async () => {
    const directory = await written(3)
    const opened = await open(directory)
    const claim = await firstClaim(opened.journal.source())
    const taken = await take(claim, 3)
    await claim.intend({ attempt: 1, slices: [sliceOf(taken)] })
    await opened.journal.close()
    for (const name of await segmentsOf(directory)) await rm(path.join(directory, name))
    const { journal } = await open(directory)
    const { offset } = await journal.sink().send({ key: 'probe/0', bytes: Buffer.from('new') })
    expect(offset).toBe(3n)
    const source = journal.source()
    const again = await firstClaim(source)
    expect(again.intent?.slices).toEqual([sliceOf(taken)])
    expect(bodiesOf(await take(again, 1))).toEqual(['new'])
    expect(source.counters.holeOffsets).toBe(3n)
    await journal.close()
  })
})

describe('a journal with a flipped byte', () => {
  test('loses at most the record that it hit, counts it, and gives no wrong one', async () => {
    // Three segments, so that ends in the middle are hit as well.
    const settings = { segmentBytes: 200 }
    const directory = await written(5, settings)
    const names = await segmentsOf(directory)
    expect(names.length).toBeGreaterThanOrEqual(3)
    const all = Array.from({ length: 5 }, (_, i) => body(i))
    const copy = fresh()
    for (const name of [...names, 'checkpoint.json']) {
      const whole = await readFile(path.join(directory, name))
      for (let at = 0; at < whole.length; at++) {
        await cp(directory, copy, { recursive: true })
        const flipped = Buffer.from(whole)
        flipped[at]! ^= 1 << (at % 8)
        await writeFile(path.join(copy, name), flipped)
        const { taken, holes, troubles, tornBytes } = await readAll(copy)
        const bodies = bodiesOf(taken)
        const missing = all.filter((one) => !bodies.includes(one))
        const where = `${name} at ${at}`
        expect(bodies, where).toEqual(all.filter((one) => !missing.includes(one)))
        expect(missing.length, where).toBeLessThanOrEqual(1)
        // A damaged head at the very end looks like a write that a crash cut short.
        if (tornBytes === 0) expect(holes, where).toBe(BigInt(missing.length))
        if (missing.length > 0 || tornBytes > 0) expect(troubles.length, where).toBeGreaterThan(0)
        await rm(copy, { recursive: true })
      }
    }
  })

  test('is read over where the first record of all is the damaged one, at every start', async () => {
    const directory = await written(3)
    const [name] = await segmentsOf(directory)
    const bytes = await readFile(path.join(directory, name!))
    bytes[SEGMENT_HEAD_BYTES + RECORD_HEAD_BYTES + 9]! ^= 0xff
    await writeFile(path.join(directory, name!), bytes)
    for (let start = 0; start < 3; start++) {
      const { taken, troubles } = await readAll(directory)
      expect(bodiesOf(taken)).toEqual([body(1), body(2), ...Array(start).fill('end')].slice(0, 2))
      expect(troubles).toContainEqual(
        expect.objectContaining({ kind: 'damage', detail: expect.stringContaining('record 0') }),
      )
    }
  })

  test('is not fooled by a record inside a record', async () => {
    const inner = await readFile(
      path.join(await written(1), (await segmentsOf(path.join(root, String(count - 1))))[0]!),
    )
    const directory = fresh()
    const opened = await open(directory)
    const forged = inner.subarray(SEGMENT_HEAD_BYTES)
    await opened.journal.sink().send({ key: 'probe/0', bytes: forged })
    await opened.journal.sink().send({ key: 'probe/0', bytes: Buffer.from('true') })
    await opened.journal.close()
    const [name] = await segmentsOf(directory)
    const bytes = await readFile(path.join(directory, name!))
    bytes[SEGMENT_HEAD_BYTES]! ^= 1
    await writeFile(path.join(directory, name!), bytes)
    expect(bodiesOf((await readAll(directory)).taken)).toEqual(['true'])
  })
})

describe('numbers at full width', () => {
  test.each([2n ** 16n - 2n, 2n ** 32n - 2n, 2n ** 53n - 2n])('ids go on over %s', async (next) => {
    const directory = fresh()
    await mkdir(directory)
    await writeCheckpoint(NODE_DISK, directory, { next, intent: '' })
    const { journal } = await open(directory, { segmentBytes: 200 })
    const sink = journal.sink()
    for (let i = 0; i < 6; i++) await sink.send({ key: 'probe/0', bytes: Buffer.from(body(i)) })
    await journal.close()
    const { taken, holes } = await readAll(directory)
    expect(taken.map(({ offset }) => offset)).toEqual(
      Array.from({ length: 6 }, (_, i) => next + BigInt(i)),
    )
    expect(holes).toBe(0n)
  })
})

/** The real disk, with one thing that goes wrong when told to. */
function failing(when: { sync?: () => boolean; write?: () => boolean }): Disk {
  return wrapped((file) => ({
    async sync() {
      if (when.sync?.()) throw Object.assign(new Error('input/output error'), { code: 'EIO' })
      await file.sync()
    },
    async write(pieces, at) {
      if (!when.write?.()) return await file.write(pieces, at)
      // As a disk that fills up: part of it is written.
      await file.write([Buffer.from(pieces[0]!).subarray(0, 20)], at)
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    },
  }))
}

/** The real disk with some of its operations replaced. */
function wrapped(change: (file: DiskFile) => Partial<DiskFile>, more: Partial<Disk> = {}): Disk {
  const wrap = (file: DiskFile): DiskFile => ({
    read: (into, at) => file.read(into, at),
    write: (pieces, at) => file.write(pieces, at),
    sync: () => file.sync(),
    truncate: (length) => file.truncate(length),
    size: () => file.size(),
    close: () => file.close(),
    ...change(file),
  })
  return {
    ...NODE_DISK,
    create: async (name) => wrap(await NODE_DISK.create(name)),
    open: async (name, how) => wrap(await NODE_DISK.open(name, how)),
    ...more,
  }
}

describe('a disk that fails', () => {
  test('a failed fsync is the end of the journal: nothing is acknowledged after it', async () => {
    const directory = fresh()
    let broken = false
    const { journal } = await open(directory, {}, failing({ sync: () => broken }))
    const sink = journal.sink()
    const send = (one: string) => sink.send({ key: 'probe/0', bytes: Buffer.from(one) })
    const source = journal.source()
    const claims = source.claims()[Symbol.asyncIterator]()
    const claim = (await claims.next()).value
    await send('kept')
    const [kept] = await take(claim, 1)
    broken = true
    const both = await Promise.allSettled([send('one'), send('two')])
    for (const one of both) expect(one).toMatchObject({ reason: expect.any(BusFault) })
    broken = false
    await expect(send('three')).rejects.toThrow(BusFault)
    expect(claim.lost.aborted).toBe(true)
    await expect(claim.commit(kept!.offset + 1n)).rejects.toThrow()
    await expect(claims.next()).rejects.toThrow(/fsync/)
    expect(journal.fault).toBeInstanceOf(BusFault)
    await journal.close()
    // A new process reads what is really there.
    expect(bodiesOf((await readAll(directory)).taken)[0]).toBe('kept')
  })

  test('a failed fsync of the checkpoint is the end as well', async () => {
    const directory = fresh()
    let broken = false
    const { journal } = await open(directory, {}, failing({ sync: () => broken }))
    await journal.sink().send({ key: 'probe/0', bytes: Buffer.from('a') })
    const claim = await firstClaim(journal.source())
    const taken = await take(claim, 1)
    broken = true
    await expect(claim.intend({ attempt: 1, slices: [sliceOf(taken)] })).rejects.toThrow(BusFault)
    broken = false
    await expect(claim.commit(1n)).rejects.toThrow()
    await journal.close()
  })

  test('a full disk is a pause: what was half written is taken back and written again', async () => {
    const directory = fresh()
    let full = false
    const { journal, troubles } = await open(directory, {}, failing({ write: () => full }))
    const sink = journal.sink()
    await sink.send({ key: 'probe/0', bytes: Buffer.from('a') })
    full = true
    const waiting = sink.send({ key: 'probe/0', bytes: Buffer.from('b') })
    await expect.poll(() => journal.counters.waitedForDisk).toBeGreaterThan(1)
    expect(troubles.filter(({ kind }) => kind === 'full')).toHaveLength(1)
    full = false
    await waiting
    await sink.send({ key: 'probe/0', bytes: Buffer.from('c') })
    await journal.close()
    expect(bodiesOf((await readAll(directory)).taken)).toEqual(['a', 'b', 'c'])
  })

  test('a disk that is full of what is done with empties itself', async () => {
    const directory = fresh()
    let full = false
    let readers = 0
    let removed = false
    // As a file system does it: the space of a file is free when it is removed and nobody has it open any more.
    const isFull = () => full && (!removed || readers > 0)
    const failingDisk = failing({ write: () => isFull() })
    const disk: Disk = {
      ...failingDisk,
      async open(name, how) {
        const file = await failingDisk.open(name, how)
        if (how !== 'read' || !name.endsWith('.seg')) return file
        readers++
        return {
          ...file,
          async close() {
            readers--
            await file.close()
          },
        }
      },
      async remove(name) {
        await NODE_DISK.remove(name)
        removed = true
      },
    }
    const { journal } = await open(directory, {}, disk)
    const sink = journal.sink()
    await sink.send({ key: 'probe/0', bytes: Buffer.from('a') })
    const claim = await firstClaim(journal.source())
    await take(claim, 1)
    await claim.commit(1n)
    // The segment has room and is not sealed, so the commit did not remove it. Now nobody else makes room.
    full = true
    await sink.send({ key: 'probe/0', bytes: Buffer.from('b') })
    expect(bodiesOf(await take(claim, 1))).toEqual(['b'])
    expect(journal.counters.segments).toBe(1)
    await journal.close()
  })
})

describe('room', () => {
  test('what is done with is given back, though its segment is not full', async () => {
    const sizes = { segmentBytes: 8 << 20, maxBytes: 64 << 20 }
    const { journal } = await open(fresh(), sizes)
    const sink = journal.sink()
    const claim = await firstClaim(journal.source())
    for (const round of [1n, 2n]) {
      await sink.send({ key: 'probe/0', bytes: Buffer.alloc(3 << 20, Number(round)) })
      expect(journal.counters.bytes).toBeGreaterThan(3 << 20)
      const [one] = await take(claim, 1)
      expect(one?.bytes[0]).toBe(Number(round))
      await claim.commit(round)
      expect(journal.counters.bytes).toBe(0)
    }
    await journal.close()
  })

  test('a full journal waits for its consumer, and loses its segments only to commits', async () => {
    const directory = fresh()
    const { journal, troubles } = await open(directory, { segmentBytes: 5000, maxBytes: 20_000 })
    const sink = journal.sink()
    const sends = Array.from({ length: 60 }, (_, i) =>
      sink.send({ key: 'probe/0', bytes: Buffer.alloc(900, i) }),
    )
    let done = 0
    for (const send of sends) void send.then(() => done++)
    await expect.poll(() => journal.counters.waitedForRoom).toBe(1)
    expect(done).toBeLessThan(22)
    expect(troubles).toContainEqual(expect.objectContaining({ kind: 'full' }))
    const claim = await firstClaim(journal.source())
    const seen: number[] = []
    while (seen.length < 60) {
      const taken = await take(claim, 5, 300)
      seen.push(...taken.map(({ bytes }) => bytes[0]!))
      expect(journal.counters.bytes).toBeLessThanOrEqual(20_000)
      await claim.commit(taken.at(-1)!.offset + 1n)
    }
    await Promise.all(sends)
    expect(seen).toEqual(Array.from({ length: 60 }, (_, i) => i))
    expect((await segmentsOf(directory)).length).toBeLessThanOrEqual(2)
    await journal.close()
  })

  test('messages nearly as large as the whole journal pass one by one', async () => {
    const { journal } = await open(fresh(), { segmentBytes: 5000, maxBytes: 20_000 })
    const sink = journal.sink()
    const claim = await firstClaim(journal.source())
    for (let i = 0; i < 4; i++) {
      const sending = sink.send({ key: 'probe/0', bytes: Buffer.alloc(19_000, i) })
      const [delivery] = await take(claim, 1, 5000)
      expect(delivery!.bytes[0]).toBe(i)
      await claim.commit(delivery!.offset + 1n)
      await sending
    }
    await expect(sink.send({ key: 'probe/0', bytes: Buffer.alloc(20_000) })).rejects.toMatchObject({
      kind: 'too_large',
    })
    await journal.close()
  })

  test('a send that gave up waiting is not written', async () => {
    const directory = fresh()
    const { journal } = await open(directory, { segmentBytes: 5000, maxBytes: 20_000 })
    const sink = journal.sink()
    const big = { key: 'probe/0', bytes: Buffer.alloc(19_000) }
    await sink.send(big)
    await expect(sink.send(big, AbortSignal.timeout(30))).rejects.toThrow(/timeout/i)
    const open2 = sink.send(big)
    const settled = open2.then(
      () => 'sent',
      (error: Error) => error.message,
    )
    await expect.poll(() => journal.counters.waitedForRoom).toBeGreaterThan(0)
    await journal.close()
    expect(await settled).toMatch(/closed/)
    expect((await readAllRoomy(directory)).length).toBe(1)
  })
})

async function readAllRoomy(directory: string): Promise<Delivery[]> {
  const { journal } = await open(directory)
  const taken = await take(await firstClaim(journal.source()), 10, 300)
  await journal.close()
  return taken
}

describe('one owner', () => {
  test('a second process is told who has it', async () => {
    const directory = fresh()
    const { journal } = await open(directory)
    await expect(open(directory)).rejects.toMatchObject({
      kind: 'in_use',
      message: expect.stringContaining(`process ${process.pid}`),
    })
    await journal.close()
    await (await open(directory)).journal.close()
  })
})

describe('kill -9', () => {
  test('every acknowledged message is found exactly once, whatever the moment', {
    timeout: 60_000,
  }, async () => {
    const directory = fresh()
    const acknowledged = new Map<string, bigint>()
    let committed = 0n
    const random = uniformNumbers(20_260_314)
    for (let run = 0; run < 10; run++)
      for (const line of await killedChild(directory, run, 20 + random() * 150)) {
        const [kind, id, ...rest] = line.split(' ')
        if (kind === 'a') acknowledged.set(rest.join(' '), BigInt(id!))
        else committed = BigInt(id!)
      }
    expect(acknowledged.size).toBeGreaterThan(100)
    expect(committed).toBeGreaterThan(0n)

    const { taken, claim, holes } = await readAll(directory)
    expect(claim.committed).toBeGreaterThanOrEqual(committed)
    const found = new Map(taken.map(({ bytes, offset }) => [text(bytes), offset]))
    expect(found.size).toBe(taken.length)
    expect(holes).toBe(0n)
    for (const [one, id] of acknowledged)
      if (id >= claim.committed) expect(found.get(one), one).toBe(id)
    for (const one of found.keys()) expect(one).toMatch(/^\d+\.\d\.\d+ x*$/)
    if (claim.intent !== undefined)
      expect(claim.intent.slices[0]!.first).toBeGreaterThanOrEqual(claim.committed)
  })
})

/** The whole lines that a child printed before it was killed, `millis` after its first. */
function killedChild(directory: string, run: number, millis: number): Promise<string[]> {
  const program = path.join(import.meta.dirname, 'journal-child.mjs')
  const child = spawn(process.execPath, [program, directory, String(run)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  return new Promise((resolve, reject) => {
    child.stdout.on('data', (data) => {
      if (printed === '') setTimeout(() => child.kill('SIGKILL'), millis)
      printed += data
    })
    child.on('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve(printed.split('\n').slice(0, -1))
      else reject(new Error(`the child ended with ${code}`))
    })
  })
}
