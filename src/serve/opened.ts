// The life of what a process opens: closed in the opposite order, each part within a time, whatever fails; and one part
// that fails for good ends them all.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../telemetry.ts'
import { type Running, untilReached } from './running.ts'

/** A part that hangs does not keep the process. */
const CLOSE_MILLIS = 10_000

interface Closer {
  name: string
  close: () => Promise<unknown> | undefined
}

/** What was opened, to be closed in the opposite order. */
export class Opened {
  readonly #closers: Closer[] = []
  readonly #log: Log
  readonly #closeMillis: number

  constructor(log: Log, closeMillis = CLOSE_MILLIS) {
    this.#log = log
    this.#closeMillis = closeMillis
  }

  /** @param name of the part, for people */
  closing(name: string, close: Closer['close']): void {
    this.#closers.push({ name, close })
  }

  /** What cannot be closed is told of, and the rest is closed all the same. */
  async close(): Promise<void> {
    for (let last = this.#closers.pop(); last !== undefined; last = this.#closers.pop()) {
      const { name, close } = last
      try {
        if (!(await within(this.#closeMillis, close())))
          this.#log('warn', 'does not close in time; it is left', { part: name })
      } catch (error) {
        this.#log('error', 'could not be closed', { part: name, err: error })
      }
    }
  }
}

/** What work over several parts is given beside them. */
export interface Tools {
  opened: Opened
  /** Ends all, with this error; the first one counts. */
  fail: (error: unknown) => void
}

/**
 * Does `work`, and closes whatever it opened. Its signal is aborted when a part fails, too, and once the work is over:
 * what still waits for something then waits no more.
 * @throws what went wrong first: a part that failed, or `work`
 */
export async function overOpened(
  running: Running,
  work: (running: Running, tools: Tools) => Promise<void>,
): Promise<void> {
  const opened = new Opened(running.log)
  const over = new AbortController()
  let failure: { error: unknown } | undefined
  const fail = (error: unknown) => {
    failure ??= { error }
    over.abort()
  }
  const signal = AbortSignal.any([running.signal, over.signal])
  try {
    await work({ ...running, signal }, { opened, fail })
  } catch (error) {
    fail(error)
  }
  over.abort()
  await opened.close()
  if (failure !== undefined) throw failure.error
}

/**
 * Opens a part as soon as it can be reached, and has it closed at the end.
 * @returns undefined if the process was told to end first
 * @throws what waiting does not mend
 */
export async function openReached<T extends { close(): Promise<unknown> }>(
  running: Running,
  opened: Opened,
  name: string,
  open: () => Promise<T>,
): Promise<T | undefined> {
  const part = await untilReached(running, open)
  if (part !== undefined) opened.closing(name, () => part.close())
  return part
}

/** Waits for it, but not for longer. @returns whether it came in time @throws what it throws until then */
export async function within(millis: number, work: Promise<unknown> | undefined): Promise<boolean> {
  const over = new AbortController()
  const late = sleep(millis, false, { signal: over.signal }).catch(() => false)
  try {
    return await Promise.race([Promise.resolve(work).then(() => true), late])
  } finally {
    over.abort()
  }
}
