// The part of `bailiwick doctor` that looks after what follows a finding: secrets, webhooks, the audit log. How a webhook
// does is asked of the process that sends, if one lives.

import { existsSync } from 'node:fs'
import path from 'node:path'
import { WebhookList } from '../api/webhook-routes.ts'
import { NODE_DISK, readWhole } from '../bus/disk.ts'
import { checkAudit } from '../respond/audit-chain.ts'
import { AUDIT_BYTES_MAX, AUDIT_FILLS, AUDIT_NAME } from '../respond/audit-log.ts'
import type { PlacedSecret } from '../respond/respond-settings.ts'
import { Secret, SecretError } from '../respond/secret.ts'
import { shownTarget } from '../respond/webhook.ts'
import type { Settings } from '../settings.ts'
import { ApiClient, findApi } from './api-client.ts'
import { type Check, fail, failed, ok, warn } from './check.ts'
import { CommandError } from './exit.ts'
import { count } from './text-table.ts'

/** Nothing where the settings say nothing of it. Never throws: what fails is the answer. */
export async function checkRespond(settings: Settings, signal: AbortSignal): Promise<Check[]> {
  const { webhooks, revocation } = settings.respond
  const states = await statesOf(settings, signal)
  return [
    ...webhooks.map(({ name, url }) => {
      const secret = checkSecret(
        `webhook ${name}`,
        url,
        settings.respond.secrets.webhooks.get(name),
      )
      const state = states.get(name)
      return secret.state === 'ok' && state !== undefined ? state : secret
    }),
    ...revocation.endpoints.map(({ name, url }) =>
      checkSecret(`revocation ${name}`, url, settings.respond.secrets.revocations.get(name)),
    ),
    ...(await checkAuditLog(path.join(settings.serve.data, 'audit', AUDIT_NAME))),
  ]
}

const TRY_IT = 'mend the receiver; bailiwick webhooks test'

function checkSecret(name: string, url: string, placed: PlacedSecret | undefined): Check {
  if (placed === undefined) return fail(name, 'it has no secret', 'give secret_file')
  try {
    const { warning } = new Secret(placed.source, placed.place)
    const found = `${shownTarget(url)}, its secret can be read`
    if (warning === undefined) return ok(name, found)
    const [words, cure = ''] = warning.split(/: (?=chmod)/)
    return warn(name, words!, cure)
  } catch (error) {
    if (error instanceof SecretError) return failed(name, error)
    throw error
  }
}

/** How each webhook does, of the process that has the data directory; empty if there is none. */
async function statesOf(settings: Settings, signal: AbortSignal): Promise<Map<string, Check>> {
  try {
    const found = findApi(settings)
    if (found === undefined) return new Map()
    const { webhooks } = await new ApiClient(() => found, signal).get(
      '/api/v1/webhooks',
      WebhookList,
    )
    return new Map(
      webhooks.map(({ name, target, state, queued, dead, delivered, last_error }) => {
        const title = `webhook ${name}`
        const why = last_error === null ? '' : `: ${last_error}`
        const how = `${target} ${state}, ${delivered} delivered, ${queued} waiting`
        if (state === 'held' || state === 'disabled')
          return [name, warn(title, `${how}${why}`, TRY_IT)]
        if (last_error !== null)
          return [name, warn(title, `${how}; the last try failed${why}`, TRY_IT)]
        if (dead === 0) return [name, ok(title, how)]
        const words = `${count(dead, 'message')} could not be delivered${why}`
        return [name, warn(title, words, 'bailiwick webhooks dead, then redrive')]
      }),
    )
  } catch (error) {
    // The settings can be checked all the same.
    if (error instanceof CommandError) return new Map()
    throw error
  }
}

async function checkAuditLog(name: string): Promise<Check[]> {
  if (!existsSync(name)) return []
  const title = 'audit log'
  try {
    const bytes = await readWhole(NODE_DISK, name, AUDIT_BYTES_MAX + 1)
    const { head, broken } = checkAudit((bytes ?? Buffer.alloc(0)).toString('utf8'))
    const filled = (bytes?.length ?? 0) / AUDIT_BYTES_MAX
    const whole = `it holds together, ${count(head.seq, 'record')}`
    if (broken === undefined && filled < AUDIT_FILLS) return [ok(title, whole)]
    if (broken === undefined)
      return [
        warn(
          title,
          `${whole}, and is ${Math.floor(filled * 100)} % full: once it is full nothing new is revoked`,
          'end the process, move the file away and keep it: the next process begins a new one',
        ),
      ]
    return [
      fail(
        title,
        `${name}:${broken.line} ${broken.problem}`,
        'keep the file, find out who did it, and move it away to begin a new one',
      ),
    ]
  } catch (error) {
    return [failed(title, error)]
  }
}
