// A process that is started again when it dies, as systemd would do it, and that a test can kill, stop and arm.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { PROGRAM, plainEnvironment } from './program.ts'

/** Ends that a restart does not mend: done, and wrong usage (RestartPreventExitStatus=2). */
const FOR_GOOD = [0, 2]

export interface SupervisedSettings {
  /** For people, and the name of its log. */
  name: string
  /** Arguments of the program. */
  args: readonly string[]
  env?: Readonly<Record<string, string>>
  /** Directory of its log. */
  directory: string
  /** Failpoints of a start, the first is 0; undefined for none. */
  arm?: (start: number) => string | undefined
  /** Program and arguments before `node`: faketime, prlimit. */
  under?: readonly string[]
  /** Pause before a restart, milliseconds. */
  pauseMillis?: number
  /** Also after an end in good order, as if somebody started it by hand. */
  always?: boolean
  /** Starts after which it stays down: a crash loop is a failure of the test. */
  startsMax?: number
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
  /** How long it lived, milliseconds. */
  millis: number
  armed: string | undefined
}

export class Supervised {
  readonly name: string
  readonly logFile: string
  readonly exits: Exit[] = []
  #settings: SupervisedSettings
  #child: ChildProcess | undefined
  #starts = 0
  /** Size of the log before the last start. */
  #logBefore = 0
  #wanted = true
  #timer: NodeJS.Timeout | undefined
  #ended: () => void = () => {}
  /** Resolves when it is down and stays down. */
  readonly ended: Promise<void>
  /** Called after each exit, before the restart. */
  onExit: (exit: Exit) => void = () => {}

  constructor(settings: SupervisedSettings) {
    this.#settings = settings
    this.name = settings.name
    this.logFile = path.join(settings.directory, `${settings.name}.log`)
    this.ended = new Promise((resolve) => {
      this.#ended = resolve
    })
    this.#start()
  }

  get starts(): number {
    return this.#starts
  }

  /** Deaths by SIGKILL so far, whoever sent it. */
  get kills(): number {
    return this.exits.filter(({ signal }) => signal === 'SIGKILL').length
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  /** True if the process was stopped by a signal and waits to be continued. */
  get stopped(): boolean {
    const pid = this.#child?.pid
    if (pid === undefined) return false
    try {
      return /^\d+ \(.*\) T /s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
    } catch {
      return false
    }
  }

  /** Signals the process that runs now, if one does. With faketime or prlimit that is the same process. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** From the next start on. */
  rearm(arm: SupervisedSettings['arm']): void {
    const { arm: _, ...rest } = this.#settings
    this.#settings = arm === undefined ? rest : { ...rest, arm }
  }

  /** Ends it and keeps it down. @returns how it ended, or undefined if it was down */
  async stop(
    signal: NodeJS.Signals = 'SIGTERM',
    patienceMillis = 40_000,
  ): Promise<Exit | undefined> {
    this.#wanted = false
    clearTimeout(this.#timer)
    const child = this.#child
    if (child === undefined) {
      this.#ended()
      return this.exits.at(-1)
    }
    child.kill('SIGCONT')
    child.kill(signal)
    const late = setTimeout(() => child.kill('SIGKILL'), patienceMillis)
    await this.ended
    clearTimeout(late)
    return this.exits.at(-1)
  }

  /** True if the last start has come as far as to say so: before, a signal finds nobody who minds it. */
  get saidStarted(): boolean {
    return readFileSync(this.logFile).subarray(this.#logBefore).includes('"msg":"started"')
  }

  /** The end of what it said, for messages. */
  tail(bytes = 3000): string {
    return readFileSync(this.logFile, 'utf8').slice(-bytes)
  }

  #start(): void {
    const { args, env, arm, under = [] } = this.#settings
    const { startsMax = 100, pauseMillis = 100, always = false } = this.#settings
    const armed = arm?.(this.#starts)
    const [command, ...rest] = [...under, process.execPath, PROGRAM, ...args]
    const log = openSync(this.logFile, 'a')
    this.#logBefore = fstatSync(log).size
    const began = performance.now()
    const child = spawn(command!, rest, {
      stdio: ['ignore', log, log],
      env: {
        ...plainEnvironment(),
        ...env,
        ...(armed === undefined ? {} : { BAILIWICK_FAILPOINTS: armed }),
      },
    })
    closeSync(log)
    this.#child = child
    this.#starts++
    child.on('exit', (code, signal) => {
      const exit = { code, signal, millis: performance.now() - began, armed }
      this.#child = undefined
      this.exits.push(exit)
      this.onExit(exit)
      const done = code !== null && FOR_GOOD.includes(code) && !(always && code === 0)
      if (!this.#wanted || done || this.#starts >= startsMax) this.#ended()
      else this.#timer = setTimeout(() => this.#start(), pauseMillis)
    })
  }
}
