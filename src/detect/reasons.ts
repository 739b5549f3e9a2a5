// The reasons of a score: one stable code each, its weight, and when it counts. Codes and weights are part of
// what users rely on (rules in dashboards, tickets): a code is never given another meaning.
//
// A score is the sum of the weights of what speaks for concern, at most 100. Nothing is subtracted: that an
// attempt was refused, or that it is not certain whose flow it is, shows in `established` and `identity_*`
// being absent. So a list of reasons adds up before the reader's eyes.

export const REASONS = {
  /** No rule of the scope matches. */
  out_of_scope: 35,
  /** The flow started after the scope's expiry. */
  scope_expired: 30,
  /** A domain rule may or may not match: the name is not known. */
  unknown_name: 15,
  /** Several agents could own the side, and their scopes disagree. */
  candidates_disagree: 15,
  /** No registered agent owns the originator, and it talks to an agent's endpoint. */
  unregistered_agent: 40,

  /** The other end is a public address that no registered agent owns. */
  external_peer: 15,
  /** The address that hands out cloud credentials. */
  metadata_service: 30,
  /** The port of a database or of an administration service (src/detect/sensitive-ports.ts). */
  sensitive_port: 20,
  /** The name or network is declared, this port is not. */
  other_port: 10,
  /** An external peer was addressed without any name. */
  no_name: 5,
  /** The payload names an address where a host name belongs. */
  address_literal: 10,
  /** The client was given other addresses for the name it shows. */
  name_unproven: 15,
  /** Encrypted ClientHello hides the name. */
  name_hidden: 10,
  /** An external peer over a protocol without encryption. */
  plain_text: 5,

  /** The endpoint's role in data/agent-endpoints.yaml. */
  llm_api: 20,
  agent_tool: 15,
  mcp_server: 15,
  agent_infrastructure: 10,
  chat_ui: 5,

  /** The attempt succeeded. */
  established: 15,
  identity_certain: 10,
  identity_probable: 5,
  /** Traffic of an agent that should be silent. */
  agent_suspended: 25,
  agent_retired: 40,
} as const

export type ReasonCode = keyof typeof REASONS

export interface Reason {
  code: ReasonCode
  /** 0 to 100. */
  weight: number
  evidence: string
}
