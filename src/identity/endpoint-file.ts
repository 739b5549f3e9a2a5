// The list of endpoints that agents and their models talk to, from YAML (data/agent-endpoints.yaml).

import { z } from 'zod'
import { formatNetwork, parseNetwork } from '../address.ts'
import { printable } from '../wire-text.ts'
import { checkYaml, type Problem, readYaml, type SourceFile } from './yaml-file.ts'

/** api: a program calls a model · agent_tool: a coding agent · chat_ui: a person · infra · mcp: a tool server. */
export const ENDPOINT_ROLES = ['api', 'agent_tool', 'chat_ui', 'infra', 'mcp'] as const
export type EndpointRole = (typeof ENDPOINT_ROLES)[number]

/** One endpoint: a name pattern or a network. */
export interface Endpoint {
  provider: string
  role: EndpointRole
  /**
   * `api.openai.com` stands for itself and what is under it; a `*` stands for any characters inside one label
   * (`bedrock-runtime.*.amazonaws.com`); or a CIDR that the provider publishes as its own.
   */
  match: string
  /** Why we say so. */
  evidence: string
}

const text = z.string().min(1).max(500).transform(printable)

/** A name pattern of at least two labels, the last of them plain; or a network in canonical form. */
const pattern = z.string().transform((value, context): string => {
  const network = parseNetwork(value)
  if (network !== undefined) return formatNetwork(network)
  const labels = value.toLowerCase().split('.')
  const sound = labels.every((label) => /^[a-z0-9*](?:[a-z0-9*-]{0,61}[a-z0-9*])?$/.test(label))
  if (sound && labels.length >= 2 && !labels.slice(-2).some((label) => label.includes('*')))
    return labels.join('.')
  context.addIssue({
    code: 'custom',
    message: 'a host name, which may hold * before the last two labels, or a CIDR',
  })
  return z.NEVER
})

const endpoint = z.strictObject({
  provider: text,
  role: z.enum(ENDPOINT_ROLES),
  match: z.preprocess(
    (value) => (value === undefined || Array.isArray(value) ? value : [value]),
    z.array(pattern).min(1).max(1000),
  ),
  evidence: text,
})

const schema = z.strictObject({
  version: text,
  endpoints: z.array(endpoint).max(10_000),
})

/**
 * Reads a list of endpoints.
 * @returns one entry for each pattern, in the order of the file; empty if there is any error.
 */
export function loadEndpoints(source: SourceFile): { endpoints: Endpoint[]; problems: Problem[] } {
  const file = readYaml(source)
  const written =
    file.problems.length > 0
      ? undefined
      : checkYaml(file, schema, (keys) =>
          Object.keys(keys.length === 0 ? schema.shape : endpoint.shape),
        )
  const endpoints = (written?.endpoints ?? []).flatMap(({ match, ...rest }) =>
    match.map((one) => ({ ...rest, match: one })),
  )
  return { endpoints, problems: file.problems }
}
