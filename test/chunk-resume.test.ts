// Reading an input again after a restart: whatever was sent is made again and thrown away, and from the last chunk on
// everything comes out as it did the first time.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ChunkWriter, decodeChunk } from '../src/chunk.ts'
import { CHUNK_START, type ChunkPlace, type ResumeAt } from '../src/chunk-resume.ts'

const ORIGIN = { sensor: 'lab', origin: 'lab/00ff', format: 'pcap' }

/** What happens to a writer: rows of the three tables, and cuts by time. */
type Act = 'flow' | 'cover' | 'reject' | 'cut'

interface Written {
  id: string
  seq: number
  last: boolean
  /** Rows written when it was cut. */
  to: ChunkPlace
}

/** Plays acts; what was emitted, and how far the writer had come each time. */
function play(acts: readonly Act[], resume?: ResumeAt, stopCutsBefore = 0) {
  const written: Written[] = []
  const writer = new ChunkWriter(
    ORIGIN,
    (bytes) => {
      const { id, seq, last } = decodeChunk(bytes).header
      written.push({ id, seq, last, to: writer.place })
    },
    resume,
  )
  for (const [at, act] of acts.entries()) {
    if (act === 'flow') writer.flows.columns.orig_p[writer.flow()] = at & 0xffff
    else if (act === 'cover')
      writer.cover({ kind: 'pcap', from: at, to: at, metric: 'packets', value: at })
    else if (act === 'reject')
      writer.reject({ kind: 'pcap', at, unit: 'byte', reason: 'r', detail: '', sample: '' })
    else if (at >= stopCutsBefore) writer.cut()
  }
  const { resumed } = writer
  writer.end()
  return { written, resumed }
}

function resumeAfter(written: readonly Written[], chunk: number): ResumeAt {
  const { seq, to } = written[chunk]!
  return { seq, from: written[chunk - 1]?.to ?? CHUNK_START, to }
}

const act = fc.constantFrom<Act>('flow', 'flow', 'flow', 'cover', 'reject', 'cut')

test('after any chunk, the last one sent comes once more and then the rest, whenever the clock cuts now', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), fc.nat(), (acts, pick) => {
      const { written } = play(acts)
      // The last chunk ends the input: nobody goes on after it.
      if (written.length < 2) return
      const chunk = pick % (written.length - 1)
      const again = play(acts, resumeAfter(written, chunk))
      expect(again.resumed).toBe('yes')
      expect(again.written).toEqual(written.slice(chunk))
    }),
  )
})

test('earlier cuts of the clock need not come again: where the last chunk lies is enough', () => {
  const acts: Act[] = ['flow', 'cut', 'flow', 'flow', 'cut', 'reject', 'flow', 'cut', 'flow', 'cut']
  const { written } = play(acts)
  const again = play(acts, resumeAfter(written, 2), 9)
  expect(again.written).toEqual(written.slice(2))
})

test('many rows before the place are thrown away, however many chunks they once were', () => {
  const acts: Act[] = new Array<Act>(20_000).fill('flow')
  const { written } = play([...acts, 'cut', 'flow'])
  expect(written).toHaveLength(4)
  const again = play([...acts, 'cut', 'flow'], resumeAfter(written, 2))
  expect(again.written).toEqual(written.slice(2))
})

test('an input that is not what it was is told, and nothing of it comes out', () => {
  const { written } = play(['flow', 'cover', 'cut', 'flow', 'cut'])
  const other = play(['flow', 'flow', 'cut', 'flow', 'cut'], resumeAfter(written, 1))
  expect(other).toMatchObject({ resumed: 'diverged', written: [] })
  const shorter = play(['flow'], resumeAfter(written, 1))
  expect(shorter).toMatchObject({ resumed: 'not yet', written: [] })
})
