// Packets by another program that writes a capture to its standard output: dumpcap or tcpdump.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { printable } from '../wire-text.ts'
import { interfaceChange, interfaceState } from './interfaces.ts'
import type { Backend } from './live-event.ts'
import type { CaptureCounts, Ids } from './order.ts'
import { programPath, setprivPath, withRights } from './privileges.ts'
import { kindOf, type Tap, TapError, type TapSink, type TapWish } from './tap.ts'

/** Something must come within this time, if only the header of a capture. */
const OPEN_MILLIS = 10_000
/** The program may take so long to hand over what it has. */
const CLOSE_MILLIS = 2000
const SAID_MAX = 4000

export function programArguments(backend: 'dumpcap' | 'tcpdump', wish: TapWish): string[] {
  const quiet = wish.promiscuous ? [] : ['-p']
  const { interface: name, snaplen, filter, ringBytes } = wish
  if (backend === 'dumpcap') {
    const mebibytes = String(Math.max(1, Math.round(ringBytes / 2 ** 20)))
    const filtered = filter === '' ? [] : ['-f', filter]
    const all = ['-i', name, '-P', '-q', '-s', String(snaplen), '-B', mebibytes, ...quiet]
    return [...all, ...filtered, '-w', '-']
  }
  const kibibytes = String(Math.max(64, ringBytes >> 10))
  const all = ['-i', name, '-n', '-s', String(snaplen), '-B', kibibytes, ...quiet]
  const prompt = ['-U', '--immediate-mode', '-w', '-']
  return [...all, ...prompt, ...(filter === '' ? [] : ['--', filter])]
}

/** The program's totals as it says them, at its end or when it is asked. */
export function countsSaid(said: string): CaptureCounts | undefined {
  const last = (pattern: RegExp) => Number([...said.matchAll(pattern)].at(-1)?.[1] ?? Number.NaN)
  const dumpcap = [
    ...said.matchAll(/received\/dropped on interface[^\n]*?: (\d+)\/(\d+) .*?ps_ifdrop:(\d+)/g),
  ].at(-1)
  if (dumpcap !== undefined) {
    const [received, dropped, interfaceDropped] = dumpcap.slice(1).map(Number) as [
      number,
      number,
      number,
    ]
    return { received: received + dropped, dropped, interfaceDropped }
  }
  const received = last(/(\d+) packets? received by filter/g)
  if (Number.isNaN(received)) return undefined
  const dropped = last(/(\d+) packets? dropped by kernel/g) || 0
  return {
    received,
    dropped,
    interfaceDropped: last(/(\d+) packets? dropped by interface/g) || 0,
  }
}

/** @param become the user that the program runs as, where this process is still root @throws TapError */
export async function openProgram(
  backend: 'dumpcap' | 'tcpdump',
  wish: TapWish,
  sink: TapSink,
  given?: string,
  become?: Ids,
): Promise<Tap> {
  const program = given ?? programPath(backend)
  if (program === undefined || !existsSync(program))
    throw new TapError('no_backend', `${backend} is not installed`)
  if (interfaceState(wish.interface) === 'missing')
    throw new TapError('no_interface', `no interface ${wish.interface}`)
  const line = [program, ...programArguments(backend, wish)]
  const [command, ...args] = wrapped(line, become) as [string, ...string[]]
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { LC_ALL: 'C' } })
  const began = interfaceState(wish.interface)
  const change = () => interfaceChange(wish.interface, began)
  const tap = new ProgramTap(backend, program, child, sink, change)
  await tap.opened()
  return tap
}

/** A program that dies with us, and that has no more rights than it needs. */
function wrapped(line: readonly string[], become: Ids | undefined): string[] {
  const setpriv = setprivPath()
  if (setpriv === undefined) return [...line]
  if (become !== undefined) return withRights(setpriv, become, line)
  return [setpriv, '--pdeathsig', 'KILL', '--', ...line]
}

class ProgramTap implements Tap {
  readonly backend: Backend
  readonly detail: string
  readonly slackMillis: number
  readonly #child: ChildProcess
  readonly #sink: TapSink
  readonly #gone: Promise<void>
  readonly #change: () => string | undefined
  #isGone = false
  #said = ''
  #closing = false
  #any = false
  #answer: ((error?: TapError) => void) | undefined
  #counts: CaptureCounts = { received: 0, dropped: 0, interfaceDropped: 0 }
  #asked = 0

  /** @param change what has become of the interface, if it is not as it was */
  constructor(
    backend: 'dumpcap' | 'tcpdump',
    program: string,
    child: ChildProcess,
    sink: TapSink,
    change: () => string | undefined,
  ) {
    this.#change = change
    this.backend = backend
    this.detail = program
    // dumpcap hands over what it read after a quarter of a second.
    this.slackMillis = backend === 'dumpcap' ? 2000 : 1000
    this.#child = child
    this.#sink = sink
    child.stdout!.on('data', (piece: Buffer) => {
      this.#any = true
      sink.bytes(piece)
      this.#answer?.()
    })
    child.stderr!.on('data', (piece: Buffer) => {
      this.#said = (this.#said + piece.toString('latin1')).slice(-SAID_MAX)
    })
    this.#gone = new Promise((resolve) => {
      const over = (words: string) => {
        if (this.#isGone) return
        this.#isGone = true
        this.#over(words)
        resolve()
      }
      child.once('error', (error) => over(error.message))
      child.once('close', (code, signal) => over(this.#lastWords(code, signal)))
    })
  }

  /** @throws TapError if it ends, or says nothing, before the first bytes */
  async opened(): Promise<void> {
    if (this.#any) return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#child.kill('SIGKILL')
        this.#answer?.(new TapError('lost', `${this.backend} says nothing`))
      }, OPEN_MILLIS)
      this.#answer = (error) => {
        clearTimeout(timer)
        this.#answer = undefined
        if (error === undefined) resolve()
        else reject(error)
      }
    })
  }

  #over(words: string): void {
    this.#readCounts()
    if (this.#answer !== undefined) this.#answer(new TapError(kindOf(words) ?? 'lost', words))
    else if (!this.#closing) this.#sink.ended(`${this.backend} ended: ${words}`)
  }

  /** What it said that is no count and no greeting. */
  #lastWords(code: number | null, signal: NodeJS.Signals | null): string {
    const lines = this.#said.split(/[\r\n]+/).map((one) => one.trim())
    const greeting = /^$|listening on|Capturing on|^File:|packets? (?:captured|received|dropped)/i
    const words = lines.filter((one) => !greeting.test(one)).slice(0, 3)
    if (words.length > 0) return printable(words.join(' ')).slice(0, 500)
    return signal === null ? `exit code ${code}` : `signal ${signal}`
  }

  #readCounts(): void {
    const counts = countsSaid(this.#said)
    if (counts !== undefined) this.#counts = counts
  }

  counts(): CaptureCounts {
    this.#readCounts()
    return this.#counts
  }

  /** tcpdump tells its counts when it is asked by a signal; dumpcap only at its end. */
  look(): void {
    if (this.#isGone || this.#closing) return
    // The program itself waits without a word where an interface is switched off.
    const change = this.#change()
    if (change !== undefined) {
      this.#closing = true
      this.#sink.ended(change)
      return
    }
    const now = performance.now()
    if (this.backend !== 'tcpdump' || now - this.#asked < 900) return
    this.#asked = now
    this.#child.kill('SIGUSR1')
  }

  pause(): void {
    this.#child.stdout!.pause()
  }

  resume(): void {
    this.#child.stdout!.resume()
  }

  async close(): Promise<void> {
    this.#closing = true
    this.resume()
    if (!this.#isGone) this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), CLOSE_MILLIS)
    await this.#gone
    clearTimeout(timer)
  }
}
