// The chain of audit records: each line names the hash of the one before it, so that nothing can be changed, taken out or
// put in without all that follows being written anew. What stands in a line, and how a chain is checked; pure.
//
//   {"seq":2,"at":"2026-03-01T10:00:00.000Z","actor":"system","action":"revocation.called","subject":"…","detail":{…},
//    "prev":"<hash of line 1>","hash":"<SHA-256 of the bytes of this line before ,"hash":>"}
//
// One line a record. The hash is over bytes, not over values: whoever checks it needs no rules of writing JSON.

import { createHash } from 'node:crypto'
import { printableJson } from '../wire-text.ts'

/** Longest line that is written or read, in bytes. */
export const AUDIT_LINE_MAX = 64 << 10
/** What the first record names as the one before it. */
export const AUDIT_ROOT = '0'.repeat(64)

/** What is recorded. `at` is milliseconds since 1970. */
export interface AuditEntry {
  at: number
  /** Who did it: the name of a token, or `system`. */
  actor: string
  /** A stable word: `revocation.approved`. */
  action: string
  /** What it was done to: an id. */
  subject: string
  /** JSON values. */
  detail: Readonly<Record<string, unknown>>
}

export interface AuditRecord extends AuditEntry {
  seq: number
  prev: string
  hash: string
}

/** The end of a chain: what has to stand somewhere else, too, so that a chain that was cut off is seen. */
export interface AuditHead {
  /** Records so far. */
  seq: number
  hash: string
}

export const AUDIT_START: AuditHead = { seq: 0, hash: AUDIT_ROOT }

const HASH_KEY = ',"hash":"'
const HASH = /^[0-9a-f]{64}$/

function hashOf(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}

/** The next line of a chain, with its line feed. @throws RangeError if it would be longer than AUDIT_LINE_MAX */
export function auditLine(head: AuditHead, entry: AuditEntry): { line: string; head: AuditHead } {
  const seq = head.seq + 1
  const fields = {
    seq,
    at: new Date(entry.at).toISOString(),
    actor: entry.actor,
    action: entry.action,
    subject: entry.subject,
    detail: entry.detail,
    prev: head.hash,
  }
  const body = printableJson(fields).slice(0, -1)
  const hash = hashOf(body)
  const line = `${body}${HASH_KEY}${hash}"}\n`
  if (Buffer.byteLength(line) > AUDIT_LINE_MAX)
    throw new RangeError(`an audit record of ${Buffer.byteLength(line)} bytes is too long`)
  return { line, head: { seq, hash } }
}

/** A line as a record that continues `head`, or in words why it does not. @param line without its line feed */
export function readAuditLine(
  line: string,
  head: AuditHead,
): { record: AuditRecord } | { problem: string } {
  const at = line.lastIndexOf(HASH_KEY)
  const hash = line.slice(at + HASH_KEY.length, -2)
  if (at < 0 || !line.endsWith('"}') || !HASH.test(hash)) return { problem: 'is no audit record' }
  if (hashOf(line.slice(0, at)) !== hash) return { problem: 'was changed: its hash does not fit' }
  let fields: Record<string, unknown>
  try {
    fields = JSON.parse(line) as Record<string, unknown>
  } catch {
    return { problem: 'is no JSON' }
  }
  const { seq, at: time, actor, action, subject, detail, prev } = fields
  const millis = typeof time === 'string' ? Date.parse(time) : Number.NaN
  if (
    typeof seq !== 'number' ||
    Number.isNaN(millis) ||
    typeof actor !== 'string' ||
    typeof action !== 'string' ||
    typeof subject !== 'string' ||
    typeof prev !== 'string' ||
    typeof detail !== 'object' ||
    detail === null
  )
    return { problem: 'lacks a field' }
  if (prev !== head.hash)
    return { problem: 'does not follow the record before it: something was taken out or put in' }
  if (seq !== head.seq + 1) return { problem: `has number ${seq} instead of ${head.seq + 1}` }
  return {
    record: {
      ...{ seq, at: millis, actor, action, subject },
      ...{ detail: detail as Record<string, unknown>, prev, hash },
    },
  }
}

/** What came of checking a chain. */
export interface AuditVerdict {
  /** The end of what holds together. */
  head: AuditHead
  /** Why it does not hold together further, with the number of the line; undefined if all of it does. */
  broken?: { line: number; problem: string }
  /** Bytes after the last line feed: a record that was being written when the process died. */
  torn: number
}

/**
 * Checks a chain that lies in memory.
 * @param take is given each record that holds
 */
export function checkAudit(text: string, take?: (record: AuditRecord) => void): AuditVerdict {
  let head = AUDIT_START
  let at = 0
  for (let line = 1; ; line++) {
    const end = text.indexOf('\n', at)
    if (end < 0) return { head, torn: Buffer.byteLength(text.slice(at)) }
    const read = readAuditLine(text.slice(at, end), head)
    if ('problem' in read) return { head, broken: { line, problem: read.problem }, torn: 0 }
    head = { seq: read.record.seq, hash: read.record.hash }
    take?.(read.record)
    at = end + 1
  }
}
