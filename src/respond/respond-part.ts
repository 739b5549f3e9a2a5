// The part `respond` of the settings, from what was written: what fits together only as a whole is checked here, so that
// a mistake is told with its place before anything starts. Pure.

import type { Network } from '../address.ts'
import { type RespondPart, secretVariable, type WebhookPart } from './respond-settings.ts'
import {
  type RevocationEndpointPart,
  type RevocationPart,
  revocationSecretVariable,
} from './revoke-settings.ts'
import { EXAMPLE_VALUES, fillTemplate, templateProblems } from './revoke-template.ts'
import { checkTarget, TargetRefused } from './target-guard.ts'
import { shownTarget } from './webhook.ts'

export interface RespondWritten {
  webhooks: readonly WebhookPart[]
  allowTargets: readonly Network[]
  revocation: RevocationPart
}

/** Where something stands, below `respond`: `['webhooks', 0, 'url']`. */
export type RespondKeys = readonly (string | number)[]

/** Names the place of what stands somewhere. */
export type PlaceOf = (keys: RespondKeys) => string

/** @param env variables of the environment */
export function respondPart(
  written: RespondWritten,
  env: Readonly<Record<string, string | undefined>>,
  placeOf: PlaceOf,
): RespondPart {
  const secrets: RespondPart['secrets'] = { webhooks: new Map(), revocations: new Map() }
  const find = (
    of: keyof RespondPart['secrets'],
    { name, secret_file: file }: { name: string; secret_file?: string | undefined },
    variable: string,
    keys: RespondKeys,
  ) => {
    const map = secrets[of] as Map<string, unknown>
    const text = env[variable]
    if (text) map.set(name, { source: { text: () => text }, place: variable })
    else if (file !== undefined)
      map.set(name, { source: { file }, place: placeOf([...keys, 'secret_file']) })
  }
  for (const [at, webhook] of written.webhooks.entries())
    find('webhooks', webhook, secretVariable(webhook.name), ['webhooks', at])
  for (const [at, endpoint] of written.revocation.endpoints.entries())
    find('revocations', endpoint, revocationSecretVariable(endpoint.name), [
      ...['revocation', 'endpoints', at],
    ])
  return { ...written, secrets }
}

/** Variables of the environment that hold secrets of this part. */
export function secretVariables({ webhooks, revocation }: RespondWritten): string[] {
  return [
    ...webhooks.map(({ name }) => secretVariable(name)),
    ...revocation.endpoints.map(({ name }) => revocationSecretVariable(name)),
  ]
}

export interface RespondProblem {
  keys: RespondKeys
  /** With the cure. Repeats no URL: its path may be a secret. */
  words: string
}

/** What is wrong with it as a whole. */
export function respondProblems(part: RespondPart): RespondProblem[] {
  const problems: RespondProblem[] = []
  const { webhooks, allowTargets, revocation, secrets } = part
  const check = (
    keys: RespondKeys,
    { name, url }: { name: string; url: string },
    of: keyof RespondPart['secrets'],
    variable: string,
  ) => {
    try {
      checkTarget(url, allowTargets)
    } catch (error) {
      if (!(error instanceof TargetRefused)) throw error
      problems.push({ keys: [...keys, 'url'], words: error.message })
    }
    if (!secrets[of].has(name))
      problems.push({
        keys,
        words: `\`${name}\` needs a secret to sign with: give \`secret_file\`, or set ${variable}`,
      })
  }
  for (const [at, webhook] of webhooks.entries())
    check(['webhooks', at], webhook, 'webhooks', secretVariable(webhook.name))
  for (const [at, endpoint] of revocation.endpoints.entries()) {
    const keys = ['revocation', 'endpoints', at]
    const wrong = templateProblems(endpoint)
    problems.push(...wrong.map(({ keys: below, words }) => ({ keys: [...keys, ...below], words })))
    // Filled in as it will be, or as it stands where that cannot be done.
    const url = wrong.length > 0 ? endpoint.url : fillTemplate(endpoint, EXAMPLE_VALUES).url
    const { name } = endpoint
    check(keys, { name, url }, 'revocations', revocationSecretVariable(name))
  }
  problems.push(...twice(webhooks, ['webhooks']))
  problems.push(...twice(revocation.endpoints, ['revocation', 'endpoints']))
  if (revocation.mode !== 'observe' && revocation.endpoints.length === 0)
    problems.push({
      keys: ['revocation', 'mode'],
      words: `mode ${revocation.mode} needs an endpoint that is called: give \`endpoints\`, or take mode observe`,
    })
  return problems
}

function twice(named: readonly { name: string }[], keys: RespondKeys): RespondProblem[] {
  return named.flatMap(({ name }, at) =>
    named.findIndex((other) => other.name === name) === at
      ? []
      : [{ keys: [...keys, at, 'name'], words: `there are two of the name ${name} (rename one)` }],
  )
}

/** Webhooks as they are shown: of their URLs what is no secret. */
export function shownWebhooks(webhooks: readonly WebhookPart[]): string {
  return JSON.stringify(webhooks.map((one) => ({ ...one, url: shownTarget(one.url) })))
}

/** A revocation's settings as they are shown. */
export function shownRevocation(revocation: RevocationPart): string {
  const endpoints = revocation.endpoints.map((endpoint: RevocationEndpointPart) => ({
    ...endpoint,
    url: shownTarget(endpoint.url),
    headers: Object.keys(endpoint.headers),
    ...(endpoint.body === undefined ? {} : { body: '…' }),
  }))
  return JSON.stringify({ ...revocation, endpoints })
}
