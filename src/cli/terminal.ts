// What a command writes to: data on one side, words for people on the other. Knows whether either is a terminal,
// how wide it is and whether it takes colour. Nothing unprintable passes `line`.

import type { Writable } from 'node:stream'
import picocolors from 'picocolors'
import { explainFileError } from '../inputs.ts'
import { printable } from '../wire-text.ts'
import { CommandError } from './exit.ts'

/** A writable stream that waits when its reader is slow and goes quiet when its reader is gone. */
export class Sink {
  /** True once the reader has gone away (`| head`): what is written now is for nobody. */
  gone = false
  #failed: Error | undefined
  readonly stream: Writable

  constructor(stream: Writable) {
    this.stream = stream
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.gone = true
      if (error.code !== 'EPIPE')
        this.#failed = new CommandError(
          70,
          `the output cannot be written: ${explainFileError(error)}`,
        )
    })
  }

  /**
   * Writes, and waits until there is room for more.
   * @throws the stream's error, unless it only says that the reader is gone.
   */
  async write(data: Uint8Array | string): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed
    if (this.gone || data.length === 0) return
    if (this.stream.write(data)) return
    await new Promise<void>((resolve) => {
      const done = () => {
        this.stream.off('drain', done).off('error', done).off('close', done)
        resolve()
      }
      this.stream.on('drain', done).on('error', done).on('close', done)
    })
    if (this.#failed !== undefined) throw this.#failed
  }

  /** Waits until everything written has left the process. */
  async drained(): Promise<void> {
    if (this.gone || this.stream.writableLength === 0) return
    await new Promise<void>((resolve) => {
      this.stream.once('error', () => resolve())
      this.stream.write('', () => resolve())
    })
    if (this.#failed !== undefined) throw this.#failed
  }
}

export type Colours = ReturnType<typeof picocolors.createColors>

export interface Terminal {
  /** Data. */
  out: Sink
  /** Words for people. */
  err: Sink
  outIsTerminal: boolean
  errIsTerminal: boolean
  /** Columns to lay text out for. */
  width: number
  /** Colours of stdout and of stderr; they do nothing where they should not. */
  colours: Colours
  errColours: Colours
  /** -v: say more. --quiet: say errors only. */
  verbose: boolean
  quiet: boolean
}

export interface TerminalSettings {
  stdout: Writable & { isTTY?: boolean; columns?: number }
  stderr: Writable & { isTTY?: boolean; columns?: number }
  noColour: boolean
  forceColour: boolean
  dumb: boolean
  columns: number | undefined
  verbose: boolean
  quiet: boolean
}

const WIDTH_MIN = 40
/** Text that is not for a terminal is laid out for this. */
const WIDTH_DEFAULT = 100
/** Wider lines are hard to read. */
const WIDTH_MAX = 160

export function openTerminal(settings: TerminalSettings): Terminal {
  const { stdout, stderr, noColour, forceColour, dumb } = settings
  const coloured = (isTerminal: boolean) => !noColour && (forceColour || (isTerminal && !dumb))
  const outIsTerminal = stdout.isTTY === true
  const errIsTerminal = stderr.isTTY === true
  const width = stdout.columns ?? settings.columns ?? WIDTH_DEFAULT
  return {
    out: new Sink(stdout),
    err: new Sink(stderr),
    outIsTerminal,
    errIsTerminal,
    width: Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, width)),
    colours: picocolors.createColors(coloured(outIsTerminal)),
    errColours: picocolors.createColors(coloured(errIsTerminal)),
    verbose: settings.verbose,
    quiet: settings.quiet,
  }
}

/**
 * One line of words on stderr. It is made printable, and never begins with `{`: such lines are statistics.
 */
export async function say(terminal: Terminal, words: string): Promise<void> {
  const text = printable(words.replaceAll('\n', ' '))
  await terminal.err.write(`${text.startsWith('{') ? ' ' : ''}${text}\n`)
}
