// The loop of the sensor, from decoded inputs to a stream; a second journal stands for the stream.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CHUNK_STREAM } from '../../src/bus/bus.ts'
import { Journal } from '../../src/bus/journal.ts'
import { readInputs } from '../../src/sensor.ts'
import { readFiles } from '../../src/ship/read-files.ts'
import { ship } from '../../src/ship/ship.ts'
import { Spool } from '../../src/ship/spool.ts'
import { chunkIds, headerOf, ROOT } from './stream.ts'

const STORY = path.join(ROOT, 'fixtures', 'told-three-times', 'input')
const SETTINGS = {
  sensor: 'lab',
  verifyChecksums: false,
  hashSeed: new Int32Array(4),
  localNets: [],
}

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-ship-'))
})
afterAll(() => rm(directory, { recursive: true }))

/** Headers of what a journal holds. */
async function held(journal: Journal) {
  const source = journal.source()
  const headers = []
  for await (const claim of source.claims()) {
    for (;;) {
      const one = await claim.next(200)
      if (one === undefined) break
      headers.push(headerOf(one))
    }
    break
  }
  await source.close()
  return headers
}

test('everything that is read is spooled, sent and committed, in order', async () => {
  const spool = await Spool.open(
    { directory: path.join(directory, 'spool'), maxBytes: 64 << 20, lanes: 4 },
    () => {},
  )
  const stream = await Journal.open(
    { directory: path.join(directory, 'stream'), stream: CHUNK_STREAM },
    () => {},
  )
  const inputs: string[] = []
  const log = () => {}
  const { signal } = new AbortController()
  const shipped = await ship({
    sensor: 'lab',
    spool,
    sink: stream.sink(),
    log,
    signal,
    whenRefused: 'end',
    read: async (shipper) => {
      await readFiles([STORY], {
        decode: (paths) => readInputs(paths, SETTINGS, () => {}),
        shipper,
        log,
        signal,
        inputOver: ({ source }) => inputs.push(path.basename(source)),
      })
    },
  })
  const expected = await chunkIds([STORY], 'lab')
  expect(shipped).toMatchObject({ chunks: expected.length, drained: true })
  expect(inputs).toContain('conn.log')
  const headers = await held(stream)
  expect(headers.filter(({ format }) => format !== 'statement').map(({ id }) => id)).toEqual(
    expected,
  )
  await spool.close()
  await stream.close()
})
