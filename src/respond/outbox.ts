// What must be told, on disk: alerts, the mails that tell of them, how far each has come. A journal (src/bus) holds it
// as notes; what a note says is taken over in the turn in which it is handed to the journal, so notes and memory have
// one order, and whoever waits for the journal knows that all before is durable too.
//
// Notes only add, or say the state of one mail anew: read twice, or read from a later one on with the whole state of
// everything noted again behind it, they give the same. So old notes are thrown away like this: note everything that
// still counts again, in pieces, while new notes come in between; then let the journal forget what is before the first
// of them. Killed in between, both are there, and nothing is lost. A note that was damaged on the disk is lost, which is
// told: what it said of alerts is in the store.

import path from 'node:path'
import { newSourceCounters, type Trouble } from '../bus/bus.ts'
import { type Disk, isMissing, NODE_DISK } from '../bus/disk.ts'
import { Journal } from '../bus/journal.ts'
import type { Log } from '../telemetry.ts'
import { AlertBook, type AlertChange } from './alert-book.ts'
import { type Mail, type MailProgress, progressOf } from './mail.ts'
import {
  type Disabled,
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
/** What may come while they are, as a part of the bytes before; with the next time at twice what is left: bounded. */
const CAME_MAX = 1 / 8
const SEGMENT_BYTES = 8 << 20
/** Appends wait when it is full. Far above what the limits of mails and alerts allow. */
const JOURNAL_BYTES_MAX = 4 * 2 ** 30
/** Alerts of one note when everything is noted again. */
const PIECE = 100
/** What is noted at once is several notes above this; one alert or one mail is far below. */
const NOTE_BYTES = 4 << 20
/** What an alert takes on the disk, about. */
const ALERT_BYTES = 2000

export interface OutboxSettings {
  directory: string
  /** For tests. */
  compactBytes?: number
  segmentBytes?: number
  bodiesBytes?: number
  disk?: Disk
}

export class Outbox {
  readonly book: AlertBook
  /** Those that were neither delivered nor dropped, by id. */
  readonly mails = new Map<string, Mail>()
  /** Endpoints that want nothing any more. */
  readonly disabled = new Map<string, Disabled>()
  readonly #log: Log
  readonly #journal: Journal
  readonly #sink: ReturnType<Journal['sink']>
  readonly #settings: OutboxSettings
  #bodiesBytes = 0
  #compactAt = 0
  #compacting: Promise<void> | undefined
  /** Bytes when that began, and of notes that came since. */
  #compactedFrom = 0
  #came = 0
  /** Bytes of notes that were ever handed to the journal. */
  #handed = 0
  #last: Promise<unknown> = Promise.resolve()
  /** Notes that could not be read when it was opened. */
  unread = 0
  /** Notes that were damaged on the disk then, as far as they can be counted: one at least where there was damage. */
  lost = 0
  compactions = 0
  #closing = false

  /** @throws BusError `in_use` if another process has it · BusFault if the disk fails */
  static async open(settings: OutboxSettings, log: Log): Promise<Outbox> {
    const { segmentBytes = SEGMENT_BYTES, disk = NODE_DISK } = settings
    const directory = path.resolve(settings.directory)
    const tell = ({ kind, where, detail }: Trouble) =>
      log(kind === 'recovered' || kind === 'notice' ? 'info' : 'warn', `outbox: ${detail}`, {
        where,
      })
    const journal = await Journal.open(
      {
        directory,
        stream: 'bailiwick.outbox.v1',
        segmentBytes,
        maxBytes: JOURNAL_BYTES_MAX,
      },
      tell,
      disk,
    )
    const outbox = new Outbox(journal, settings, log)
    await outbox.#read(tell)
    if (outbox.unread > 0)
      log('error', 'notes of the outbox cannot be read and are passed over', {
        notes: outbox.unread,
      })
    if (outbox.lost > 0)
      log('error', 'the outbox was damaged on the disk: not all of what it held will be sent', {
        notes: outbox.lost,
      })
    await outbox.#compactFirst()
    return outbox
  }

  private constructor(journal: Journal, settings: OutboxSettings, log: Log) {
    this.#log = log
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
   * Resolves when more may come: whoever brings it faster than old notes can be thrown away waits for that, or they
   * would grow without end. To be asked before the book takes it.
   */
  async room(): Promise<void> {
    while (
      this.#compacting !== undefined &&
      this.waitsFor === undefined &&
      this.#came > CAME_MAX * this.#compactedFrom
    )
      await Promise.race([this.#compacting, pause()])
  }

  /**
   * Notes what the book took, and mails that tell of it; they are the outbox's from now on.
   * @returns resolves when all of it is durable @throws BusFault
   */
  note(alerts: readonly AlertChange[], mails: readonly Mail[] = []): Promise<void> {
    for (const mail of mails) this.#take(mail)
    const before = this.#handed
    const noted = this.#noteAll(alerts, mails)
    this.#came += this.#handed - before
    return noted
  }

  /** In one note, or in several where it would be too long: alerts first, because mails tell of them. */
  async #noteAll(alerts: readonly AlertChange[], mails: readonly Mail[]): Promise<void> {
    const bytes = encodeNote({ alerts: [...alerts], mails: mails.map(noteOf) })
    if (bytes.length <= NOTE_BYTES || alerts.length + mails.length < 2)
      return await this.#appendBytes(bytes, mails)
    if (alerts.length > 0 && mails.length > 0)
      return void (await Promise.all([this.#noteAll(alerts, []), this.#noteAll([], mails)]))
    const [a, m] = [alerts.length >> 1, mails.length >> 1]
    await Promise.all([
      this.#noteAll(alerts.slice(0, a), mails.slice(0, m)),
      this.#noteAll(alerts.slice(a), mails.slice(m)),
    ])
  }

  /** Notes how far a mail has come; one that was delivered or is to be forgotten goes. */
  progress(mail: Mail, forget = false): Promise<void> {
    if (forget || mail.state === 'delivered') this.#drop(mail)
    return this.#append({
      progress: [{ ...progressOf(mail), ...(forget ? { forget: true } : {}) }],
    })
  }

  /** An endpoint wants nothing any more, or (undefined) does again. */
  disable(endpoint: string, state: Disabled | undefined): Promise<void> {
    if (state === undefined) this.disabled.delete(endpoint)
    else this.disabled.set(endpoint, state)
    return this.#append({ endpoint: { name: endpoint, disabled: state ?? null } })
  }

  /** Resolves when everything that was noted before is durable. @throws if the last of it is not, and never will be */
  async settled(): Promise<void> {
    await this.#last
    if (this.fault !== undefined) throw this.fault
  }

  /** The text of a mail; undefined if it is damaged on disk. */
  async bodyOf(mail: Mail): Promise<string | undefined> {
    // What it is copied to while it is read, it is found at after.
    for (let tries = 0; tries < 3; tries++) {
      if (mail.body !== undefined) return mail.body
      try {
        const body = await this.#bodyAt(mail.place, mail.id)
        if (body !== undefined) return body
      } catch (error) {
        if (!isMissing(error)) throw error
      }
    }
    return undefined
  }

  async #bodyAt(place: bigint, mail: string): Promise<string | undefined> {
    for await (const { offset, bytes } of this.#journal.recordsFrom(place))
      return offset === place
        ? parseNote(bytes)?.mails?.find(({ id }) => id === mail)?.body
        : undefined
    return undefined
  }

  /** Its text is not needed soon. */
  forgetBody(mail: Mail): void {
    if (mail.place < 0n || mail.body === undefined) return
    this.#bodiesBytes -= mail.body.length
    mail.body = undefined
  }

  /** Waits for what is being written and lets go. What waits for room on a full disk is given up. */
  async close(): Promise<void> {
    this.#closing = true
    await this.#journal.close()
    await this.#compacting
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

  #append(note: Note, mails: readonly Mail[] = []): Promise<void> {
    return this.#appendBytes(encodeNote(note), mails)
  }

  async #appendBytes(bytes: Buffer, mails: readonly Mail[]): Promise<void> {
    this.#handed += bytes.length
    const sent = this.#sink.send({ key: '', bytes })
    this.#last = sent
    sent.catch(() => {})
    const { offset } = await sent
    for (const mail of mails) {
      mail.place = offset
      if (this.#bodiesBytes > (this.#settings.bodiesBytes ?? BODIES_BYTES_MAX))
        this.forgetBody(mail)
    }
    this.#compactIfDue()
  }

  /** Before anything else is noted: whoever lives for a moment only, again and again, would never come to it. */
  async #compactFirst(): Promise<void> {
    this.#compactIfDue()
    while (this.#compacting !== undefined && this.waitsFor === undefined)
      await Promise.race([this.#compacting, pause()])
  }

  #compactIfDue(): void {
    const least = this.#settings.compactBytes ?? COMPACT_BYTES
    if (this.#compacting !== undefined || this.bytes <= Math.max(least, this.#compactAt)) return
    this.#compactedFrom = this.bytes
    this.#came = 0
    this.#compacting = this.#compact()
      .catch((error: unknown) => {
        // Of a disk that failed the journal itself tells.
        if (this.#closing || this.fault !== undefined) return
        this.#log('error', 'old notes of the outbox cannot be thrown away', { err: error })
        this.#compactAt = 2 * this.bytes
      })
      .finally(() => {
        this.#compacting = undefined
      })
  }

  async #read(tell: (trouble: Trouble) => void): Promise<void> {
    const counters = newSourceCounters()
    let damaged = 0
    const told = (trouble: Trouble) => {
      damaged++
      tell(trouble)
    }
    const sizes = new Map<string, number>()
    const from = this.#journal.committed
    for await (const { offset, bytes } of this.#journal.recordsFrom(from, {
      tell: told,
      counters,
    })) {
      const note = parseNote(bytes)
      if (note === undefined) this.unread++
      else this.#apply(note, offset)
      for (const { id, body } of note?.mails ?? []) sizes.set(id, body.length)
    }
    this.lost = Math.max(damaged, Number(counters.holeOffsets))
    this.book.settle()
    // An alert may have been noted again behind the mail that tells of it.
    for (const mail of this.mails.values()) this.#link(mail)
    // By what still counts: a process that is started again and again must throw away, too.
    let counting = this.book.size * ALERT_BYTES
    for (const id of this.mails.keys()) counting += sizes.get(id) ?? 0
    this.#compactAt = 2 * counting
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
    const alerts = [...this.book.all()].map(({ id }) => id)
    for (let at = 0; at < alerts.length; at += PIECE) {
      // As they are now: what was noted since is in it.
      const piece = alerts.slice(at, at + PIECE).flatMap((id) => this.book.get(id) ?? [])
      await this.#noteAll(piece.map(AlertBook.whole), [])
    }
    // After them: what went out of the book meanwhile is among the one or the other.
    await this.#append({ gone: packGone(this.book.goneIds()) })
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
    // What was damaged on the disk meanwhile, and is still held.
    for (const mail of this.mails.values())
      if (mail.place >= 0n && mail.place < from && mail.body !== undefined)
        await this.#append({ mails: [noteOf(mail)] }, [mail])
    await this.#journal.discardBefore(from)
    this.compactions++
    this.#compactAt = 2 * this.bytes
  }
}

function noteOf(mail: Mail): MailNote {
  const { endpoint, alerts, createdAt, body = '' } = mail
  return { ...progressOf(mail), endpoint, alerts: [...alerts], createdAt, body }
}

/** Until it is looked again whether the disk is full. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50))
}
