// The outbox over a long life, on disks that forget, flip or refuse: it stays small, loses nothing by itself, and says
// what a disk lost.

import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Disk, NODE_DISK } from '../../src/bus/disk.ts'
import { BOOK_MAX } from '../../src/respond/alert-book.ts'
import { Hub } from '../../src/respond/hub.ts'
import type { Notifier } from '../../src/respond/notifier.ts'
import { Responder, type ResponderParts } from '../../src/respond/responder.ts'
import { finding, uuid } from './made-findings.ts'
import { LOOPBACK, QUICK, webhook } from './responding.ts'

let directory = ''
let responder: Responder | undefined
let sent: { id: string; alerts: string[] }[] = []
let logged: string[] = []
let works = true

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-outbox-'))
  sent = []
  logged = []
  works = true
})
afterEach(async () => {
  await responder?.close()
  responder = undefined
  await rm(directory, { recursive: true, force: true })
})

/** Takes everything at once, as the network would. */
const notifier: Notifier = {
  target: 'https://soc.example/',
  key: 'soc',
  send: async ({ id, body }) => {
    if (!works) return { kind: 'failed', why: 'no', broken: false, throttled: false }
    const { data } = JSON.parse(body) as {
      data: { alerts: { id: string }[]; more: { id: string }[] }
    }
    sent.push({ id, alerts: [...data.alerts, ...data.more].map((one) => one.id) })
    return { kind: 'delivered', status: 204 }
  },
  close: async () => {},
}

async function open(parts: Partial<ResponderParts> = {}, groupSeconds = 0, where = directory) {
  const log: ResponderParts['log'] = (level, message, fields) =>
    void logged.push(JSON.stringify({ level, message, ...fields }))
  responder = await Responder.open(
    {
      directory: where,
      webhooks: [webhook('https://soc.example/', { groupSeconds })],
      allowTargets: LOOPBACK,
    },
    {
      ...{ log, hub: new Hub(() => {}), version: '1', notifierOf: () => notifier },
      limits: { ...QUICK, perSecond: 1000, burst: 1000 },
      ...parts,
    },
  )
  return responder
}

/** As after kill -9: nothing is closed, what is on the disk goes on elsewhere. */
async function asKilled(): Promise<string> {
  for (;;) {
    const copy = await mkdtemp(path.join(tmpdir(), 'bailiwick-outbox-copy-'))
    try {
      await cp(directory, copy, { recursive: true })
      await rm(path.join(copy, 'owner.lock'), { force: true })
      return copy
    } catch (error) {
      // A segment was thrown away while it was to be copied: this is no moment that ever was.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      await rm(copy, { recursive: true, force: true })
    }
  }
}

const told = () => new Set(sent.flatMap(({ alerts }) => alerts))
const metric = (name: string) =>
  responder!.samples().find((sample) => sample.name === name)?.value ?? Number.NaN

test('stays small over very many findings and restarts, and forgets no alert that it told of', async () => {
  const small = { outbox: { compactBytes: 1 << 20, segmentBytes: 1 << 18, bodiesBytes: 1 << 16 } }
  // Two hundred thousand before a release.
  const OF_LIFE = 250 * Math.ceil(Number(process.env.OUTBOX_ALERTS ?? 30_000) / 3 / 250)
  const ALERTS = 3 * OF_LIFE
  let compactions = 0
  let largest = 0
  for (let life = 0; life < 3; life++) {
    const { take } = bound(await open(small))
    for (let n = life * OF_LIFE; n < (life + 1) * OF_LIFE; n += 250) {
      await take(Array.from({ length: 250 }, (_, i) => finding(n + i)))
      largest = Math.max(largest, metric('outbox_bytes'))
    }
    await expect.poll(() => metric('webhook_queued'), { timeout: 60_000 }).toBe(0)
    compactions += metric('outbox_compactions_total')
    await responder!.close()
  }
  expect(told().size).toBe(ALERTS)
  expect(compactions).toBeGreaterThan(0)
  // Ten thousand alerts are held, five thousand more while they wait, and reckoned at two kilobytes each when it is
  // opened: at twice that old notes go, an eighth may come meanwhile, however fast, and each is noted again.
  expect(largest).toBeLessThan((2 * 2000 * (9 / 8) + 1000) * (BOOK_MAX + 5000))
  await open(small)
  if (ALERTS > 30_000)
    process.stderr.write(
      `outbox: ${ALERTS} alerts in three lives, ${compactions} compactions, at most ${largest} bytes, RSS ${process.memoryUsage().rss}\n`,
    )
  expect(metric('alerts_held')).toBe(BOOK_MAX)
  const before = sent.length
  // What was told long ago, and is held no more, is not told again.
  await responder!.take([finding(0), finding(ALERTS - 1)])
  await responder!.take([finding('new')])
  await expect.poll(() => sent.length).toBe(before + 1)
  expect(sent.at(-1)!.alerts).toEqual([uuid('alert', 'new')])
})

test('throws old notes away although each life is short', async () => {
  const small = { outbox: { compactBytes: 1 << 16, segmentBytes: 1 << 14 } }
  let most = 0
  for (let life = 0; life < 30; life++) {
    await open(small)
    // The same alerts again and again: what counts does not grow.
    await responder!.take(Array.from({ length: 40 }, (_, i) => finding(i, life)))
    await expect.poll(() => metric('webhook_queued')).toBe(0)
    await responder!.close()
    const sizes = await Promise.all(
      (await readdir(directory))
        .filter((name) => name.endsWith('.seg'))
        .map(async (name) => (await readFile(path.join(directory, name))).length),
    )
    if (life > 5)
      most = Math.max(
        most,
        sizes.reduce((sum, size) => sum + size, 0),
      )
  }
  expect(most).toBeLessThan(6 * 65_536)
})

test('a message that waits outlives the notes around it; also one that is dead', async () => {
  works = false
  await open({ outbox: { compactBytes: 1 << 16, segmentBytes: 1 << 14, bodiesBytes: 0 } })
  await responder!.take([finding('waits')])
  await expect.poll(() => responder!.dead().length).toBe(1)
  const [dead] = responder!.dead()
  works = true
  for (let n = 0; n < 400; n += 20)
    await responder!.take(Array.from({ length: 20 }, (_, i) => finding(n + i)))
  await expect.poll(() => metric('outbox_compactions_total')).toBeGreaterThan(0)
  const copy = await asKilled()
  await responder!.close()
  await open({}, 0, copy)
  expect(responder!.dead()).toEqual([dead])
  await responder!.redrive(dead!.id)
  await expect.poll(() => sent.at(-1)).toEqual({ id: dead!.id, alerts: [uuid('alert', 'waits')] })
})

test('an alert that waits for others is told by the next process, however many came after it', async () => {
  await open({ notifierOf: ({ name }) => ({ ...notifier, key: name }) }, 3600)
  responder!.reload({
    directory,
    webhooks: [webhook('https://soc.example/', { groupSeconds: 3600, minScore: 90 })],
    allowTargets: LOOPBACK,
  })
  await responder!.take([finding('rare', 0, { score: 95 })])
  for (let n = 0; n < BOOK_MAX + 500; n += 500)
    await responder!.take(Array.from({ length: 500 }, (_, i) => finding(n + i)))
  expect(sent).toEqual([])
  const copy = await asKilled()
  await responder!.close()
  await open({}, 0, copy)
  await expect.poll(() => told().has(uuid('alert', 'rare'))).toBe(true)
})

test('a byte that flipped loses what it stood in, and that is said', async () => {
  await open()
  for (let n = 0; n < 30; n++) await responder!.take([finding(n)])
  await responder!.close()
  const name = (await readdir(directory)).find((one) => one.endsWith('.seg'))!
  const bytes = await readFile(path.join(directory, name))
  bytes[bytes.length >> 1]! ^= 0x10
  await writeFile(path.join(directory, name), bytes)
  await open()
  expect(metric('outbox_lost_total')).toBeGreaterThan(0)
  expect(responder!.readiness()).toMatchObject({ ready: true, warning: /damaged on the disk/ })
  expect(logged.join('\n')).toContain('the outbox was damaged on the disk')
  expect(metric('alerts_held')).toBeGreaterThan(25)
  await responder!.take([finding('after')])
  await expect.poll(() => told().has(uuid('alert', 'after'))).toBe(true)
})

test('a disk that keeps nothing ends it: what was not kept was not taken', async () => {
  let broken = false
  const failing: Disk = {
    ...NODE_DISK,
    create: async (name) => {
      const file = await NODE_DISK.create(name)
      return Object.assign(Object.create(file) as typeof file, {
        write: file.write.bind(file),
        read: file.read.bind(file),
        truncate: file.truncate,
        close: file.close,
        size: file.size,
        sync: async () => {
          if (broken) throw Object.assign(new Error('i/o error'), { code: 'EIO' })
          await file.sync()
        },
      })
    },
  }
  await open({ outbox: { disk: failing } })
  const ended = responder!.ended.catch((error: Error) => error.name)
  await responder!.take([finding('kept')])
  await expect.poll(() => sent.length).toBe(1)
  broken = true
  await expect(responder!.take([finding('lost')])).rejects.toMatchObject({ name: 'BusFault' })
  // Also for who gives it again: it is known by now, and still not kept.
  await expect(responder!.take([finding('lost')])).rejects.toMatchObject({ name: 'BusFault' })
  expect(responder!.readiness()).toMatchObject({ ready: false, reason: /the disk failed/ })
  expect(sent).toHaveLength(1)
  broken = false
  await expect(responder!.take([finding('more')])).rejects.toMatchObject({ name: 'BusFault' })
  expect(await ended).toBe('BusFault')
})

test('a note that would be too long for the journal is several', async () => {
  const long = (n: number) => finding(n, 0, { sentence: `${n} ${'é'.repeat(8000)}` })
  await open()
  await responder!.take(Array.from({ length: 600 }, (_, n) => long(n)))
  await expect.poll(() => told().size, { timeout: 30_000 }).toBe(600)
  const copy = await asKilled()
  await responder!.close()
  await open({}, 0, copy)
  expect(metric('alerts_held')).toBe(600)
})

test('a wall clock that is set back holds nothing up, and what is old is sent when it is asked for', async () => {
  let set = 0
  const now = () => Date.now() + set
  works = false
  await open({ now })
  await responder!.take([finding('a')])
  await expect.poll(() => responder!.dead().length).toBe(1)
  // Two of an hour ago, by then.
  await responder!.take([finding('b')])
  set = -3_600_000
  works = true
  await responder!.take([finding('c')])
  await expect
    .poll(() => told(), { timeout: 20_000 })
    .toEqual(new Set([uuid('alert', 'b'), uuid('alert', 'c')]))
  // Too old to be tried, but for that somebody wants it.
  set = 30 * 86_400_000
  await responder!.redrive(responder!.dead()[0]!.id)
  await expect.poll(() => told().has(uuid('alert', 'a'))).toBe(true)
})

function bound(one: Responder) {
  return { take: one.take.bind(one) }
}
