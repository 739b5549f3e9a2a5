// Growing files and directories: new files are found, renamed ones are known again, and a file is over when it is gone,
// or silent with flows that are open, or while its successor stands beside it. One loop, one turn for each file.

import { open } from 'node:fs/promises'
import path from 'node:path'
import {
  newZeekDirectory,
  readingRank,
  type SensorSettings,
  type ZeekDirectory,
} from '../sensor.ts'
import { gauge, type Log, type Observed, type Readiness, type Sample } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import { COPY_BYTES_MIN, entriesWithHead, gunzippedHead, readHead } from './heads.ts'
import type { LedgerEntry } from './ledger-entry.ts'
import { CUT_MILLIS } from './live-input.ts'
import { type ReadFilesParts, readFiles } from './read-files.ts'
import {
  beginsAs,
  fileProblem,
  hasSuccessor,
  keyOf,
  type SeenFile,
  seeFiles,
  versionOf,
} from './seen-file.ts'
import type { Shipper } from './shipper.ts'
import { Tail } from './tail.ts'
import { DirectoryWatch } from './watch.ts'

export interface FollowParts {
  settings: SensorSettings
  shipper: Shipper
  log: Log
  signal: AbortSignal
  /** Decodes files that are whole: finished ones that are found, and compressed ones. */
  decode: ReadFilesParts['decode']
  inputOver: ReadFilesParts['inputOver']
  /** Told of a file that cannot be opened, once. */
  unreadable: (source: string, words: string) => void
  /** How long a file must be silent, with flows that are open or its successor beside it, to be over. Milliseconds. */
  quietMillis?: number
  cutMillis?: number
}

export const QUIET_MILLIS = 600_000
/** Directories are listed so often, and rest ten times as long as that takes. */
const POLL_MILLIS = 1000
/** A file without a name may still be written to by who has it open. */
const GONE_MILLIS = 3000
/** A compressed file is taken to be whole when it did not grow for so long. */
const WHOLE_MILLIS = 3000
const DAMAGED_MILLIS = 60_000
/** Files that are read at a time; each has a decoder, with what it remembers. */
export const TAILS_MAX = 256

export class Follower implements Observed {
  readonly #paths: readonly string[]
  readonly #parts: FollowParts
  readonly #quietMillis: number
  readonly #goneMillis: number
  readonly #wholeMillis: number
  readonly #watch = new DirectoryWatch()
  readonly #tails = new Map<string, Tail>()
  readonly #zeek = new Map<string, ZeekDirectory>()
  /** Files that are whole and were read, with size and time: read again only if they change. */
  readonly #whole = new Map<string, string>()
  readonly #told = new Set<string>()
  #listed = Number.NEGATIVE_INFINITY
  #rest = POLL_MILLIS

  constructor(paths: readonly string[], parts: FollowParts) {
    this.#paths = paths
    this.#parts = parts
    this.#quietMillis = parts.quietMillis ?? QUIET_MILLIS
    this.#goneMillis = Math.min(GONE_MILLIS, this.#quietMillis)
    this.#wholeMillis = Math.min(WHOLE_MILLIS, this.#quietMillis)
  }

  samples(): Sample[] {
    const { files, openFlows } = this.counters
    return [
      gauge('followed_files', 'Growing files that are read', files),
      gauge('open_flows', 'Flows that have not ended', openFlows),
    ]
  }

  readiness(): Readiness {
    return { ready: true, reason: '' }
  }

  /** What is followed now. */
  get counters(): { files: number; openFlows: number } {
    const tails = [...this.#tails.values()].filter(({ state }) => state === 'reading')
    return {
      files: tails.length,
      openFlows: tails.reduce((sum, { openFlows }) => sum + openFlows, 0),
    }
  }

  /**
   * Follows until the signal is aborted. Then what is pending is sent; flows that are open stay in their files and are
   * read again at the next start.
   * @throws what the spool throws
   */
  async run(): Promise<void> {
    const { signal, log } = this.#parts
    try {
      while (!signal.aborted) {
        const more = await this.#round()
        if (!more) await this.#watch.next(this.#restMillis(), signal)
      }
      const { files, openFlows } = this.counters
      for (const tail of this.#tails.values()) await tail.cut()
      if (openFlows > 0)
        log('info', 'flows that have not ended stay in their files for the next start', {
          flows: openFlows,
          files,
        })
    } finally {
      this.#watch.close()
      for (const tail of this.#tails.values()) await tail.close()
    }
  }

  /** @returns true if there is more to read at once */
  async #round(): Promise<boolean> {
    const now = Date.now()
    if (performance.now() - this.#listed >= this.#rest) await this.#list(now)
    let more = false
    for (const tail of this.#inOrder()) {
      if (this.#parts.signal.aborted) return false
      if (await this.#turn(tail, now)) more = true
    }
    return more
  }

  /** Until something is due: a look at the directories, or a cut. */
  #restMillis(): number {
    const now = performance.now()
    const cuts = [...this.#tails.values()].map((tail) => tail.cutIn(now))
    return Math.max(5, Math.min(this.#listed + this.#rest - now, ...cuts))
  }

  /** Zeek's logs that name connections come before those that tell of them. */
  #inOrder(): Tail[] {
    const key = ({ path: name }: Tail) => readingRank(path.basename(name))
    return [...this.#tails.values()].sort((a, b) => key(a) - key(b) || (a.path < b.path ? -1 : 1))
  }

  async #turn(tail: Tail, now: number): Promise<boolean> {
    if (tail.state === 'over' || tail.state === 'foreign') return false
    try {
      if (tail.cutIn(performance.now()) <= 0) await tail.cut()
      if ((await tail.size()) < tail.position || (tail.start.length > 0 && !(await tail.isSame())))
        return await this.#truncated(tail, now)
      return await tail.advance(now)
    } catch (error) {
      if (!isFileError(error)) throw error
      this.#unreadable(tail.path, fileProblem(error))
      this.#tails.delete(keyOf(tail))
      await tail.close()
      return false
    }
  }

  /** It was cut shorter (copytruncate): what it held goes on in a copy, if there is one. */
  async #truncated(tail: Tail, now: number): Promise<boolean> {
    tail.goneAt ??= now
    const copy = await this.#copyOf(tail)
    if (copy !== undefined) {
      this.#tails.delete(keyOf(tail))
      await tail.continueIn(copy)
      this.#tails.set(keyOf(copy), tail)
      this.#listed = Number.NEGATIVE_INFINITY
      return true
    }
    if (now - tail.goneAt < this.#goneMillis) return false
    this.#parts.log(
      'warn',
      'this file was cut shorter, and no copy of it is there: what was not read is lost',
      {
        input: printable(tail.path),
      },
    )
    this.#parts.shipper.announcer.note('input_truncated', 1, now * 1000, now * 1000)
    await this.#end(tail)
    return true
  }

  async #copyOf(tail: Tail): Promise<SeenFile | undefined> {
    for (const file of await this.#seenFiles([path.dirname(tail.path)]))
      if (
        !this.#tails.has(keyOf(file)) &&
        file.size >= tail.position &&
        (await beginsAs(file, tail.start))
      )
        return file
    return undefined
  }

  async #end(tail: Tail): Promise<void> {
    // What is another input than it was taken for must be read again first.
    if (!(await tail.end())) return
    this.#tails.delete(keyOf(tail))
    if (tail.format !== '')
      this.#parts.log('info', 'input over', { input: printable(tail.path), format: tail.format })
    const directory = path.dirname(tail.path)
    if (![...this.#tails.values()].some((one) => path.dirname(one.path) === directory))
      this.#zeek.delete(directory)
    this.#listed = Number.NEGATIVE_INFINITY
  }

  /** Looks at what is there: new files, other names, names that are gone. */
  async #list(now: number): Promise<void> {
    const started = performance.now()
    const files = await this.#seenFiles(this.#paths)
    const seen = new Map(files.map((file) => [keyOf(file), file]))
    for (const tail of [...this.#tails.values()]) this.#look(tail, seen.get(keyOf(tail)), now)
    for (const tail of [...this.#tails.values()])
      if (tail.state !== 'over' && this.#isOver(tail, files, now)) {
        if (await tail.advance(now)) continue
        await this.#end(tail)
      }
    const fresh = files.filter((file) => !this.#tails.has(keyOf(file)))
    await this.#begin(fresh, files, now)
    this.#watch.watch(new Set([...this.#paths, ...files.map((file) => path.dirname(file.path))]))
    this.#listed = performance.now()
    this.#rest = Math.max(POLL_MILLIS, 10 * (this.#listed - started))
  }

  #look(tail: Tail, file: SeenFile | undefined, now: number): void {
    if (file === undefined) {
      tail.goneAt ??= now
      if (tail.state === 'over') this.#tails.delete(keyOf(tail))
      return
    }
    if (tail.path !== file.path) {
      tail.moved = true
      tail.path = file.path
    }
    tail.changedAt = Math.max(tail.changedAt, file.changedAt)
    if (file.size >= tail.position) tail.goneAt = undefined
    // It was over, or nothing of ours, and has changed: it is looked at as if it were new.
    const settled = tail.state === 'over' || (tail.state === 'foreign' && file.size < 65_536)
    if (settled && file.size !== tail.position && now - file.changedAt < 10_000) {
      this.#tails.delete(keyOf(tail))
      void tail.close()
    }
  }

  #isOver(tail: Tail, files: readonly SeenFile[], now: number): boolean {
    if (tail.goneAt !== undefined)
      return now - tail.goneAt >= this.#goneMillis && this.#isGone(tail, files)
    if (tail.state !== 'reading' || now - tail.changedAt < this.#quietMillis) return false
    if (tail.entry?.file?.revived === true) return false
    // Flows that are open in a capture that nobody goes on with: whoever dropped it there waits for them.
    return tail.moved || tail.openFlows > 0 || hasSuccessor(tail, files)
  }

  #isGone(tail: Tail, files: readonly SeenFile[]): boolean {
    return !files.some((file) => keyOf(file) === keyOf(tail))
  }

  async #begin(fresh: readonly SeenFile[], all: readonly SeenFile[], now: number): Promise<void> {
    const whole: SeenFile[] = []
    for (const file of fresh) {
      if (this.#parts.signal.aborted) return
      if (file.size === 0 || this.#whole.get(keyOf(file)) === versionOf(file)) continue
      const entry = this.#entryOf(file)
      if (entry?.over === true && entry.file?.size === file.size) {
        this.#whole.set(keyOf(file), versionOf(file))
        continue
      }
      const head = await this.#headOf(file)
      if (head === undefined || this.#isHeldCopy(file, head)) continue
      if (head[0] === 0x1f && head[1] === 0x8b) {
        if (now - file.changedAt > this.#wholeMillis && (await this.#isNewGzip(file, now)))
          whole.push(file)
      } else {
        const quiet = now - file.changedAt > this.#quietMillis
        if (quiet && entry === undefined && hasSuccessor(file, all)) whole.push(file)
        else await this.#follow(file)
      }
    }
    await this.#readWhole(whole)
  }

  /** What the ledger knows of a file that was followed, by this process or an earlier one. */
  #entryOf({ dev, ino }: SeenFile): LedgerEntry | undefined {
    let found: LedgerEntry | undefined
    for (const entry of this.#parts.shipper.ledger.entries())
      if (entry.file?.dev === dev && entry.file.ino === ino) found = entry
    return found
  }

  /** Is it whole, and not what was read before it was compressed? */
  async #isNewGzip(file: SeenFile, now: number): Promise<boolean> {
    const content = await gunzippedHead(file.path).catch(() => undefined)
    if (content === undefined) return false
    // A damaged one will not get better: what can be had of it is read, and told.
    if (!content.whole && now - file.changedAt < DAMAGED_MILLIS) return false
    const { ledger } = this.#parts.shipper
    const same = entriesWithHead(ledger, content.head)
    if (same.some((entry) => [...this.#tails.values()].some((tail) => tail.entry === entry)))
      return false
    const known = same.some(({ over, file: was }) => over && was?.size === content.size)
    if (known) this.#whole.set(keyOf(file), versionOf(file))
    return !known
  }

  async #headOf(file: SeenFile): Promise<Buffer | undefined> {
    try {
      const handle = await open(file.path, 'r')
      try {
        return await readHead(handle, 4096)
      } finally {
        await handle.close()
      }
    } catch (error) {
      this.#unreadable(file.path, fileProblem(error))
      return undefined
    }
  }

  /** A copy of a file that is being followed says nothing new; it may be what that one goes on in. */
  #isHeldCopy(file: SeenFile, head: Buffer): boolean {
    return [...this.#tails.values()].some(
      ({ start, state, path: name }) =>
        state === 'reading' &&
        path.dirname(name) === path.dirname(file.path) &&
        start.length >= COPY_BYTES_MIN &&
        head.length >= start.length &&
        head.subarray(0, start.length).equals(start),
    )
  }

  async #follow(file: SeenFile): Promise<void> {
    if (this.#tails.size >= TAILS_MAX) await this.#makeRoom()
    const { settings, shipper, log, signal, cutMillis = CUT_MILLIS } = this.#parts
    const directory = path.dirname(file.path)
    const zeek = this.#zeek.get(directory) ?? newZeekDirectory()
    this.#zeek.set(directory, zeek)
    const inUse = (entry: LedgerEntry) =>
      [...this.#tails.values()].some((tail) => tail.entry === entry)
    try {
      const tail = await Tail.open(file, { settings, shipper, log, signal, cutMillis, zeek, inUse })
      this.#tails.set(keyOf(tail), tail)
    } catch (error) {
      this.#unreadable(file.path, fileProblem(error))
    }
  }

  /** Ends the file that was silent for longest. */
  async #makeRoom(): Promise<void> {
    const rank = (tail: Tail) => (tail.state === 'reading' ? 1 : 0)
    const [first] = [...this.#tails.values()].sort(
      (a, b) => rank(a) - rank(b) || a.changedAt - b.changedAt,
    )
    if (first === undefined) return
    if (first.state === 'reading')
      this.#parts.log(
        'warn',
        `more than ${TAILS_MAX} files grow: the one that was silent for longest is over`,
        {
          input: printable(first.path),
        },
      )
    await this.#end(first)
  }

  async #readWhole(files: readonly SeenFile[]): Promise<void> {
    if (files.length === 0) return
    const { shipper, log, signal, decode, inputOver } = this.#parts
    const paths = files.map((file) => file.path)
    await readFiles(paths, { decode, shipper, log, signal, inputOver })
    if (signal.aborted) return
    for (const file of files) this.#whole.set(keyOf(file), versionOf(file))
  }

  async #seenFiles(paths: readonly string[]): Promise<SeenFile[]> {
    return await seeFiles(paths, (source, words) => this.#unreadable(source, words))
  }

  #unreadable(source: string, words: string): void {
    if (this.#told.has(source)) return
    this.#told.add(source)
    this.#parts.unreadable(source, words)
  }
}

function isFileError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error
}
