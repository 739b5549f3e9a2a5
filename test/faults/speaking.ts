// A program of the tests that runs beside them and speaks in lines of JSON.

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { plainEnvironment } from './program.ts'

export class Speaking<Said> {
  readonly child: ChildProcess
  readonly ended: Promise<NodeJS.Signals | number | null>
  errors = ''
  #listeners = new Set<(said: Said) => void>()

  constructor(program: string, args: readonly string[], env: Record<string, string> = {}) {
    this.child = spawn(process.execPath, [program, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...plainEnvironment(), ...env },
    })
    // Whoever is killed does not read what is written to it.
    this.child.stdin!.on('error', () => {})
    this.child.stderr!.on('data', (piece: Buffer) => {
      this.errors = (this.errors + piece.toString()).slice(-100_000)
    })
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      const said = JSON.parse(line) as Said
      for (const listener of this.#listeners) listener(said)
    })
    this.ended = new Promise((resolve) => {
      this.child.on('exit', (code, signal) => resolve(signal ?? code))
    })
  }

  say(value: unknown): void {
    this.child.stdin!.write(`${JSON.stringify(value)}\n`)
  }

  onSaid(listener: (said: Said) => void): void {
    this.#listeners.add(listener)
  }

  /** What it says next that fits; undefined if it ends before. */
  async said(fits: (said: Said) => boolean): Promise<Said | undefined> {
    const said = new Promise<Said>((resolve) => {
      const listener = (one: Said) => {
        if (!fits(one)) return
        this.#listeners.delete(listener)
        resolve(one)
      }
      this.#listeners.add(listener)
    })
    return await Promise.race([said, this.ended.then(() => undefined)])
  }
}
