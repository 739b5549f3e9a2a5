// Fills a store with the same chunks every time, telling each slice on stdout. The crash test kills it.
// Run: node crash-child.js DIRECTORY SLICE_CHUNKS

import { openStore, type SliceChunk } from '../../src/store/store.ts'
import { DAY, judged, MONDAY, sampleChunk } from './samples.ts'

const CHUNKS = 16

function chunkAt(seq: number): SliceChunk {
  const names = Array.from({ length: 50 }, (_, i) => `${seq}.${i}`)
  const flows = names.map((name, i) => ({ name, ts: MONDAY + (i % 2) * DAY + seq }))
  const rejects = [{ reason: 'cut', at: seq, sample: '' }]
  const judgements = names.map((name, i) => ({
    name,
    ts: MONDAY + (i % 2) * DAY + seq,
    verdict: i % 5 === 0 ? ('out_of_scope' as const) : ('in_scope' as const),
    ...(i % 5 === 0 ? { alert: `alert ${i}` } : {}),
  }))
  return judged(sampleChunk({ origin: 'tap1/crash', seq, flows, rejects }), judgements)
}

const [path = '', sliceChunks = '1'] = process.argv.slice(2)
const store = await openStore({ kind: 'directory', path })
process.stdout.write('open\n')
for (let seq = 0; seq < CHUNKS; seq += Number(sliceChunks)) {
  const last = Math.min(CHUNKS, seq + Number(sliceChunks))
  const chunks = Array.from({ length: last - seq }, (_, i) => chunkAt(seq + i))
  await store.insertSlice({ key: `tap1/crash:${seq}-${last - 1}`, chunks })
  process.stdout.write(`${seq}\n`)
}
await store.close()
process.stdout.write('done\n')
