// Live capture on the command line: from settings to a capture that ends when the command does, and its errors as exit
// codes.

import { LiveCapture, LiveError, type LiveSettings } from '../live/live.ts'
import type { Settings } from '../settings.ts'
import type { Log } from '../telemetry.ts'
import { CommandError } from './exit.ts'

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
export function startLive(settings: Settings, log: Log, signal: AbortSignal): LiveCapture {
  const live = LiveCapture.start(liveSettings(settings), log)
  const stop = () => void live.stop()
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  return live
}

/** What ended a capture, for people: a mistake in what was asked for is 2, what this machine lacks is 4. */
export function liveCause(error: unknown): unknown {
  if (!(error instanceof LiveError)) return error
  const asked = ['filter', 'no_interface', 'write'].includes(error.kind)
  return new CommandError(asked ? 2 : 4, error.message)
}
