// The audit log on disk: a chain of records (audit-chain.ts) in one file that is only ever added to. A record is durable
// before what it speaks of is done. A record that was cut short by a crash is taken off and told of; a chain that does
// not hold together is never continued.

import path from 'node:path'
import { BusFault } from '../bus/bus.ts'
import { type Disk, type DiskFile, NODE_DISK, readWhole } from '../bus/disk.ts'
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

/** The log cannot be continued; the message says why and the cure. */
export class AuditBroken extends Error {
  override readonly name = 'AuditBroken'
}

export class AuditLog {
  readonly #file: DiskFile
  #length: number
  #head: AuditHead
  /** Records follow each other. */
  #last: Promise<unknown> = Promise.resolve()

  private constructor(file: DiskFile, length: number, head: AuditHead) {
    this.#file = file
    this.#length = length
    this.#head = head
  }

  /**
   * Opens the log of a directory, which is made if it is not there.
   * @param take is given every record that is in it, in order
   * @throws AuditBroken · whatever the disk says
   */
  static async open(
    directory: string,
    take: (record: AuditRecord) => void,
    disk: Disk = NODE_DISK,
  ): Promise<AuditLog> {
    await disk.makeDirectory(directory)
    const name = path.join(directory, AUDIT_NAME)
    const bytes = await readWhole(disk, name, AUDIT_BYTES_MAX + 1)
    if (bytes === undefined) {
      const file = await disk.create(name)
      await disk.syncDirectory(directory)
      return new AuditLog(file, 0, AUDIT_START)
    }
    if (bytes.length > AUDIT_BYTES_MAX)
      throw new AuditBroken(`${name} is full: move it away and keep it; a new one is begun then`)
    const { head, broken, torn } = checkAudit(bytes.toString('utf8'), take)
    if (broken !== undefined)
      throw new AuditBroken(
        `${name}:${broken.line} ${broken.problem}: keep the file, find out who did it, and move it away to begin a new one`,
      )
    const file = await disk.open(name, 'change')
    const length = bytes.length - torn
    if (torn > 0) {
      await file.truncate(length)
      await file.sync()
    }
    const log = new AuditLog(file, length, head)
    if (torn > 0)
      take(
        await log.append({
          at: Date.now(),
          actor: 'system',
          action: 'audit.torn',
          subject: AUDIT_NAME,
          detail: { bytes: torn },
        }),
      )
    return log
  }

  get head(): AuditHead {
    return this.#head
  }

  /**
   * Adds a record; durable when it resolves.
   * @throws BusFault if the disk did not keep it: the process must end · what a full disk says: nothing was added
   */
  append(entry: AuditEntry): Promise<AuditRecord> {
    const adding = this.#last.then(() => this.#append(entry))
    this.#last = adding.catch(() => {})
    return adding
  }

  async #append(entry: AuditEntry): Promise<AuditRecord> {
    const { line, head } = auditLine(this.#head, entry)
    const bytes = Buffer.from(line)
    if (this.#length + bytes.length > AUDIT_BYTES_MAX)
      throw new AuditBroken('the audit log is full: move it away and keep it')
    try {
      await this.#file.write([bytes], this.#length)
    } catch (error) {
      // What was written of it lies behind the end, and the next record is written over it.
      await this.#file.truncate(this.#length)
      throw error
    }
    try {
      await this.#file.sync()
    } catch (error) {
      throw new BusFault('the disk did not keep an audit record', { cause: error })
    }
    const prev = this.#head.hash
    this.#length += bytes.length
    this.#head = head
    return { ...entry, seq: head.seq, prev, hash: head.hash }
  }

  async close(): Promise<void> {
    await this.#last
    await this.#file.close()
  }
}
