// All inputs of a sensor: files to their end or growing, and standard input; and before them what an earlier process
// left unfinished.

import type { SensorEvent, SensorSettings } from '../sensor.ts'
import type { Log } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import { closeGoneFiles, closeStandardInputs } from './close-origin.ts'
import { Follower } from './follow.ts'
import { CUT_MILLIS } from './live-input.ts'
import { type ReadFilesParts, readFiles } from './read-files.ts'
import { readStandardInput } from './read-stdin.ts'
import { isAmong, seeFiles } from './seen-file.ts'
import type { Shipper } from './shipper.ts'

export interface ReadAllParts {
  settings: SensorSettings
  shipper: Shipper
  log: Log
  signal: AbortSignal
  follow: boolean
  /** Decodes files that are read to their end, where that does not hold this thread up. */
  decode: ReadFilesParts['decode']
  inputOver: (event: SensorEvent & { type: 'input' }) => void
  /** Told of an input that cannot be read, or not to its end. */
  unreadable: (source: string, words: string) => void
  /** Told of the loop that follows, which shows how it gets on. */
  following?: (follower: Follower) => void
  quietMillis?: number
  cutMillis?: number
}

/** @throws what decoding, or the spool, throws */
export async function readAll(paths: readonly string[], parts: ReadAllParts): Promise<void> {
  const { shipper, log } = parts
  const files = paths.filter((one) => one !== '-')
  await closeStandardInputs(shipper, log)
  const stdin = async () => {
    if (files.length < paths.length) await readStdin(parts)
  }
  if (!parts.follow) {
    await readWhole(files, parts)
    await stdin()
  } else await Promise.all([follow(files, parts), stdin()])
}

async function readWhole(files: readonly string[], parts: ReadAllParts): Promise<void> {
  if (files.length === 0) return
  for (const source of await readFiles(files, parts))
    parts.unreadable(
      source,
      'changes while it is read: follow it (--follow), or read it when it is whole',
    )
}

async function follow(files: readonly string[], parts: ReadAllParts): Promise<void> {
  if (files.length === 0) return
  const { shipper, log } = parts
  const follower = new Follower(files, parts)
  parts.following?.(follower)
  const seen = await seeFiles(files, () => {})
  await closeGoneFiles(files, (entry) => isAmong(entry, seen), shipper, log)
  await follower.run()
}

async function readStdin(parts: ReadAllParts): Promise<void> {
  const { settings, shipper, cutMillis = CUT_MILLIS, log, signal } = parts
  const live = { settings, shipper, cutMillis }
  const { format, bytes, problem, errors } = await readStandardInput(live, signal)
  if (problem === undefined) log('info', 'input read', { input: '-', format, bytes, errors })
  else parts.unreadable('-', printable(problem))
}
