// The command line's client of a running process: finds it by its data directory or by an address, asks it with a
// token, and says in one line what is wrong if there is no answer.

import { accessSync, constants, readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import { EventStreamError, readEvents } from '../api/event-reader.ts'
import { TOKEN } from '../api/tokens.ts'
import { explainFileError } from '../inputs.ts'
import { isAlive } from '../process-alive.ts'
import { readServeNote } from '../serve/data-directory.ts'
import type { Settings } from '../settings.ts'
import { printable } from '../wire-text.ts'
import { addSettingsOptions, secretOf } from './bus-options.ts'
import { CommandError, usageError } from './exit.ts'

/** Adds the flags that say whom to ask, and with which token. */
export function addApiOptions(command: Command): Command {
  return addSettingsOptions(command, ['serve.data', 'api.address', 'api.token_file'])
}

/** Where an API answers, and the token to show there. */
export interface ApiPlace {
  address: string
  token: string
}

/**
 * Where to ask: the API that the settings name, else that of the process that has the data directory. Undefined if
 * none is named and no process lives there.
 * @throws CommandError if there is no token to ask with
 */
export function findApi(settings: Settings): ApiPlace | undefined {
  const { token } = settings.api
  const given = token === undefined ? undefined : checked(secretOf(token, 'api.token_file'))
  if (settings.api.address !== undefined && given === undefined)
    throw usageError(
      `asking ${settings.api.address} needs a token: give --token-file FILE, or set BAILIWICK_TOKEN`,
    )
  const address = findAddress(settings)
  if (address === undefined) return undefined
  return { address, token: given ?? tokenIn(settings.serve.data) }
}

/** As `findApi`, for what may be asked without a token. @throws CommandError if the directory may not be looked into */
export function findAddress(settings: Settings): string | undefined {
  if (settings.api.address !== undefined) return settings.api.address
  const { data } = settings.serve
  checkReadable(data)
  const note = readServeNote(data)
  return note === undefined || !isAlive(note.pid) ? undefined : note.address
}

/** As `findApi`. @throws CommandError that says how to start one, if there is none */
export function neededApi(settings: Settings): ApiPlace {
  const found = findApi(settings)
  const data = printable(settings.serve.data)
  if (found !== undefined) return found
  throw new CommandError(
    4,
    `no process of bailiwick has ${data} now: start one (bailiwick serve --data ${data}), name another directory with --data, or an API with --api URL`,
  )
}

/** A directory that this user may not look into is not the same as none. */
function checkReadable(data: string): void {
  try {
    accessSync(data, constants.R_OK | constants.X_OK)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES')
      throw usageError(
        `${printable(data)}: ${explainFileError(error)}; ask as the user who runs the server, or name the API by --api URL`,
      )
  }
}

function tokenIn(data: string): string {
  const name = path.join(data, 'token')
  try {
    return checked(readFileSync(name, 'utf8').trim())
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw usageError(
      `${printable(name)}: ${explainFileError(error)}; give --token-file FILE, or set BAILIWICK_TOKEN`,
    )
  }
}

function checked(token: string): string {
  if (TOKEN.test(token)) return token
  throw usageError('the token is none: it begins with bw_ and has 55 characters')
}

const ANSWER_MILLIS = 35_000
const ANSWER_BYTES_MAX = 32 << 20
/** A heartbeat comes every 15 s. */
const SILENCE_MILLIS = 40_000
const PAUSE_MILLIS = 500
const PAUSE_MAX_MILLIS = 15_000

/** What is told of a live stream: its messages, and that it is, or is not, there. */
export type Followed =
  | { type: 'event'; event: string; data: unknown }
  | { type: 'live' }
  | { type: 'lost'; why: string }

export class ApiClient {
  readonly #find: () => ApiPlace
  readonly #signal: AbortSignal

  /**
   * @param find where to ask, looked up each time: a process that starts anew may answer elsewhere
   * @param signal ends what is under way
   */
  constructor(find: () => ApiPlace, signal: AbortSignal) {
    this.#find = find
    this.#signal = signal
  }

  /** Asks. @throws CommandError with what the other side says, or that it says nothing */
  get<T>(where: string, shape: z.ZodType<T>): Promise<T> {
    return this.#ask(where, shape, {})
  }

  /** Tells. @throws CommandError */
  post<T>(where: string, body: object, shape: z.ZodType<T>): Promise<T> {
    return this.#ask(where, shape, { method: 'POST', body: JSON.stringify(body) })
  }

  /**
   * What happens there from now on. Comes back by itself and hears what it missed, as far as that is held; the event
   * `gap` says that it is not. Ends when the signal aborts.
   * @throws CommandError if it cannot be had at first, or the token is refused
   */
  async *follow(): AsyncGenerator<Followed> {
    let last = ''
    let pause = PAUSE_MILLIS
    let connected = false
    while (!this.#signal.aborted) {
      const silence = new Silence(this.#signal)
      try {
        const answer = await this.#fetch(
          '/api/v1/stream',
          {
            headers: {
              accept: 'text/event-stream',
              ...(last === '' ? {} : { 'last-event-id': last }),
            },
          },
          silence.signal,
        )
        // What it no longer knows is of no use a second time.
        if (answer.status === 400 && last !== '') {
          last = ''
          continue
        }
        if (!answer.ok || answer.body === null) throw await this.#refused(answer)
        connected = true
        pause = PAUSE_MILLIS
        yield { type: 'live' }
        for await (const { id, event, data } of readEvents(answer.body, () => silence.heard())) {
          if (id !== '') last = id
          yield { type: 'event', event, data: JSON.parse(data) as unknown }
        }
        yield { type: 'lost', why: 'the stream ended' }
      } catch (error) {
        if (this.#signal.aborted) return
        // Refused, or a wrong message: coming back changes nothing.
        const refused = error instanceof CommandError && error.code === 2
        if (!connected || refused || error instanceof SyntaxError) throw error
        if (error instanceof EventStreamError) throw error
        yield { type: 'lost', why: reasonOf(error) }
      } finally {
        silence.end()
      }
      const wait = pause * (0.75 + Math.random() / 2)
      pause = Math.min(PAUSE_MAX_MILLIS, pause * 2)
      await sleep(wait, undefined, { signal: this.#signal }).catch(() => {})
    }
  }

  async #ask<T>(where: string, shape: z.ZodType<T>, init: RequestInit): Promise<T> {
    const limit = AbortSignal.any([this.#signal, AbortSignal.timeout(ANSWER_MILLIS)])
    const answer = await this.#fetch(where, init, limit)
    if (!answer.ok) throw await this.#refused(answer)
    const read = shape.safeParse(await this.#json(answer))
    if (read.success) return read.data
    const [issue] = read.error.issues
    throw new CommandError(
      4,
      `${this.#find().address} answers as another version does (${printable(issue?.path.join('.') ?? '')}): use the bailiwick that runs there`,
    )
  }

  async #fetch(where: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
    const { address, token } = this.#find()
    try {
      return await fetch(`${address}${where}`, {
        ...init,
        headers: {
          ...init.headers,
          authorization: `Bearer ${token}`,
          ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        redirect: 'error',
        signal,
      })
    } catch (error) {
      throw new CommandError(4, `nobody answers at ${address} (${reasonOf(error)}): ${CURE}`)
    }
  }

  /** What an answer says that is none. */
  async #refused(answer: Response): Promise<CommandError> {
    const { address } = this.#find()
    const said = z.object({ error: z.string() }).safeParse(await this.#json(answer))
    const words = said.success ? printable(said.data.error) : `status ${answer.status}`
    if (answer.status === 401)
      return usageError(`${address} does not take this token: give one that holds (--token-file)`)
    if (answer.status === 429 || answer.status >= 500)
      return new CommandError(4, `${address}: ${words}`)
    return usageError(`${address}: ${words}`)
  }

  async #json(answer: Response): Promise<unknown> {
    const { address } = this.#find()
    const pieces: Uint8Array[] = []
    let size = 0
    try {
      for await (const piece of answer.body ?? []) {
        size += piece.length
        if (size > ANSWER_BYTES_MAX)
          throw new CommandError(4, `the answer of ${address} has no end`)
        pieces.push(piece)
      }
    } catch (error) {
      if (error instanceof CommandError) throw error
      throw new CommandError(
        4,
        `${address} did not finish its answer (${reasonOf(error)}): ${CURE}`,
      )
    }
    try {
      return JSON.parse(Buffer.concat(pieces).toString('utf8'))
    } catch {
      if (!answer.ok) return {}
      throw new CommandError(
        4,
        `what answers at ${address} is no API of bailiwick: name that with --api URL`,
      )
    }
  }
}

const CURE = 'is the process there, and is it the right address? (--data, --api)'

function reasonOf(error: unknown): string {
  const { cause, name, message } = error as Error & { cause?: { code?: string; message?: string } }
  if (name === 'TimeoutError') return `no answer in ${ANSWER_MILLIS / 1000} s`
  return printable(cause?.code ?? cause?.message ?? message)
}

/** Aborts when nothing was heard for too long, or the signal aborts. */
class Silence {
  readonly #quiet = new AbortController()
  readonly signal: AbortSignal
  #timer = this.#wait()

  constructor(signal: AbortSignal) {
    this.signal = AbortSignal.any([signal, this.#quiet.signal])
  }

  heard(): void {
    this.end()
    this.#timer = this.#wait()
  }

  end(): void {
    clearTimeout(this.#timer)
  }

  #wait(): NodeJS.Timeout {
    const late = new Error(`nothing was heard for ${SILENCE_MILLIS / 1000} s`)
    return setTimeout(() => this.#quiet.abort(late), SILENCE_MILLIS)
  }
}
