// Threads that judge chunks which came from elsewhere. A chunk may kill the thread that works on it (out of memory,
// an exit, no answer): that is told of the chunk, another thread takes the place of the dead one, and the rest goes on.
// Suspects are worked on one after the other by a thread of their own, so that they hold up nobody.

import { availableParallelism } from 'node:os'
import { Piscina } from 'piscina'
import { type AnalyzeTask, type Answer, type SplitTask, WORKERS } from './threads.ts'

export interface JudgeSettings {
  threads: number
  /** Threads for chunks that somebody waits for, so that they stand in no queue behind others; none unless said. */
  promptThreads?: number
  /** The worker's file, if it is not workers/analyze.ts. */
  file?: URL
  /** A task without an answer for so long has killed its thread; waiting for the few before it on a thread counts. */
  answerMillis?: number
  /** The same of a suspect, which waits for nobody but the start of its thread. */
  suspectMillis?: number
  /** Most memory of a thread's heap, in MiB. Buffers come on top. */
  heapMegabytes?: number
}

/**
 * Tasks that are with the threads, for each of them: one at work, the others so that it has something to do at once. All
 * others wait where they can be taken back.
 */
const TASKS_A_THREAD = 3
/** Two minutes are thousands of times what a chunk takes. */
const ANSWER_MILLIS = 120_000
const SUSPECT_MILLIS = 15_000
const HEAP_MEGABYTES = 768

/**
 * Threads where nobody says how many: as many as there are processors but one, which the main thread keeps busy. Each
 * thread compiles and learns everything for itself.
 */
export function usualThreads(): number {
  return Math.max(1, availableParallelism() - 1)
}

/** The thread that worked on a task is gone, or was ended because it gave no answer. */
export class ThreadDied extends Error {
  override readonly name = 'ThreadDied'
}

export class JudgeThreads {
  readonly #settings: JudgeSettings
  readonly #pool: JudgePool
  readonly #prompt: JudgePool
  #suspects: Promise<JudgePool> | undefined
  #suspectPool: JudgePool | undefined
  /** Suspects go one after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  /** Starts the threads. @throws what a thread threw when it was loaded */
  static async open(settings: JudgeSettings): Promise<JudgeThreads> {
    const { threads, promptThreads = 0, answerMillis = ANSWER_MILLIS } = settings
    const open = (count: number) => JudgePool.open(settings, count, answerMillis)
    const pool = await open(threads)
    try {
      return new JudgeThreads(
        settings,
        pool,
        promptThreads === 0 ? pool : await open(promptThreads),
      )
    } catch (error) {
      await pool.close()
      throw error
    }
  }

  private constructor(settings: JudgeSettings, pool: JudgePool, prompt: JudgePool) {
    this.#settings = settings
    this.#pool = pool
    this.#prompt = prompt
  }

  /** Threads that died. */
  get deaths(): number {
    const pools = new Set([this.#pool, this.#prompt, this.#suspectPool])
    return [...pools].reduce((sum, pool) => sum + (pool?.deaths ?? 0), 0)
  }

  /**
   * Checks a chunk's content against its id, and judges it.
   * @param prompt somebody waits for it
   * @param signal ends the waiting for a thread: nobody wants the answer any more
   * @throws ThreadDied, the signal's reason
   */
  judge(task: AnalyzeTask, prompt = false, signal?: AbortSignal): Promise<Answer> {
    const pool = prompt ? this.#prompt : this.#pool
    return pool.run(task, 'checked', signal) as Promise<Answer>
  }

  /** As `judge`, on the thread for suspects. */
  judgeSuspect(task: AnalyzeTask): Promise<Answer> {
    return this.#suspect(task, 'checked') as Promise<Answer>
  }

  /**
   * Both halves of a suspect; nothing if it cannot be divided or read.
   * @throws ThreadDied
   */
  splitSuspect(task: SplitTask): Promise<Uint8Array<ArrayBuffer>[]> {
    return this.#suspect(task, 'split') as Promise<Uint8Array<ArrayBuffer>[]>
  }

  async close(): Promise<void> {
    const pools = new Set([this.#pool, this.#prompt, this.#suspectPool])
    for (const pool of pools) await pool?.close()
  }

  #suspect(task: object, name: string): Promise<unknown> {
    const run = this.#turn.then(async () => {
      const millis = this.#settings.suspectMillis ?? SUSPECT_MILLIS
      this.#suspects ??= JudgePool.open(this.#settings, 1, millis)
      this.#suspectPool = await this.#suspects
      return await this.#suspectPool.run(task, name)
    })
    this.#turn = run.catch(() => {})
    return run
  }
}

class JudgePool {
  deaths = 0
  readonly #settings: JudgeSettings
  readonly #threads: number
  readonly #answerMillis: number
  readonly #open = new Set<AbortController>()
  /** Tasks that are with the threads, and the starts of those that wait, first come first. */
  #busy = 0
  readonly #waiting = new Set<() => void>()
  #pool: Piscina
  #failure: Error | undefined
  #closed = false

  static async open(
    settings: JudgeSettings,
    threads: number,
    answerMillis: number,
  ): Promise<JudgePool> {
    const pool = new JudgePool(settings, threads, answerMillis)
    try {
      await pool.run({}, 'ready')
    } catch (error) {
      await pool.close()
      throw error instanceof ThreadDied ? error.cause : error
    }
    return pool
  }

  private constructor(settings: JudgeSettings, threads: number, answerMillis: number) {
    this.#settings = settings
    this.#threads = threads
    this.#answerMillis = answerMillis
    this.#pool = this.#start()
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#pool.destroy()
  }

  #start(): Piscina {
    const { file, heapMegabytes } = this.#settings
    const pool = new Piscina({
      filename: (file ?? new URL('analyze.js', WORKERS)).href,
      // All of them always: a pool that may shrink forgets the tasks that wait when its last thread dies.
      minThreads: this.#threads,
      maxThreads: this.#threads,
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytes ?? HEAP_MEGABYTES },
    })
    // A thread that died between tasks, or one that could not be loaded: then the pool starts no more of them.
    pool.on('error', (error: unknown) => this.#replace(pool, error))
    return pool
  }

  /** Another pool for one that may not work any more; if that does not load either, there is no going on. */
  #replace(pool: Piscina, error: unknown): void {
    if (this.#closed || pool !== this.#pool) return
    this.deaths++
    this.#pool = this.#start()
    void pool.destroy()
    this.#now({}, 'ready').catch(() => {
      if (this.#closed) return
      this.#failure = new Error(`worker threads cannot be started: ${String(error)}`)
      for (const one of this.#open) one.abort()
    })
  }

  /** @throws ThreadDied; the signal's reason; another error if no thread can be started or the pool was closed */
  async run(task: object, name: string, signal?: AbortSignal): Promise<unknown> {
    await this.#place(signal)
    try {
      return await this.#now(task, name)
    } finally {
      const [next] = this.#waiting
      if (next === undefined) this.#busy--
      else next()
    }
  }

  /** Resolves when a task may go to the threads. @throws the signal's reason */
  async #place(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    if (this.#busy < this.#threads * TASKS_A_THREAD) {
      this.#busy++
      return
    }
    await new Promise<void>((resolve, reject) => {
      const end = (settle: () => void) => {
        this.#waiting.delete(start)
        signal?.removeEventListener('abort', leave)
        settle()
      }
      const start = () => end(resolve)
      const leave = () => end(() => reject(signal!.reason))
      signal?.addEventListener('abort', leave, { once: true })
      this.#waiting.add(start)
    })
  }

  /** As `run`, before all others. */
  async #now(task: object, name: string): Promise<unknown> {
    if (this.#failure !== undefined) throw this.#failure
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(), this.#answerMillis)
    this.#open.add(stop)
    try {
      return (await this.#pool.run(task, { name, signal: stop.signal })) as unknown
    } catch (error) {
      if (this.#failure !== undefined) throw this.#failure
      // Nobody's death: the chunk must not be blamed.
      if (this.#closed) throw new Error('the worker threads were closed', { cause: error })
      this.deaths++
      const words = stop.signal.aborted
        ? `no answer in ${this.#answerMillis / 1000} s`
        : error instanceof Error
          ? error.message
          : String(error)
      throw new ThreadDied(words, { cause: error })
    } finally {
      clearTimeout(timer)
      this.#open.delete(stop)
    }
  }
}
