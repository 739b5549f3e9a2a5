// What the same flows take as JSON, as `bailiwick flows` prints them: one object a flow, fields that are not set left
// out, so less than most tools write.

import { spawn } from 'node:child_process'
import { compressFrame } from 'lz4-napi'
import { CHUNK_RECORDS_MAX } from '../src/chunk.ts'
import { MAIN } from './pipeline-stage.ts'

/** Bytes a flow, as they are and with lz4 over as many flows as a chunk has. */
export async function jsonBytes(log: string): Promise<{ raw: number; lz4: number }> {
  const child = spawn(process.execPath, [MAIN, 'flows', log, '--stats', 'none'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let flows = 0
  let raw = 0
  let lz4 = 0
  let group: Buffer[] = []
  let lines = 0
  const compress = async () => {
    lz4 += (await compressFrame(Buffer.concat(group))).length
    group = []
    lines = 0
  }
  for await (const piece of child.stdout as AsyncIterable<Buffer>) {
    raw += piece.length
    let from = 0
    for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, at + 1)) {
      flows++
      if (++lines < CHUNK_RECORDS_MAX) continue
      group.push(piece.subarray(from, at + 1))
      from = at + 1
      await compress()
    }
    group.push(piece.subarray(from))
  }
  await compress()
  return { raw: raw / flows, lz4: lz4 / flows }
}
