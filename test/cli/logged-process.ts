// A long-running command as a process, and its log as it comes.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { PROGRAM } from '../faults/program.ts'

export interface Line {
  level: string
  msg: string
  [field: string]: unknown
}

export class LoggedProcess {
  readonly child: ChildProcess
  readonly lines: Line[] = []
  /** Lines that are no JSON: there should be none but those from before the log is open. */
  readonly words: string[] = []
  readonly ended: Promise<[code: number | null, signal: string | null]>
  #wanted: { msg: RegExp; done: (line: Line) => void }[] = []

  /** @param cwd where it runs @param env beside PATH, which is all that it inherits */
  constructor(args: readonly string[], cwd: string, env: Record<string, string> = {}) {
    this.child = spawn(process.execPath, [PROGRAM, ...args], {
      env: { PATH: process.env.PATH, ...env },
      cwd,
    })
    const read = createInterface(this.child.stderr!)
    read.on('line', (line) => {
      if (!line.startsWith('{')) this.words.push(line)
      else this.#take(JSON.parse(line))
    })
    this.ended = Promise.all([
      once(this.child, 'exit') as Promise<[number | null, string | null]>,
      once(read, 'close'),
    ]).then(([how]) => how)
  }

  #take(line: Line): void {
    this.lines.push(line)
    for (const { msg, done } of this.#wanted) if (msg.test(line.msg)) done(line)
  }

  /** All that it said. */
  get text(): string {
    return [...this.words, ...this.lines.map((line) => JSON.stringify(line))].join('\n')
  }

  /** The first line whose message matches, also if it came before. */
  async line(msg: RegExp): Promise<Line> {
    const there = this.lines.find((line) => msg.test(line.msg))
    return there ?? (await new Promise((done) => this.#wanted.push({ msg, done })))
  }
}
