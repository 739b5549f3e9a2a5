// May this agent do this? One question against the rules of one scope.
//
// The first rule that matches wholly decides: in scope. If none does, the first one that could match if more were
// known decides: unknown_name. If there is none either: out of scope, `default-deny`. So unknown is never folded
// into yes or no.

import { hasPorts } from '../identity/agent.ts'
import type { NameEvidence } from './name-evidence.ts'
import { type CompiledRule, type CompiledScope, domainHits, type ScopeBook } from './policy.ts'

export type Direction = 'egress' | 'ingress'

/** What is asked of a scope. */
export interface Question {
  direction: Direction
  /** Microseconds: the flow's first packet. */
  time: number
  /** IANA number. */
  protocol: number
  /** Of the service: the responder's. */
  port: number
  /** From `peerClass`: the narrowest network of any rule that holds the peer, or -1. */
  peerClass: number
  /** Who the peer could be, as places in the registry; empty if it is nobody known. */
  peerAgents: readonly number[]
  name: NameEvidence
}

/**
 * How a rule fits a question. `match`; what was asked and failed (`protocol` `network` `agent` `domain` `port`, and
 * `other_port` where all else matches); or what would have to be known to say: `no_name`, `name_hidden` (encrypted ClientHello), `name_unproven`
 * (contradicted by the client's own DNS), `name_ambiguous` (the address has other names too), `tunnel_port` (the
 * name is the far end of a proxy's tunnel, its port unknown), `peer_ambiguous` (the peer may be another agent).
 */
export type Fit =
  | 'match'
  | 'protocol'
  | 'network'
  | 'agent'
  | 'domain'
  | 'port'
  | 'other_port'
  | 'no_name'
  | 'name_hidden'
  | 'name_unproven'
  | 'name_ambiguous'
  | 'tunnel_port'
  | 'peer_ambiguous'

export interface Answer {
  readonly verdict: 'in_scope' | 'unknown_name' | 'out_of_scope'
  /** The rule that decided, `default-deny` or `scope-expired`. */
  readonly rule: string
  /** What is not known, if the verdict is unknown_name. */
  readonly unknown: Fit | ''
  /** Out of scope: the first rule that would match but for its port, or ''. */
  readonly nearRule: string
}

const DENIED: Answer = { verdict: 'out_of_scope', rule: 'default-deny', unknown: '', nearRule: '' }
const EXPIRED: Answer = {
  verdict: 'out_of_scope',
  rule: 'scope-expired',
  unknown: '',
  nearRule: '',
}

/** Judges the question by the scope. */
export function ask(book: ScopeBook, scope: CompiledScope, question: Question): Answer {
  if (question.time >= scope.expires) return EXPIRED
  let unknown: CompiledRule | undefined
  let unknownFit: Fit = 'match'
  let near = ''
  const rules = scope[question.direction]
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i]!
    const fit = fitRule(book, scope, i, rule, question)
    if (fit === 'match') return { verdict: 'in_scope', rule: rule.id, unknown: '', nearRule: '' }
    if (fit === 'other_port') near ||= rule.id
    else if (unknown === undefined && isOpen(fit)) {
      unknown = rule
      unknownFit = fit
    }
  }
  if (unknown !== undefined)
    return { verdict: 'unknown_name', rule: unknown.id, unknown: unknownFit, nearRule: '' }
  return near === '' ? DENIED : { ...DENIED, nearRule: near }
}

/** True if the rule neither matches nor fails. */
export function isOpen(fit: Fit): boolean {
  switch (fit) {
    case 'no_name':
    case 'name_hidden':
    case 'name_unproven':
    case 'name_ambiguous':
    case 'tunnel_port':
    case 'peer_ambiguous':
      return true
    default:
      return false
  }
}

/** How the rule at place `i` of its direction fits. The port is told last. */
export function fitRule(
  book: ScopeBook,
  scope: CompiledScope,
  i: number,
  rule: CompiledRule,
  question: Question,
): Fit {
  if (rule.protocols[question.protocol] !== 1) return 'protocol'
  if (rule.prefixes !== null && !inNetworks(book, rule.prefixes, question.peerClass))
    return 'network'
  let open: Fit = 'match'
  if (rule.agents !== null) {
    const allowed = rule.agents
    const some = question.peerAgents.some((agent) => allowed.includes(agent))
    if (!some) return 'agent'
    if (!question.peerAgents.every((agent) => allowed.includes(agent))) open = 'peer_ambiguous'
  }
  const portFits = !hasPorts(question.protocol) || inPorts(rule, question.port)
  if (rule.domains) {
    const fit = fitName(scope, i, question.name)
    if (fit === 'domain') return 'domain'
    // The tunnel's own port is not known, so a rule for the far end's port stays open.
    if (fit === 'match' && question.name.tunnel && !portFits) return 'tunnel_port'
    if (fit !== 'match') open = fit
  }
  if (!portFits) return open === 'match' ? 'other_port' : 'port'
  return open
}

/**
 * False if no rule of this direction can match on this port, whoever the peer is: then no answer depends on which of
 * such ports it is, and without a name the answer is out of scope.
 */
export function portCounts(
  scope: CompiledScope,
  direction: Direction,
  protocol: number,
  port: number,
): boolean {
  const anyPort = !hasPorts(protocol)
  return scope[direction].some(
    (rule) => rule.protocols[protocol] === 1 && (anyPort || inPorts(rule, port)),
  )
}

function inNetworks(book: ScopeBook, wanted: ReadonlySet<number>, narrowest: number): boolean {
  for (let prefix = narrowest; prefix >= 0; prefix = book.networks.parents[prefix]!)
    if (wanted.has(prefix)) return true
  return false
}

function inPorts(rule: CompiledRule, port: number): boolean {
  if (port < rule.lowest || port > rule.highest) return false
  const { ports } = rule
  for (let i = 0; i < ports.length; i += 2)
    if (port >= ports[i]! && port <= ports[i + 1]!) return true
  return false
}

function fitName(scope: CompiledScope, i: number, name: NameEvidence): Fit {
  switch (name.kind) {
    case 'none':
      return 'no_name'
    case 'hidden':
      return 'name_hidden'
    case 'literal':
      return 'domain'
    case 'named':
      return domainHits(scope, name.name)[i] === 1 ? 'match' : 'domain'
    case 'contradicted':
      return domainHits(scope, name.name)[i] === 1 ? 'name_unproven' : 'domain'
    case 'dns': {
      let matching = 0
      for (const one of name.names) matching += domainHits(scope, one)[i]!
      if (matching === 0) return 'domain'
      return matching === name.names.length ? 'match' : 'name_ambiguous'
    }
  }
}
