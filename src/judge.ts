// Judging one side of one flow: whose it is has been settled, now the scope is asked and the answer scored. What
// comes out holds for every flow that shows the same, so analyze.ts makes it once and writes it many times.

import type { AddressKind } from './detect/destination.ts'
import type { Reason } from './detect/reasons.ts'
import { score } from './detect/score.ts'
import { looksLikeAgent } from './detect/unregistered.ts'
import type { AttributionMethod, Grade, Handshake, Side, Verdict } from './flow.ts'
import { type Attribution, UNKNOWN } from './identity/attribution.ts'
import type { Endpoint } from './identity/endpoint-file.ts'
import { type Answer, ask, type Direction } from './scope/matcher.ts'
import { type NameEvidence, NO_NAME } from './scope/name-evidence.ts'
import type { Snapshot } from './snapshot.ts'

/** One end of a flow. */
export interface End {
  owner: Attribution
  /** From `peerClass`: all that scopes can tell of the address. */
  class: number
  kind: AddressKind
}

/** What a flow shows at its deciding moment, as far as judgement depends on it. */
export interface Sighting {
  /** Microseconds: the first packet. */
  ts: number
  protocol: number
  origPort: number
  respPort: number
  directionSure: boolean
  handshake: Handshake
  /** Of the responder, as the originator named it. */
  name: NameEvidence
  /** What the originator talks to, if that is on the list. */
  endpoint: Endpoint | undefined
  orig: End
  resp: End
}

export interface Judgement {
  readonly side: Side
  readonly verdict: Verdict
  /** Id, '' if no agent or more than one. */
  readonly agent: string
  /** Ids, if there is more than one. */
  readonly candidates: readonly string[]
  readonly method: AttributionMethod | ''
  readonly grade: Grade
  readonly evidence: readonly string[]
  /** Seen from the agent. */
  readonly direction: Direction
  /** True if the ends were taken the other way round, because that way it is allowed. */
  readonly turned: boolean
  readonly rule: string
  readonly scopeVersion: string
  /** The service's, which is the responder's. */
  readonly port: number
  readonly score: number
  readonly reasons: readonly Reason[]
  /** True if it is worth telling: out of scope, or unregistered. */
  readonly finding: boolean
}

/** The rule id of findings about hosts that no agent owns. */
export const UNREGISTERED_RULE = 'unregistered-agent'

/** Judges the side of an agent (or of several candidates). */
export function judgeSide(
  snapshot: Snapshot,
  sighting: Sighting,
  side: 'orig' | 'resp',
): Judgement {
  const { owner } = sighting[side]
  const peer = sighting[side === 'orig' ? 'resp' : 'orig']
  const opinions = owner.agents.map((agent) => opinionOf(snapshot, sighting, side, agent))
  const first = opinions[0]!
  // What several candidates would be told alike holds for whoever it was; beyond that nothing is known.
  const agreed =
    owner.more === 0 && opinions.every(({ answer }) => answer.verdict === first.answer.verdict)
  const ids = owner.agents.map((agent) => snapshot.agents[agent]!.id)
  const alone = ids.length === 1 && owner.more === 0
  const verdict: Verdict = agreed ? first.answer.verdict : 'unattributed'
  const sameVersion = opinions.every(({ version }) => version === first.version)
  const rule = agreed ? first.answer.rule : ''
  const scopeVersion = agreed && sameVersion ? first.version : ''
  // The name is the responder's: it says nothing of who connects to an agent.
  const named = first.direction === 'egress' && !first.turned
  const { score: points, reasons } = score({
    verdict,
    direction: first.direction,
    protocol: sighting.protocol,
    port: first.port,
    peerKind: peer.kind,
    peerKnown: peer.owner.agents.length > 0,
    handshake: sighting.handshake,
    name: named ? sighting.name : NO_NAME,
    endpoint: named ? sighting.endpoint : undefined,
    candidates: ids.length + owner.more,
    rule,
    scopeVersion,
    nearRule: agreed ? first.answer.nearRule : '',
    grade: owner.grade,
    state: alone ? snapshot.agents[owner.agents[0]!]!.state : 'active',
  })
  return {
    side,
    verdict,
    agent: alone ? ids[0]! : '',
    candidates: alone ? NONE : ids,
    method: owner.method,
    grade: owner.grade,
    evidence: sighting.directionSure
      ? owner.evidence
      : [...owner.evidence, 'direction not certain'],
    direction: first.direction,
    turned: first.turned,
    rule,
    scopeVersion,
    port: first.port,
    score: points,
    reasons,
    finding: verdict === 'out_of_scope',
  }
}

const NONE: readonly string[] = []

interface Opinion {
  answer: Answer
  direction: Direction
  port: number
  turned: boolean
  version: string
}

const FAVOUR = { in_scope: 2, unknown_name: 1, out_of_scope: 0 }

/** What the scope of one agent says. An unsure direction is asked both ways, and the milder answer holds. */
function opinionOf(
  snapshot: Snapshot,
  sighting: Sighting,
  side: 'orig' | 'resp',
  agent: number,
): Opinion {
  const scope = snapshot.scopes.scopes[agent]!
  const peer = sighting[side === 'orig' ? 'resp' : 'orig']
  const askAs = (turned: boolean): Opinion => {
    const direction = (side === 'orig') === turned ? 'ingress' : 'egress'
    // The service listens at the responder; turned round, that is the other end.
    const port = turned ? sighting.origPort : sighting.respPort
    const answer = ask(snapshot.scopes, scope, {
      direction,
      time: sighting.ts,
      protocol: sighting.protocol,
      port,
      peerClass: peer.class,
      peerAgents: peer.owner.agents,
      name: turned ? NO_NAME : sighting.name,
    })
    return { answer, direction, port, turned, version: scope.version }
  }
  const given = askAs(false)
  if (sighting.directionSure) return given
  const turned = askAs(true)
  return FAVOUR[turned.answer.verdict] > FAVOUR[given.answer.verdict] ? turned : given
}

/** Judges a flow that no registered agent has a side in: is its originator an agent that nobody registered? */
export function judgeUnowned(sighting: Sighting): Judgement {
  const unregistered = looksLikeAgent(sighting.endpoint)
  const verdict = unregistered ? 'unregistered' : 'unattributed'
  const rule = unregistered ? UNREGISTERED_RULE : ''
  const { score: points, reasons } = score({
    verdict,
    direction: 'egress',
    protocol: sighting.protocol,
    port: sighting.respPort,
    peerKind: sighting.resp.kind,
    peerKnown: false,
    handshake: sighting.handshake,
    name: sighting.name,
    endpoint: sighting.endpoint,
    candidates: 0,
    rule,
    scopeVersion: '',
    nearRule: '',
    grade: UNKNOWN.grade,
    state: 'active',
  })
  return {
    side: 'none',
    verdict,
    agent: '',
    candidates: NONE,
    method: '',
    grade: UNKNOWN.grade,
    evidence: NONE,
    direction: 'egress',
    turned: false,
    rule,
    scopeVersion: '',
    port: sighting.respPort,
    score: points,
    reasons,
    finding: unregistered,
  }
}
