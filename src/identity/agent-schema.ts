// The shape of an agent file, as a strict zod schema: what each key may hold, and into what it is read. What
// can only be said of several keys together stands in agent-files.ts and agent-lint.ts.

import { z } from 'zod'
import { formatNetwork, parseNetwork } from '../address.ts'
import { printable } from '../wire-text.ts'
import { AGENT_STATES, type PortRange } from './agent.ts'
import { agentIdComplaint } from './agent-id.ts'
import { declaredDomain } from './domain-name.ts'
import type { KeyPath } from './yaml-file.ts'

/** Most rules of one direction, entries of one list in a rule, and addresses of one agent. */
export const RULES_MAX = 1000
export const RULE_LIST_MAX = 1000
export const ADDRESSES_MAX = 4096
const NAMES_MAX = 1000
const TEXT_MAX = 500

/** Rule ids that the product gives itself. */
export const RESERVED_RULES: readonly string[] = [
  'default-deny',
  'scope-expired',
  'unregistered-agent',
]

const text = z.string().min(1).max(TEXT_MAX).transform(printable)

/** A field that is read by a function, which says what it expected if it cannot. */
function field<T>(expected: string, read: (value: unknown) => T | undefined) {
  return z.unknown().transform((value, context): T => {
    const result = read(value)
    if (result !== undefined) return result
    context.addIssue({ code: 'custom', message: expected })
    return z.NEVER
  })
}

/** One value or a list of them. */
function listOf<S extends z.ZodType>(item: S) {
  return z.preprocess(
    (value) => (Array.isArray(value) ? value : [value]),
    z.array(item).min(1).max(RULE_LIST_MAX),
  )
}

const ISO_TIME = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?([Zz]|[+-]\d\d:\d\d))?$/

/** Microseconds of an ISO 8601 time with zone, or of a date (midnight UTC); undefined if it is none. */
export function readTime(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined
  const parts = ISO_TIME.exec(value)
  if (parts === null) return undefined
  const [, date, time = '00:00:00', fraction = '', zone = 'Z'] = parts
  const millis = Date.parse(`${date}T${time}${zone.toUpperCase()}`)
  // Date.parse takes the 31st of February for the 3rd of March.
  if (Number.isNaN(millis) || new Date(`${date}T00:00:00Z`).toISOString().slice(0, 10) !== date)
    return undefined
  return millis * 1000 + Number(fraction.padEnd(6, '0'))
}

const time = field('a time such as 2026-03-01T00:00:00Z', readTime)

const network = field('an address or CIDR such as 10.20.0.11 or 10.20.0.0/16', (value) => {
  const parsed = typeof value === 'string' ? parseNetwork(value) : undefined
  return parsed === undefined ? undefined : formatNetwork(parsed)
})

const id = z
  .string()
  .min(1)
  .superRefine((value, context) => {
    const complaint = agentIdComplaint(value)
    if (complaint !== undefined)
      context.addIssue({
        code: 'custom',
        message: 'an agent id',
        params: { cure: `, which ${complaint}` },
      })
  })

const ruleId = z
  .string()
  .refine((value) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(value), {
    error: 'a rule id of 1 to 64 letters, digits, dots, dashes or underscores',
  })
  .refine((value) => !RESERVED_RULES.includes(value), {
    error: `another rule id (${RESERVED_RULES.join(', ')} are the product's own)`,
  })

/** A port range from `443` or `"8000-8100"`; an empty one is [] and never matches. */
function readRange(value: unknown): PortRange[] | undefined {
  const parts =
    typeof value === 'number'
      ? [value, value]
      : typeof value === 'string' && /^\d{1,5}(?: ?- ?\d{1,5})?$/.test(value)
        ? value.split('-').map(Number)
        : []
  const [first, last = first] = parts
  if (first === undefined || last === undefined) return undefined
  for (const port of [first, last])
    if (!Number.isInteger(port) || port < 1 || port > 65_535) return undefined
  return first > last ? [] : [[first, last]]
}

export const ANY_PORT: readonly PortRange[] = [[0, 65_535]]

const port = field(
  'a port from 1 to 65535, a range such as "8000-8100", a list of those, or any',
  (value): readonly PortRange[] | undefined => {
    if (value === 'any') return ANY_PORT
    const list = Array.isArray(value) ? value : [value]
    if (list.length === 0 || list.length > RULE_LIST_MAX) return undefined
    const ranges = list.map(readRange)
    return ranges.every((range) => range !== undefined) ? ranges.flat() : undefined
  },
)

const PROTOCOLS: Record<string, readonly number[]> = { tcp: [6], udp: [17], icmp: [1, 58] }

const protocol = field(
  'tcp, udp, icmp, any, or a list of those',
  (value): readonly number[] | null | undefined => {
    const list = Array.isArray(value) ? value : [value]
    if (list.length === 0 || list.length > 8) return undefined
    if (list.includes('any')) return null
    const numbers = list.map((name) =>
      typeof name === 'string' && Object.hasOwn(PROTOCOLS, name) ? PROTOCOLS[name] : undefined,
    )
    return numbers.every((number) => number !== undefined)
      ? [...new Set(numbers.flat())].sort((a, b) => a - b)
      : undefined
  },
)

/** Domains are read leniently: one that can never match becomes '' and a warning (agent-lint.ts). */
const domain = z
  .string()
  .max(TEXT_MAX)
  .transform((value) => {
    const read = declaredDomain(value)
    return 'domain' in read ? read.domain : ''
  })

const rule = z.strictObject({
  id: ruleId.optional(),
  domain: listOf(domain).optional(),
  cidr: listOf(network).optional(),
  agent: listOf(id).optional(),
  port: port.optional(),
  protocol: protocol.optional(),
  why: text.optional(),
})

const scope = z.strictObject({
  version: z.string().min(1).max(64).transform(printable).optional(),
  expires: time.optional(),
  egress: z.array(rule).max(RULES_MAX).optional(),
  ingress: z.array(rule).max(RULES_MAX).optional(),
})

const address = z.preprocess(
  (value) => (typeof value === 'string' ? { address: value } : value),
  z.strictObject({
    address: network,
    shared: z.boolean().optional(),
    from: time.optional(),
    to: time.optional(),
  }),
)

export const agentSchema = z.strictObject({
  id,
  owner: text,
  purpose: text,
  environment: text,
  state: z.enum(AGENT_STATES).optional(),
  addresses: z.array(address).max(ADDRESSES_MAX).optional(),
  interfaces: z.array(text).max(NAMES_MAX).optional(),
  proxy_users: z.array(text).max(NAMES_MAX).optional(),
  scope: scope.optional(),
})

export type WrittenAgent = z.output<typeof agentSchema>
export type WrittenRule = z.output<typeof rule>

/** The keys known at a place of an agent file. */
export function agentKeysAt(keys: KeyPath): readonly string[] {
  if (keys[0] === 'addresses') return Object.keys(address.out.shape)
  if (keys[0] === 'scope') return Object.keys(keys.length > 1 ? rule.shape : scope.shape)
  return Object.keys(agentSchema.shape)
}
