#!/usr/bin/env node
// The process: streams, signals and the exit code. Everything else is in program.ts.

import { readEnvironment } from '../config.ts'
import { printable } from '../wire-text.ts'
import { run } from './program.ts'

const interrupted = new AbortController()
const environment = readEnvironment()
/** What was begun may be finished after the first Ctrl-C, for so long. */
const GRACE_MS = 5000
let long = false

// The first Ctrl-C ends the work in good order, the second ends the process.
process.on('SIGINT', () => {
  if (interrupted.signal.aborted) dieOfInterrupt()
  process.stderr.write('\nbailiwick: stopping; again to stop at once\n')
  interrupted.abort()
  setTimeout(dieOfInterrupt, GRACE_MS)
})

/** Ends at once, as the signal itself would have: a thread that waits for standard input holds up any other end. */
function dieOfInterrupt(): void {
  process.removeAllListeners('SIGINT')
  process.kill(process.pid, 'SIGINT')
}

/** A command that runs long has its own way to end, and to tell of faults. */
function runLong(tell: (fault: unknown) => void): void {
  process.removeAllListeners('SIGINT').removeAllListeners('uncaughtException')
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      // As the signal would have ended it.
      if (interrupted.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143)
      interrupted.abort(name)
    })
  process.on('uncaughtException', (error) => {
    tell(error)
    process.exit(70)
  })
}

process.on('uncaughtException', (error) => {
  const words = environment.debug ? (error.stack ?? String(error)) : String(error)
  process.stderr.write(`bailiwick: this is a fault of bailiwick: ${printable(words)}\n`)
  process.exit(70)
})

const code = await run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  environment,
  signal: interrupted.signal,
  runLong: (tell) => {
    long = true
    runLong(tell)
  },
})
if (!long && interrupted.signal.aborted && process.argv.includes('-')) dieOfInterrupt()
else process.exit(code)
