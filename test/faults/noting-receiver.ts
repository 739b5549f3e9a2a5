// Who gets webhooks and revocation calls, beside a test: a process of its own, whose notes are what the judge reads.

import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { SECRET } from '../respond/receiver.ts'
import { Speaking } from './speaking.ts'

const PROGRAM = path.join(import.meta.dirname, 'respond-receiver.mjs')

export interface Noted {
  url: string
  id: string
  at: number
  /** Of a webhook. */
  alerts: string[]
  hash: string
  /** Of a revocation call. */
  agent?: string
  /** Why it is none that it should be. */
  wrong?: string
}

export class NotingReceiver {
  /** Its URL, without a path. */
  readonly base: string
  readonly #notes: string
  readonly #process: Speaking<{ port: number }>

  /** @param lost of so many requests the answer of one is lost, and one is refused; 0: none */
  static async start(directory: string, lost = 0): Promise<NotingReceiver> {
    const notes = path.join(directory, 'received.ndjson')
    const process = new Speaking<{ port: number }>(PROGRAM, [SECRET, notes, String(lost)])
    const said = await process.said(({ port }) => port !== undefined)
    if (said === undefined) throw new Error(`no receiver: ${process.errors}`)
    return new NotingReceiver(`http://127.0.0.1:${said.port}`, notes, process)
  }

  private constructor(base: string, notes: string, process: Speaking<{ port: number }>) {
    this.base = base
    this.#notes = notes
    this.#process = process
  }

  /** Stops it as a whole, or lets it go on. */
  signal(signal: NodeJS.Signals): void {
    this.#process.child.kill(signal)
  }

  /** All that came, in its order. */
  received(): Noted[] {
    if (!existsSync(this.#notes)) return []
    const lines = readFileSync(this.#notes, 'utf8').split('\n').slice(0, -1)
    return lines.map((line) => JSON.parse(line) as Noted)
  }

  async close(): Promise<void> {
    this.signal('SIGKILL')
    await this.#process.ended
  }
}
