// Threads that judge chunks which came from elsewhere. A chunk may kill the thread that works on it (out of memory,
// an exit, no answer): that is told of the chunk, another thread takes the place of the dead one, and the rest goes on.

import { Piscina } from 'piscina'
import { type AnalyzeTask, type Answer, type SplitTask, WORKERS } from './threads.ts'

export interface JudgeSettings {
  threads: number
  /** The worker's file, if it is not workers/analyze.ts. */
  file?: URL
  /** A task without an answer for so long, waiting included, has killed its thread. */
  answerMillis?: number
  /** Most memory of a thread's heap, in MiB. Buffers come on top. */
  heapMegabytes?: number
}

/** A minute is a thousand times what a chunk takes, and some slices may wait before it. */
const ANSWER_MILLIS = 120_000
const HEAP_MEGABYTES = 768

/** The thread that worked on a task is gone, or was ended because it gave no answer. */
export class ThreadDied extends Error {
  override readonly name = 'ThreadDied'
}

export class JudgeThreads {
  /** Threads that died. */
  deaths = 0
  readonly #settings: JudgeSettings
  readonly #open = new Set<AbortController>()
  #pool: Piscina
  #failure: Error | undefined
  #closed = false

  /** Starts the threads. @throws what a thread threw when it was loaded */
  static async open(settings: JudgeSettings): Promise<JudgeThreads> {
    const threads = new JudgeThreads(settings)
    try {
      await threads.#run({}, 'ready')
    } catch (error) {
      await threads.close()
      throw error instanceof ThreadDied ? error.cause : error
    }
    return threads
  }

  private constructor(settings: JudgeSettings) {
    this.#settings = settings
    this.#pool = this.#start()
  }

  /**
   * Checks a chunk's content against its id, and judges it.
   * @throws ThreadDied
   */
  judge(task: AnalyzeTask): Promise<Answer> {
    return this.#run(task, 'checked') as Promise<Answer>
  }

  /**
   * Both halves of a chunk; nothing if it cannot be divided or read.
   * @throws ThreadDied
   */
  split(task: SplitTask): Promise<Uint8Array<ArrayBuffer>[]> {
    return this.#run(task, 'split') as Promise<Uint8Array<ArrayBuffer>[]>
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#pool.destroy()
  }

  #start(): Piscina {
    const { threads, file, heapMegabytes } = this.#settings
    const pool = new Piscina({
      filename: (file ?? new URL('analyze.js', WORKERS)).href,
      // All of them always: a pool that may shrink forgets the tasks that wait when its last thread dies.
      minThreads: threads,
      maxThreads: threads,
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
    this.#run({}, 'ready').catch(() => {
      if (this.#closed) return
      this.#failure = new Error(`worker threads cannot be started: ${String(error)}`)
      for (const one of this.#open) one.abort()
    })
  }

  async #run(task: object, name: string): Promise<unknown> {
    if (this.#failure !== undefined) throw this.#failure
    const stop = new AbortController()
    const millis = this.#settings.answerMillis ?? ANSWER_MILLIS
    const timer = setTimeout(() => stop.abort(), millis)
    this.#open.add(stop)
    try {
      return (await this.#pool.run(task, { name, signal: stop.signal })) as unknown
    } catch (error) {
      if (this.#failure !== undefined) throw this.#failure
      // Nobody's death: the chunk must not be blamed.
      if (this.#closed) throw new Error('the worker threads were closed', { cause: error })
      this.deaths++
      const words = stop.signal.aborted
        ? `no answer in ${millis / 1000} s`
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
