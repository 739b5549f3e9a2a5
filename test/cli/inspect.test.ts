// Chunks in files, and spools, also one that a process has open. Messages on Kafka: dlq.test.ts.

import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NODE_DISK } from '../../src/bus/disk.ts'
import { Journal } from '../../src/bus/journal.ts'
import { decodeChunk } from '../../src/chunk.ts'
import { splitChunk } from '../../src/chunk-split.ts'
import { hexText } from '../../src/cli/hex-text.ts'
import { run } from '../../src/cli/program.ts'
import { readEnvironment } from '../../src/config.ts'
import { entryLine, newEntry } from '../../src/ship/ledger-entry.ts'
import { writeLedger } from '../../src/ship/ledger-file.ts'
import { chunkOf } from '../flows.ts'
import { Memory, RAW_CONTROL } from './heard.ts'

let root = ''
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'bailiwick-inspect-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

async function bailiwick(...args: string[]) {
  const [stdout, stderr] = [new Memory(), new Memory()]
  const { signal } = new AbortController()
  const environment = readEnvironment({ COLUMNS: '160' })
  const code = await run(args, { stdout, stderr, environment, signal })
  return { code, out: stdout.text, err: stderr.text, bytes: Buffer.concat(stdout.pieces) }
}

const flow = (port: number) => ({
  orig: `10.0.0.1:${port}`,
  resp: '[2001:db8::7]:443',
  name: 'api\u001b[2J.example',
  ts: '2026-06-01T12:34:56.789Z',
})
const chunk = chunkOf([flow(40_000), flow(40_001), flow(40_002)])
const { header } = decodeChunk(chunk)

async function written(name: string, bytes: Uint8Array): Promise<string> {
  const file = path.join(root, name)
  await writeFile(file, bytes)
  return file
}

describe('a chunk in a file', () => {
  test('header, parts, first rows, and that its content is what its id says', async () => {
    const { code, out, err } = await bailiwick('inspect', await written('a', chunk), '--rows', '2')
    expect([code, err]).toEqual([0, ''])
    const lines = out.split('\n')
    expect(lines[0]).toBe(`chunk ${header.id}  content as its id says`)
    expect(lines).toContain(`  sensor s, origin test, number 0, the last one`)
    expect(lines).toContain('  flow records by hour: 2026-06-01T12 3')
    const rows = lines.filter((line) => line.startsWith('    {')).map((line) => JSON.parse(line))
    expect(rows).toMatchObject([
      {
        ts: '2026-06-01T12:34:56.789000Z',
        orig_h: '10.0.0.1',
        orig_p: 40_000,
        resp_h: '2001:db8::7',
      },
      { orig_p: 40_001 },
    ])
    expect(out).not.toMatch(RAW_CONTROL)
  })

  test('as JSON, and as it is', async () => {
    const file = await written('b', splitChunk(chunk)![1])
    const told = JSON.parse((await bailiwick('inspect', file, '--json')).out)
    expect(told.content).toMatchObject({
      kind: 'chunk',
      version: 2,
      intact: true,
      header: { piece: { of: header.id, path: '1' } },
      parts: [{ table: 'flow_records', rows: 1 }],
    })
    const raw = await bailiwick('inspect', file, '--raw')
    expect(raw.bytes.equals(await readFile(file))).toBe(true)
  })

  test('one that was altered, one that is cut, a newer one and none are told apart; exit 3', async () => {
    const altered = Buffer.from(chunk)
    altered[altered.length - 3]! ^= 1
    const text = Buffer.from(chunk).toString('latin1')
    const newer = Buffer.from(text.replace('"v":2', '"v":9'), 'latin1')
    for (const [bytes, words] of [
      [altered, 'ALTERED'],
      [chunk.subarray(0, chunk.length - 1), 'no chunk: chunk is cut'],
      [newer, 'of a newer version: chunk version 9 is not known'],
      [Buffer.from('PK\u0003\u0004'), 'no chunk: not a chunk'],
      [Buffer.alloc(0), 'no chunk'],
    ] as const) {
      const { code, out } = await bailiwick('inspect', await written('c', bytes))
      expect([code, out]).toEqual([3, expect.stringContaining(words)])
    }
  })

  test('what is not there, and what is no spool, is said', async () => {
    expect(await bailiwick('inspect', path.join(root, 'no'))).toMatchObject({ code: 3 })
    const empty = await mkdtemp(path.join(root, 'empty-'))
    expect(await bailiwick('inspect', empty)).toMatchObject({
      code: 3,
      err: expect.stringContaining('no spool'),
    })
    expect(await bailiwick('inspect', empty, '--rows', 'x')).toMatchObject({ code: 2 })
  })
})

describe('a spool', () => {
  async function spool(messages: number) {
    const directory = await mkdtemp(path.join(root, 'spool-'))
    const open = () =>
      Journal.open(
        { directory, stream: 'test', segmentBytes: 4 * chunk.length, maxBytes: 64 * chunk.length },
        () => {},
      )
    const journal = await open()
    for (let i = 0; i < messages; i++) await journal.sink().send({ key: 's/0', bytes: chunk })
    return { directory, journal, open }
  }
  const files = async (directory: string) =>
    Object.fromEntries(
      await Promise.all(
        (await readdir(directory)).map(async (name) => [
          name,
          (await readFile(path.join(directory, name))).toString('latin1'),
        ]),
      ),
    )

  test('while its owner has it open: segments, checkpoint, what waits since when; nothing is touched', async () => {
    const { directory, journal } = await spool(8)
    const source = journal.source()
    for await (const claim of source.claims()) {
      for (let i = 0; i < 5; i++) await claim.next(1000)
      await claim.commit(4n)
      await claim.intend({ attempt: 2, slices: [{ first: 4n, last: 4n, rows: 3, token: 't' }] })
      break
    }
    const before = await files(directory)
    const { code, out } = await bailiwick('inspect', directory)
    expect(code).toBe(0)
    expect(out).toContain(`  open in process ${process.pid} on `)
    expect(out).toContain('  checkpoint: everything before 4 is done with')
    expect(out).toContain('  intent, attempt 2: 4 to 4')
    expect(out).toMatch(/ {2}4 records wait, the oldest since \d{4}-/)
    expect(out).toContain(header.id)
    const told = JSON.parse((await bailiwick('inspect', directory, '--json', '--rows', '2')).out)
    expect(told).toMatchObject({
      next: '4',
      waiting: 4,
      intent: { attempt: 2, slices: [{ first: '4' }] },
      records: [{ id: '4', key: 's/0', chunk: header.id, rows: { flow_records: 3 } }, { id: '5' }],
    })
    expect(await files(directory)).toEqual(before)
    // The owner goes on as if nobody had looked.
    await journal.sink().send({ key: 's/0', bytes: chunk })
    await journal.close()
    expect((await bailiwick('inspect', directory)).out).toContain('nobody has it open')
  })

  test('with the ledger of its sensor: which inputs, how far', async () => {
    const { directory, journal } = await spool(1)
    await journal.close()
    const entry = newEntry({
      origin: 's/1',
      kind: 'tail',
      format: 'aws-vpc',
      source: '/srv/flow\u001b[2J.log',
    })
    await writeLedger(NODE_DISK, directory, 1n, [entryLine({ ...entry, chunks: 7 })])
    const { out } = await bailiwick('inspect', directory)
    expect(out).toContain('  ledger: 1 input, 1 of them not over')
    expect(out).toMatch(/flow\\u\{1b\}\[2J\.log +aws-vpc +7 /)
    expect(out).not.toMatch(RAW_CONTROL)
    const told = JSON.parse((await bailiwick('inspect', directory, '--json')).out)
    expect(told.ledger).toMatchObject({ origins: 1, latest: [{ origin: 's/1', chunks: 7 }] })
  })

  test('damage in the middle and an unfinished write at the end are told', async () => {
    const { directory, journal } = await spool(6)
    await journal.close()
    const segments = (await readdir(directory)).filter((name) => name.endsWith('.seg')).sort()
    const [first, last] = [segments[0]!, segments.at(-1)!].map((name) => path.join(directory, name))
    const bytes = await readFile(first!)
    // The head of the second record.
    bytes[32 + 40 + 3 + chunk.length + 9]! ^= 0xff
    await writeFile(first!, bytes)
    await truncate(last!, (await readFile(last!)).length - 10)
    const { out } = await bailiwick('inspect', directory)
    expect(out).toContain('1 damaged place')
    expect(out).toMatch(/\d+ bytes of an unfinished write/)
    const one = await bailiwick('inspect', first!)
    expect(one.out).toMatch(/byte \d+: bad head, [\d,]+ bytes skipped/)
    expect(JSON.parse((await bailiwick('inspect', first!, '--json')).out).damaged).toHaveLength(1)
    expect(await bailiwick('inspect', first!, '--raw')).toMatchObject({ code: 2 })
  })
})

test('a dump has offsets, pairs and what is printable', () => {
  expect(hexText(Buffer.from('\u0000\u001bABCDEFGHIJKLMNOP'), 17, '> ')).toBe(
    '> 00000000  00 1b 41 42 43 44 45 46  47 48 49 4a 4b 4c 4d 4e  ..ABCDEFGHIJKLMN\n' +
      '> 00000010  4f                                                O\n' +
      '> … and 1 more bytes\n',
  )
})
