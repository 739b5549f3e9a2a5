// Where a page ended, for whoever asks for the next one: the key of its last row, not a number of rows to skip. Opaque
// to the caller, checked when it comes back.

import { z } from 'zod'
import { Refusal } from './house-rules.ts'

const CURSOR = /^[A-Za-z0-9_-]{1,400}$/

export const CursorText = z.string().regex(CURSOR, 'is no cursor')

/** Keys of a row as text for a URL. */
export function cursorOf(keys: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(keys)).toString('base64url')
}

/**
 * The keys in a cursor, if they are of the schema.
 * @throws Refusal
 */
export function keysOf<T>(cursor: string, schema: z.ZodType<T>): T {
  try {
    const keys = schema.safeParse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')))
    if (keys.success) return keys.data
  } catch {
    // Said below.
  }
  throw new Refusal(400, 'the cursor is not one of this list: take `next` of the page before')
}

/** Microseconds that a cursor may hold. */
export const Micros = z.int().min(0).max(Number.MAX_SAFE_INTEGER)
