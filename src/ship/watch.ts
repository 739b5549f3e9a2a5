// When to look again: a moment after the kernel says that something changed in a directory, and once a second in any
// case, because not every file system says so.

import { type FSWatcher, watch } from 'node:fs'

/** Changes come in swarms: what is appended in pieces is read at once. */
const SETTLE_MILLIS = 10
/** The kernel has few watches for all processes of a user together; other directories are only looked at. */
const WATCHES_MAX = 256

export class DirectoryWatch {
  readonly #watchers = new Map<string, FSWatcher>()
  #changed = false
  #wake: (() => void) | undefined

  /** Watches these directories, and no others any more. */
  watch(directories: Iterable<string>): void {
    const wanted = new Set([...directories].slice(0, WATCHES_MAX))
    for (const [directory, watcher] of this.#watchers)
      if (!wanted.has(directory)) {
        watcher.close()
        this.#watchers.delete(directory)
      }
    for (const directory of wanted) if (!this.#watchers.has(directory)) this.#add(directory)
  }

  #add(directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () => {
        this.#changed = true
        this.#wake?.()
      })
      // The directory is gone, or the kernel has no more watches: it is looked at once a second.
      watcher.on('error', () => {
        watcher.close()
        this.#watchers.delete(directory)
      })
      this.#watchers.set(directory, watcher)
    } catch {
      // As above; the next call tries again.
    }
  }

  /** Resolves when something changed, after `millis` at most, or when the signal is aborted. */
  async next(millis: number, signal: AbortSignal): Promise<void> {
    if (!this.#changed) await this.#wait(Math.max(0, millis), signal, true)
    if (this.#changed) await this.#wait(SETTLE_MILLIS, signal, false)
    this.#changed = false
  }

  #wait(millis: number, signal: AbortSignal, wakes: boolean): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#wake = undefined
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, millis)
      if (wakes) this.#wake = done
      signal.addEventListener('abort', done)
      if (signal.aborted) done()
    })
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }
}
