// What comes out of an analysis, written as rows. Of its judgement a row holds the number alone until the end; then the
// judgement's columns are filled one by one.

import { Block } from './block.ts'
import {
  FINDING_COLUMNS,
  type FindingColumns,
  type Handshake,
  JUDGEMENT_COLUMNS,
  type JudgementColumns,
  VERDICTS,
  type Verdict,
} from './flow.ts'
import { contentUuid } from './hash.ts'
import { type Agent, agentName, serviceText, timeText } from './identity/agent.ts'
import type { Endpoint } from './identity/endpoint-file.ts'
import type { Judgement } from './judge.ts'
import type { JudgementWords } from './judgement-words.ts'
import { encodeBlock } from './native.ts'

/** What `analyze` returns. The arrays own their memory and may be transferred. */
export interface Outcome {
  /** Native block of JUDGEMENT_COLUMNS; a block without rows if nothing was judged. */
  judgements: Uint8Array<ArrayBuffer>
  judgementRows: number
  /** Native block of FINDING_COLUMNS. */
  findings: Uint8Array<ArrayBuffer>
  findingRows: number
  /** Distinct flows that were judged. */
  flows: number
  /** Judgements by verdict. */
  counts: Record<Verdict, number>
  /** UTC days of the judgements, ascending, as YYYY-MM-DD. */
  days: string[]
}

/** Where one row's facts lie; the rest of the row is its judgement's. One object may be filled again and again. */
export interface RowFacts {
  /** Ids and addresses as words, four of each. */
  flowIds: Int32Array
  /** Of the flow's row. */
  row: number
  ts: number
  peers: Int32Array
  protocol: number
  /** The other end in words, registrable name or address: its number among the writer's destinations. */
  destinationNumber: number
  /** Of a finding: the same in words. */
  destination: string
  /** The other end's name as it was seen, '' if none. */
  peerName: string
  /** Of a finding: the other end's address, and the judged end's, the originator's for flows that belong to nobody. */
  peerAddress: string
  subject: string
  handshake: Handshake
  directionSure: boolean
  /** The deciding moment, microseconds. */
  decidedAt: number
  endpoint: Endpoint | undefined
  /** Of the flow in this chunk; bytes as the judged side sent and was sent them, NaN if nobody knows. */
  records: number
  bytesOut: number
  bytesIn: number
}

/** To be filled for each row. */
export function noFacts(flowIds: Int32Array, peers: Int32Array): RowFacts {
  return {
    flowIds,
    row: 0,
    ts: 0,
    peers,
    protocol: 0,
    destinationNumber: 0,
    destination: '',
    peerName: '',
    peerAddress: '',
    subject: '',
    handshake: 'unseen',
    directionSure: false,
    decidedAt: 0,
    endpoint: undefined,
    records: 0,
    bytesOut: Number.NaN,
    bytesIn: Number.NaN,
  }
}

const HOUR = 3_600_000_000
const DAY = 24 * HOUR

/** What an outcome is written into. */
export interface OutcomeBlocks {
  judgements: Block<JudgementColumns>
  findings: Block<FindingColumns>
}

/** Room for the judgements of so many flows, some of which have two sides; it grows. */
export function newBlocks(flows: number): OutcomeBlocks {
  return {
    judgements: new Block(JUDGEMENT_COLUMNS, Math.max(16, flows + (flows >> 2))),
    findings: new Block(FINDING_COLUMNS, 64),
  }
}

/** Writes the outcome of one chunk. */
export class OutcomeWriter {
  readonly #judgements: Block<JudgementColumns>
  readonly #findings: Block<FindingColumns>
  readonly #agents: ReadonlyMap<string, Agent>
  readonly #words: JudgementWords
  readonly #ruling: number
  /** The number of each row's judgement. */
  #numbers: Uint32Array<ArrayBuffer>
  /** Two columns as words. */
  #flowIds: Int32Array
  #peers: Int32Array
  readonly #alertIds = new Map<string, Uint8Array>()
  readonly #days = new Set<number>()
  #lastDay = Number.NaN

  /**
   * @param agents by id
   * @param words begun for this writer
   * @param flows that are to be judged, about
   * @param blocks of a writer that has ended, to be used again
   */
  constructor(
    agents: ReadonlyMap<string, Agent>,
    words: JudgementWords,
    ruling: number,
    flows: number,
    blocks: OutcomeBlocks = newBlocks(flows),
  ) {
    this.#agents = agents
    this.#words = words
    this.#ruling = ruling
    this.#judgements = blocks.judgements
    this.#findings = blocks.findings
    this.#judgements.clear()
    this.#findings.clear()
    const { capacity, columns } = this.#judgements
    this.#numbers = new Uint32Array(capacity)
    this.#flowIds = wordsOf(columns.flow_id)
    this.#peers = wordsOf(columns.peer)
  }

  /**
   * Writes the judgement of one side of one flow, and the finding if it is one.
   * @param number by which `words` knows the judgement
   * @param finding the judgement, if it is one
   */
  add(number: number, facts: RowFacts, finding: Judgement | undefined): void {
    const block = this.#judgements
    const row = block.add()
    if (row === this.#numbers.length) this.#grow()
    this.#numbers[row] = number
    copyFour(facts.flowIds, facts.row, this.#flowIds, row)
    copyFour(facts.peers, facts.row, this.#peers, row)
    const c = block.columns
    const { ts } = facts
    c.ts[row] = ts
    c.destination.codes[row] = this.#words.destination(facts.destinationNumber, c.destination)
    c.peer_name.set(row, facts.peerName)
    c.ip_proto[row] = facts.protocol
    c.records[row] = facts.records
    c.bytes_out[row] = facts.bytesOut
    c.bytes_in[row] = facts.bytesIn
    const day = Math.floor(ts / DAY)
    if (day !== this.#lastDay) this.#days.add((this.#lastDay = day))
    if (finding === undefined) return
    const alertId = this.#alertId(finding, facts)
    c.alert_id.set(alertId, row * 16)
    this.#addFinding(finding, facts, alertId)
  }

  /** The block has more room now. */
  #grow(): void {
    const { capacity, columns } = this.#judgements
    const larger = new Uint32Array(capacity)
    larger.set(this.#numbers)
    this.#numbers = larger
    this.#flowIds = wordsOf(columns.flow_id)
    this.#peers = wordsOf(columns.peer)
  }

  /** Ends the writing. @param flows distinct flows that were judged */
  outcome(flows: number): Outcome {
    const judgements = this.#judgements
    judgements.columns.ruling.fill(this.#ruling, 0, judgements.rows)
    const counts = this.#words.fill(this.#numbers, judgements)
    return {
      judgements: encodeBlock(judgements),
      judgementRows: judgements.rows,
      findings: encodeBlock(this.#findings),
      findingRows: this.#findings.rows,
      flows,
      counts: Object.fromEntries(
        VERDICTS.map((verdict) => [verdict, counts.get(verdict) ?? 0]),
      ) as Record<Verdict, number>,
      days: [...this.#days].sort((a, b) => a - b).map((day) => timeText(day * DAY).slice(0, 10)),
    }
  }

  /**
   * The alert that a finding belongs to: the hash of rule, agent, destination, service and UTC hour. Candidates
   * stand in for the agent, and the originator's address where there is not even a candidate.
   */
  #alertId(judgement: Judgement, { ts, protocol, destination, subject }: RowFacts): Uint8Array {
    const who = judgement.agent || judgement.candidates.join(' ') || subject
    const service = serviceText(protocol, judgement.port)
    // Text from outside is escaped before it comes here, so it cannot hold the separator.
    const key = [judgement.rule, who, destination, service, Math.floor(ts / HOUR)].join('\u001f')
    let id = this.#alertIds.get(key)
    if (id === undefined) {
      id = contentUuid([key])
      this.#alertIds.set(key, id)
    }
    return id
  }

  #addFinding(judgement: Judgement, facts: RowFacts, alertId: Uint8Array): void {
    const row = this.#findings.add()
    const c = this.#findings.columns
    c.alert_id.set(alertId, row * 16)
    copyFour(facts.flowIds, facts.row, wordsOf(c.flow_id), row)
    copyFour(facts.peers, facts.row, wordsOf(c.peer), row)
    c.side.set(row, judgement.side)
    c.ruling[row] = this.#ruling
    c.ts[row] = facts.ts
    c.kind.set(row, judgement.verdict)
    c.rule.set(row, judgement.rule)
    c.agent.set(row, judgement.agent)
    c.subject.set(row, facts.subject)
    c.destination.set(row, facts.destination)
    c.peer_port[row] = judgement.port
    c.ip_proto[row] = facts.protocol
    c.grade.set(row, judgement.grade)
    c.score[row] = judgement.score
    c.sentence.set(row, this.#sentence(judgement, facts))
    c.method.set(row, judgement.method)
    c.handshake.set(row, facts.handshake)
    c.direction.set(row, judgement.direction)
    c.direction_sure[row] = facts.directionSure ? 1 : 0
    c.decided_at[row] = facts.decidedAt
    c.peer_name.set(row, facts.peerName)
  }

  /** What happened, in one sentence. */
  #sentence(judgement: Judgement, facts: RowFacts): string {
    const service = serviceText(facts.protocol, judgement.port)
    const { peerName, peerAddress } = facts
    const where = peerName === '' ? peerAddress : `${peerName} (${peerAddress})`
    const what =
      judgement.direction === 'egress'
        ? `opened ${service} to ${where}`
        : `was reached on ${service} by ${where}`
    const attempt = ATTEMPT[facts.handshake] ?? ''
    if (judgement.side === 'none') {
      const { endpoint } = facts
      const known =
        endpoint === undefined ? '' : `, ${ENDPOINT_WORDS[endpoint.role]} of ${endpoint.provider}`
      return `${facts.subject}, which no registered agent owns, ${what}${known}${attempt}.`
    }
    const { expires } = this.#agents.get(judgement.agent)?.scope ?? { expires: null }
    const version = judgement.scopeVersion === '' ? '' : ` ${judgement.scopeVersion}`
    const why =
      judgement.rule !== 'scope-expired'
        ? `which no rule of ${judgement.agent === '' ? 'their scopes' : 'its scope'}${version} allows`
        : expires === null
          ? 'after the scope had expired'
          : `after its scope${version} had expired (${timeText(expires)})`
    return `${this.#who(judgement, facts)} ${what}, ${why}${attempt}.`
  }

  #who({ agent, candidates, grade }: Judgement, { subject }: RowFacts): string {
    if (agent !== '') {
      const owner = this.#agents.get(agent)?.owner ?? ''
      return `${agentName(agent)} (${owner})`
    }
    const names = candidates.slice(0, 3).map(agentName)
    if (candidates.length > 3) names.push(`${candidates.length - 3} more`)
    return `One of ${names.join(', ')} (${grade} address ${subject})`
  }
}

/** Ids or addresses of a column as words. */
function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
}

/** An id or address, which takes four words, from one row to another. */
function copyFour(from: Int32Array, fromRow: number, to: Int32Array, toRow: number): void {
  for (let i = 0; i < 4; i++) to[toRow * 4 + i] = from[fromRow * 4 + i]!
}

const ATTEMPT: Partial<Record<Handshake, string>> = {
  refused: '; the attempt was refused',
  unanswered: '; nothing answered',
}

const ENDPOINT_WORDS = {
  api: 'an API',
  agent_tool: 'an agent tool',
  chat_ui: 'a chat page',
  infra: 'agent infrastructure',
  mcp: 'a tool server',
} as const
