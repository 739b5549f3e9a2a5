// Processes that outlive the command that starts them: started with a log of their own, known again by process id and
// start time, ended by their own id alone.

import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a process has to end, after which it is ended. */
const END_MILLIS = 70_000

/**
 * Starts Node with these arguments, in a session of its own: Ctrl-C in the terminal is not for it.
 * @param {readonly string[]} args
 * @param {string} log file that takes what it says; appended to
 * @returns {{pid: number, started: string}}
 */
export function startProcess(args, log) {
  const out = openSync(log, 'a', 0o640)
  const child = spawn(process.execPath, args, { detached: true, stdio: ['ignore', out, out] })
  closeSync(out)
  child.unref()
  if (child.pid === undefined) throw new Error(`cannot start node ${args[0]}`)
  return { pid: child.pid, started: startedAt(child.pid) ?? '' }
}

/** When the process began, in the kernel's ticks, so that a number that is used again is told apart. */
function startedAt(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ')
    // Ended, and waiting for its parent to notice.
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

/** Is it still that process? Where there is no /proc the number alone must do. */
export function isRunning(one) {
  if (one === undefined) return false
  if (one.started !== '') return startedAt(one.pid) === one.started
  try {
    process.kill(one.pid, 0)
    return true
  } catch {
    return false
  }
}

/** Ends a process and waits for it; false if it had to be killed. */
export async function endProcess(one) {
  if (!isRunning(one)) return true
  process.kill(one.pid, 'SIGTERM')
  const until = Date.now() + END_MILLIS
  while (isRunning(one)) {
    if (Date.now() > until) {
      process.kill(one.pid, 'SIGKILL')
      return false
    }
    await sleep(50)
  }
  return true
}

/** The last lines of a log, at most so many. */
export function lastLines(log, most) {
  try {
    return readFileSync(log, 'utf8').trimEnd().split('\n').slice(-most)
  } catch {
    return []
  }
}

/** What a process says of its readiness: `ready`, or why not. */
export async function readiness(address) {
  try {
    const answer = await fetch(`http://${address}/ready`, { signal: AbortSignal.timeout(3000) })
    if (answer.ok) return 'ready'
    const text = (await answer.text()).trim()
    return text.split('\n')[0].slice(0, 300) || `answers ${answer.status}`
  } catch {
    return 'does not answer'
  }
}
