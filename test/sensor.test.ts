import { copyFile, cp, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chunkPart, decodeChunk } from '../src/chunk.ts'
import { readInputs, type SensorEvent, type SensorSettings } from '../src/sensor.ts'

const FIXTURES = path.join(import.meta.dirname, '..', 'fixtures')
const THREE_TIMES = path.join(FIXTURES, 'told-three-times', 'input')
const CONN = path.join(THREE_TIMES, 'zeek', 'triage', 'conn.log')
const SETTINGS: SensorSettings = {
  sensor: 'lab',
  verifyChecksums: false,
  hashSeed: new Int32Array([1, 2, 3, 4]),
  localNets: [],
}

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-sensor-'))
})
afterAll(() => rm(directory, { recursive: true }))

async function read(paths: readonly string[], settings = SETTINGS): Promise<SensorEvent[]> {
  const events: SensorEvent[] = []
  for await (const event of readInputs(paths, settings, () => {})) events.push(event)
  return events
}

const inputsOf = (events: readonly SensorEvent[]) =>
  events.filter((event) => event.type === 'input')
const chunksOf = (events: readonly SensorEvent[]) =>
  events.filter((event) => event.type === 'chunk').map(({ chunk }) => chunk)

/** Names that the flows of these chunks were asked by. */
function namesIn(chunks: readonly Uint8Array[]): Set<string> {
  const names = new Set<string>()
  for (const bytes of chunks) {
    const flows = chunkPart(decodeChunk(bytes), 'flow_records')
    for (let row = 0; flows !== undefined && row < flows.rows; row++)
      names.add(flows.columns.server_name.get(row))
  }
  return names
}

test('a capture becomes chunks, and then one event that says how it was read', async () => {
  const capture = path.join(FIXTURES, 'document-exfiltration', 'input')
  const events = await read([capture])
  expect(chunksOf(events).length).toBe(1)
  const [input] = inputsOf(events)
  expect(input).toMatchObject({ known: true, foundInDirectory: true, stats: { errorCount: 0 } })
  expect(input?.stats.packets).toBeGreaterThan(100)
  expect(events.at(-1)).toBe(input)
})

test('the secret of the hash tables and the name of the file change nothing in a chunk', async () => {
  const original = path.join(THREE_TIMES, 'pcap')
  const renamed = path.join(directory, 'renamed')
  await cp(original, renamed, { recursive: true })
  const other = { ...SETTINGS, hashSeed: new Int32Array([-5, 6, -7, 8]) }
  expect(chunksOf(await read([renamed], other))).toEqual(chunksOf(await read([original])))
})

test('the sensor is part of what a flow is', async () => {
  const ids = (events: SensorEvent[]) => decodeChunk(chunksOf(events)[0]!).header.id
  const capture = path.join(THREE_TIMES, 'pcap')
  expect(ids(await read([capture], { ...SETTINGS, sensor: 'other' }))).not.toBe(
    ids(await read([capture])),
  )
})

test('a Zeek connection log that is named alone takes its names from its neighbours', async () => {
  const events = await read([CONN])
  expect(inputsOf(events).map(({ source }) => path.basename(source))).toEqual(['conn.log'])
  const together = await read([path.dirname(CONN)])
  expect(namesIn(chunksOf(events))).toEqual(namesIn(chunksOf(together)))
  expect([...namesIn(chunksOf(events))].filter((name) => name !== '').length).toBeGreaterThan(1)
  const lonely = path.join(directory, 'lonely')
  await cp(CONN, path.join(lonely, 'conn.log'))
  expect([...namesIn(chunksOf(await read([lonely])))]).toEqual([''])
})

test('what cannot be read is said, and everything else is read', async () => {
  const mixed = path.join(directory, 'mixed')
  await cp(path.join(THREE_TIMES, 'pcap'), mixed, { recursive: true })
  await writeFile(path.join(mixed, 'notes.txt'), 'nothing of ours\n')
  await writeFile(path.join(mixed, 'packed.zst'), Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 1, 2]))
  await writeFile(path.join(mixed, 'void.pcap'), '')
  const events = await read([path.join(directory, 'absent'), mixed])
  const told = inputsOf(events).map(({ source, known, stats }) => ({
    name: path.basename(source),
    known,
    errors: stats.errors,
  }))
  expect(told.filter(({ known }) => !known)).toEqual([
    { name: 'absent', known: false, errors: ['no such file or directory'] },
    {
      name: 'notes.txt',
      known: false,
      errors: ['format not recognised: neither pcap, pcapng, a cloud flow log nor a Zeek log'],
    },
    { name: 'packed.zst', known: false, errors: ['compressed with zstd: decompress it first'] },
    { name: 'void.pcap', known: false, errors: ['the file is empty'] },
  ])
  expect(chunksOf(events)).toEqual(chunksOf(await read([path.join(THREE_TIMES, 'pcap')])))
})

test('a capture that is cut gives everything before the cut, and says where', async () => {
  const whole = inputsOf(await read([path.join(FIXTURES, 'wrong-port', 'input')]))[0]!
  const cut = path.join(directory, 'cut.pcap')
  await copyFile(whole.source, cut)
  await truncate(cut, whole.bytesRead - 10)
  const events = await read([cut])
  const [input] = inputsOf(events)
  expect(input?.stats.packets).toBe(whole.stats.packets - 1)
  expect(input?.stats.broken).toBe(true)
  expect(input?.stats.errors[0]).toMatch(/byte \d+/)
  expect(chunksOf(events).length).toBe(1)
})
