// What a webhook says, version 1: the alerts of one message, as JSON of fewer than 20,000 bytes. What is read out of
// traffic is hostile: each text is printable and cut to a length, and stands in the JSON as data. docs/webhooks.md
// describes it; a receiver may check it with MESSAGE.

import { z } from 'zod'
import { GRADES, HANDSHAKES } from '../flow.ts'
import { printable, printableJson } from '../wire-text.ts'
import type { BookedAlert } from './alert-book.ts'

export const MESSAGE_SCHEMA = 'bailiwick.alerts/v1'
/** Standard Webhooks asks for less than 20 kB. */
export const MESSAGE_BYTES_MAX = 20_000
/** Alerts of one message. */
export const MESSAGE_ALERTS_MAX = 100
/** What alerts in full may take where there are more than fit: the rest is for the short ones. */
const FULL_BYTES = 8000
/** Bytes of a text in JSON. */
const WORD_BYTES = 300
const SENTENCE_BYTES = 1000

const time = z.iso.datetime()
const text = z.string()
const port = z.int().min(0).max(65_535)

const BRIEF = z.object({
  id: z.uuid(),
  kind: text,
  agent: text.nullable(),
  subject: text,
  destination: text,
  port,
  ip_proto: z.int().min(0).max(255),
  score: z.int().min(0).max(100),
})

const FULL = BRIEF.extend({
  rule: text,
  first: time,
  last: time,
  /** Distinct ones when this was written; 1,000 stands for more. */
  flows: z.int().min(1),
  grade: z.enum(GRADES),
  sentence: text,
  evidence: z.object({
    flow_id: z.uuid(),
    sensor: text,
    flow_start: time,
    peer: text,
    peer_name: text.nullable(),
    handshake: z.enum(HANDSHAKES),
    direction: text,
    direction_sure: z.boolean(),
    method: text,
    chunk_id: z.uuid(),
    row: z.int().min(0),
    ruling: z.int().min(0),
  }),
})

/** The body of a webhook. Fields may be added without a new version. */
export const MESSAGE = z.object({
  type: z.enum(['alerts.raised', 'webhook.test']),
  /** When it was written. The same on every try, other than `webhook-timestamp`. */
  timestamp: time,
  data: z.object({
    schema: z.literal(MESSAGE_SCHEMA),
    /** How many alerts it is about: those in full and those in short. */
    count: z.int().min(0).max(MESSAGE_ALERTS_MAX),
    alerts: z.array(FULL),
    /** Alerts that came faster than messages go, in short; all of them are in the API and the store. */
    more: z.array(BRIEF),
  }),
})
export type Message = z.infer<typeof MESSAGE>
type FullAlert = z.infer<typeof FULL>
type BriefAlert = z.infer<typeof BRIEF>

export interface Written {
  body: string
  /** How many of the alerts are in it, from the first on: one at least. */
  taken: number
}

/** Writes a message about as many of the alerts as fit into it. @param now milliseconds since 1970 */
export function writeMessage(alerts: readonly BookedAlert[], now: number): Written {
  const data: Message['data'] = { schema: MESSAGE_SCHEMA, count: 0, alerts: [], more: [] }
  const timestamp = new Date(now).toISOString()
  let size = Buffer.byteLength(bodyOf({ type: 'alerts.raised', timestamp, data })) + 8
  for (const alert of alerts.slice(0, MESSAGE_ALERTS_MAX)) {
    const full = fullAlert(alert)
    const fullBytes = sizeOf(full)
    if (data.alerts.length === 0 || (data.more.length === 0 && size + fullBytes < FULL_BYTES)) {
      data.alerts.push(full)
      size += fullBytes
    } else {
      const brief = briefAlert(alert)
      size += sizeOf(brief)
      if (size >= MESSAGE_BYTES_MAX) break
      data.more.push(brief)
    }
    data.count++
  }
  return { body: bodyOf({ type: 'alerts.raised', timestamp, data }), taken: data.count }
}

/** A message about nothing, to see whether it arrives. */
export function testMessage(now: number): string {
  const data: Message['data'] = { schema: MESSAGE_SCHEMA, count: 0, alerts: [], more: [] }
  return bodyOf({ type: 'webhook.test', timestamp: new Date(now).toISOString(), data })
}

const bodyOf = (message: Message) => printableJson(message)
/** With the comma behind it. */
const sizeOf = (value: unknown) => Buffer.byteLength(printableJson(value)) + 1

function briefAlert({ id, evidence }: BookedAlert): BriefAlert {
  return {
    id,
    kind: word(evidence.kind),
    agent: evidence.agent === '' ? null : word(evidence.agent),
    subject: word(evidence.subject),
    destination: word(evidence.destination),
    port: evidence.port,
    ip_proto: evidence.ipProto,
    score: evidence.score,
  }
}

function fullAlert(alert: BookedAlert): FullAlert {
  const { evidence } = alert
  return {
    ...briefAlert(alert),
    rule: word(evidence.rule),
    first: instant(alert.first),
    last: instant(alert.last),
    flows: alert.flows.size,
    grade: evidence.grade,
    sentence: cut(evidence.sentence, SENTENCE_BYTES),
    evidence: {
      flow_id: evidence.flowId,
      sensor: word(evidence.sensor),
      flow_start: instant(evidence.ts),
      peer: word(evidence.peer),
      peer_name: evidence.peerName === '' ? null : word(evidence.peerName),
      handshake: evidence.handshake,
      direction: word(evidence.direction),
      direction_sure: evidence.directionSure,
      method: word(evidence.method),
      chunk_id: evidence.chunkId,
      row: evidence.row,
      ruling: evidence.ruling,
    },
  }
}

const word = (given: string) => cut(given, WORD_BYTES)

/** Printable, and at most `max` bytes long in JSON; a cut is marked. */
function cut(given: string, max: number): string {
  // A character takes a byte at least, so what is behind so many cannot be in it.
  let safe = printable(given.slice(0, max))
  if (given.length <= max && bytesInJson(safe) <= max) return safe
  safe = safe.slice(0, max)
  while (bytesInJson(safe) > max - 3) safe = safe.slice(0, Math.floor(safe.length * 0.9))
  // Not in the middle of a pair of surrogates.
  return `${safe.replace(/[\ud800-\udbff]$/, '')}…`
}

const bytesInJson = (given: string) => Buffer.byteLength(JSON.stringify(given)) - 2

const LATEST = Date.UTC(9999, 11, 31)

/** Microseconds since 1970 as text, cut to milliseconds. Times of the data may be anything; dates end with 9999. */
function instant(micros: number): string {
  return new Date(Math.min(Math.max(Math.floor(micros / 1000), 0), LATEST)).toISOString()
}
