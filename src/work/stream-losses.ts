// What a stream has lost before it was delivered: told by the bus while it runs, kept until the store has it. Loss is
// a row, not a log line.

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
  readonly #log: Log
  #waiting: StreamNote[] = []

  constructor(log: Log) {
    this.#log = log
  }

  /** Takes what a source or sink tells. */
  readonly tell = ({ kind, where, detail }: Trouble): void => {
    const level = kind === 'hole' || kind === 'damage' ? 'error' : 'warn'
    const passing = kind === 'recovered' || kind === 'notice'
    this.#log(passing ? 'info' : level, `bus: ${printable(detail)}`, { kind, where })
    if (kind === 'hole' || kind === 'damage') this.note(noteOf(kind, where, detail))
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

/** Stream and partition of a place, and the offsets in what is said of it, as far as they stand there. */
function noteOf(kind: 'hole' | 'damage', where: string, detail: string): StreamNote {
  const place = /^(.+)\/(\d+)$/.exec(where)
  const span = /from (\d+) to (\d+)/.exec(detail)
  const first = span === null ? 0 : Number(span[1])
  const end = span === null ? 0 : Number(span[2])
  return {
    stream: place?.[1] ?? printable(where),
    partition: Number(place?.[2] ?? 0),
    kind,
    detail: printable(detail),
    first,
    last: Math.max(first, end - 1),
    count: Math.max(0, end - first),
  }
}
