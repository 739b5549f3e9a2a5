// The audit log on disk: a chain of records (audit-chain.ts) in one file that is only ever added to. A record is durable
// before what it speaks of is done. A record that was cut short by a crash is taken off and told of; a chain that does
// not hold together is never continued.

import path from 'node:path'
import { BusError, BusFault } from '../bus/bus.ts'
import { type Disk, type DiskFile, isNoSpace, NODE_DISK, readWhole } from '../bus/disk.ts'
import {
  AUDIT_START,
  type AuditEntry,
  type AuditHead,
  type AuditRecord,
  auditLine,
  checkAudit,
} from './audit-chain.ts'

export const AUDIT_NAME = 'audit.log'
/** Largest log: about half a million records. */
export const AUDIT_BYTES_MAX = 256 << 20
/** From this part of it on it is said that it fills. */
export const AUDIT_FILLS = 0.9

/** Of a log, in bytes. */
export interface AuditLimits {
  most: number
  /** Of it, kept for further steps of what was begun: while no more is left, nothing is begun. */
  reserve: number
}

export const AUDIT_LIMITS: AuditLimits = { most: AUDIT_BYTES_MAX, reserve: 8 << 20 }
/** Milliseconds between tries while the disk is full. */
const FULL_RETRY_MILLIS = 250
const LINE_FEED = 0x0a

/** The log cannot be continued; the message says why and the cure. */
export class AuditBroken extends Error {
  override readonly name = 'AuditBroken'
}

/** There is no room on the disk now: nothing was added. */
export class AuditWaits extends Error {
  override readonly name = 'AuditWaits'
  constructor() {
    super('the audit log cannot be written now: no space left on the disk')
  }
}

export class AuditLog {
  readonly #file: DiskFile
  readonly #limits: AuditLimits
  #length: number
  #head: AuditHead
  /** Records follow each other. */
  #last: Promise<unknown> = Promise.resolve()
  #closed = false
  #hurried = false
  #fault: BusFault | undefined
  #waits = false
  /** Bytes behind the end that a crash left; only while it is opened. */
  #torn: number

  private constructor(
    file: DiskFile,
    limits: AuditLimits,
    { length, head, torn }: { length: number; head: AuditHead; torn: number },
  ) {
    this.#file = file
    this.#limits = limits
    this.#length = length
    this.#head = head
    this.#torn = torn
  }

  /**
   * Opens the log of a directory, which is made if it is not there.
   * @param take is given every record that is in it, in order
   * @throws AuditBroken · AuditWaits · whatever the disk says
   */
  static async open(
    directory: string,
    take: (record: AuditRecord) => void,
    disk: Disk = NODE_DISK,
    limits: AuditLimits = AUDIT_LIMITS,
  ): Promise<AuditLog> {
    await disk.makeDirectory(directory)
    const name = path.join(directory, AUDIT_NAME)
    const bytes = await readWhole(disk, name, limits.most + 1)
    if (bytes === undefined) {
      const file = await disk.create(name)
      await disk.syncDirectory(directory)
      return new AuditLog(file, limits, { length: 0, head: AUDIT_START, torn: 0 })
    }
    if (bytes.length > limits.most)
      throw new AuditBroken(`${name} is full: move it away and keep it; a new one is begun then`)
    // By bytes: what was cut off may end within a character.
    const length = bytes.lastIndexOf(LINE_FEED) + 1
    const { head, broken } = checkAudit(bytes.toString('utf8', 0, length), take)
    if (broken !== undefined)
      throw new AuditBroken(
        `${name}:${broken.line} ${broken.problem}: keep the file, find out who did it, and move it away to begin a new one`,
      )
    const torn = bytes.length - length
    const log = new AuditLog(await disk.open(name, 'change'), limits, { length, head, torn })
    try {
      if (torn > 0) take(await log.#cut(torn))
    } catch (error) {
      await log.close()
      throw error
    }
    return log
  }

  /** Takes an unfinished record off. That it was there is written over it first, so that this is never forgotten. */
  async #cut(torn: number): Promise<AuditRecord> {
    const record = await this.append(
      {
        at: Date.now(),
        actor: 'system',
        action: 'audit.torn',
        subject: AUDIT_NAME,
        detail: { bytes: torn },
      },
      false,
    )
    this.#torn = 0
    await this.#file.truncate(this.#length)
    await this.#file.sync()
    return record
  }

  get head(): AuditHead {
    return this.#head
  }

  /** How much of it is used, from 0 to 1. */
  get filled(): number {
    return this.#length / this.#limits.most
  }

  /** True where nothing may be begun any more: what is left is for what was begun before. */
  get full(): boolean {
    return this.#length >= this.#limits.most - this.#limits.reserve
  }

  /** True while records wait for room on the disk. */
  get waits(): boolean {
    return this.#waits
  }

  /**
   * Adds a record; durable when it resolves.
   * @param patient waits while the disk is full
   * @throws BusFault if the disk did not keep it: the process must end · AuditBroken if the log is full ·
   * AuditWaits for who is not patient, or after `hurry` · BusError `closed`
   */
  append(entry: AuditEntry, patient = true): Promise<AuditRecord> {
    // Who is patient waits before it, for as long as it takes.
    if (!patient && this.#waits) return Promise.reject(new AuditWaits())
    const adding = this.#last.then(() => this.#append(entry, patient))
    this.#last = adding.catch(() => {})
    return adding
  }

  async #append(entry: AuditEntry, patient: boolean): Promise<AuditRecord> {
    const { line, head } = auditLine(this.#head, entry)
    const bytes = Buffer.from(line)
    if (this.#length + bytes.length > this.#limits.most)
      throw new AuditBroken('the audit log is full: move it away and keep it')
    while (!(await this.#written(bytes))) {
      if (!patient || this.#hurried) throw new AuditWaits()
      this.#waits = true
      await new Promise((resolve) => setTimeout(resolve, FULL_RETRY_MILLIS))
    }
    this.#waits = false
    const prev = this.#head.hash
    this.#length += bytes.length
    this.#head = head
    return { ...entry, seq: head.seq, prev, hash: head.hash }
  }

  /** False where the disk has no room: then the log is as it was. */
  async #written(bytes: Buffer): Promise<boolean> {
    if (this.#fault !== undefined) throw this.#fault
    if (this.#closed) throw new BusError('closed', 'the audit log is closed')
    try {
      if (!(await this.#fits(bytes))) return false
      await this.#file.sync()
      return true
    } catch (cause) {
      // Never tried again: the kernel may have dropped the pages and forgotten the error.
      this.#fault = new BusFault('the disk did not keep an audit record', { cause })
      throw this.#fault
    }
  }

  async #fits(bytes: Buffer): Promise<boolean> {
    try {
      await this.#file.write([bytes], this.#length)
      return true
    } catch (error) {
      if (!isNoSpace(error)) throw error
      // What was written of it lies behind the end, where nothing may be found after a crash.
      await this.#file.truncate(this.#length + this.#torn)
      return false
    }
  }

  /** Nobody waits for room on the disk any more. */
  hurry(): void {
    this.#hurried = true
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#last
    await this.#file.close()
  }
}
