// A worker that dies of chunks which hold certain words: what a bug, or someone who knows of one, might do.

import { checked, ready, split } from '../../dist/workers/analyze.js'

export { ready, split }

export function checkedOrDead(task) {
  const text = Buffer.from(task.chunk.buffer, task.chunk.byteOffset, task.chunk.length).toString(
    'latin1',
  )
  if (text.includes('exit.example')) process.exit(3)
  if (text.includes('memory.example')) {
    const hoard = []
    for (;;) hoard.push(new Array(10_000).fill(hoard.length))
  }
  if (text.includes('loop.example')) for (;;);
  return checked(task)
}

export { checkedOrDead as checked }
