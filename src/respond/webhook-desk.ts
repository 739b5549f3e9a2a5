// Webhooks as people look after them: how each does, and whether a message arrives.

import { randomUUID } from 'node:crypto'
import type { EndpointView } from './alert-view.ts'
import { ENDPOINT_LIMITS } from './endpoint-limits.ts'
import { testMessage } from './message.ts'
import type { RespondSettings } from './respond-settings.ts'
import { RespondError } from './responder.ts'
import { targetGuard } from './target-guard.ts'
import { WebhookNotifier } from './webhook.ts'

/** What came of a message that tells of nothing. */
export interface WebhookTest {
  webhook: string
  /** Without path and query. */
  target: string
  /** Of the message, as in `webhook-id`. */
  id: string
  delivered: boolean
  /** What it answered, if it did. */
  status?: number
  /** Why it was not delivered, in words without secrets. */
  why?: string
  millis: number
  /** The bytes that were signed and sent. */
  body: string
}

export interface WebhookDesk {
  endpoints(): readonly EndpointView[]
  /** Sends a message once. @throws RespondError if there is no such webhook */
  test(name: string): Promise<WebhookTest>
}

/**
 * Sends a signed message of type `webhook.test`, once, beside the outbox.
 * @throws RespondError if there is no such webhook
 */
export async function testWebhook(
  name: string,
  { webhooks, allowTargets }: Pick<RespondSettings, 'webhooks' | 'allowTargets'>,
  version: string,
): Promise<WebhookTest> {
  const webhook = webhooks.find((one) => one.name === name)
  if (webhook === undefined)
    throw new RespondError(
      `there is no webhook of this name${webhooks.length === 0 ? '' : `: there are ${webhooks.map((one) => one.name).join(', ')}`}`,
    )
  const notifier = new WebhookNotifier({ ...webhook, version }, targetGuard(allowTargets))
  const id = `msg_test_${randomUUID().replaceAll('-', '')}`
  const body = testMessage(Date.now())
  const begun = performance.now()
  const outcome = await notifier.send(
    { id, body },
    AbortSignal.timeout(ENDPOINT_LIMITS.timeoutMillis),
  )
  const millis = Math.round(performance.now() - begun)
  await notifier.close()
  const { target } = notifier
  const answered = outcome.kind === 'gone' ? 410 : outcome.status
  return {
    ...{ webhook: name, target, id, delivered: outcome.kind === 'delivered', millis, body },
    ...(answered === undefined ? {} : { status: answered }),
    ...(outcome.kind === 'delivered' ? {} : { why: outcome.why }),
  }
}
