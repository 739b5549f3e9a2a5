// A process that is measured from outside: its CPU (all threads) and its memory, as Linux counts them in /proc.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** Ticks of utime and stime a second: USER_HZ, which is 100 on every Linux that Node runs on. */
const TICKS = 100
/** A process that ended takes its figures along: what it used since the last look is missing, 1 % of ten seconds. */
const LOOK_MILLIS = 100

export interface Usage {
  /** User and system time of all threads, seconds. */
  cpu: number
  /** Resident memory, bytes. */
  rss: number
}

/** What a process has used so far; undefined if it is gone. */
export function usageOf(pid: number): Usage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name stands in brackets and may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
    if (rss === null) return undefined
    return { cpu: (Number(fields[11]) + Number(fields[12])) / TICKS, rss: Number(rss[1]) * 1024 }
  } catch {
    return undefined
  }
}

/** What a process and all that came of it use. Those that ended and were waited for count for their parents. */
export function treeUsage(root: number): Usage {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid)) continue
    const parent = parentOf(pid)
    if (parent !== undefined) parents.set(pid, parent)
  }
  const isOurs = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined; at = parents.get(at))
      if (at === root) return true
    return false
  }
  const sum: Usage = { cpu: 0, rss: 0 }
  for (const pid of parents.keys()) {
    const usage = isOurs(pid) ? usageOf(pid) : undefined
    sum.cpu += usage?.cpu ?? 0
    sum.rss += usage?.rss ?? 0
  }
  return sum
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined
  }
}

/** Those that run: none is left behind when this process ends. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class MeasuredProcess {
  readonly child: ChildProcess
  /** Resolves to the exit code, or the signal. */
  readonly ended: Promise<number | string>
  usage: Usage = { cpu: 0, rss: 0 }
  peak = 0
  /** The last of what it said on stderr. */
  said = ''
  readonly #timer: NodeJS.Timeout
  readonly #lines: AsyncIterator<string> | undefined

  /** @param command a program with its arguments; `environment` is added to this process's own */
  constructor(command: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const [program, ...args] = command as [string, ...string[]]
    this.child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    })
    running.add(this.child)
    this.child.stdin?.on('error', () => {})
    this.child.stderr?.on('data', (piece: Buffer) => {
      this.said = (this.said + piece.toString()).slice(-4000)
    })
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]()
    this.#timer = setInterval(() => this.look(), LOOK_MILLIS)
    this.ended = once(this.child, 'exit').then(([code, signal]) => {
      clearInterval(this.#timer)
      running.delete(this.child)
      return (code ?? signal) as number | string
    })
  }

  get pid(): number {
    return this.child.pid ?? 0
  }

  /** The figures of now; those of the last look if it has ended. */
  look(): Usage {
    const usage = usageOf(this.pid)
    if (usage !== undefined) {
      this.usage = usage
      this.peak = Math.max(this.peak, usage.rss)
    }
    return this.usage
  }

  /** The next line on its stdout. @throws if it ended instead */
  async line(): Promise<string> {
    const next = await this.#lines?.next()
    if (next === undefined || next.done === true)
      throw new Error(`${this.child.spawnargs.slice(0, 3).join(' ')} ended: ${this.said}`)
    return next.value
  }

  /** Waits for its end. @throws unless it exits with 0 */
  async done(): Promise<void> {
    const how = await this.ended
    if (how !== 0)
      throw new Error(`${this.child.spawnargs.slice(0, 4).join(' ')}: ${how}\n${this.said}`)
  }

  /** Ends it, kindly first. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill('SIGTERM')
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 40_000)
    await this.ended
    clearTimeout(timer)
  }
}
