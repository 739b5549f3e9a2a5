import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ChunkWriter, chunkPart, decodeChunk, verifyChunk } from '../src/chunk.ts'
import { splitChunk } from '../src/chunk-split.ts'

/** A chunk of records with a port, a name and a list each, and some coverage. */
function chunkOf(ports: readonly number[], metrics: number): Uint8Array {
  const chunks: Uint8Array[] = []
  const writer = new ChunkWriter({ sensor: 'lab', origin: 'lab/0', format: 'pcap' }, (chunk) =>
    chunks.push(chunk),
  )
  for (const port of ports) {
    const row = writer.flow()
    const c = writer.flows.columns
    c.orig_p[row] = port
    c.ts[row] = port * 3_600_000_000
    c.server_name.set(row, `host-${port % 7}.example`)
    c.uid.set(row, `C${port}`)
    c.dns_names.set(row, [`a${port % 3}`, 'b'])
  }
  for (let i = 0; i < metrics; i++)
    writer.cover({ kind: 'pcap', from: 0, to: 1, metric: `m${i}`, value: i })
  writer.end()
  return chunks[0]!
}

/** The records of a chunk in words. */
function recordsOf(bytes: Uint8Array): string[] {
  const flows = chunkPart(decodeChunk(bytes), 'flow_records')
  if (flows === undefined) return []
  const c = flows.columns
  return Array.from(
    { length: flows.rows },
    (_, i) => `${c.orig_p[i]} ${c.server_name.get(i)} ${c.uid.get(i)} ${c.dns_names.get(i)}`,
  )
}

const sizes = fc.array(fc.nat({ max: 999 }), { maxLength: 40 })

test('both halves together hold what the chunk held, in order, and say where they are from', () => {
  fc.assert(
    fc.property(sizes, fc.nat({ max: 5 }), (ports, metrics) => {
      const whole = chunkOf(ports, metrics)
      const halves = splitChunk(whole)
      if (ports.length + metrics < 2) {
        expect(halves).toBeUndefined()
        return
      }
      const [left, right] = halves!
      expect([...recordsOf(left), ...recordsOf(right)]).toEqual(recordsOf(whole))
      const { header } = decodeChunk(whole)
      const heads = halves!.map((half) => {
        const chunk = decodeChunk(half)
        verifyChunk(chunk)
        return chunk.header
      })
      expect(heads.map(({ piece }) => piece)).toEqual([
        { of: header.id, path: '0' },
        { of: header.id, path: '1' },
      ])
      expect(heads.map(({ last }) => last)).toEqual([false, true])
      const records = heads.flatMap(({ hours }) => hours).reduce((sum, [, n]) => sum + n, 0)
      expect(records).toBe(ports.length)
    }),
  )
})

test('halving goes down to single rows, and ends', () => {
  let chunks = [chunkOf([1, 2, 3, 4, 5], 2)]
  for (let depth = 0; depth < 8; depth++)
    chunks = chunks.flatMap((chunk) => splitChunk(chunk) ?? [chunk])
  expect(chunks).toHaveLength(7)
  expect(chunks.flatMap(recordsOf)).toHaveLength(5)
  expect(new Set(chunks.map((chunk) => decodeChunk(chunk).header.id)).size).toBe(7)
})
