// The threads that analyze, asked for many chunks at once.

import { expect, test } from 'vitest'
import { ChunkWriter } from '../src/chunk.ts'
import { loadScopes } from '../src/replay.ts'
import { openSnapshot, shareSnapshot } from '../src/snapshot.ts'
import { startThreads } from '../src/threads.ts'

test('many chunks under way at once are no leak of listeners, and Node is not made to say so', async () => {
  const warnings: string[] = []
  const hear = ({ name }: Error) => warnings.push(name)
  process.on('warning', hear)
  const { bytes } = await loadScopes(['fixtures'])
  const snapshot = shareSnapshot(bytes)
  const { hash } = openSnapshot(bytes)
  const threads = startThreads(1)
  try {
    const tasks = Array.from({ length: 30 }, (_, seq) =>
      threads.analyze({ chunk: smallChunk(seq), snapshot, snapshotHash: hash, ruling: 0 }),
    )
    expect(await Promise.all(tasks)).toHaveLength(30)
    // Warnings are told in the turn after.
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings).toEqual([])
  } finally {
    await threads.close()
    process.off('warning', hear)
  }
})

function smallChunk(seq: number): Uint8Array {
  const chunks: Uint8Array[] = []
  const origin = { sensor: 'tap1', origin: `tap1/${seq}`, format: 'aws-vpc' }
  const writer = new ChunkWriter(origin, (chunk) => chunks.push(chunk))
  writer.flows.columns.sensor.set(writer.flow(), 'tap1')
  writer.end()
  return chunks[0]!
}
