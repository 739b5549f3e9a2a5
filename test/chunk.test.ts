import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  CHUNK_RECORDS_MAX,
  CHUNK_TEXT_MAX,
  ChunkError,
  type ChunkHeader,
  ChunkWriter,
  chunkInLanes,
  chunkPart,
  decodeChunk,
  encodeChunk,
  verifyChunk,
} from '../src/chunk.ts'

const ORIGIN = { sensor: 'lab', origin: 'lab/00ff', format: 'pcap' }

/** Chunks of `ports.length` records, one port each, and a coverage row and a reject at the end. */
function write(ports: readonly number[], origin = ORIGIN): Uint8Array[] {
  const chunks: Uint8Array[] = []
  const writer = new ChunkWriter(origin, (chunk) => chunks.push(chunk))
  for (const port of ports) {
    const row = writer.flow()
    writer.flows.columns.orig_p[row] = port
    writer.flows.columns.sensor.set(row, writer.sensor)
  }
  writer.cover({ kind: 'pcap', from: 1, to: 2, metric: 'packets', value: ports.length })
  writer.reject({ kind: 'pcap', at: 24, unit: 'byte', reason: 'cut', detail: 'd', sample: 's' })
  writer.end()
  return chunks
}

test('records, coverage and rejects come out as they went in', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 65535 }), { maxLength: 50 }), (ports) => {
      const chunks = write(ports)
      expect(chunks).toHaveLength(1)
      const chunk = decodeChunk(chunks[0]!)
      expect(chunk.header).toMatchObject({ ...ORIGIN, v: 2, seq: 0, last: true })
      const flows = chunkPart(chunk, 'flow_records')
      expect(ports.map((_, i) => flows?.columns.orig_p[i])).toEqual(ports)
      expect(chunkPart(chunk, 'coverage')?.columns.value[0]).toBe(ports.length)
      expect(chunkPart(chunk, 'rejects')?.columns.reason.get(0)).toBe('cut')
    }),
  )
})

test('the id is a function of origin, sequence and content, and of nothing else', () => {
  const id = (chunks: Uint8Array[]) => decodeChunk(chunks[0]!).header.id
  expect(id(write([1, 2]))).toBe(id(write([1, 2])))
  expect(id(write([1, 2]))).not.toBe(id(write([2, 1])))
  expect(id(write([1]))).not.toBe(id(write([1], { ...ORIGIN, origin: 'lab/00fe' })))
})

test('a chunk is cut at its limit of records, and sequences have no hole', () => {
  const chunks = write(Array.from({ length: CHUNK_RECORDS_MAX + 1 }, (_, i) => i & 0xffff))
  const headers = chunks.map((chunk) => decodeChunk(chunk).header)
  expect(headers.map(({ seq, last }) => ({ seq, last }))).toEqual([
    { seq: 0, last: false },
    { seq: 1, last: true },
  ])
  expect(headers.map(({ parts }) => parts[0]?.rows)).toEqual([CHUNK_RECORDS_MAX, 1])
})

test('long text from outside cuts a chunk early', () => {
  const chunks: Uint8Array[] = []
  const writer = new ChunkWriter(ORIGIN, (chunk) => chunks.push(chunk))
  const long = 'x'.repeat(1000)
  for (let i = 0; i < 4096; i++) writer.flows.columns.user_agent.set(writer.flow(), `${long}${i}`)
  writer.end()
  expect(chunks.length).toBeGreaterThan(2)
  for (const chunk of chunks) expect(chunk.length).toBeLessThan(3 * CHUNK_TEXT_MAX)
})

test('bytes that are no whole chunk are a ChunkError', () => {
  const [chunk] = write([1, 2, 3])
  for (let cut = 0; cut < chunk!.length; cut += 7)
    expect(() => decodeChunk(chunk!.subarray(0, cut))).toThrow(ChunkError)
  expect(() => decodeChunk(Buffer.concat([chunk!, Buffer.of(0)]))).toThrow(/bytes after/)
  const future = Buffer.from(chunk!)
  future.write('"v":9', future.indexOf('"v":2'))
  expect(() => decodeChunk(future)).toThrow(/version 9/)
})

test('a header that lies is a ChunkError', () => {
  const [chunk] = write([1, 2, 3])
  const lies: [string, string][] = [
    ['"seq":0', '"seq":-'],
    ['"seq":0', '"seq":x'],
    ['"table":"coverage"', '"table":"judgemen"'],
    ['"sensor":"lab"', '"sensor":12345'],
    ['"id":"', '"id":""'],
  ]
  for (const [truth, lie] of lies) {
    const bytes = Buffer.from(chunk!)
    bytes.write(lie, bytes.indexOf(truth))
    expect(() => decodeChunk(bytes), lie).toThrow(ChunkError)
  }
})

test('a chunk of version 1 is read as one of version 2 without hours', () => {
  const [chunk] = write([1, 2, 3])
  const { header, parts } = decodeChunk(chunk!)
  const { hours: _, ...rest } = header
  const old = encodeChunk({ ...rest, v: 1 } as unknown as ChunkHeader, [...parts.values()])
  expect(decodeChunk(old)).toEqual({ header: { ...header, hours: [] }, parts })
})

test('the number of lanes stands in the header, and changes neither id nor content', () => {
  const [chunk] = write([1, 2, 3])
  const sent = chunkInLanes(chunk!, 24)
  const { header, parts } = decodeChunk(chunk!)
  expect(decodeChunk(sent)).toEqual({ header: { ...header, lanes: 24 }, parts })
  verifyChunk(decodeChunk(sent))
  for (const lanes of [0, 1025, 1.5, -1]) {
    const lie = encodeChunk({ ...header, lanes }, [...parts.values()])
    expect(() => decodeChunk(lie), String(lanes)).toThrow(/lanes/)
  }
  // So will be what a later version adds.
  const later = encodeChunk({ ...header, colour: 'blue' } as ChunkHeader, [...parts.values()])
  expect(decodeChunk(later)).toEqual({ header, parts })
})

test('records are counted by the hour that they began in', () => {
  const chunks: Uint8Array[] = []
  const writer = new ChunkWriter(ORIGIN, (chunk) => chunks.push(chunk))
  const hour = 3_600_000_000
  for (const ts of [5 * hour, 5 * hour + 1, 7 * hour - 1, 7 * hour])
    writer.flows.columns.ts[writer.flow()] = ts
  writer.end()
  expect(decodeChunk(chunks[0]!).header.hours).toEqual([
    [5, 2],
    [6, 1],
    [7, 1],
  ])
})

test('content that was altered on the way is seen', () => {
  const [chunk] = write([1, 2, 3])
  verifyChunk(decodeChunk(chunk!))
  const altered = Uint8Array.from(chunk!)
  altered[altered.length - 1]! ^= 1
  expect(() => verifyChunk(decodeChunk(altered))).toThrow(/altered/)
})

test('a header that counts its rows wrongly is seen, and one that names a table twice', () => {
  const { header, parts } = decodeChunk(write([1, 2, 3])[0]!)
  const bodies = [...parts.values()]
  // The id is of the content alone, so it still fits.
  const more = header.parts.map((part) => ({ ...part, rows: part.rows + 1 }))
  const miscounted = decodeChunk(encodeChunk({ ...header, parts: more }, bodies))
  expect(() => verifyChunk(miscounted)).toThrow(
    'the header says 4 rows of flow_records, its block has 3',
  )
  const twice = [...header.parts, header.parts[0]!]
  expect(() =>
    decodeChunk(encodeChunk({ ...header, parts: twice }, [...bodies, bodies[0]!])),
  ).toThrow('chunk has two parts of flow_records')
})
