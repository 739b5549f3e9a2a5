// A capture process as its parent sees it: started with as few rights as it can do with, before others where processors
// are busy, and killed with whatever it has started.

import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setPriority } from 'node:os'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { WORKERS } from '../threads.ts'
import { printable } from '../wire-text.ts'
import type { Ids } from './order.ts'
import { planLaunch, userIds } from './privileges.ts'

const CAPTURE_NICE = -10
const SAID_MAX = 4000

export class CaptureChild {
  readonly socket: Duplex
  /** The user that it is to become by itself. */
  readonly become: Ids | undefined
  /** It ended, and everything that it said was read: why, and whether it could be started at all. */
  readonly ended: Promise<{ words: string; started: boolean }>
  readonly #child: ChildProcess

  constructor(child: ChildProcess, become: Ids | undefined) {
    this.#child = child
    this.become = become
    this.socket = child.stdio[3] as Duplex
    let said = ''
    child.stderr!.on('data', (piece: Buffer) => {
      said = (said + piece.toString('latin1')).slice(-SAID_MAX)
    })
    this.ended = new Promise((resolve) => {
      child.once('error', ({ message }) => resolve({ words: message, started: false }))
      child.once('close', (code, signal) => {
        const last = printable(said.trim().split('\n').at(-1) ?? '').slice(0, 300)
        const how = `the capture process ended (${signal ?? `exit code ${code}`})`
        resolve({ words: last === '' ? how : `${how}: ${last}`, started: signal !== null })
      })
    })
  }

  /** It leads a group of its own, with the program that it may have started. */
  kill(): void {
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL')
    } catch {
      this.#child.kill('SIGKILL')
    }
  }
}

/** Starts a capture process, which waits for its order; undefined if there is no such user. */
export function startCaptureChild(
  user: string | undefined,
  keptFd: number | undefined,
): CaptureChild | undefined {
  const ids = userIds(user)
  if (ids === undefined) return undefined
  const worker = fileURLToPath(new URL('capture.js', WORKERS))
  const addon = addonFile()
  const files = [process.execPath, worker, ...(addon === undefined ? [] : [addon])]
  const { command: line, become } = planLaunch([process.execPath, worker], files, ids)
  const [command, ...args] = line as [string, ...string[]]
  // No variable of the environment goes along: they may hold secrets. Signals of the terminal do not reach it.
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', ...(keptFd === undefined ? [] : [keptFd])],
    env: { LC_ALL: 'C' },
    detached: true,
    cwd: '/',
  })
  if (child.pid !== undefined) putFirst(child.pid)
  return new CaptureChild(child, become)
}

/**
 * Lets a capture process go before others where the processors are busy: what it does not read in time is lost, what
 * others do not do in time is late. Where that is not allowed it is one among others.
 */
function putFirst(pid: number): void {
  const attempts = [
    () => setPriority(pid, CAPTURE_NICE),
    // Where the kernel groups processes by session, this one is a group of its own.
    () => writeFileSync(`/proc/${pid}/autogroup`, String(CAPTURE_NICE)),
  ]
  for (const attempt of attempts)
    try {
      attempt()
    } catch {
      // Not root, or not this kernel.
    }
}

/** A file that whoever loads the addon reads. */
function addonFile(): string | undefined {
  try {
    const required = createRequire(import.meta.url).resolve('pcap')
    return required.replace(/pcap\.js$/, 'build/Release/pcap_binding.node')
  } catch {
    return undefined
  }
}
