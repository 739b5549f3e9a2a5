// The request of a revocation, from the template that an operator wrote and the finding. Values are put where they cannot
// change anything but their own place: percent-encoded into a URL, without control characters into a header, as JSON
// strings into a body.

import type { FindingEvent } from './finding.ts'
import type { RevocationRequest } from './revoke-desk.ts'
import type { RevocationEndpointPart } from './revoke-settings.ts'

/** What may stand between `${` and `}`. */
export const TEMPLATE_VARIABLES = [
  'revocation',
  'alert',
  'agent',
  'rule',
  'kind',
  'destination',
  'peer',
  'port',
  'protocol',
  'score',
  'decided_at',
  'sentence',
] as const
export type TemplateVariable = (typeof TEMPLATE_VARIABLES)[number]
export type TemplateValues = Readonly<Record<TemplateVariable, string>>

const PLACE = /\$\{([^}]*)\}/g
const isVariable = (name: string): name is TemplateVariable =>
  TEMPLATE_VARIABLES.some((variable) => variable === name)

const place = (variable: TemplateVariable) => `\${${variable}}`

/** Without a body of the operator's own. */
const DEFAULT_BODY = {
  revocation: place('revocation'),
  agent: place('agent'),
  reason: place('sentence'),
  alert: place('alert'),
  rule: place('rule'),
  destination: place('destination'),
  decided_at: place('decided_at'),
}

export function templateValues(revocation: string, finding: FindingEvent): TemplateValues {
  return {
    revocation,
    alert: finding.alertId,
    agent: finding.agent,
    rule: finding.rule,
    kind: finding.kind,
    destination: finding.destination,
    peer: finding.peer,
    port: String(finding.port),
    protocol: String(finding.ipProto),
    score: String(finding.score),
    decided_at: new Date(finding.decidedAt / 1000).toISOString(),
    sentence: finding.sentence,
  }
}

/** Mistakes in the texts of an endpoint, in words; a template without any can always be filled in. */
export function templateProblems(endpoint: RevocationEndpointPart): string[] {
  const texts = [endpoint.url, ...Object.values(endpoint.headers), ...stringsOf(endpoint.body)]
  const unknown = texts.flatMap((text) =>
    [...text.matchAll(PLACE)]
      .map((match) => match[1]!)
      .filter((name) => !isVariable(name))
      .map((name) => `\${${name}} is not known; there are ${TEMPLATE_VARIABLES.join(', ')}`),
  )
  const host = /^[a-z]+:\/\/[^/?#]*/i.exec(endpoint.url)?.[0] ?? endpoint.url
  if (/\$\{/.test(host)) unknown.push('the host of the URL must not depend on a finding')
  return unknown
}

function stringsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap(stringsOf)
}

/** The request, without what signs it. */
export function fillTemplate(
  endpoint: RevocationEndpointPart,
  values: TemplateValues,
): RevocationRequest {
  const fill = (text: string, safe: (value: string) => string) =>
    text.replace(PLACE, (_, name: string) => (isVariable(name) ? safe(values[name]) : ''))
  const deep = (value: unknown): unknown => {
    if (typeof value === 'string') return fill(value, (one) => one)
    if (Array.isArray(value)) return value.map(deep)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, deep(inner)]))
  }
  return {
    method: endpoint.method,
    url: fill(endpoint.url, encodeURIComponent),
    headers: {
      'content-type': 'application/json',
      ...Object.fromEntries(
        Object.entries(endpoint.headers).map(([key, text]) => [
          key.toLowerCase(),
          fill(text, encodeURIComponent),
        ]),
      ),
    },
    body: JSON.stringify(deep(endpoint.body ?? DEFAULT_BODY)),
  }
}
