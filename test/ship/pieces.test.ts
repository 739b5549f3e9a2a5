// A broker takes so many bytes, compressed. Chunks are cut into pieces that it takes; nothing is lost on the way, and
// chunks that are like those before are not measured again.

import { describe, expect, test } from 'vitest'
import { ChunkWriter, decodeChunk } from '../../src/chunk.ts'
import { recordsOf } from '../../src/pipeline.ts'
import { PieceCutter } from '../../src/ship/pieces.ts'

/** A chunk whose flow ids do, or do not, compress. */
function chunkOf(seq: number, records: number, random: boolean): Uint8Array {
  const chunks: Uint8Array[] = []
  const writer = new ChunkWriter({ sensor: 's', origin: `o${seq}`, format: 'pcap' }, (chunk) =>
    chunks.push(chunk),
  )
  let state = seq + 1
  for (let i = 0; i < records; i++) {
    const row = writer.flow()
    for (let byte = 0; random && byte < 16; byte++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
      writer.flows.columns.flow_id[row * 16 + byte] = state >>> 24
    }
  }
  writer.end()
  return chunks[0]!
}

const records = (pieces: readonly Uint8Array[]) =>
  pieces.map((piece) => recordsOf(decodeChunk(piece).header))
const MOST = 10_000

describe('pieces', () => {
  test('a chunk that is small, or compresses well, goes whole', async () => {
    const cutter = new PieceCutter()
    for (const chunk of [chunkOf(0, 10, true), chunkOf(1, 2000, false)])
      expect(await cutter.pieces(chunk, MOST)).toEqual([chunk])
  })

  test('a chunk that does not is halved until its pieces do, and they hold all of it, in order', async () => {
    const pieces = await new PieceCutter().pieces(chunkOf(0, 2000, true), MOST)
    expect(pieces.length).toBeGreaterThan(2)
    expect(records(pieces).reduce((sum, rows) => sum + rows, 0)).toBe(2000)
    const paths = pieces.map((piece) => decodeChunk(piece).header.piece?.path ?? '')
    expect(paths).toEqual([...paths].sort())
  })

  test('a stream that begins to compress badly is noticed after 15 chunks at the latest', async () => {
    const cutter = new PieceCutter()
    for (let i = 0; i < 3; i++) await cutter.pieces(chunkOf(i, 2000, false), MOST)
    const counts: number[] = []
    for (let i = 0; i < 20; i++)
      counts.push((await cutter.pieces(chunkOf(i, 2000, true), MOST)).length)
    const noticed = counts.findIndex((count) => count > 1)
    // Those before it are the broker's to refuse, which halves them, too.
    expect(noticed).toBeGreaterThan(0)
    expect(noticed).toBeLessThanOrEqual(15)
    expect(counts.slice(noticed).every((count) => count > 1)).toBe(true)
  })
})
