// The worker threads: one that decodes inputs, some that analyze chunks. Only bytes cross: chunks go out and
// come back as transferred memory, and a thread that decodes is held back when its chunks are not taken.

import { setMaxListeners } from 'node:events'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import type { Outcome } from './analyze.ts'
import type { Progress, SensorEvent, SensorSettings } from './sensor.ts'

/** Events that a decoding thread may be ahead of whoever takes them. */
const EVENTS_AHEAD_MAX = 4

/** What an analyzing thread is asked. The snapshot is shared memory, so it is not copied. */
export interface AnalyzeTask {
  chunk: Uint8Array
  snapshot: Uint8Array
  snapshotHash: string
  ruling: number
}

/** What a decoding thread is asked: events leave through the port, each answered with `'taken'`. */
export interface DecodeTask {
  paths: readonly string[]
  settings: SensorSettings
  port: MessagePort
  eventsAhead: number
}

export type DecodeMessage =
  | { type: 'event'; event: SensorEvent }
  | { type: 'progress'; progress: Progress }

/** A chunk that is not to be stored, and why. */
export interface Refusal {
  reason: 'garbage' | 'version' | 'unreadable'
  detail: string
}

/** What came of a chunk whose content was checked first. */
export type Answer =
  | { outcome: Outcome; refused?: undefined }
  | { outcome?: undefined; refused: Refusal }

/** What a thread is asked that halves a chunk. */
export interface SplitTask {
  chunk: Uint8Array
}

export interface Threads {
  analyze: (task: AnalyzeTask) => Promise<Outcome>
  /** Decodes on a thread; leaving the loop early stops it. @throws what the thread threw. */
  decode: (
    paths: readonly string[],
    settings: SensorSettings,
    progress: (at: Progress) => void,
  ) => AsyncGenerator<SensorEvent, void, void>
  close: () => Promise<void>
}

// Workers are loaded as JavaScript; from the sources (under the test runner) the built ones are used.
export const WORKERS = new URL(
  import.meta.url.endsWith('.ts') ? '../dist/workers/' : '../workers/',
  import.meta.url,
)

/** @param analyzers threads that analyze; one more decodes while inputs are read. */
export function startThreads(analyzers: number): Threads {
  // A worker that cannot be loaded is started again for ever by the pool: its tasks must be ended here.
  const broken = new AbortController()
  // As many listen to it as there are tasks under way, which whoever asks bounds.
  setMaxListeners(0, broken.signal)
  const pool = (name: string, threads: number) => {
    const started = new Piscina({
      filename: new URL(name, WORKERS).href,
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: 10_000,
    })
    started.on('error', (error: unknown) => broken.abort(error))
    return started
  }
  const analyzing = pool('analyze.js', analyzers)
  const decoding = pool('decode.js', 1)
  return {
    analyze: async (task) => {
      try {
        return (await analyzing.run(task, { signal: broken.signal })) as Outcome
      } catch (error) {
        throw broken.signal.aborted ? broken.signal.reason : error
      }
    },
    decode: (paths, settings, progress) =>
      decodeOn(decoding, broken.signal, paths, settings, progress),
    close: async () => {
      await Promise.all([analyzing.destroy(), decoding.destroy()])
    },
  }
}

async function* decodeOn(
  pool: Piscina,
  broken: AbortSignal,
  paths: readonly string[],
  settings: SensorSettings,
  progress: (at: Progress) => void,
): AsyncGenerator<SensorEvent, void, void> {
  const { port1: here, port2: there } = new MessageChannel()
  const stop = new AbortController()
  const events: SensorEvent[] = []
  let wake = () => {}
  here.on('message', (message: DecodeMessage) => {
    if (message.type === 'progress') return progress(message.progress)
    events.push(message.event)
    wake()
  })
  const task: DecodeTask = { paths, settings, port: there, eventsAhead: EVENTS_AHEAD_MAX }
  const state = { over: false, failure: undefined as unknown }
  const running = pool
    .run(task, { transferList: [there], signal: AbortSignal.any([stop.signal, broken]) })
    .catch((error: unknown) => {
      state.failure = broken.aborted ? broken.reason : error
    })
    .finally(() => {
      // The thread answers only after its last event was taken, so nothing is left on the way.
      state.over = true
      wake()
    })
  try {
    for (;;) {
      const event = events.shift()
      if (event !== undefined) {
        here.postMessage('taken')
        yield event
      } else if (state.over) {
        break
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
    if (state.failure !== undefined) throw state.failure
  } finally {
    stop.abort()
    here.close()
    await running
  }
}
