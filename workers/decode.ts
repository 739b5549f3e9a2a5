// Worker thread: reads and decodes inputs; events leave through a port, at most `eventsAhead` untaken.

import { readInputs } from '../src/sensor.ts'
import type { DecodeMessage, DecodeTask } from '../src/threads.ts'

/** Bytes of input between two reports of progress. */
const PROGRESS_BYTES = 4 << 20

export default async function decode({ paths, settings, port, eventsAhead }: DecodeTask) {
  let ahead = 0
  let wake = () => {}
  port.on('message', () => {
    ahead--
    wake()
  })
  let reported = 0
  const events = readInputs(paths, settings, (progress) => {
    if (Math.abs(progress.bytesRead - reported) < PROGRESS_BYTES) return
    reported = progress.bytesRead
    port.postMessage({ type: 'progress', progress } satisfies DecodeMessage)
  })
  try {
    for await (const event of events) {
      while (ahead >= eventsAhead)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      ahead++
      port.postMessage(
        { type: 'event', event } satisfies DecodeMessage,
        event.type === 'chunk' ? [event.chunk.buffer] : [],
      )
    }
    // The port's queue is emptied before the task's own answer ends the thread's turn.
    while (ahead > 0)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
  } finally {
    port.close()
  }
}
