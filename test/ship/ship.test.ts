// The loop of the sensor, from decoded inputs to a stream; a second journal stands for the stream.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CHUNK_STREAM } from '../../src/bus/bus.ts'
import { Journal } from '../../src/bus/journal.ts'
import { readInputs } from '../../src/sensor.ts'
import { readFiles } from '../../src/ship/read-files.ts'
import { ship } from '../../src/ship/ship.ts'
import { Spool } from '../../src/ship/spool.ts'
import type { ShipStatus } from '../../src/ship/status.ts'
import { describe, range, SETTINGS, type Sent, vpcLines } from './following.ts'
import { chunkIds, ROOT } from './stream.ts'

const STORY = path.join(ROOT, 'fixtures', 'told-three-times', 'input')

let root = ''
let count = 0
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'bailiwick-ship-'))
})
afterAll(() => rm(root, { recursive: true }))

/** A directory with a spool and a stream, and runs of a sensor over paths. */
async function place(spoolBytes = 64 << 20, streamBytes = 64 << 20) {
  const directory = path.join(root, String(count++))
  await mkdir(directory)
  const stream = await Journal.open(
    {
      directory: path.join(directory, 'stream'),
      stream: CHUNK_STREAM,
      maxBytes: streamBytes,
      segmentBytes: streamBytes >> 3,
    },
    () => {},
  )
  const said: string[] = []
  let status: ShipStatus | undefined
  return {
    directory,
    said,
    status: () => status,
    async run(...paths: string[]) {
      const spool = await Spool.open(
        { directory: path.join(directory, 'spool'), maxBytes: spoolBytes, lanes: 4 },
        (_, message) => said.push(message),
      )
      const log = (_: string, message: string) => said.push(message)
      const { signal } = new AbortController()
      const inputs: string[] = []
      const shipped = await ship({
        sensor: 'lab',
        spool,
        sink: stream.sink(),
        log,
        signal,
        whenRefused: 'end',
        observe: (one) => {
          status = one
        },
        read: async (shipper) => {
          await readFiles(paths, {
            decode: (some) => readInputs(some, SETTINGS, () => {}),
            shipper,
            log,
            signal,
            inputOver: ({ source }) => inputs.push(path.basename(source)),
          })
        },
      })
      await spool.close()
      return { ...shipped, inputs }
    },
    /** Takes what is on the stream, and commits it. */
    async taken(): Promise<Sent[]> {
      const source = stream.source()
      const sent: Sent[] = []
      for await (const claim of source.claims()) {
        for (;;) {
          const one = await claim.next(300)
          if (one === undefined) break
          sent.push(describe(one.bytes))
          await claim.commit(one.offset + 1n)
        }
        break
      }
      await source.close()
      return sent.filter(({ header }) => header.format !== 'statement')
    },
    close: () => stream.close(),
  }
}

test('everything that is read is spooled, sent and committed, in order; once, however often it is read', async () => {
  const here = await place()
  const expected = await chunkIds([STORY], 'lab')
  const first = await here.run(STORY)
  expect(first).toMatchObject({ chunks: expected.length, known: 0, drained: true })
  expect(first.inputs).toContain('conn.log')
  expect((await here.taken()).map(({ header }) => header.id)).toEqual(expected)
  expect(await here.run(STORY)).toMatchObject({ chunks: 0, known: expected.length, drained: true })
  expect(await here.taken()).toEqual([])
  await here.close()
})

test('another file with the same beginning is sent under a name of its own, and known from then on', async () => {
  const here = await place()
  const logs = path.join(here.directory, 'logs')
  await mkdir(logs)
  await writeFile(path.join(logs, 'a.log'), vpcLines(0, 1000))
  await writeFile(path.join(logs, 'b.log'), vpcLines(0, 900) + vpcLines(2000, 2050))
  await writeFile(path.join(logs, 'c.log'), vpcLines(0, 1000))
  expect(await here.run(logs)).toMatchObject({ chunks: 2, drained: true })
  const sent = await here.taken()
  expect(sent.map(({ ports }) => ports)).toEqual([
    range(0, 1000),
    [...range(0, 900), ...range(2000, 2050)],
  ])
  expect(new Set(sent.map(({ header }) => header.origin)).size).toBe(2)
  expect(here.said.filter((words) => words.includes('not what it was'))).toHaveLength(1)
  // Each of the three is what the ledger says it is, whatever is read first.
  for (const name of ['b.log', 'c.log', 'a.log'])
    expect(await here.run(path.join(logs, name))).toMatchObject({ chunks: 0, known: 1 })
  expect(await here.taken()).toEqual([])
  await here.close()
})

test('a file that grew is sent again as a whole', async () => {
  const here = await place()
  const name = path.join(here.directory, 'vpc.log')
  await writeFile(name, vpcLines(0, 1000))
  await here.run(name)
  await writeFile(name, vpcLines(0, 1100))
  expect(await here.run(name)).toMatchObject({ chunks: 1, drained: true })
  const [before, after] = await here.taken()
  expect([before?.ports, after?.ports]).toEqual([range(0, 1000), range(0, 1100)])
  expect(before?.header.origin).not.toBe(after?.header.origin)
  await here.close()
})

test('a full spool is a pause that is told, and ends by itself', async () => {
  // Neither holds what is sent here: the spool waits for the stream, and the stream for whoever takes from it.
  const here = await place(160 << 10, 160 << 10)
  const logs = path.join(here.directory, 'logs')
  await mkdir(logs)
  for (let n = 0; n < 40; n++)
    await writeFile(path.join(logs, `${n}.log`), vpcLines(n * 200, n * 200 + 200))
  let over = false
  const running = here.run(logs).finally(() => {
    over = true
  })
  const isFull = () => here.status()?.readiness().reason.includes('the spool is full') === true
  while (!isFull()) await sleep(10)
  const sample = here
    .status()!
    .samples()
    .find(({ name }) => name === 'spool_full')
  expect(sample?.value).toBe(1)
  expect(here.said.some((words) => words.includes('full'))).toBe(true)
  const ports: number[] = []
  while (!over) ports.push(...(await here.taken()).flatMap((one) => one.ports))
  expect(await running).toMatchObject({ chunks: 40, drained: true })
  ports.push(...(await here.taken()).flatMap((one) => one.ports))
  expect(ports.sort((a, b) => a - b)).toEqual(range(0, 8000))
  expect(here.status()!.readiness()).toEqual({ ready: true, reason: '' })
  await here.close()
})
