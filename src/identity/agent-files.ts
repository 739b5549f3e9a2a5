// Agent files: YAML, one agent each, into declared agents. Every mistake of every file is told with its place;
// a file with an error gives no agent, the others are still read.

import { sha256Hex } from '../hash.ts'
import type { Agent, Rule, Scope } from './agent.ts'
import { lintAgents } from './agent-lint.ts'
import {
  ANY_PORT,
  agentKeysAt,
  agentSchema,
  readTime,
  type WrittenAgent,
  type WrittenRule,
} from './agent-schema.ts'
import {
  checkYaml,
  type KeyPath,
  keyText,
  type Problem,
  readYaml,
  type SourceFile,
  shown,
  type YamlFile,
} from './yaml-file.ts'

/** Most agent files of one registry. */
export const AGENTS_MAX = 20_000

/** An agent and the file that declares it, so that a later check can point into it. */
export interface DeclaredAgent {
  agent: Agent
  file: YamlFile
}

/**
 * Reads agent files. Pure: the texts are read by whoever calls.
 * @returns the agents without errors, by id, and all problems by path, line and column. Two files with one id
 * are an error of the second, by path.
 */
export function loadAgents(files: readonly SourceFile[]): { agents: Agent[]; problems: Problem[] } {
  const problems: Problem[] = []
  const declared = new Map<string, DeclaredAgent>()
  const read: YamlFile[] = []
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
  for (const source of sorted.slice(0, AGENTS_MAX)) {
    const file = readYaml(source)
    read.push(file)
    const agent = readAgent(file)
    if (agent === undefined) continue
    const first = declared.get(agent.id)
    if (first === undefined) declared.set(agent.id, { agent, file })
    else
      file.report(
        'error',
        ['id'],
        `expected an id of its own, found ${agent.id}, which ${first.file.place(['id'])} declares (take one of the two files away)`,
      )
  }
  const beyond = sorted[AGENTS_MAX]
  if (beyond !== undefined)
    problems.push({
      path: shown(beyond.path),
      line: 1,
      column: 1,
      severity: 'error',
      message: `expected at most ${AGENTS_MAX} agent files, found ${sorted.length}; this and the rest are not read`,
    })
  const agents = [...declared.values()].sort((a, b) => (a.agent.id < b.agent.id ? -1 : 1))
  lintAgents(agents)
  for (const file of read)
    problems.push(...file.problems.sort((a, b) => a.line - b.line || a.column - b.column))
  return { agents: agents.map(({ agent }) => agent), problems }
}

function readAgent(file: YamlFile): Agent | undefined {
  if (file.problems.length > 0 && file.raw === undefined) return undefined
  if (file.raw === null || file.raw === undefined) {
    file.report(
      'error',
      [],
      'expected an agent (id, owner, purpose, environment, scope), found nothing',
    )
    return undefined
  }
  const written = checkYaml(file, agentSchema, agentKeysAt)
  checkTogether(file)
  if (written === undefined || file.problems.some(({ severity }) => severity === 'error'))
    return undefined
  return {
    id: written.id,
    owner: written.owner,
    purpose: written.purpose,
    environment: written.environment,
    state: written.state ?? 'active',
    addresses: (written.addresses ?? []).map((claim) => ({
      network: claim.address,
      shared: claim.shared ?? false,
      from: claim.from ?? null,
      to: claim.to ?? null,
    })),
    interfaces: written.interfaces ?? [],
    proxyUsers: written.proxy_users ?? [],
    scope: readScope(written.scope ?? {}),
  }
}

function readScope(written: NonNullable<WrittenAgent['scope']>): Scope {
  const expires = written.expires ?? null
  const egress = (written.egress ?? []).map((rule, i) => readRule(rule, `egress-${i + 1}`))
  const ingress = (written.ingress ?? []).map((rule, i) => readRule(rule, `ingress-${i + 1}`))
  const version =
    written.version ?? sha256Hex(JSON.stringify({ expires, egress, ingress })).slice(0, 12)
  return { version, expires, egress, ingress }
}

function readRule(written: WrittenRule, defaultId: string): Rule {
  const protocols = written.protocol === undefined ? [6] : written.protocol
  return {
    id: written.id ?? defaultId,
    domains: written.domain ?? null,
    cidrs: written.cidr ?? null,
    agents: written.agent ?? null,
    ports: written.port ?? ANY_PORT,
    protocols,
    why: written.why ?? '',
  }
}

type Raw = Record<string, unknown>

function isRaw(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * What no single key shows. Reads the raw values, so that it speaks also of a file in which the schema found
 * something else; what it cannot read, the schema has told already.
 */
function checkTogether(file: YamlFile): void {
  if (!isRaw(file.raw)) return
  const { addresses, scope } = file.raw
  if (Array.isArray(addresses))
    for (const [i, claim] of addresses.entries())
      if (
        isRaw(claim) &&
        (readTime(claim.from) ?? 0) >= (readTime(claim.to) ?? Number.POSITIVE_INFINITY)
      )
        file.report(
          'error',
          ['addresses', i, 'to'],
          `expected a time after \`from\` ${shown(claim.from)}, found ${shown(claim.to)}`,
        )
  if (!isRaw(scope)) return
  const ids = new Map<string, KeyPath>()
  for (const direction of ['egress', 'ingress'] as const) {
    const rules = scope[direction]
    if (!Array.isArray(rules)) continue
    for (const [i, rule] of rules.entries()) {
      if (!isRaw(rule)) continue
      const keys = ['scope', direction, i]
      checkRule(file, keys, rule, direction)
      const id = typeof rule.id === 'string' ? rule.id : `${direction}-${i + 1}`
      const first = ids.get(id)
      if (first === undefined) ids.set(id, keys)
      else
        file.report(
          'error',
          [...keys, 'id'],
          `expected a rule id of its own, found ${shown(id)}, which ${keyText(first)} has (${file.place(first)})`,
        )
    }
  }
}

function checkRule(
  file: YamlFile,
  keys: KeyPath,
  rule: Raw,
  direction: 'egress' | 'ingress',
): void {
  const has = (key: string): boolean => Object.hasOwn(rule, key)
  if (direction === 'ingress' && has('domain'))
    file.report(
      'error',
      [...keys, 'domain'],
      'expected cidr or agent in an ingress rule, found domain: who connects to the agent shows no name (use cidr)',
      'key',
    )
  else if (!has('domain') && !has('cidr') && !has('agent'))
    file.report(
      'error',
      keys,
      `\`${keyText(keys)}\`: expected at least one of ${direction === 'egress' ? 'domain, ' : ''}cidr, agent, found none`,
    )
  if (!has('port') && !isIcmpOnly(rule.protocol))
    file.report(
      'error',
      keys,
      `\`${keyText(keys)}.port\` is missing: expected a port, a range, a list of those, or any`,
    )
}

/** True if the written protocol names ICMP and nothing else. */
export function isIcmpOnly(protocol: unknown): boolean {
  const list = Array.isArray(protocol) ? protocol : [protocol]
  return list.length > 0 && list.every((name) => name === 'icmp')
}
