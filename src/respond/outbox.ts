// What must be told, on disk: alerts, the mails that tell of them, how far each has come. A journal (src/bus) holds it
// as notes; what a note says is taken over in the turn in which it is handed to the journal, so notes and memory have
// one order, and whoever waits for the journal knows that all before is durable too.
//
// Notes only add, or say the state of one mail anew: read twice, or read from a later one on with the whole state of
// everything noted again behind it, they give the same. So old notes are thrown away like this: note everything that
// still counts again, in pieces, while new notes come in between; then let the journal forget what is before the first
// of them. Killed in between, both are there, and nothing is lost.

import path from 'node:path'
import type { Trouble } from '../bus/bus.ts'
import { type Disk, NODE_DISK } from '../bus/disk.ts'
import { Journal } from '../bus/journal.ts'
import type { Log } from '../telemetry.ts'
import { AlertBook, type AlertChange } from './alert-book.ts'
import { type Mail, type MailProgress, progressOf } from './mail.ts'
import {
  encodeNote,
  type MailNote,
  type Note,
  packGone,
  parseNote,
  unpackGone,
} from './outbox-note.ts'

/** Text of mails that is held in memory, in bytes; that of others is read when it is needed. */
const BODIES_BYTES_MAX = 16 << 20
/** Old notes are thrown away when there are so many bytes, and twice those of the last time. */
const COMPACT_BYTES = 32 << 20
const SEGMENT_BYTES = 8 << 20
/** Appends wait when it is full. Far above what the limits of mails and alerts allow. */
const JOURNAL_BYTES_MAX = 4 * 2 ** 30
/** Alerts of one note when everything is noted again. */
const PIECE = 100

export interface OutboxSettings {
  directory: string
  /** For tests. */
  compactBytes?: number
  bodiesBytes?: number
}

export class Outbox {
  readonly book: AlertBook
  /** Those that were neither delivered nor dropped, by id. */
  readonly mails = new Map<string, Mail>()
  /** Endpoints that want nothing any more: why, and for which target that holds. */
  readonly disabled = new Map<string, { target: string; why: string }>()
  readonly #journal: Journal
  readonly #sink: ReturnType<Journal['sink']>
  readonly #settings: OutboxSettings
  #bodiesBytes = 0
  #compactAt = 0
  #compacting: Promise<void> | undefined
  #last: Promise<unknown> = Promise.resolve()
  /** Notes that could not be read when it was opened. */
  unread = 0
  compactions = 0

  /** @throws BusError `in_use` if another process has it · BusFault if the disk fails */
  static async open(settings: OutboxSettings, log: Log, disk: Disk = NODE_DISK): Promise<Outbox> {
    const directory = path.resolve(settings.directory)
    const tell = ({ kind, where, detail }: Trouble) =>
      log(kind === 'recovered' || kind === 'notice' ? 'info' : 'warn', `outbox: ${detail}`, {
        where,
      })
    const journal = await Journal.open(
      {
        directory,
        stream: 'bailiwick.outbox.v1',
        segmentBytes: SEGMENT_BYTES,
        maxBytes: JOURNAL_BYTES_MAX,
      },
      tell,
      disk,
    )
    const outbox = new Outbox(journal, settings)
    await outbox.#read()
    if (outbox.unread > 0)
      log('error', 'notes of the outbox cannot be read and are passed over', {
        notes: outbox.unread,
      })
    return outbox
  }

  private constructor(journal: Journal, settings: OutboxSettings) {
    this.#journal = journal
    this.#sink = journal.sink()
    this.#settings = settings
    this.book = new AlertBook()
  }

  /** What appends wait for now, if they do. */
  get waitsFor(): 'room' | 'disk' | undefined {
    return this.#journal.waitsFor
  }

  get bytes(): number {
    return this.#journal.counters.bytes
  }

  /** What went wrong for good: the process must end. */
  get fault(): Error | undefined {
    return this.#journal.fault
  }

  /**
   * Notes what the book took, and mails that tell of it; they are the outbox's from now on.
   * @returns resolves when all of it is durable @throws BusFault
   */
  note(alerts: readonly AlertChange[], mails: readonly Mail[] = []): Promise<void> {
    for (const mail of mails) this.#take(mail)
    return this.#append({ alerts: [...alerts], mails: mails.map(noteOf) }, mails)
  }

  /** Notes how far a mail has come; one that was delivered or is to be forgotten goes. */
  progress(mail: Mail, forget = false): Promise<void> {
    if (forget || mail.state === 'delivered') this.#drop(mail)
    return this.#append({
      progress: [{ ...progressOf(mail), ...(forget ? { forget: true } : {}) }],
    })
  }

  /** An endpoint wants nothing any more, or (undefined) does again. */
  disable(endpoint: string, state: { target: string; why: string } | undefined): Promise<void> {
    if (state === undefined) this.disabled.delete(endpoint)
    else this.disabled.set(endpoint, state)
    return this.#append({ endpoint: { name: endpoint, disabled: state ?? null } })
  }

  /** Resolves when everything that was noted before is durable. */
  async settled(): Promise<void> {
    await this.#last
    if (this.fault !== undefined) throw this.fault
  }

  /** The text of a mail; undefined if it is damaged on disk. */
  async bodyOf(mail: Mail): Promise<string | undefined> {
    // What it is copied to while it is read, it is found at after.
    for (let tries = 0; tries < 3; tries++) {
      if (mail.body !== undefined) return mail.body
      const { place } = mail
      for await (const { offset, bytes } of this.#journal.recordsFrom(place)) {
        if (offset !== place) break
        const found = parseNote(bytes)?.mails?.find(({ id }) => id === mail.id)
        if (found !== undefined) return found.body
        break
      }
    }
    return undefined
  }

  /** Its text is not needed soon. */
  forgetBody(mail: Mail): void {
    if (mail.place < 0n || mail.body === undefined) return
    this.#bodiesBytes -= mail.body.length
    mail.body = undefined
  }

  /** Waits for what is being written and lets go. */
  async close(): Promise<void> {
    await this.#compacting?.catch(() => {})
    await this.#journal.close()
  }

  #take(mail: Mail): void {
    this.mails.set(mail.id, mail)
    this.#bodiesBytes += mail.body?.length ?? 0
    this.#link(mail)
  }

  #link(mail: Mail): void {
    for (const id of mail.alerts) this.book.get(id)?.deliveries.set(mail.endpoint, mail)
  }

  #drop(mail: Mail): void {
    this.mails.delete(mail.id)
    this.#bodiesBytes -= mail.body?.length ?? 0
    mail.body = undefined
  }

  async #append(note: Note, mails: readonly Mail[] = []): Promise<void> {
    const sent = this.#sink.send({ key: '', bytes: encodeNote(note) })
    this.#last = sent.catch(() => {})
    const { offset } = await sent
    for (const mail of mails) {
      mail.place = offset
      if (this.#bodiesBytes > (this.#settings.bodiesBytes ?? BODIES_BYTES_MAX))
        this.forgetBody(mail)
    }
    const least = this.#settings.compactBytes ?? COMPACT_BYTES
    if (this.#compacting === undefined && this.bytes > Math.max(least, this.#compactAt))
      this.#compacting = this.#compact()
        // The journal says by its fault what is wrong.
        .catch(() => {})
        .finally(() => {
          this.#compacting = undefined
        })
  }

  async #read(): Promise<void> {
    for await (const { offset, bytes } of this.#journal.recordsFrom(this.#journal.committed)) {
      const note = parseNote(bytes)
      if (note === undefined) this.unread++
      else this.#apply(note, offset)
    }
    this.book.settle()
    // An alert may have been noted again behind the mail that tells of it.
    for (const mail of this.mails.values()) this.#link(mail)
    this.#compactAt = 2 * this.bytes
  }

  #apply(note: Note, place: bigint): void {
    if (note.gone !== undefined) this.book.addGone(unpackGone(note.gone))
    for (const change of note.alerts ?? []) this.book.merge(change)
    for (const { body, ...rest } of note.mails ?? []) {
      const known = this.mails.get(rest.id)
      if (known !== undefined) this.#drop(known)
      // What is needed soon is read soon.
      this.#take({ ...rest, body: undefined, place })
      if (body === '') this.unread++
    }
    for (const progress of note.progress ?? []) this.#applyProgress(progress)
    if (note.endpoint?.disabled === null) this.disabled.delete(note.endpoint.name)
    else if (note.endpoint !== undefined)
      this.disabled.set(note.endpoint.name, note.endpoint.disabled)
  }

  #applyProgress({ forget, ...progress }: MailProgress & { forget?: boolean | undefined }): void {
    const mail = this.mails.get(progress.id)
    if (mail === undefined) return
    Object.assign(mail, progress)
    if (forget === true || mail.state === 'delivered') this.#drop(mail)
  }

  /** Notes everything that counts again, then forgets what was before. */
  async #compact(): Promise<void> {
    const from = this.#journal.nextId
    const before = this.#journal.committed
    const first = this.#append({ gone: packGone(this.book.goneIds()) })
    await first
    const alerts = [...this.book.all()].map(({ id }) => id)
    for (let at = 0; at < alerts.length; at += PIECE) {
      // As they are now: what was noted since is in it.
      const piece = alerts.slice(at, at + PIECE).flatMap((id) => this.book.get(id) ?? [])
      await this.#append({ alerts: piece.map(AlertBook.whole) })
    }
    for (const [name, disabled] of this.disabled)
      await this.#append({ endpoint: { name, disabled } })
    for await (const { offset, bytes } of this.#journal.recordsFrom(before)) {
      if (offset >= from) break
      for (const { id, body } of parseNote(bytes)?.mails ?? []) {
        const mail = this.mails.get(id)
        if (mail?.place === offset)
          await this.#append({ mails: [noteOf({ ...mail, body })] }, [mail])
      }
    }
    await this.#journal.discardBefore(from)
    this.compactions++
    this.#compactAt = 2 * this.bytes
  }
}

function noteOf(mail: Mail): MailNote {
  const { endpoint, alerts, createdAt, body = '' } = mail
  return { ...progressOf(mail), endpoint, alerts: [...alerts], createdAt, body }
}
