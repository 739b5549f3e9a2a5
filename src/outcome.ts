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
  /** Of the flow in this chunk; bytes as the judged side sent and was sent them, NaN if nobody knows. */
  records: number
  bytesOut: number
  bytesIn: number
}

/** A judgement with the dictionary codes of its columns in this block. */
export interface Interned {
  readonly judgement: Judgement
  readonly side: number
  readonly verdict: number
  readonly agent: number
  readonly candidates: number
  readonly method: number
  readonly grade: number
  readonly evidence: number
  readonly direction: number
  readonly rule: number
  readonly scopeVersion: number
  readonly reasonCodes: number
  readonly reasonWeights: number
  readonly reasonEvidence: number
  /** Codes in the block of findings, if it is one. */
  readonly finding: {
    readonly side: number
    readonly kind: number
    readonly rule: number
    readonly agent: number
    readonly grade: number
  } | null
}

const HOUR = 3_600_000_000
const DAY = 24 * HOUR

export class OutcomeWriter {
  readonly #judgements: Block<JudgementColumns>
  readonly #findings: Block<FindingColumns> = new Block(FINDING_COLUMNS, 64)
  readonly #agents: ReadonlyMap<string, Agent>
  readonly #ruling: number
  readonly #alertIds = new Map<string, Uint8Array>()
  readonly #evidence = new Map<readonly string[], number>()
  readonly #days = new Set<number>()
  #lastDay = Number.NaN
  readonly #counts = Object.fromEntries(VERDICTS.map((verdict) => [verdict, 0])) as Record<
    Verdict,
    number
  >

  constructor(agents: readonly Agent[], ruling: number, flows: number) {
    this.#agents = new Map(agents.map((agent) => [agent.id, agent]))
    this.#ruling = ruling
    this.#judgements = new Block(JUDGEMENT_COLUMNS, Math.max(16, flows + (flows >> 2)))
  }

  /** Makes a judgement ready to be written any number of times by this writer. */
  intern(judgement: Judgement): Interned {
    const c = this.#judgements.columns
    const { reasons } = judgement
    return {
      judgement,
      side: c.side.code(judgement.side),
      verdict: c.verdict.code(judgement.verdict),
      agent: c.agent.code(judgement.agent),
      candidates: c.candidates.code(judgement.candidates),
      method: c.method.code(judgement.method),
      grade: c.grade.code(judgement.grade),
      evidence: this.#evidenceCode(judgement.evidence),
      direction: c.direction.code(judgement.direction),
      rule: c.rule.code(judgement.rule),
      scopeVersion: c.scope_version.code(judgement.scopeVersion),
      reasonCodes: c.reason_codes.code(reasons.map(({ code }) => code)),
      reasonWeights: c.reason_weights.code(reasons.map(({ weight }) => weight)),
      reasonEvidence: c.reason_evidence.code(reasons.map(({ evidence }) => evidence)),
      finding: judgement.finding ? this.#internFinding(judgement) : null,
    }
  }

  #internFinding(judgement: Judgement): Interned['finding'] {
    const c = this.#findings.columns
    return {
      side: c.side.code(judgement.side),
      kind: c.kind.code(judgement.verdict),
      rule: c.rule.code(judgement.rule),
      agent: c.agent.code(judgement.agent),
      grade: c.grade.code(judgement.grade),
    }
  }

  /** Few attributions stand behind many judgements: their lists are looked up by identity first. */
  #evidenceCode(evidence: readonly string[]): number {
    let code = this.#evidence.get(evidence)
    if (code === undefined) {
      code = this.#judgements.columns.evidence.code(evidence)
      this.#evidence.set(evidence, code)
    }
    return code
  }

  /** Writes the judgement of one side of one flow, and the finding if it is one. */
  add(interned: Interned, facts: RowFacts): void {
    const { judgement } = interned
    const row = this.#judgements.add()
    const c = this.#judgements.columns
    for (let i = 0; i < 16; i++) {
      c.flow_id[row * 16 + i] = facts.flowIds[facts.row * 16 + i]!
      c.peer[row * 16 + i] = facts.peers[facts.row * 16 + i]!
    }
    c.ruling[row] = this.#ruling
    c.ts[row] = facts.ts
    c.destination.set(row, facts.destination)
    c.peer_name.set(row, facts.peerName)
    c.peer_port[row] = judgement.port
    c.ip_proto[row] = facts.protocol
    c.score[row] = judgement.score
    c.records[row] = facts.records
    c.bytes_out[row] = facts.bytesOut
    c.bytes_in[row] = facts.bytesIn
    c.side.codes[row] = interned.side
    c.verdict.codes[row] = interned.verdict
    c.agent.codes[row] = interned.agent
    c.candidates.codes[row] = interned.candidates
    c.method.codes[row] = interned.method
    c.grade.codes[row] = interned.grade
    c.evidence.codes[row] = interned.evidence
    c.direction.codes[row] = interned.direction
    c.rule.codes[row] = interned.rule
    c.scope_version.codes[row] = interned.scopeVersion
    c.reason_codes.codes[row] = interned.reasonCodes
    c.reason_weights.codes[row] = interned.reasonWeights
    c.reason_evidence.codes[row] = interned.reasonEvidence
    this.#counts[judgement.verdict]++
    const day = Math.floor(facts.ts / DAY)
    if (day !== this.#lastDay) this.#days.add((this.#lastDay = day))
    if (interned.finding === null) return
    const alertId = this.#alertId(judgement, facts)
    c.alert_id.set(alertId, row * 16)
    this.#addFinding(judgement, interned.finding, facts, alertId)
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

  #addFinding(
    judgement: Judgement,
    codes: NonNullable<Interned['finding']>,
    facts: RowFacts,
    alertId: Uint8Array,
  ): void {
    const row = this.#findings.add()
    const c = this.#findings.columns
    c.alert_id.set(alertId, row * 16)
    for (let i = 0; i < 16; i++) {
      c.flow_id[row * 16 + i] = facts.flowIds[facts.row * 16 + i]!
      c.peer[row * 16 + i] = facts.peers[facts.row * 16 + i]!
    }
    c.side.codes[row] = codes.side
    c.ruling[row] = this.#ruling
    c.ts[row] = facts.ts
    c.kind.codes[row] = codes.kind
    c.rule.codes[row] = codes.rule
    c.agent.codes[row] = codes.agent
    c.subject.set(row, facts.subject)
    c.destination.set(row, facts.destination)
    c.peer_port[row] = judgement.port
    c.ip_proto[row] = facts.protocol
    c.grade.codes[row] = codes.grade
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
