// The request of a revocation, from the template that an operator wrote and the finding. Values are put where they cannot
// change anything but their own place: percent-encoded into a URL, without control characters into a header, as JSON
// strings into a body.

import { printable } from '../wire-text.ts'
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

const place = (variable: string) => `\${${variable}}`

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

/** A mistake, and where in the endpoint it stands. */
export interface TemplateProblem {
  keys: readonly (string | number)[]
  words: string
}

/** Headers that the sender sets itself. */
const OWN_HEADERS =
  /^(?:host|connection|keep-alive|te|trailer|upgrade|expect|transfer-encoding|content-(?:length|type|encoding)|user-agent|webhook-.*)$/i
/** Headers, and parameters of a URL, that hold what nobody should read in a settings file. */
const SECRET_HEADERS =
  /^(?:(?:proxy-)?authorization|cookie)$|(?:^|[-_])(?:api-?key|key|token|secret|password)$/i
const SECRET_CURE =
  'secrets do not stand in settings files: requests are signed, and that says who asks (docs/revocation.md)'
/** What a header may hold (RFC 9110, 5.5), of ASCII. */
const HEADER_TEXT = /^[\t\x20-\x7e]*$/

/** Mistakes in the texts of an endpoint; a template without any can always be filled in. */
export function templateProblems(endpoint: RevocationEndpointPart): TemplateProblem[] {
  const texts: [TemplateProblem['keys'], string][] = [
    [['url'], endpoint.url],
    ...Object.entries(endpoint.headers).map(([key, text]): [TemplateProblem['keys'], string] => [
      ['headers', key],
      text,
    ]),
    ...stringsOf(endpoint.body, ['body']),
  ]
  const problems = texts.flatMap(([keys, text]) =>
    [...text.matchAll(PLACE)]
      .map((match) => match[1]!)
      .filter((name) => !isVariable(name))
      .map((name) => ({
        keys,
        words: `${place(printable(name))} is not known; there are ${TEMPLATE_VARIABLES.join(', ')}`,
      })),
  )
  const host = /^[a-z]+:\/\/[^/?#]*/i.exec(endpoint.url)?.[0] ?? endpoint.url
  const add = (keys: TemplateProblem['keys'], words: string) => problems.push({ keys, words })
  for (const [keys, text] of texts)
    if (text.replace(PLACE, '').includes(`\${`)) add(keys, `\`\${\` without its \`}\``)
  if (/\$\{/.test(host)) add(['url'], 'the host of the URL must not depend on a finding')
  const query = endpoint.url.split('?')[1]?.split('#')[0] ?? ''
  if (query.split('&').some((pair) => SECRET_HEADERS.test(pair.split('=')[0]!)))
    add(['url'], SECRET_CURE)
  for (const [key, text] of Object.entries(endpoint.headers)) {
    if (OWN_HEADERS.test(key)) add(['headers', key], 'this header is set by the sender itself')
    if (SECRET_HEADERS.test(key)) add(['headers', key], SECRET_CURE)
    if (!HEADER_TEXT.test(text))
      add(['headers', key], 'a header holds one line of ASCII, and what is filled in')
  }
  return problems
}

/** Values such as those of a finding, to see whether a template can be filled in. */
export const EXAMPLE_VALUES: TemplateValues = {
  revocation: '00000000-0000-4000-8000-000000000001',
  alert: '00000000-0000-4000-8000-0000000000a1',
  agent: 'spiffe://example.org/agents/example',
  rule: 'default-deny',
  kind: 'out_of_scope',
  destination: 'example.com',
  peer: '192.0.2.7',
  port: '443',
  protocol: '6',
  score: '70',
  decided_at: '2026-01-01T00:00:00.000Z',
  sentence: 'example reached example.com:443, which no rule of its scope allows',
}

function stringsOf(
  value: unknown,
  keys: TemplateProblem['keys'],
): [TemplateProblem['keys'], string][] {
  if (typeof value === 'string') return [[keys, value]]
  if (typeof value !== 'object' || value === null) return []
  const isList = Array.isArray(value)
  return Object.entries(value).flatMap(([key, inner]) =>
    stringsOf(inner, [...keys, isList ? Number(key) : key]),
  )
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
