// What is declared of an agent: who it is, by what it is recognised, and what its task lets it reach. Plain
// data: it is read from YAML (agent-files.ts), travels to the worker threads as JSON, and is never changed.

export const AGENT_STATES = ['active', 'suspended', 'retired'] as const
export type AgentState = (typeof AGENT_STATES)[number]

/** An address or network that the agent says is its own, for a time. Times in microseconds since 1970 UTC. */
export interface AddressClaim {
  /** `10.20.0.11/32`, bits below the mask cleared. */
  network: string
  /** True: others may be behind it too, and say so. */
  shared: boolean
  /** First moment, or null for ever before. */
  from: number | null
  /** First moment that is no longer covered, or null for ever after. */
  to: number | null
}

/** Inclusive. */
export type PortRange = readonly [first: number, last: number]

/** One line of a scope. A condition that is null was not asked; all that were asked must hold. */
export interface Rule {
  id: string
  /** A-labels in lower case, `*.` in front for one or more labels. '' stands for a domain that can never match. */
  domains: readonly string[] | null
  cidrs: readonly string[] | null
  /** Ids of agents, one of which the peer must be. */
  agents: readonly string[] | null
  /** Of the service, which is the responder's. Asked only of protocols that have ports. */
  ports: readonly PortRange[]
  /** IANA numbers; null means any. */
  protocols: readonly number[] | null
  why: string
}

export interface Scope {
  /** Declared, or the first 12 hex digits of the hash of the rules. */
  version: string
  /** Microseconds; a flow that starts at or after it has nothing in scope. */
  expires: number | null
  egress: readonly Rule[]
  ingress: readonly Rule[]
}

export interface Agent {
  /** A SPIFFE ID or another absolute URI. */
  id: string
  owner: string
  purpose: string
  environment: string
  state: AgentState
  addresses: readonly AddressClaim[]
  /** Cloud network interface ids. */
  interfaces: readonly string[]
  /** User names at a forward proxy. */
  proxyUsers: readonly string[]
  scope: Scope
}

/** The short name that a person would say: the last part of the id. */
export function agentName(id: string): string {
  return /[^/:]+$/.exec(id)?.[0] ?? id
}

/** 1 for the protocols that have ports: TCP, UDP, DCCP, SCTP, UDP-Lite. */
const PORTED = new Uint8Array(256)
for (const protocol of [6, 17, 33, 132, 136]) PORTED[protocol] = 1

/** @param protocol IANA number */
export function hasPorts(protocol: number): boolean {
  return PORTED[protocol] === 1
}

const PROTOCOL_NAMES = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'icmp6'],
  [132, 'sctp'],
])

/** `tcp/443`, `icmp`, `ip-protocol-47`: a service in words. */
export function serviceText(protocol: number, port: number): string {
  const name = PROTOCOL_NAMES.get(protocol) ?? `ip-protocol-${protocol}`
  return hasPorts(protocol) ? `${name}/${port}` : name
}

/** A time in microseconds as ISO text in UTC, without needless zeros. */
export function timeText(micros: number): string {
  if (!Number.isFinite(micros) || Math.abs(micros) > 8.64e18) return 'an impossible time'
  return new Date(micros / 1000).toISOString().replace('.000Z', 'Z')
}
