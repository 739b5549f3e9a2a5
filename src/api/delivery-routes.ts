// Deliveries that are tried no more, and sending them again.

import { z } from 'zod'
import { isoTime } from '../report.ts'
import type { DeadDelivery } from '../respond/alert-view.ts'
import { RespondError } from '../respond/responder.ts'
import { PROBLEMS, Refusal } from './house-rules.ts'
import type { ApiParts } from './parts.ts'
import { AnyHeaders, NoQuery, type Routes } from './shapes.ts'

const DEAD_MAX = 1000

const DeadShown = z
  .object({
    id: z.string(),
    endpoint: z.string(),
    alerts: z.array(z.string()),
    attempts: z.int(),
    last_error: z.string(),
    died_at: z.string(),
  })
  .meta({ id: 'DeadDelivery' })

/** A dead delivery as the API shows it. */
export function deadShown(view: DeadDelivery): z.infer<typeof DeadShown> {
  const { id, endpoint, alerts, attempts, lastError, diedAt } = view
  return {
    ...{ id, endpoint, alerts: [...alerts], attempts },
    last_error: lastError,
    died_at: isoTime(diedAt * 1000),
  }
}

export const Redriven = z.object({ id: z.string() })
export const DeadList = z.object({ total: z.int(), dead: z.array(DeadShown) })

export function addDeliveryRoutes(server: Routes, parts: ApiParts): void {
  const { responder } = parts
  server.get(
    '/api/v1/deliveries/dead',
    {
      config: { permission: 'read' },
      schema: {
        summary: 'Deliveries that are tried no more, newest first',
        tags: ['deliveries'],
        querystring: NoQuery,
        headers: AnyHeaders,
        response: { 200: DeadList, ...PROBLEMS },
      },
    },
    async () => {
      const dead = responder?.dead() ?? []
      return {
        total: dead.length,
        dead: dead.slice(0, DEAD_MAX).map(deadShown),
      }
    },
  )
  addRedrive(server, parts)
}

function addRedrive(server: Routes, { responder, elsewhere, log }: ApiParts): void {
  server.post(
    '/api/v1/deliveries/:id/redrive',
    {
      config: { permission: 'redrive' },
      schema: {
        summary: 'Send a dead delivery again, under its old id',
        tags: ['deliveries'],
        params: z.strictObject({ id: z.string().regex(/^[A-Za-z0-9_-]{1,100}$/) }),
        querystring: NoQuery,
        headers: AnyHeaders,
        body: z.union([z.undefined(), z.null(), z.strictObject({})]),
        response: { 202: Redriven, ...PROBLEMS },
      },
    },
    async ({ params: { id }, principal }, reply) => {
      if (responder === undefined)
        throw new Refusal(404, `nothing is sent from here${elsewhere ? `: ${elsewhere}` : ''}`)
      if (!responder.dead().some((one) => one.id === id))
        throw new Refusal(404, 'there is no dead delivery of this id')
      try {
        await responder.redrive(id)
      } catch (error) {
        if (error instanceof RespondError) throw new Refusal(409, error.message)
        throw error
      }
      log('info', 'a dead delivery is sent again', { delivery: id, by: principal?.name })
      return reply.code(202).send({ id })
    },
  )
}
