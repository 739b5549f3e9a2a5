// The ledger: which chunks of which inputs are in the spool or went through it, so that a sensor that was killed goes on
// where it was, and what it has to announce.
//
// It is written a moment after the journal, never before it, so that it never claims what is not there. What it may
// lack after a crash stands in the journal itself, because the journal's checkpoint waits for the ledger:
//
//   ledger on disk  ⊆  chunks in the journal         a chunk is counted after its fsync
//   chunks before the checkpoint  ⊆  ledger on disk  a commit waits for `durable`
//
// So the ledger plus the records behind its place in the journal are exactly the chunks that are durable.
//   F1, killed before the journal: neither has the chunk; it is decoded again and sent.
//   F2, killed before producing: the journal has it; the ledger, read or mended by the journal, has it; it is produced.
//   F3, killed before the checkpoint: it is produced again: the same chunk with the same id.
// Where the two contradict each other all the same (a directory restored from a backup, a disk that was full for too
// long), what may not be believed is dropped: inputs are then sent again, growing ones under a new name.

import { setTimeout as sleep } from 'node:timers/promises'
import { BusFault } from '../bus/bus.ts'
import { type Disk, isNoSpace } from '../bus/disk.ts'
import type { Log } from '../telemetry.ts'
import { type ChunkFacts, countChunk, entryLine, type LedgerEntry } from './ledger-entry.ts'
import { type LedgerFile, writeLedger } from './ledger-file.ts'

/** Origins that are remembered; the one that is over for longest goes first, for it would only be sent once more. */
export const ENTRIES_MAX = 20_000
/** How long an origin is remembered after its last chunk. */
export const ENTRY_DAYS_MAX = 30
const DAY_MILLIS = 86_400_000
/** Writing may take a tenth of the time. */
const REST = 9
const FULL_RETRY_MILLIS = 1000

interface Waiter {
  /** Everything before this place of the journal, and everything up to this change, must be on disk. */
  next: bigint
  change: number
  resolve: () => void
  reject: (error: unknown) => void
}

export class Ledger {
  readonly #disk: Disk
  readonly #directory: string
  readonly #log: Log
  /** Longest silent first. */
  readonly #entries = new Map<string, LedgerEntry>()
  readonly #lines = new Map<string, string>()
  /** Origins of each base. */
  readonly #generations = new Map<string, Set<string>>()
  /** Hours of an origin whose counts changed since they were announced; all of them if it is not in here. */
  readonly #hoursChanged = new Map<string, Set<number>>()
  readonly #untold = new Set<string>()
  #next: bigint
  #durableNext = -1n
  /** Counts changes, so that a holder can wait for its own. */
  #changes = 0
  #durableChanges = -1
  #waiters: Waiter[] = []
  #saving: Promise<void> | undefined
  #hurry: (() => void) | undefined
  #full = false
  #closed = false
  #fault: BusFault | undefined

  constructor(disk: Disk, directory: string, log: Log, { next, entries }: LedgerFile) {
    this.#disk = disk
    this.#directory = directory
    this.#log = log
    this.#next = next
    for (const entry of entries) this.#put(entry)
    this.#prune()
  }

  get size(): number {
    return this.#entries.size
  }

  /** The disk has no room for it now. */
  get full(): boolean {
    return this.#full
  }

  get(origin: string): LedgerEntry | undefined {
    return this.#entries.get(origin)
  }

  /** All entries, longest silent first. */
  entries(): IterableIterator<LedgerEntry> {
    return this.#entries.values()
  }

  /** The generations of an input. */
  ofBase(base: string): LedgerEntry[] {
    return [...(this.#generations.get(base) ?? [])].map((origin) => this.#entries.get(origin)!)
  }

  /** Writes a new entry down before the first chunk of its origin is made: a name that must not be forgotten. */
  async begin(entry: LedgerEntry): Promise<void> {
    this.changed(entry, Date.now())
    this.#prune()
    await this.#onDisk(this.#next, this.#changes)
  }

  /** Writes it as it is. */
  async begun(): Promise<void> {
    this.#changes++
    await this.#onDisk(this.#next, this.#changes)
  }

  /** Says that an entry was changed by its holder. */
  changed(entry: LedgerEntry, now: number): void {
    entry.touchedAt = now
    this.#put(entry)
  }

  forget(origin: string): void {
    const base = this.#entries.get(origin)?.base ?? origin
    const generations = this.#generations.get(base)
    generations?.delete(origin)
    if (generations?.size === 0) this.#generations.delete(base)
    this.#entries.delete(origin)
    this.#lines.delete(origin)
    this.#untold.delete(origin)
    this.#hoursChanged.delete(origin)
    this.#changes++
  }

  /**
   * Counts a chunk that is durable in the journal before `next`; a chunk that is known, or of no known origin, is not
   * counted.
   */
  accept(facts: ChunkFacts, next: bigint, now: number): void {
    if (next > this.#next) this.#next = next
    this.#changes++
    const entry = this.#entries.get(facts.header.origin)
    if (entry !== undefined && countChunk(entry, facts, now)) {
      const changed = this.#hoursChanged.get(entry.origin)
      if (changed === undefined && entry.chunks === 1)
        this.#hoursChanged.set(entry.origin, new Set(entry.hours.keys()))
      else for (const [hour] of facts.header.hours) changed?.add(entry.hours.has(hour) ? hour : -1)
      this.#put(entry)
    }
    this.#save()
  }

  /** Origins whose totals are not announced yet. */
  untold(): LedgerEntry[] {
    return [...this.#untold].map((origin) => this.#entries.get(origin)!)
  }

  /** Hours of an untold origin that are to be announced. */
  untoldHours(entry: LedgerEntry): number[] {
    const changed = this.#hoursChanged.get(entry.origin)
    return [...(changed ?? entry.hours.keys())].sort((a, b) => a - b)
  }

  /** These totals are announced durably, if nothing came since. */
  told(origin: string, chunks: number): void {
    const entry = this.#entries.get(origin)
    if (entry === undefined || entry.chunks !== chunks) return
    entry.told = true
    if (entry.over) entry.hours = new Map()
    this.#hoursChanged.set(origin, new Set())
    this.#put(entry)
    this.#save()
  }

  /**
   * Resolves when everything before `next` that went into the journal stands in the ledger on disk.
   * @throws BusFault when the disk fails
   */
  async durable(next: bigint): Promise<void> {
    await this.#onDisk(next, 0)
  }

  async #onDisk(next: bigint, change: number): Promise<void> {
    if (this.#fault !== undefined) throw this.#fault
    if (this.#durableNext >= next && this.#durableChanges >= change) return
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push({ next, change, resolve, reject })
      this.#save()
    })
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    this.#closed = true
    this.#save()
    this.#hurry?.()
    if (!this.#full) await this.#saving
  }

  #put(entry: LedgerEntry): void {
    this.#entries.delete(entry.origin)
    this.#entries.set(entry.origin, entry)
    this.#lines.delete(entry.origin)
    const generations = this.#generations.get(entry.base)
    if (generations === undefined) this.#generations.set(entry.base, new Set([entry.origin]))
    else generations.add(entry.origin)
    if (entry.told) this.#untold.delete(entry.origin)
    else this.#untold.add(entry.origin)
    this.#changes++
  }

  #prune(): void {
    const oldest = Date.now() - ENTRY_DAYS_MAX * DAY_MILLIS
    let over = this.#entries.size - ENTRIES_MAX
    for (const entry of this.#entries.values()) {
      const old = entry.touchedAt < oldest
      if (over <= 0 && !old) break
      if (!entry.told || (!entry.over && !old)) continue
      this.forget(entry.origin)
      over--
    }
  }

  #save(): void {
    this.#saving ??= this.#saveAll()
  }

  async #saveAll(): Promise<void> {
    while (this.#durableChanges < this.#changes && this.#fault === undefined) {
      const started = performance.now()
      const [next, changes] = [this.#next, this.#changes]
      try {
        await writeLedger(this.#disk, this.#directory, next, this.#text())
        this.#full = false
        this.#durableNext = next
        this.#durableChanges = changes
        this.#settle((waiter) => waiter.next <= next && waiter.change <= changes)
      } catch (error) {
        await this.#failed(error)
      }
      if (this.#durableChanges < this.#changes)
        await this.#rest(Math.min(1000, REST * (performance.now() - started)))
    }
    // In the same turn as the last look.
    this.#saving = undefined
  }

  *#text(): Generator<string> {
    for (const entry of this.#entries.values()) {
      const line = this.#lines.get(entry.origin) ?? entryLine(entry)
      this.#lines.set(entry.origin, line)
      yield line
    }
  }

  async #failed(error: unknown): Promise<void> {
    if (isNoSpace(error)) {
      if (!this.#full) this.#log('warn', 'no space left on the disk for the ledger; waiting')
      this.#full = true
      // The checkpoint must go on, or a full disk would never become empty. What that may cost is said above.
      this.#settle(() => true)
      await sleep(FULL_RETRY_MILLIS)
      return
    }
    const reason = error instanceof Error ? error.message : String(error)
    this.#fault = new BusFault(`ledger in ${this.#directory}: cannot be written: ${reason}`, {
      cause: error,
    })
    for (const { reject } of this.#waiters.splice(0)) reject(this.#fault)
  }

  #settle(which: (waiter: Waiter) => boolean): void {
    const settled = this.#waiters.filter(which)
    this.#waiters = this.#waiters.filter((waiter) => !settled.includes(waiter))
    for (const { resolve } of settled) resolve()
  }

  /** Until the time is over, or the ledger is closed. */
  async #rest(millis: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#hurry = undefined
        resolve()
      }
      const timer = setTimeout(done, millis)
      this.#hurry = done
      if (this.#closed) done()
    })
  }
}
