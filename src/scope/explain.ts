// Why did a scope answer as it did, rule by rule, and which rule would mend it? For people: texts in, texts out.

import { formatNetwork, parseAddress, parseNetwork } from '../address.ts'
import type { NameProof, NameSource } from '../flow.ts'
import { hasPorts, serviceText, timeText } from '../identity/agent.ts'
import { declaredDomain } from '../identity/domain-name.ts'
import { printable } from '../wire-text.ts'
import {
  type Answer,
  ask,
  type Direction,
  type Fit,
  fitRule,
  isOpen,
  type Question,
} from './matcher.ts'
import { type NameEvidence, nameEvidence } from './name-evidence.ts'
import { type CompiledRule, peerClass, type ScopeBook } from './policy.ts'

/** A judged flow as its columns show it, seen from one agent. */
export interface Asked {
  /** Id of the agent. */
  agent: string
  direction: Direction
  /** Microseconds. */
  ts: number
  ipProto: number
  /** Of the service. */
  port: number
  /** Address of the other end. */
  peer: string
  /** Ids of the agents that the other end could be. */
  peerAgents?: readonly string[]
  serverName?: string
  nameSource?: NameSource | ''
  nameProof?: NameProof | ''
  dnsNames?: readonly string[]
}

/** `open`: the rule neither matches nor fails, because something is not known. */
export type Outcome = 'match' | 'open' | 'no'

export interface Explanation {
  answer: Answer
  scopeVersion: string
  /** One for each rule of the direction, in order. */
  rules: { id: string; outcome: Outcome; why: string }[]
  /** The smallest rule, as YAML, under which this flow would be in scope; '' if it is. */
  suggestion: string
}

/** Explains the answer of the agent's scope, or undefined if there is no such agent or the peer is no address. */
export function explain(book: ScopeBook, asked: Asked): Explanation | undefined {
  const place = book.places.get(asked.agent)
  const bytes = parseAddress(asked.peer)
  if (place === undefined || bytes === undefined) return undefined
  const scope = book.scopes[place]!
  const question: Question = {
    direction: asked.direction,
    time: asked.ts,
    protocol: asked.ipProto,
    port: asked.port,
    peerClass: peerClass(book, bytes, 0),
    peerAgents: (asked.peerAgents ?? []).flatMap((id) => book.places.get(id) ?? []),
    name: nameEvidence(
      asked.serverName ?? '',
      asked.nameSource ?? '',
      asked.nameProof ?? '',
      asked.dnsNames ?? [],
    ),
  }
  const answer = ask(book, scope, question)
  const rules = scope[asked.direction].map((rule, i) => {
    const fit = fitRule(book, scope, i, rule, question)
    return { id: rule.id, outcome: outcomeOf(fit), why: why(fit, rule, question, asked) }
  })
  if (answer.rule === 'scope-expired')
    return {
      answer,
      scopeVersion: scope.version,
      rules,
      suggestion: `# the scope expired at ${timeText(scope.expires)}: renew \`scope.expires\``,
    }
  const suggestion = answer.verdict === 'in_scope' ? '' : suggestRule(asked, question.name)
  return { answer, scopeVersion: scope.version, rules, suggestion }
}

function outcomeOf(fit: Fit): Outcome {
  return fit === 'match' ? 'match' : isOpen(fit) ? 'open' : 'no'
}

function why(fit: Fit, rule: CompiledRule, { name }: Question, asked: Asked): string {
  const { declared } = rule
  const domains = (declared.domains ?? []).map((domain) => domain || 'a domain that cannot match')
  switch (fit) {
    case 'match':
      return 'everything it asks for holds'
    case 'protocol':
      return `it is not for ${serviceText(asked.ipProto, asked.port)}`
    case 'network':
      return `${asked.peer} is not in ${few(declared.cidrs ?? [])}`
    case 'agent':
      return `${asked.peer} is not known to be ${few(declared.agents ?? [])}`
    case 'domain':
      return `${name.kind === 'dns' ? few(name.names) : printable(name.name)} is not ${few(domains)}`
    case 'port':
    case 'other_port': {
      const ranges = declared.ports.map(([first, last]) =>
        first === last ? String(first) : `${first}-${last}`,
      )
      return `port ${asked.port} is not ${few(ranges)}`
    }
    case 'no_name':
      return `no name was seen, so it is not known to be ${few(domains)}`
    case 'name_hidden':
      return `encrypted ClientHello hides the name behind ${printable(name.name)}`
    case 'name_unproven':
      return `the client was given other addresses for ${printable(name.name)} than ${asked.peer}`
    case 'name_ambiguous':
      return `the client knew ${asked.peer} by other names too: ${few(name.names)}`
    case 'tunnel_port':
      return `${printable(name.name)} is the far end of a tunnel through ${asked.peer}, whose port is not known`
    case 'peer_ambiguous':
      return `${asked.peer} may be another agent: ${few(asked.peerAgents ?? [])}`
  }
}

/** True if a rule may name it as it is: some seen names are no host names, and some would be read as addresses. */
function isDeclarable(name: string): boolean {
  const read = declaredDomain(name)
  return 'domain' in read && read.domain === name
}

/** A list in words, cut after three. */
function few(list: readonly string[]): string {
  if (list.length === 0) return 'anything'
  const head = list.slice(0, 3).map(printable).join(' or ')
  return list.length > 3 ? `${head} or ${list.length - 3} more` : head
}

/** Text as a YAML scalar; what is not plainly safe is quoted. */
function scalar(text: string): string {
  return /^[A-Za-z0-9_][A-Za-z0-9_./:-]*$/.test(text) && !/^[\d.:+-]+$/.test(text)
    ? text
    : JSON.stringify(text)
}

/**
 * The smallest rule that would let the flow be in scope, to be put under `scope.egress` or `scope.ingress`: by
 * domain if a name is proven, else by the peer's agent id if it is one agent, else by its address alone.
 */
export function suggestRule(asked: Asked, name: NameEvidence): string {
  const lines: string[] = []
  const network = parseNetwork(asked.peer)
  const cidr = network === undefined ? asked.peer : formatNetwork(network)
  const known = name.kind === 'named' || (name.kind === 'dns' && name.names.length === 1)
  const byName =
    asked.direction === 'egress' && hasPorts(asked.ipProto) && known && isDeclarable(name.name)
  if (byName) lines.push(`domain: ${scalar(name.name)}`)
  // Through a tunnel the rule speaks of the proxy's address and port, for this far end only.
  if (byName && name.tunnel) lines.push(`cidr: ${cidr}`)
  if (!byName) {
    const [peer, ...others] = asked.peerAgents ?? []
    if (peer !== undefined && others.length === 0) lines.push(`agent: ${scalar(peer)}`)
    else lines.push(`cidr: ${cidr}`)
  }
  if (hasPorts(asked.ipProto)) lines.push(`port: ${asked.port === 0 ? 'any' : asked.port}`)
  if (asked.ipProto === 17) lines.push('protocol: udp')
  else if (asked.ipProto === 1 || asked.ipProto === 58) lines.push('protocol: icmp')
  else if (asked.ipProto !== 6) {
    lines.push('protocol: any')
    if (!hasPorts(asked.ipProto)) lines.push('port: any')
  }
  return lines.map((line, i) => (i === 0 ? `- ${line}` : `  ${line}`)).join('\n')
}
