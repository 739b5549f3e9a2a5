// Revocations: what waits for a decision, who decided, what came of it; and the switch that stops all of them.

import { z } from 'zod'
import { isoTime } from '../report.ts'
import {
  type RevocationDesk,
  RevocationRefused,
  type RevocationView,
} from '../respond/revoke-desk.ts'
import { PROBLEMS, Refusal } from './house-rules.ts'
import type { ApiParts } from './parts.ts'
import { AnyHeaders, NoQuery, type Routes } from './shapes.ts'
import type { Principal } from './tokens.ts'

export const RevocationShown = z
  .object({
    id: z.string(),
    agent: z.string(),
    alert_id: z.string(),
    state: z.string(),
    mode: z.string(),
    sentence: z.string(),
    asked_at: z.string(),
    deadline: z.string().nullable(),
    decided_by: z.string().nullable(),
    detail: z.string().nullable(),
  })
  .meta({ id: 'Revocation' })

export function revocationShown(view: RevocationView): z.infer<typeof RevocationShown> {
  const { id, agent, alertId, state, mode, sentence, askedAt } = view
  return {
    ...{ id, agent, state, mode, sentence },
    alert_id: alertId,
    asked_at: isoTime(askedAt * 1000),
    deadline: view.deadline === undefined ? null : isoTime(view.deadline * 1000),
    decided_by: view.decidedBy ?? null,
    detail: view.detail ?? null,
  }
}

const REVOCATIONS_MAX = 1000
const tags = ['revocations']
const common = { querystring: NoQuery, headers: AnyHeaders }
const params = z.strictObject({ id: z.string().regex(/^[A-Za-z0-9_-]{1,100}$/) })
const Nothing = z.union([z.undefined(), z.null(), z.strictObject({})])

export const RevocationList = z.object({
  /** Whether all revoking is stopped. */
  killed: z.boolean(),
  /** False where another process decides: this one knows nothing of it. */
  here: z.boolean(),
  revocations: z.array(RevocationShown),
})

/** The exact request that would be sent, without its secrets. */
export const RequestShown = z
  .object({
    method: z.string(),
    url: z.string(),
    headers: z.record(z.string(), z.string()),
    body: z.string(),
  })
  .meta({ id: 'RevocationRequest' })

export const KillShown = z.object({ killed: z.boolean() })

export function addRevocationRoutes(server: Routes, { revocations, elsewhere }: ApiParts): void {
  const decided = { 200: RevocationShown, ...PROBLEMS }
  const ask = asking(revocations, elsewhere)
  server.get(
    '/api/v1/revocations',
    {
      config: { permission: 'read' },
      schema: {
        summary: 'Revocations, newest first, and whether all of them are stopped',
        tags,
        ...common,
        response: { 200: RevocationList, ...PROBLEMS },
      },
    },
    async () => ({
      killed: revocations?.killed() ?? false,
      here: revocations !== undefined,
      revocations: (revocations?.list() ?? []).slice(0, REVOCATIONS_MAX).map(revocationShown),
    }),
  )
  server.get(
    '/api/v1/revocations/:id',
    {
      config: { permission: 'read' },
      schema: { summary: 'One revocation', tags, ...common, params, response: decided },
    },
    async ({ params: { id } }) =>
      ask(async (desk) => {
        const found = desk.list().find((one) => one.id === id)
        if (found === undefined) throw new Refusal(404, 'there is no such revocation')
        return revocationShown(found)
      }),
  )
  server.post(
    '/api/v1/revocations/:id/approve',
    {
      config: { permission: 'decide' },
      schema: {
        summary: 'Let it be carried out',
        tags,
        ...common,
        params,
        body: Nothing,
        response: decided,
      },
    },
    async ({ params: { id }, principal }) =>
      ask(async (desk) => revocationShown(await desk.approve(id, nameOf(principal)))),
  )
  server.post(
    '/api/v1/revocations/:id/reject',
    {
      config: { permission: 'decide' },
      schema: {
        summary: 'Do not carry it out, and say why',
        tags,
        ...common,
        params,
        body: z.strictObject({ why: z.string().min(1).max(1000) }),
        response: decided,
      },
    },
    async ({ params: { id }, body: { why }, principal }) =>
      ask(async (desk) => revocationShown(await desk.reject(id, nameOf(principal), why))),
  )
  addSwitchAndDryRun(server, ask)
}

function addSwitchAndDryRun(server: Routes, ask: Ask): void {
  server.get(
    '/api/v1/revocations/:id/dry-run',
    {
      config: { permission: 'decide' },
      schema: {
        summary: 'The exact request that would be sent, without its secrets',
        tags,
        ...common,
        params,
        response: {
          200: RequestShown,
          ...PROBLEMS,
        },
      },
    },
    async ({ params: { id } }) => ask((desk) => desk.dryRun(id)),
  )
  server.post(
    '/api/v1/revocations/kill',
    {
      config: { permission: 'decide' },
      schema: {
        summary: 'Stop all revoking, or let it go on',
        tags,
        ...common,
        body: z.strictObject({ on: z.boolean() }),
        response: { 200: KillShown, ...PROBLEMS },
      },
    },
    async ({ body: { on }, principal }) =>
      ask(async (desk) => {
        await desk.kill(on, nameOf(principal))
        return { killed: desk.killed() }
      }),
  )
}

/** For the audit: a name for people, and which token it was. */
function nameOf(principal: Principal | null): string {
  return principal === null ? '' : `${principal.name} (${principal.id})`
}

const STATUS = { unknown: 404, too_late: 409, not_allowed: 403 } as const

type Ask = <T>(question: (desk: RevocationDesk) => Promise<T>) => Promise<T>

/** Asks the desk, and says its refusals in the words of HTTP. */
function asking(desk: RevocationDesk | undefined, elsewhere: string | undefined): Ask {
  return async (question) => {
    if (desk === undefined)
      throw new Refusal(404, `no revocation is decided here: ${elsewhere ?? NOWHERE}`)
    try {
      return await question(desk)
    } catch (error) {
      if (error instanceof RevocationRefused) throw new Refusal(STATUS[error.reason], error.message)
      throw error
    }
  }
}

const NOWHERE = 'this process has no part that revokes'
