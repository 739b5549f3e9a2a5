// The worker of a server: the same loop that takes chunks from Kafka, between the spool and the store.

import type { ChunkHeader } from '../chunk-header.ts'
import { JudgeThreads, usualThreads } from '../judge-threads.ts'
import { StreamLosses } from '../work/stream-losses.ts'
import { runWorker, WORKER_LIMITS } from '../work/worker.ts'
import { DeadJournal } from './dead-journal.ts'
import type { Opened } from './opened.ts'
import type { Running } from './running.ts'
import type { Ready, ServeParts } from './serve.ts'
import type { SpoolSource } from './spool-source.ts'

export interface WorkingParts extends Ready {
  source: SpoolSource
  running: Running
  /** Threads and dead letters are closed with it. */
  opened: Opened
  parts: Pick<ServeParts, 'settings' | 'version'>
}

export interface ServeWorker {
  /** Resolves when it was stopped and is done. @throws what nobody but a new process can mend */
  done: Promise<void>
  /** Aborted when it is done. */
  over: AbortSignal
  /** Takes no more, finishes what it took. */
  stop(): void
}

/** Of a live capture: somebody waits for what is found in it. Its origins are called so (src/live/keeper.ts). */
const isLive = ({ origin, sensor }: ChunkHeader) => origin.startsWith(`${sensor}/live/`)

/** The spool hands out so much (src/ship/spool.ts); slices are cut by it. */
const IN_FLIGHT_BYTES = 128 << 20

/** What was taken and cannot be stored by then stays in the spool. */
const DRAIN_MILLIS = 5000

/** Starts threads and the worker's loop. @throws BusError, BusFault of the dead letters */
export async function startWorker(given: WorkingParts): Promise<ServeWorker> {
  const { directory, registry, response, store, target, source, running, opened, parts } = given
  const { log, observe } = running
  const losses = new StreamLosses(log)
  const dead = await DeadJournal.open(directory.paths.dead, { log, tell: losses.tell })
  opened.closing('dead letters', () => dead.close())
  observe(dead)
  const threads = await JudgeThreads.open({
    threads: parts.settings.worker.threads ?? usualThreads(),
    promptThreads: parts.settings.live.interfaces.length > 0 ? 1 : 0,
  })
  opened.closing('threads', () => threads.close())
  const stop = new AbortController()
  const over = new AbortController()
  const done = runWorker({
    source,
    store,
    dead,
    losses,
    threads,
    scopes: registry.scopes,
    findings: (events) => response.take(events),
    prompt: isLive,
    limits: {
      ...WORKER_LIMITS,
      inFlightBytes: IN_FLIGHT_BYTES,
      drainMillis: DRAIN_MILLIS,
      // An embedded engine ends with its process.
      ...(target.kind === 'server' ? {} : { recutMillis: 0 }),
    },
    version: parts.version,
    log,
    clock: () => performance.now(),
    now: () => Date.now(),
    signal: stop.signal,
    observe: (part) => void observe(part),
  })
    .then(() => {})
    .finally(() => over.abort())
  return { done, over: over.signal, stop: () => stop.abort() }
}
