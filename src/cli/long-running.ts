// What every process has that runs until it is told to end: its log, its ends, what it shows of itself. The work is
// a function; here it is told when to stop, and here its errors become an exit code.

import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import type { HealthServer } from '../api/health.ts'
import { armFailpoints } from '../failpoint.ts'
import type { Running } from '../serve/running.ts'
import type { Settings } from '../settings.ts'
import type { Log, Observed } from '../telemetry.ts'
import { aborted } from '../until-aborted.ts'
import { secretTexts } from './bus-options.ts'
import { errorCause } from './error-cause.ts'
import { CommandError, usageError } from './exit.ts'
import type { CommandParts } from './program.ts'
import { openLog } from './run-log.ts'
import { packageVersion } from './version.ts'

/**
 * How much the heap may grow between two full collections, in percent of what is alive. Chunks lie outside of the heap
 * and count as its growth, so that by V8's own reckoning a few dozen of them are a collection.
 */
const HEAP_GROWING_PERCENT = 400

/** The work was told to end, and has not: it is ended. Longer than any bounded drain, shorter than a supervisor waits. */
const END_MILLIS = 60_000

/**
 * Runs `work` as a process of its own: JSON log on stderr, signals, health server where `settings.listen` says.
 * Returns when the work is over; what ended it stands in `parts.causes`.
 */
export async function runLongRunning(
  parts: CommandParts,
  name: string,
  settings: Settings,
  work: (running: Running) => Promise<void>,
): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`)
  const terminal = parts.terminal()
  const log = openLog(terminal.err.stream, {
    level: terminal.quiet ? 'error' : terminal.verbose ? 'debug' : 'info',
    name,
    version: packageVersion(),
    secrets: secretTexts(settings),
  })
  parts.runLong((fault) => log('error', 'this is a fault of bailiwick', { err: fault }))
  armFromEnvironment(parts, log)
  const observed = new Set<Observed>()
  const running: Running = {
    log,
    signal: parts.signal,
    observe: (part) => {
      observed.add(part)
      return () => observed.delete(part)
    },
    observed,
  }
  let server: HealthServer | undefined
  try {
    if (settings.listen !== undefined) {
      // Whoever does not listen need not load what answers.
      const { HealthServer } = await import('../api/health.ts')
      server = await HealthServer.open(settings.listen, name, observed, log)
    }
    log('info', 'started', server === undefined ? {} : { listen: server.address })
    const onAbort = () => log('info', 'told to end: finishing what was begun')
    parts.signal.addEventListener('abort', onAbort, { once: true })
    await endOf(work(running), parts.signal)
    log('info', 'ended')
  } catch (error) {
    const { code, words, fault } = errorCause(error)
    log('error', words, fault ? { err: error, exit: code } : { exit: code })
    parts.causes.push({ code, words, told: true })
  } finally {
    await server?.close()
  }
}

/** The work's end; an error if it goes on for too long after it was told to end. */
async function endOf(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const late = new AbortController()
  const limit = async () => {
    await aborted(AbortSignal.any([signal, late.signal]))
    await sleep(END_MILLIS, undefined, { signal: late.signal })
    throw new CommandError(70, `did not end within ${END_MILLIS / 1000} s after it was told to`)
  }
  try {
    await Promise.race([work, limit()])
  } finally {
    late.abort()
  }
}

/** Tests of faults say in the environment where this process dies; nobody else should. */
function armFromEnvironment(parts: CommandParts, log: Log): void {
  const text = parts.environment.bailiwick.BAILIWICK_FAILPOINTS
  if (text === undefined) return
  try {
    armFailpoints(text)
  } catch (error) {
    throw usageError(`BAILIWICK_FAILPOINTS: ${String(error)}`)
  }
  log('warn', 'failpoints are armed: this process will fail on purpose', { failpoints: text })
}
