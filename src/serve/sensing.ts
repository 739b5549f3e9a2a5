// What a sensor reads: files, growing ones, standard input and interfaces beside each other, into one spool.

import { getRandomValues } from 'node:crypto'
import { LiveCapture, type LiveSettings } from '../live/live.ts'
import type { Progress, SensorEvent, SensorSettings } from '../sensor.ts'
import type { Settings } from '../settings.ts'
import { readAll } from '../ship/read-all.ts'
import type { Shipper } from '../ship/shipper.ts'
import type { Log } from '../telemetry.ts'
import { startThreads } from '../threads.ts'
import { untilAborted } from '../until-aborted.ts'
import type { Running } from './running.ts'

export function liveSettings({ live, sensor }: Settings): LiveSettings {
  const { user, write, writeBytes, ...rest } = live
  const { id, localNets, verifyChecksums } = sensor
  return {
    ...rest,
    ...(user !== undefined && { user }),
    ...(write !== undefined && { write: { directory: write, bytes: writeBytes } }),
    sensor: id,
    localNets,
    verifyChecksums,
  }
}

/** Captures until the signal is aborted; then what is open comes, and the events end. */
export function startLive(settings: LiveSettings, log: Log, signal: AbortSignal): LiveCapture {
  const live = LiveCapture.start(settings, log)
  const stop = () => void live.stop()
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  return live
}

export interface PathsParts {
  settings: Settings
  /** Goes on with files that grow and directories that fill. */
  follow: boolean
  shipper: Shipper
  running: Pick<Running, 'log' | 'signal' | 'observe'>
  progress?: (at: Progress) => void
  inputOver: (event: SensorEvent & { type: 'input' }) => void
  /** Told of an input that cannot be read, or not to its end. */
  unreadable: (source: string, words: string) => void
}

/** Reads what is behind the paths, decoding on a thread. @throws what decoding, or the spool, throws */
export async function readPaths(paths: readonly string[], parts: PathsParts): Promise<void> {
  const { follow, shipper, inputOver, unreadable, progress = () => {} } = parts
  const { log, signal, observe } = parts.running
  const settings = sensorOf(parts.settings)
  const threads = startThreads(1)
  try {
    await readAll(paths, {
      settings,
      follow,
      shipper,
      log,
      signal,
      decode: (some) => untilAborted(threads.decode(some, settings, progress), signal),
      inputOver,
      unreadable,
      following: (follower) => observe(follower),
    })
  } finally {
    // A thread that waits for standard input would be waited for.
    if (!signal.aborted) await threads.close()
  }
}

function sensorOf({ sensor }: Settings): SensorSettings {
  return {
    sensor: sensor.id,
    verifyChecksums: sensor.verifyChecksums,
    hashSeed: getRandomValues(new Int32Array(4)),
    localNets: sensor.localNets,
    lanes: sensor.lanes,
  }
}
