// Webhooks: how each does, and a message that tells of nothing, to see whether it arrives.

import { z } from 'zod'
import { isoTime } from '../report.ts'
import { RespondError } from '../respond/responder.ts'
import type { WebhookTest } from '../respond/webhook-desk.ts'
import { PROBLEMS, Refusal } from './house-rules.ts'
import type { ApiParts } from './parts.ts'
import { AnyHeaders, NoQuery, type Routes } from './shapes.ts'

const WebhookShown = z
  .object({
    name: z.string(),
    /** Without path and query. */
    target: z.string(),
    state: z.enum(['working', 'throttled', 'held', 'disabled']),
    queued: z.int(),
    dead: z.int(),
    /** By this process, since it began. */
    delivered: z.int(),
    last_delivered_at: z.string().nullable(),
    last_error: z.string().nullable(),
  })
  .meta({ id: 'Webhook' })

export const WebhookList = z.object({ webhooks: z.array(WebhookShown) })

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

/** What came of a test, as the API shows it. */
export function testShown(test: WebhookTest): z.infer<typeof WebhookTested> {
  const { status = null, why = null, ...rest } = test
  return { ...rest, status, why }
}

const tags = ['deliveries']

export function addWebhookRoutes(server: Routes, { webhooks, log }: ApiParts): void {
  server.get(
    '/api/v1/webhooks',
    {
      config: { permission: 'read' },
      schema: {
        summary: 'Webhooks, and how each does',
        tags,
        querystring: NoQuery,
        headers: AnyHeaders,
        response: { 200: WebhookList, ...PROBLEMS },
      },
    },
    async () => ({
      webhooks: (webhooks?.endpoints() ?? []).map(
        ({ name, target, state, queued, dead, delivered, lastDeliveredAt, lastError }) => ({
          ...{ name, target, state, queued, dead, delivered },
          last_delivered_at: lastDeliveredAt === undefined ? null : isoTime(lastDeliveredAt * 1000),
          last_error: lastError ?? null,
        }),
      ),
    }),
  )
  server.post(
    '/api/v1/webhooks/:name/test',
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
        const tested = testShown(await webhooks.test(name))
        const { status } = tested
        log('info', 'a webhook was tested', { webhook: name, by: principal?.name, status })
        return tested
      } catch (error) {
        if (error instanceof RespondError) throw new Refusal(404, error.message)
        throw error
      }
    },
  )
}
