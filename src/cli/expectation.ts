// What a team expects of its agents, written down in a file: `replay --expect FILE`. YAML or JSON, one schema.

import { z } from 'zod'
import { type Network, parseNetwork } from '../address.ts'
import { VERDICTS, type Verdict } from '../flow.ts'
import { declaredDomain } from '../identity/domain-name.ts'
import {
  checkYaml,
  type KeyPath,
  type Problem,
  readYaml,
  type SourceFile,
} from '../identity/yaml-file.ts'

/** A number, exactly or as a bound: `3`, `">=1"`, `"<10"`. */
export interface CountBound {
  relation: '=' | '>=' | '<=' | '>' | '<'
  number: number
}

/** A place that an agent may reach: a name, `*.` and a name, an address or a network; with port and protocol. */
export interface ReachedPlace {
  /** As it was written. */
  text: string
  domain: string | undefined
  network: Network | undefined
  port: number
  proto: string
}

export interface ExpectedAlert {
  rule: string
  destination: string
}

type VerdictBounds = Partial<Record<Verdict, CountBound>>

export interface AgentExpectation {
  verdicts?: VerdictBounds | undefined
  /** Everywhere that the agent connects to; anywhere else is a mismatch. */
  reaches_only?: ReachedPlace[] | undefined
  /** All alerts of the agent, no more and no less. */
  alerts?: ExpectedAlert[] | undefined
}

export interface Expectation {
  agents?: Record<string, AgentExpectation> | undefined
  verdicts?: VerdictBounds | undefined
  /** All addresses with unregistered traffic, no more and no less. */
  unregistered?: string[] | undefined
}

const BOUND = /^(>=|<=|>|<|=)? *(\d{1,15})$/

const bound = z.union([z.int().nonnegative(), z.string()]).transform((written, context) => {
  const [, relation, number] = BOUND.exec(String(written)) ?? []
  if (number === undefined) {
    context.addIssue('a number like 0, or a bound like ">=1"')
    return z.NEVER
  }
  return { relation: relation ?? '=', number: Number(number) } as CountBound
})

const PLACE = /^(?:\[([0-9a-fA-F:./]+)\]|(.+)):(\d{1,5})\/([a-z0-9-]+)$/

const place = z.string().transform((text, context): ReachedPlace => {
  const [, bracketed, bare, port, proto] = PLACE.exec(text) ?? []
  const host = bracketed ?? bare
  if (host === undefined || Number(port) > 65_535) {
    context.addIssue('host:port/protocol, like api.example.com:443/tcp or [2001:db8::1]:53/udp')
    return z.NEVER
  }
  const network = parseNetwork(host)
  const declared = network === undefined ? declaredDomain(host) : undefined
  if (declared !== undefined && 'complaint' in declared) {
    context.addIssue(`a host name, an address or a network before the port: ${declared.complaint}`)
    return z.NEVER
  }
  return { text, domain: declared?.domain, network, port: Number(port), proto: proto! }
})

const verdicts = z.strictObject(
  Object.fromEntries(VERDICTS.map((verdict) => [verdict, bound.optional()])) as Record<
    Verdict,
    z.ZodOptional<typeof bound>
  >,
)

const agent = z.strictObject({
  verdicts: verdicts.optional(),
  reaches_only: z.array(place).max(100_000).optional(),
  alerts: z
    .array(z.strictObject({ rule: z.string().min(1), destination: z.string().min(1) }))
    .max(100_000)
    .optional(),
})

const expectation = z.strictObject({
  agents: z.record(z.string(), agent).optional(),
  verdicts: verdicts.optional(),
  unregistered: z.array(z.string().min(1)).max(100_000).optional(),
})

/** The keys known at a place of the file, for did-you-mean. */
function keysAt(keys: KeyPath): readonly string[] {
  if (keys.length === 0) return Object.keys(expectation.shape)
  const last = keys.at(-1)
  if (last === 'verdicts') return VERDICTS
  return keys.includes('alerts') ? ['rule', 'destination'] : Object.keys(agent.shape)
}

/** Reads an expectation. Never throws: with problems there is none. */
export function readExpectation(file: SourceFile): {
  expectation: Expectation | undefined
  problems: Problem[]
} {
  const yaml = readYaml(file)
  // An empty file expects nothing, which is never what was meant.
  if (yaml.raw === null)
    yaml.report('error', [], 'expected agents, verdicts or unregistered, found nothing')
  if (yaml.problems.length > 0) return { expectation: undefined, problems: yaml.problems }
  const read = checkYaml<Expectation>(
    yaml,
    expectation as unknown as z.ZodType<Expectation>,
    keysAt,
  )
  return { expectation: read, problems: yaml.problems }
}

export function boundText({ relation, number }: CountBound): string {
  return relation === '=' ? String(number) : `${relation}${number}`
}

export function meets({ relation, number }: CountBound, value: number): boolean {
  switch (relation) {
    case '=':
      return value === number
    case '>=':
      return value >= number
    case '<=':
      return value <= number
    case '>':
      return value > number
    case '<':
      return value < number
  }
}
