// A message that tells of nothing, to see whether it arrives at a webhook.

import { z } from 'zod'
import { RespondError } from '../respond/responder.ts'
import { PROBLEMS, Refusal } from './house-rules.ts'
import type { ApiParts } from './parts.ts'
import { AnyHeaders, NoQuery, type Routes } from './shapes.ts'

export const WebhookTested = z
  .object({
    webhook: z.string(),
    target: z.string(),
    id: z.string(),
    delivered: z.boolean(),
    status: z.int().nullable(),
    why: z.string().nullable(),
    millis: z.int(),
    body: z.string(),
  })
  .meta({ id: 'WebhookTest' })

const tags = ['deliveries']

export function addWebhookRoutes(server: Routes, { webhooks, log }: ApiParts): void {
  server.post(
    '/api/v1/endpoints/:name/test',
    {
      config: { permission: 'redrive' },
      schema: {
        summary: 'Send a signed message that tells of nothing, once',
        tags,
        params: z.strictObject({ name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/) }),
        querystring: NoQuery,
        headers: AnyHeaders,
        body: z.union([z.undefined(), z.null(), z.strictObject({})]),
        response: { 200: WebhookTested, ...PROBLEMS },
      },
    },
    async ({ params: { name }, principal }) => {
      if (webhooks === undefined) throw new Refusal(404, 'this process sends to no webhooks')
      try {
        const { status = null, why = null, ...tested } = await webhooks.test(name)
        log('info', 'a webhook was tested', { webhook: name, by: principal?.name, status })
        return { ...tested, status, why }
      } catch (error) {
        if (error instanceof RespondError) throw new Refusal(404, error.message)
        throw error
      }
    },
  )
}
