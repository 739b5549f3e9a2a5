// Notes of the outbox as bytes: JSON, version 1. The journal has checksums, so what is read is what was written; it is
// checked all the same, because a directory may come from anywhere.

import { z } from 'zod'
import type { AlertChange } from './alert-book.ts'
import type { FindingEvent } from './finding.ts'
import type { MailProgress } from './mail.ts'

const count = z.int().min(0)
const micros = z.int()

const CHANGE = z.object({
  id: z.string(),
  raisedAt: count,
  first: micros,
  last: micros,
  flows: z.array(z.string().regex(/^[0-9a-f]{1,13}$/)),
  // As it was written; its fields are shown and sent, each cut to its length there.
  evidence: z
    .custom<FindingEvent>(
      (value) => typeof value === 'object' && value !== null && 'alertId' in value,
    )
    .optional(),
  waiting: z.array(z.string()).optional(),
  told: z.array(z.tuple([z.string(), z.string(), count, z.enum(['delivered', 'dead'])])).optional(),
})

const PROGRESS = z.object({
  id: z.string(),
  state: z.enum(['queued', 'sending', 'delivered', 'dead']),
  attempts: count,
  nextAt: z.number(),
  lastError: z.string().optional(),
  diedAt: count.optional(),
  since: count.optional(),
})

const MAIL = PROGRESS.extend({
  endpoint: z.string(),
  alerts: z.array(z.string()),
  createdAt: count,
  body: z.string(),
})

const NOTE = z.object({
  v: z.literal(1),
  alerts: z.array(CHANGE).optional(),
  mails: z.array(MAIL).optional(),
  progress: z.array(PROGRESS.extend({ forget: z.boolean().optional() })).optional(),
  endpoint: z
    .object({
      name: z.string(),
      disabled: z.object({ key: z.string(), target: z.string(), why: z.string() }).nullable(),
    })
    .optional(),
  /** Ids that went out of the book: base64 of doubles. */
  gone: z.string().optional(),
})

export interface MailNote extends MailProgress {
  endpoint: string
  alerts: string[]
  createdAt: number
  body: string
}

/** An endpoint wants nothing any more: why, and for which target that holds. */
export interface Disabled {
  key: string
  target: string
  why: string
}

/** One note; each field may be absent. */
export interface Note {
  alerts?: AlertChange[]
  mails?: MailNote[]
  progress?: (MailProgress & { forget?: boolean })[]
  endpoint?: { name: string; disabled: Disabled | null }
  gone?: string
}

export function encodeNote(note: Note): Buffer {
  return Buffer.from(JSON.stringify({ v: 1, ...note }))
}

/** Undefined if it is no note of this version. */
export function parseNote(bytes: Uint8Array): Note | undefined {
  try {
    const checked = NOTE.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8')))
    return checked.success ? (checked.data as Note) : undefined
  } catch {
    return undefined
  }
}

export function packGone(ids: readonly number[]): string {
  const doubles = Float64Array.from(ids)
  return Buffer.from(doubles.buffer).toString('base64')
}

export function unpackGone(text: string): number[] {
  const bytes = Uint8Array.from(Buffer.from(text, 'base64'))
  return [...new Float64Array(bytes.buffer, 0, Math.floor(bytes.length / 8))]
}
