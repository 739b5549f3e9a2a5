// A live capture on its way into the spool: every process that captured has an origin, and each origin comes to an end,
// also where a process was killed, or the sensor.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { ChunkWriter } from '../../src/chunk.ts'
import { closeLiveOrigins, readLive } from '../../src/ship/read-live.ts'
import { ANNOUNCE_MILLIS, Shipper } from '../../src/ship/shipper.ts'
import { Spool } from '../../src/ship/spool.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'bailiwick-read-live-'))
afterEach(() => {
  vi.useRealTimers()
  rmSync(directory, { recursive: true, force: true })
})

const BASE = 'test/live/lo'

/** Chunks of one capture process with one row of coverage each; the last one says so if it ended in good order. */
function* chunksOf(epoch: string, count: number, whole: boolean) {
  const made: Uint8Array<ArrayBuffer>[] = []
  const origin = `${BASE}/${epoch}`
  const writer = new ChunkWriter({ sensor: 'test', origin, format: 'pcap' }, (chunk) =>
    made.push(chunk),
  )
  for (let at = 0; at < count; at++) {
    writer.cover({ kind: 'pcap', metric: 'packets', value: 1, from: at, to: at })
    writer.cut()
  }
  if (whole) writer.end()
  for (const chunk of made) yield { type: 'chunk' as const, interface: 'lo', origin, chunk }
}

/** Runs a sensor's life with these events. @returns what the ledger knows at its end */
async function life(
  events: Iterable<ReturnType<typeof chunksOf> extends Iterable<infer E> ? E : never>,
) {
  const spool = await Spool.open({ directory, maxBytes: 1 << 28, lanes: 4 }, () => {})
  const shipper = new Shipper('test', spool)
  async function* all() {
    yield { type: 'state' as const, interface: 'lo' }
    yield* events
  }
  await closeLiveOrigins(shipper, () => {})
  await readLive(all(), shipper)
  await shipper.end()
  const known = spool.ledger
    .ofBase(BASE)
    .map(({ origin, chunks, over, total, kind }) => [origin, chunks, over, total.coverage, kind])
  await spool.close()
  return known
}

test('ends what a killed capture process, and a killed sensor, left open', async () => {
  const first = [...chunksOf('1', 2, true), ...chunksOf('2', 3, false), ...chunksOf('3', 1, false)]
  expect(await life(first)).toEqual([
    [`${BASE}/1`, 3, true, 2, 'live'],
    // One row of coverage more: that the process was killed.
    [`${BASE}/2`, 4, true, 4, 'live'],
    [`${BASE}/3`, 1, false, 1, 'live'],
  ])
  expect(await life(chunksOf('4', 1, true))).toEqual([
    [`${BASE}/1`, 3, true, 2, 'live'],
    [`${BASE}/2`, 4, true, 4, 'live'],
    [`${BASE}/3`, 2, true, 2, 'live'],
    [`${BASE}/4`, 2, true, 1, 'live'],
  ])
})

test('announces a few chunks of a quiet capture one time in six, and many at once', async () => {
  vi.useFakeTimers({ toFake: ['setInterval'] })
  const spool = await Spool.open({ directory, maxBytes: 1 << 28, lanes: 4 }, () => {})
  const shipper = new Shipper('test', spool)
  const announced = () => spool.ledger.untold().length === 0
  const turns = (count: number) => vi.advanceTimersByTime(count * ANNOUNCE_MILLIS)
  async function* all() {
    const [few, ...many] = chunksOf('1', 10, false)
    yield few!
    await shipper.flush()
    turns(5)
    await shipper.flush()
    expect(announced()).toBe(false)
    turns(1)
    await expect.poll(announced).toBe(true)
    yield* many
    await shipper.flush()
    turns(1)
    await expect.poll(announced).toBe(true)
  }
  await readLive(all(), shipper)
  await shipper.end()
  await spool.close()
})
