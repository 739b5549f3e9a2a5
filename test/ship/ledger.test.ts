// The ledger: its file, and how it agrees with the journal after a crash at any moment.

import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ChunkWriter } from '../../src/chunk.ts'
import { entryLine, type LedgerEntry, newEntry } from '../../src/ship/ledger-entry.ts'
import { formatLedger, LEDGER_NAME, parseLedger } from '../../src/ship/ledger-file.ts'
import { Spool } from '../../src/ship/spool.ts'

let root = ''
let count = 0
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'bailiwick-ledger-'))
})
afterAll(() => rm(root, { recursive: true }))

const freshDirectory = () => path.join(root, String(count++))
const open = (directory: string, log = () => {}) =>
  Spool.open({ directory, maxBytes: 64 << 20, lanes: 4 }, log)

/** Chunks of one flow record each, of an origin; the last one ends it. */
function chunksOf(origin: string, records: number): Uint8Array[] {
  const chunks: Uint8Array[] = []
  const writer = new ChunkWriter({ sensor: 'lab', origin, format: 'pcap' }, (one) =>
    chunks.push(one),
  )
  for (let i = 0; i < records; i++) {
    const row = writer.flow()
    writer.flows.columns.ts[row] = i * 3_600_000_000
    writer.flows.columns.flow_id[row * 16] = i
    if (i < records - 1) writer.cut()
  }
  writer.end()
  return chunks
}

const place = fc.record({ flow_records: fc.nat(), coverage: fc.nat(), rejects: fc.nat() })
const text = fc.string({ unit: 'grapheme' })
const entry: fc.Arbitrary<LedgerEntry> = fc.record(
  {
    origin: text,
    base: text,
    kind: fc.constantFrom('file', 'tail', 'stdin'),
    format: text,
    source: text,
    chunks: fc.nat(),
    lastId: text,
    lastKey: text,
    total: place,
    before: place,
    hours: fc.array(fc.tuple(fc.integer({ min: -1 }), fc.nat())).map((pairs) => new Map(pairs)),
    over: fc.boolean(),
    told: fc.constant(false),
    touchedAt: fc.nat(),
    file: fc.record({
      dev: text,
      ino: text,
      head: fc.nat(),
      hash: text,
      stream: text,
      size: fc.nat(),
      revived: fc.boolean(),
    }),
  },
  {
    requiredKeys: [
      ...(['origin', 'base', 'kind', 'format', 'source', 'chunks', 'lastId', 'lastKey'] as const),
      ...(['total', 'before', 'hours', 'over', 'told', 'touchedAt'] as const),
    ],
  },
)

describe('the file', () => {
  test('gives back what was written, and fills whole blocks', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n }), fc.array(entry, { maxLength: 8 }), (next, entries) => {
        const bytes = formatLedger(next, entries.map(entryLine))
        expect(bytes.length % 65_536).toBe(0)
        expect(parseLedger(bytes)).toEqual({ next, entries })
      }),
      { numRuns: 50 },
    )
  })

  test('is not believed with one byte wrong, or cut', () => {
    const bytes = formatLedger(7n, [entryLine(newEntry({ ...NAMED, origin: 'lab/1' }))])
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const damaged = Buffer.from(bytes)
        damaged[at]! ^= by
        expect(parseLedger(damaged)).toBeUndefined()
        expect(parseLedger(bytes.subarray(0, at))).toBeUndefined()
      }),
      { numRuns: 200 },
    )
  })
})

const NAMED = { kind: 'file', format: 'pcap', source: 'a.pcap' } as const

/** A spool that took these chunks, and copies of its ledger after each. */
async function spooled(directory: string, entry: LedgerEntry, chunks: readonly Uint8Array[]) {
  const spool = await open(directory)
  await spool.ledger.begin(entry)
  const ledgers: string[] = []
  for (const chunk of chunks) {
    await spool.append(chunk)
    await spool.ledger.durable(spool.end)
    const copy = `${directory}.${ledgers.length}`
    await copyFile(path.join(directory, LEDGER_NAME), copy)
    ledgers.push(copy)
  }
  await spool.close()
  return ledgers
}

/** Commits everything in the journal, as after sending. */
async function commitAll(directory: string): Promise<void> {
  const spool = await open(directory)
  const source = spool.source()
  for await (const claim of source.claims()) {
    let next = claim.committed
    while (next < spool.end) next = (await claim.next(1000))!.offset + 1n
    await claim.commit(next)
    break
  }
  await spool.close()
}

/** Puts an older ledger in place, as a crash between journal and ledger leaves it. */
async function putBack(directory: string, ledger: string): Promise<void> {
  await rm(path.join(directory, `${LEDGER_NAME}.old`))
  await copyFile(ledger, path.join(directory, LEDGER_NAME))
}

describe('after a crash', () => {
  test('what the ledger lacks is taken from the journal, whichever chunk was the last that it knew', async () => {
    for (const known of [0, 1, 2]) {
      const directory = freshDirectory()
      const chunks = chunksOf('lab/a', 4)
      const ledgers = await spooled(directory, newEntry({ ...NAMED, origin: 'lab/a' }), chunks)
      const before = parseLedger(await readFile(ledgers[3]!))!.entries[0]!
      await putBack(directory, ledgers[known]!)
      const spool = await open(directory)
      expect({ ...spool.ledger.get('lab/a'), touchedAt: 0 }).toEqual({ ...before, touchedAt: 0 })
      expect(before).toMatchObject({ chunks: 4, over: true, told: false })
      expect([...before.hours]).toEqual([0, 1, 2, 3].map((hour) => [hour, 1]))
      await spool.close()
    }
  })

  test('without any ledger the journal alone tells what it holds', async () => {
    const directory = freshDirectory()
    await spooled(directory, newEntry({ ...NAMED, origin: 'lab/a' }), chunksOf('lab/a', 3))
    for (const name of await readdir(directory))
      if (name.startsWith(LEDGER_NAME)) await rm(path.join(directory, name))
    const spool = await open(directory)
    expect(spool.ledger.get('lab/a')).toMatchObject({ chunks: 3, over: true })
    await spool.close()
  })

  test('a damaged ledger is told, and the one before it is completed', async () => {
    const directory = freshDirectory()
    await spooled(directory, newEntry({ ...NAMED, origin: 'lab/a' }), chunksOf('lab/a', 3))
    await writeFile(path.join(directory, LEDGER_NAME), 'torn')
    const said: string[] = []
    const spool = await Spool.open({ directory, maxBytes: 64 << 20, lanes: 4 }, (_, message) =>
      said.push(message),
    )
    expect(said.some((words) => words.includes('cannot be read'))).toBe(true)
    expect(spool.ledger.get('lab/a')).toMatchObject({ chunks: 3 })
    await spool.close()
  })

  test('a ledger that is ahead of its journal is not believed', async () => {
    const directory = freshDirectory()
    const chunks = chunksOf('lab/a', 3)
    const ledgers = await spooled(directory, newEntry({ ...NAMED, origin: 'lab/a' }), chunks)
    const other = freshDirectory()
    await (await open(other)).close()
    await putBack(other, ledgers[2]!)
    const spool = await open(other)
    expect(spool.ledger.size).toBe(0)
    await spool.close()
  })

  test('a ledger that is behind the checkpoint is believed of files, not of what cannot be made again', async () => {
    for (const kind of ['file', 'tail', 'stdin'] as const) {
      const directory = freshDirectory()
      const chunks = chunksOf('lab/a', 3)
      const ledgers = await spooled(
        directory,
        newEntry({ ...NAMED, origin: 'lab/a', kind }),
        chunks,
      )
      await commitAll(directory)
      await putBack(directory, ledgers[0]!)
      const spool = await open(directory)
      const left = [...spool.ledger.entries()].map(({ origin, chunks: many }) => [origin, many])
      if (kind === 'file') expect(left).toEqual([['lab/a', 1]])
      if (kind === 'tail') expect(left).toEqual([])
      if (kind === 'stdin') expect(left).toEqual([[expect.stringMatching(/^lab\/a-/), 0]])
      await spool.close()
    }
  })

  test('a chunk is counted once, whatever comes twice', async () => {
    const directory = freshDirectory()
    const [first, second] = chunksOf('lab/a', 2)
    await spooled(directory, newEntry({ ...NAMED, origin: 'lab/a' }), [first!, first!, second!])
    const spool = await open(directory)
    expect(spool.ledger.get('lab/a')).toMatchObject({ chunks: 2, total: { flow_records: 2 } })
    await spool.close()
  })
})
