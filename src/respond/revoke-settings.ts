// What an operator says about revocation, as a strict zod schema: who may be asked to take access away, how, and within
// which limits. Every limit is a finite whole number with bounds: one that is none must not switch a guard off.

import { z } from 'zod'

export const REVOCATION_MODES = ['observe', 'approve', 'auto'] as const
export type RevocationMode = (typeof REVOCATION_MODES)[number]

export const REVOCATION_ENDPOINTS_MAX = 32
const PATTERNS_MAX = 1000
/** Deepest nesting of a body. */
const BODY_DEPTH_MAX = 8
/** Longest body as it is written down, in JSON. */
const BODY_LENGTH_MAX = 16_384

const whole = (min: number, max: number) => {
  const error = `a whole number from ${min} to ${max}`
  return z.int(error).min(min, error).max(max, error)
}
const name = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, {
  error: 'a name of up to 32 lower-case letters, digits, dashes or underscores',
})

/** Text that may hold a secret: a wrong one is not repeated. */
export function hiddenText(max: number, error: string) {
  const fits = (value: unknown) =>
    typeof value === 'string' && value.length >= 1 && value.length <= max
  return z.custom<string>(fits, { error, params: { hidden: true } })
}

/** An agent id, or a beginning of one with `*` at its end. */
const agentPattern = z
  .string()
  .min(1)
  .max(2048)
  .refine((text) => !text.slice(0, -1).includes('*'), {
    error: 'an agent id, or the beginning of one with * at its end',
  })

type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

const BODY_ERROR = `at most ${BODY_DEPTH_MAX} levels and ${BODY_LENGTH_MAX} characters of JSON`

export const REVOCATION_ENDPOINT = z.strictObject({
  name,
  url: hiddenText(2048, 'a URL such as https://host/path'),
  method: z.enum(['POST', 'PUT', 'PATCH', 'DELETE']).default('POST'),
  /** Texts may hold ${agent} and its like (revoke-template.ts). */
  headers: z
    .record(
      z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'a name of letters, digits and dashes'),
      hiddenText(1024, 'text of up to 1024 characters'),
    )
    .default({}),
  body: z
    .custom<Json>(
      (value) =>
        depthOf(value) <= BODY_DEPTH_MAX && JSON.stringify(value).length <= BODY_LENGTH_MAX,
      { error: BODY_ERROR, params: { hidden: true } },
    )
    .optional(),
  /** Whose access it can take away; without it everybody's. */
  agents: z.array(agentPattern).max(PATTERNS_MAX).default(['*']),
  /** File with the secret that requests are signed with; BAILIWICK_REVOCATION_SECRET_<NAME> comes first. */
  secret_file: z.string().min(1).max(4096).optional(),
})
export type RevocationEndpointPart = z.infer<typeof REVOCATION_ENDPOINT>

export const REVOCATION = z.strictObject({
  mode: z.enum(REVOCATION_MODES).default('observe'),
  endpoints: z.array(REVOCATION_ENDPOINT).max(REVOCATION_ENDPOINTS_MAX).default([]),
  /** Agents that are never revoked. */
  protected: z.array(agentPattern).max(PATTERNS_MAX).default([]),
  /** Rules whose mere attempt is enough: no completed handshake is asked for. */
  attempt_rules: z.array(z.string().min(1).max(64)).max(PATTERNS_MAX).default([]),
  min_score: whole(0, 100).default(0),
  /** Calls within an hour, over all agents. */
  per_hour: whole(1, 1000).default(3),
  /** By itself nothing is called so long after the deciding packet: then a person is asked. */
  deadline_seconds: whole(1, 3600).default(300),
  /** So long a person may take. */
  approval_seconds: whole(60, 86_400).default(3600),
  /** The last packets may still arrive for so long after the call. */
  grace_seconds: whole(1, 300).default(10),
  /** So long the agent must be silent then. */
  watch_seconds: whole(10, 3600).default(90),
})
export type RevocationPart = z.infer<typeof REVOCATION>

/** Does an agent id match one of these patterns? */
export function matchesAgent(patterns: readonly string[], agent: string): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? agent.startsWith(pattern.slice(0, -1)) : agent === pattern,
  )
}

/** The variable of the environment that holds the secret of an endpoint. */
export function revocationSecretVariable(endpoint: string): string {
  return `BAILIWICK_REVOCATION_SECRET_${endpoint.toUpperCase().replaceAll('-', '_')}`
}
