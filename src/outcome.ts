// What comes out of an analysis, written as rows. A judgement that holds for many flows is interned once a block;
// after that a row is a handful of integer stores.

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

/** Where one row's facts lie; the rest of the row is its judgement's. */
export interface RowFacts {
  flowIds: Uint8Array
  /** Of the flow's row. */
  row: number
  ts: number
  peers: Uint8Array
  protocol: number
  /** The other end in words: registrable name or address. */
  destination: string
  /** The other end's name as it was seen, '' if none; and its address. */
  peerName: string
  peerAddress: string
  /** The originator's address, for flows that belong to nobody. */
  subject: string
  handshake: Handshake
  endpoint: Endpoint | undefined
}

/** A judgement with the dictionary codes of its constant columns in this block. */
interface Interned {
  judgement: Judgement
  codes: readonly (readonly [column: ConstantColumn, code: number])[]
}

const CONSTANT_COLUMNS = [
  'side',
  'verdict',
  'agent',
  'candidates',
  'method',
  'grade',
  'evidence',
  'direction',
  'rule',
  'scope_version',
  'reason_codes',
  'reason_weights',
  'reason_evidence',
] as const
type ConstantColumn = (typeof CONSTANT_COLUMNS)[number]

const HOUR = 3_600_000_000
const DAY = 24 * HOUR

export class OutcomeWriter {
  readonly #judgements: Block<JudgementColumns>
  readonly #findings: Block<FindingColumns> = new Block(FINDING_COLUMNS, 64)
  readonly #agents: ReadonlyMap<string, Agent>
  readonly #ruling: number
  readonly #interned = new Map<Judgement, Interned>()
  readonly #alertIds = new Map<string, Uint8Array>()
  readonly #days = new Set<number>()
  readonly #counts = Object.fromEntries(VERDICTS.map((verdict) => [verdict, 0])) as Record<
    Verdict,
    number
  >

  constructor(agents: readonly Agent[], ruling: number, flows: number) {
    this.#agents = new Map(agents.map((agent) => [agent.id, agent]))
    this.#ruling = ruling
    this.#judgements = new Block(JUDGEMENT_COLUMNS, Math.max(16, flows + (flows >> 2)))
  }

  /** Writes the judgement of one side of one flow, and the finding if it is one. */
  add(judgement: Judgement, facts: RowFacts): void {
    const row = this.#judgements.add()
    const c = this.#judgements.columns
    for (let i = 0; i < 16; i++) {
      c.flow_id[row * 16 + i] = facts.flowIds[facts.row * 16 + i]!
      c.peer[row * 16 + i] = facts.peers[facts.row * 16 + i]!
    }
    c.ruling[row] = this.#ruling
    c.ts[row] = facts.ts
    c.destination.set(row, facts.destination)
    c.peer_port[row] = judgement.port
    c.ip_proto[row] = facts.protocol
    c.score[row] = judgement.score
    for (const [column, code] of this.#intern(judgement).codes) c[column].codes[row] = code
    this.#counts[judgement.verdict]++
    this.#days.add(Math.floor(facts.ts / DAY))
    if (!judgement.finding) return
    const alertId = this.#alertId(judgement, facts)
    c.alert_id.set(alertId, row * 16)
    this.#addFinding(judgement, facts, alertId)
  }

  /** Ends the writing. @param flows distinct flows that were judged */
  outcome(flows: number): Outcome {
    return {
      judgements: encodeBlock(this.#judgements),
      judgementRows: this.#judgements.rows,
      findings: encodeBlock(this.#findings),
      findingRows: this.#findings.rows,
      flows,
      counts: this.#counts,
      days: [...this.#days].sort((a, b) => a - b).map((day) => timeText(day * DAY).slice(0, 10)),
    }
  }

  #intern(judgement: Judgement): Interned {
    let interned = this.#interned.get(judgement)
    if (interned === undefined) {
      const c = this.#judgements.columns
      const { reasons } = judgement
      interned = {
        judgement,
        codes: [
          ['side', c.side.code(judgement.side)],
          ['verdict', c.verdict.code(judgement.verdict)],
          ['agent', c.agent.code(judgement.agent)],
          ['candidates', c.candidates.code(judgement.candidates)],
          ['method', c.method.code(judgement.method)],
          ['grade', c.grade.code(judgement.grade)],
          ['evidence', c.evidence.code(judgement.evidence)],
          ['direction', c.direction.code(judgement.direction)],
          ['rule', c.rule.code(judgement.rule)],
          ['scope_version', c.scope_version.code(judgement.scopeVersion)],
          ['reason_codes', c.reason_codes.code(reasons.map(({ code }) => code))],
          ['reason_weights', c.reason_weights.code(reasons.map(({ weight }) => weight))],
          ['reason_evidence', c.reason_evidence.code(reasons.map(({ evidence }) => evidence))],
        ],
      }
      this.#interned.set(judgement, interned)
    }
    return interned
  }

  /**
   * The alert that a finding belongs to: the hash of rule, agent, destination, service and UTC hour. Candidates
   * stand in for the agent, and the originator's address where there is not even a candidate.
   */
  #alertId(judgement: Judgement, { ts, protocol, destination, subject }: RowFacts): Uint8Array {
    const who = judgement.agent || judgement.candidates.join(' ')
    const hour = timeText(Math.floor(ts / HOUR) * HOUR)
    const parts = [
      judgement.rule,
      who,
      ...(who === '' ? [subject] : []),
      destination,
      serviceText(protocol, judgement.port),
      hour,
    ]
    const key = parts.join('\u001f')
    let id = this.#alertIds.get(key)
    if (id === undefined) {
      id = contentUuid(parts)
      this.#alertIds.set(key, id)
    }
    return id
  }

  #addFinding(judgement: Judgement, facts: RowFacts, alertId: Uint8Array): void {
    const row = this.#findings.add()
    const c = this.#findings.columns
    c.alert_id.set(alertId, row * 16)
    for (let i = 0; i < 16; i++) {
      c.flow_id[row * 16 + i] = facts.flowIds[facts.row * 16 + i]!
      c.peer[row * 16 + i] = facts.peers[facts.row * 16 + i]!
    }
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
