// Findings as they travel to whoever acts on them: read from the block that judging a chunk gave, and written as
// messages of the stream of alerts. The same chunk gives the same findings, so one that comes twice can be told.

import { z } from 'zod'
import { formatAddress } from '../address.ts'
import type { Block } from '../block.ts'
import { BusError } from '../bus/bus.ts'
import type { ChunkHeader } from '../chunk-header.ts'
import {
  FINDING_COLUMNS,
  type FindingColumns,
  GRADES,
  type Grade,
  HANDSHAKES,
  type Handshake,
  SIDES,
  type Side,
} from '../flow.ts'
import { formatUuid } from '../hash.ts'
import { decodeBlock } from '../native-read.ts'

/** A judged flow worth telling, with the evidence that an action needs. Text is escaped for output. */
export interface FindingEvent {
  /** Where it stands: the chunk (UUID), and the row in the findings of it under this ruling. */
  chunkId: string
  row: number
  ruling: number
  /** UUID of rule, agent, destination, service and hour: findings with one id are one alert. */
  alertId: string
  flowId: string
  side: Side
  /** First packet of the flow, and its deciding moment: microseconds since 1970. */
  ts: number
  decidedAt: number
  /** out_of_scope, unregistered, or a detector's name. */
  kind: string
  rule: string
  /** '' if it is no agent's, or could be that of several; then `subject` is the address. */
  agent: string
  subject: string
  /** The other end: registrable name, else address; its name in full ('' if none was seen); its address. */
  destination: string
  peerName: string
  peer: string
  port: number
  /** IANA protocol number. */
  ipProto: number
  grade: Grade
  /** ATTRIBUTION_METHODS, '' if unattributed. */
  method: string
  handshake: Handshake
  /** egress or ingress, seen from the agent. */
  direction: string
  directionSure: boolean
  score: number
  /** For people. */
  sentence: string
  sensor: string
}

/**
 * The findings of one chunk.
 * @param findings Native block of FINDING_COLUMNS, as `analyze` returns it
 * @throws BlockError if it is none
 */
export function findingEvents(header: ChunkHeader, findings: Uint8Array): FindingEvent[] {
  return [...findingRuns(header, findings)].flat()
}

/** As `findingEvents`, at most FINDINGS_MAX at a time: whoever has other things to do does them in between. */
export function* findingRuns(
  header: ChunkHeader,
  findings: Uint8Array,
): Generator<FindingEvent[], void, void> {
  const block = decodeBlock(findings, FINDING_COLUMNS)
  for (let from = 0; from < block.rows; from += FINDINGS_MAX) {
    const length = Math.min(FINDINGS_MAX, block.rows - from)
    yield Array.from({ length }, (_, i) => findingOf(header, block.columns, from + i))
  }
}

function findingOf(
  header: ChunkHeader,
  c: Block<FindingColumns>['columns'],
  row: number,
): FindingEvent {
  return {
    chunkId: header.id,
    row,
    ruling: c.ruling[row]!,
    alertId: formatUuid(c.alert_id, row * 16),
    flowId: formatUuid(c.flow_id, row * 16),
    side: c.side.get(row) as Side,
    ts: c.ts[row]!,
    decidedAt: c.decided_at[row]!,
    kind: c.kind.get(row),
    rule: c.rule.get(row),
    agent: c.agent.get(row),
    subject: c.subject.get(row),
    destination: c.destination.get(row),
    peerName: c.peer_name.get(row),
    peer: formatAddress(c.peer, row * 16),
    port: c.peer_port[row]!,
    ipProto: c.ip_proto[row]!,
    grade: c.grade.get(row) as Grade,
    method: c.method.get(row),
    handshake: c.handshake.get(row) as Handshake,
    direction: c.direction.get(row),
    directionSure: c.direction_sure[row] === 1,
    score: c.score[row]!,
    sentence: c.sentence.get(row),
    sensor: header.sensor,
  }
}

/** Findings of one message, at most: with the longest texts they are 3 MB before compression. */
export const FINDINGS_MAX = 256

/** Longest texts: of an agent id or a name, and of a sentence that holds some of them, escaped. */
const WORD_MAX = 2048
const SENTENCE_MAX = 8192
/** Largest whole number of microseconds that is exact, either way. */
const MICROS_MAX = Number.MAX_SAFE_INTEGER

const word = z.string().max(WORD_MAX)
const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
const micros = z.int().min(-MICROS_MAX).max(MICROS_MAX)
const whole = (max: number) => z.int().min(0).max(max)

// Fields that a later version adds are passed over.
const message = z.object({
  v: z.literal(1),
  findings: z
    .array(
      z.object({
        chunkId: uuid,
        row: whole(0xffff_ffff),
        ruling: whole(0xffff),
        alertId: uuid,
        flowId: uuid,
        side: z.enum(SIDES),
        ts: micros,
        decidedAt: micros,
        kind: word,
        rule: word,
        agent: word,
        subject: word,
        destination: word,
        peerName: word,
        peer: word,
        port: whole(0xffff),
        ipProto: whole(0xff),
        grade: z.enum(GRADES),
        method: word,
        handshake: z.enum(HANDSHAKES),
        direction: word,
        directionSure: z.boolean(),
        score: whole(100),
        sentence: z.string().max(SENTENCE_MAX),
        sensor: word,
      } satisfies Record<keyof FindingEvent, z.ZodType>),
    )
    .max(FINDINGS_MAX),
})

/** A message of the stream of alerts that cannot be read. */
export class FindingMessageError extends Error {
  override readonly name = 'FindingMessageError'
}

/**
 * A message of the stream of alerts.
 * @param events at most FINDINGS_MAX
 * @throws BusError `too_large`
 */
export function encodeFindings(events: readonly FindingEvent[]): Uint8Array<ArrayBuffer> {
  if (events.length > FINDINGS_MAX)
    throw new BusError('too_large', `${events.length} findings, more than ${FINDINGS_MAX}`)
  return Uint8Array.from(Buffer.from(JSON.stringify({ v: 1, findings: events })))
}

/** @throws FindingMessageError if the bytes are no such message */
export function decodeFindings(bytes: Uint8Array): FindingEvent[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new FindingMessageError('a message of findings is no JSON')
  }
  const checked = message.safeParse(parsed)
  if (checked.success) return checked.data.findings
  const [issue] = checked.error.issues
  const where = issue?.path.join('.') ?? ''
  throw new FindingMessageError(`a message of findings: ${where}: ${issue?.message ?? 'not one'}`)
}
