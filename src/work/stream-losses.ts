// What the bus tells while it runs: losses, kept until the store has them, because loss is a row and not a log line;
// and what is the matter with a stream just now.

import type { Trouble } from '../bus/bus.ts'
import type { Store, StreamNote } from '../store/store.ts'
import type { Log } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import type { Patience } from './patience.ts'

/** Losses that wait for the store at most; more are counted, and in the log. */
const WAITING_MAX = 10_000

export class StreamLosses {
  /** Losses that the store will not hear of, because too many waited. */
  untold = 0
  /** Consumers that ended and were built anew. */
  restarts = 0
  /** What is the matter with a stream, by its name, while it is. */
  readonly troubles = new Map<string, string>()
  readonly #log: Log
  #waiting: StreamNote[] = []

  constructor(log: Log) {
    this.#log = log
  }

  /** Takes what a source or sink tells. */
  readonly tell = (trouble: Trouble): void => {
    const { kind, where, detail } = trouble
    if (kind === 'restart') this.restarts++
    if (kind === 'restart' || kind === 'unreachable') this.troubles.set(where, printable(detail))
    if (kind === 'recovered') this.troubles.delete(where)
    const level = kind === 'hole' || kind === 'damage' ? 'error' : 'warn'
    const passing = kind === 'recovered' || kind === 'notice'
    this.#log(passing ? 'info' : level, `bus: ${printable(detail)}`, { kind, where })
    if (kind === 'hole' || kind === 'damage') this.note(noteOf(kind, trouble))
  }

  note(note: StreamNote): void {
    if (this.#waiting.length < WAITING_MAX) this.#waiting.push(note)
    else this.untold++
  }

  /** Writes what waits. @throws the signal's reason: then it waits on */
  async flush(store: Store, patience: Patience, signal: AbortSignal): Promise<void> {
    if (this.#waiting.length === 0) return
    const notes = this.#waiting.slice(0, 500)
    await patience.ask(() => store.noteStream(notes), signal)
    // Whatever came meanwhile stands behind them.
    this.#waiting = this.#waiting.slice(notes.length)
  }
}

function noteOf(kind: 'hole' | 'damage', { where, detail, lost }: Trouble): StreamNote {
  const words = printable(detail)
  if (lost === undefined)
    return {
      stream: printable(where),
      partition: 0,
      kind,
      detail: words,
      first: 0,
      last: 0,
      count: 0,
    }
  const { stream, partition } = lost
  const [first, last] = [Number(lost.first), Number(lost.last)]
  return { stream, partition, kind, detail: words, first, last, count: last - first + 1 }
}
