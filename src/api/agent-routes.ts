// The registered agents as they are used now, each with what it did lately and when it was last heard of.

import { z } from 'zod'
import { isoTime } from '../report.ts'
import type { ApiAgentRow } from '../store/api-queries.ts'
import { PROBLEMS } from './house-rules.ts'
import type { AgentsView, ApiParts } from './parts.ts'
import { AnyHeaders, type Routes, whole } from './shapes.ts'
import type { StoreLane } from './store-lane.ts'

const DAY = 86_400_000_000
/** When an agent was last heard of is exact if it lies in it, else it is the beginning of an hour. */
const RECENT = 600_000_000
const AGENTS_MAX = 10_000

const AgentShown = z
  .object({
    id: z.string(),
    owner: z.string(),
    purpose: z.string(),
    environment: z.string(),
    state: z.string(),
    scope_version: z.string(),
    scope_expires: z.string().nullable(),
    judgements: z.int(),
    out_of_scope: z.int(),
    findings: z.int(),
    last_seen: z.string().nullable(),
  })
  .meta({ id: 'Agent' })

const Agents = z
  .object({
    /** When the files were read that hold now. */
    loaded_at: z.string(),
    /** Why the last edit of them is not used; null if it is. */
    problem: z.string().nullable(),
    agents: z.array(AgentShown),
  })
  .meta({ id: 'Agents' })

export function addAgentRoutes(server: Routes, lane: StoreLane, { agents }: ApiParts): void {
  server.get(
    '/api/v1/agents',
    {
      config: { permission: 'read' },
      schema: {
        summary: 'Registered agents, with what they did lately',
        tags: ['agents'],
        querystring: z.strictObject({ days: whole(1, 90).default(7) }),
        headers: AnyHeaders,
        response: { 200: Agents, ...PROBLEMS },
      },
    },
    async ({ query: { days } }) => {
      const now = Date.now() * 1000
      const rows = await lane.query('api_agents', {
        from: now - days * DAY,
        recent: now - RECENT,
        limit: AGENTS_MAX,
      })
      return shown(agents(), new Map(rows.map((row) => [row.agent, row])))
    },
  )
}

function shown({ loadedAt, problem, agents }: AgentsView, deeds: ReadonlyMap<string, ApiAgentRow>) {
  return {
    loaded_at: isoTime(loadedAt * 1000),
    problem: problem ?? null,
    agents: agents.slice(0, AGENTS_MAX).map(({ scopeVersion, expires, ...agent }) => {
      const did = deeds.get(agent.id)
      return {
        ...agent,
        scope_version: scopeVersion,
        scope_expires: expires === null ? null : isoTime(expires),
        judgements: did?.judgements ?? 0,
        out_of_scope: did?.out_of_scope ?? 0,
        findings: did?.findings ?? 0,
        last_seen: did === undefined ? null : isoTime(did.seen),
      }
    }),
  }
}
