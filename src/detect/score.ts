// How bad is one judged flow? A pure function of what the flow itself shows: endpoints, name, scope, grade. What
// depends on history (volume, first contact, rhythm) is found over the stored past, not here.

import type { Grade, Handshake, Verdict } from '../flow.ts'
import { type AgentState, hasPorts, serviceText } from '../identity/agent.ts'
import type { Endpoint, EndpointRole } from '../identity/endpoint-file.ts'
import type { AddressKind } from './destination.ts'
import { REASONS, type Reason, type ReasonCode } from './reasons.ts'
import { plainTextService, sensitiveService } from './sensitive-ports.ts'

/** What is scored. */
export interface Scored {
  verdict: Verdict
  direction: 'egress' | 'ingress'
  /** IANA number, and the port of the service. */
  protocol: number
  port: number
  peerKind: AddressKind
  /** True if the peer is a registered agent. */
  peerKnown: boolean
  handshake: Handshake
  /** What the originator showed of the peer's name. */
  name: {
    kind: 'none' | 'named' | 'contradicted' | 'hidden' | 'literal' | 'dns'
    name: string
    /** True if it was read from a clear-text request. */
    clear: boolean
  }
  endpoint: Endpoint | undefined
  /** How many agents could own the side. */
  candidates: number
  /** Of the scope: `default-deny`, `scope-expired`, or the rule's id. */
  rule: string
  scopeVersion: string
  /** A rule that would match but for its port, '' if there is none. */
  nearRule: string
  grade: Grade
  state: AgentState
}

const ROLE_REASON: Record<EndpointRole, ReasonCode> = {
  api: 'llm_api',
  agent_tool: 'agent_tool',
  mcp: 'mcp_server',
  infra: 'agent_infrastructure',
  chat_ui: 'chat_ui',
}

/** The reasons in the order of the table, and their sum, at most 100. */
export function score(flow: Scored): { score: number; reasons: Reason[] } {
  const reasons: Reason[] = []
  const add = (code: ReasonCode, evidence: string): void => {
    reasons.push({ code, weight: REASONS[code], evidence })
  }
  addVerdict(flow, add)
  if (flow.verdict !== 'in_scope' && reasons.length > 0) {
    addPeer(flow, add)
    addName(flow, add)
    if (flow.endpoint !== undefined)
      add(ROLE_REASON[flow.endpoint.role], `${flow.endpoint.provider} ${flow.endpoint.match}`)
    if (flow.handshake === 'completed') add('established', 'the peer took part')
    if (flow.grade === 'certain') add('identity_certain', 'grade certain')
    if (flow.grade === 'probable') add('identity_probable', 'grade probable')
  }
  if (flow.state === 'suspended') add('agent_suspended', 'state suspended')
  if (flow.state === 'retired') add('agent_retired', 'state retired')
  const sum = reasons.reduce((total, { weight }) => total + weight, 0)
  return { score: Math.min(100, sum), reasons }
}

type Add = (code: ReasonCode, evidence: string) => void

function addVerdict(flow: Scored, add: Add): void {
  const version = flow.scopeVersion === '' ? 'scope' : `scope ${flow.scopeVersion}`
  if (flow.verdict === 'out_of_scope' && flow.rule === 'scope-expired')
    add('scope_expired', `${version} has expired`)
  else if (flow.verdict === 'out_of_scope')
    add('out_of_scope', `no ${flow.direction} rule of ${version} matches`)
  else if (flow.verdict === 'unknown_name')
    add('unknown_name', `rule ${flow.rule} of ${version} cannot be decided`)
  else if (flow.verdict === 'unattributed' && flow.candidates > 1)
    add('candidates_disagree', 'the scopes of the candidates disagree')
  else if (flow.verdict === 'unregistered') add('unregistered_agent', 'no registered owner')
}

function addPeer(flow: Scored, add: Add): void {
  const external = flow.peerKind === 'public' && !flow.peerKnown
  if (external) add('external_peer', 'public address')
  if (flow.peerKind === 'metadata') add('metadata_service', 'cloud metadata address')
  const sensitive = hasPorts(flow.protocol) ? sensitiveService(flow.port) : ''
  if (sensitive !== '' && flow.verdict !== 'unknown_name')
    add('sensitive_port', `${serviceText(flow.protocol, flow.port)} ${sensitive}`)
  if (flow.nearRule !== '') add('other_port', `rule ${flow.nearRule} allows another port`)
  if (external && flow.direction === 'egress') {
    const plain = flow.name.clear ? 'http' : flow.protocol === 6 ? plainTextService(flow.port) : ''
    if (plain !== '') add('plain_text', `${serviceText(flow.protocol, flow.port)} ${plain}`)
  }
}

function addName(flow: Scored, add: Add): void {
  if (flow.direction !== 'egress') return
  if (
    flow.name.kind === 'none' &&
    flow.peerKind === 'public' &&
    !flow.peerKnown &&
    hasPorts(flow.protocol)
  )
    add('no_name', 'no name was asked for')
  if (flow.name.kind === 'literal') add('address_literal', flow.name.name)
  if (flow.name.kind === 'contradicted') add('name_unproven', flow.name.name)
  if (flow.name.kind === 'hidden') add('name_hidden', flow.name.name)
}
