// What follows a finding, under faults: a process that takes findings and is killed, a receiver beside it, and whoever
// gives findings and gives again what was not taken, as a worker does.

import { appendFileSync, mkdtempSync, readdirSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FindingEvent } from '../../src/respond/finding.ts'
import { SECRET } from '../respond/receiver.ts'
import { type Noted, NotingReceiver } from './noting-receiver.ts'
import { numberedFinding } from './respond-findings.ts'
import { Speaking } from './speaking.ts'

const CHILD = path.join(import.meta.dirname, 'respond-child.mjs')
/** Findings that are given at once. */
const BATCH = 30
const START_MILLIS = 60_000

export interface Status {
  queued: number
  dead: number
  open: number
  waiting: number
  ready: boolean
  reason: string
  rss: number
}

interface Said extends Partial<Status> {
  opened?: boolean
  taken?: number
  killed?: boolean
}

export interface RespondPlan {
  /** Where its state is, if not in a fresh directory. */
  data?: string
  /** Of so many requests the answer of one is lost, and one is refused; 0: none. */
  lost?: number
  /** Beside the endpoint of the test. */
  revocation?: Record<string, unknown>
}

export class RespondArena {
  readonly directory: string
  readonly data: string
  /** Deaths by kill -9 so far. */
  kills = 0
  /** Findings made, and how many of them were taken, from the first on. */
  given = 0
  taken = 0
  /** What the processes before said. */
  errors = ''
  readonly #events: FindingEvent[] = []
  readonly #receiver: NotingReceiver
  #child: Speaking<Said> | undefined

  static async start({ data, lost = 0, revocation = {} }: RespondPlan = {}): Promise<RespondArena> {
    const directory = mkdtempSync(path.join(tmpdir(), 'bailiwick-respond-arena-'))
    const receiver = await NotingReceiver.start(directory, lost)
    const { base } = receiver
    const arena = new RespondArena(directory, data ?? path.join(directory, 'data'), receiver)
    await writeFile(
      path.join(directory, 'config.json'),
      JSON.stringify({
        directory: arena.data,
        secret: SECRET,
        webhooks: [
          { name: 'soc', url: `${base}/soc` },
          { name: 'bad', url: `${base}/bad`, min_score: 80 },
          { name: 'lone', url: `${base}/lone`, kinds: ['unregistered'] },
        ],
        revocation: {
          mode: 'auto',
          endpoints: [{ name: 'platform', url: `${base}/revoke` }],
          protected: ['spiffe://kills/protected/*'],
          ...{ per_hour: 1000, grace_seconds: 1, watch_seconds: 10 },
          ...revocation,
        },
      }),
    )
    return arena
  }

  private constructor(directory: string, data: string, receiver: NotingReceiver) {
    this.directory = directory
    this.data = data
    this.#receiver = receiver
  }

  get auditFile(): string {
    return path.join(this.data, 'audit', 'audit.log')
  }

  /** Starts it, and gives it what was not taken before. Resolves when it is open, or dead already. */
  async open(failpoints?: string): Promise<void> {
    const env: Record<string, string> =
      failpoints === undefined ? {} : { BAILIWICK_FAILPOINTS: failpoints }
    const child = new Speaking<Said>(CHILD, [path.join(this.directory, 'config.json')], env)
    this.#child = child
    child.onSaid(({ taken }) => {
      if (taken !== undefined) this.taken = Math.max(this.taken, taken)
    })
    const late = setTimeout(() => child.child.kill('SIGKILL'), START_MILLIS)
    await child.said(({ opened }) => opened === true)
    clearTimeout(late)
    for (let at = this.taken; at < this.#events.length; at += BATCH) this.#give(at)
  }

  /** Gives so many findings more. */
  give(count: number, make: (number: number) => FindingEvent = numberedFinding): void {
    const from = this.#events.length
    for (let i = 0; i < count; i++) this.#events.push(make(this.given++))
    for (let at = from; at < this.#events.length; at += BATCH) this.#give(at)
  }

  #give(at: number): void {
    const events = this.#events.slice(at, at + BATCH)
    this.#child?.say({ take: at + events.length, events })
  }

  say(value: unknown): void {
    this.#child?.say(value)
  }

  /** Until it dies by itself, or is killed after so many milliseconds. @returns true if by itself */
  async dies(millis: number): Promise<boolean> {
    const child = this.#child
    if (child === undefined) return false
    const itself = await Promise.race([child.ended.then(() => true), sleep(millis, false)])
    if (!itself) child.child.kill('SIGKILL')
    const how = await child.ended
    this.#child = undefined
    this.errors = (this.errors + child.errors).slice(-200_000)
    if (how !== 'SIGKILL') throw new Error(`it ended by ${how}: ${child.errors.slice(-2000)}`)
    this.kills++
    return itself
  }

  async status(): Promise<Status> {
    const child = this.#child
    if (child === undefined) throw new Error('nobody is there')
    const answer = child.said(({ queued }) => queued !== undefined)
    child.say({ status: true })
    const status = await answer
    if (status === undefined) throw new Error(`it died: ${child.errors.slice(-2000)}`)
    return status as Status
  }

  /** Until the state is so. @returns seconds that it took */
  async until(what: string, fits: (status: Status) => boolean, millis = 300_000): Promise<number> {
    const began = performance.now()
    for (;;) {
      const status = await this.status()
      if (fits(status)) return (performance.now() - began) / 1000
      if (performance.now() - began > millis)
        throw new Error(`${what}: not after ${millis / 1000} s: ${JSON.stringify(status)}`)
      await sleep(50)
    }
  }

  /** Until everything given is taken, told and done. */
  settled(): Promise<number> {
    return this.until(
      'all is done',
      ({ queued, open }) => this.taken === this.#events.length && queued === 0 && open === 0,
    )
  }

  /** Ends in good order. @returns how */
  async stop(): Promise<NodeJS.Signals | number | null> {
    const child = this.#child
    if (child === undefined) return null
    child.child.kill('SIGTERM')
    const late = setTimeout(() => child.child.kill('SIGKILL'), 20_000)
    const how = await child.ended
    clearTimeout(late)
    this.#child = undefined
    this.errors = (this.errors + child.errors).slice(-200_000)
    return how
  }

  /** Stops the receiver as a whole, or lets it go on. */
  receiver(signal: NodeJS.Signals): void {
    this.#receiver.signal(signal)
  }

  received(): Noted[] {
    return this.#receiver.received()
  }

  /** The rest of a write that a loss of power cut short, at the end of the audit log and of the outbox. */
  tear(bytes: Uint8Array): void {
    appendFileSync(this.auditFile, bytes)
    const outbox = path.join(this.data, 'respond')
    const last = readdirSync(outbox)
      .filter((name) => name.endsWith('.seg'))
      .sort()
      .at(-1)
    if (last !== undefined) appendFileSync(path.join(outbox, last), bytes)
  }

  async close(): Promise<void> {
    await this.stop()
    await this.#receiver.close()
    await rm(this.directory, { recursive: true, force: true })
  }
}
