// `bailiwick scope check` and `scope explain`: what is wrong with the agent files, and why a scope answers as it
// does, before any traffic has to show it.

import { type Command, Option } from 'commander'
import { parseAddress } from '../address.ts'
import type { Agent } from '../identity/agent.ts'
import { isAddressLiteral, seenName } from '../identity/domain-name.ts'
import { meant } from '../identity/yaml-file.ts'
import { protocolNumber } from '../report.ts'
import { type Asked, type Explanation, explain } from '../scope/explain.ts'
import { openScopes } from '../scope/policy.ts'
import { printable } from '../wire-text.ts'
import { readAgentDirectory, tellProblems } from './agent-directory.ts'
import { usageError } from './exit.ts'
import { indented } from './flow-text.ts'
import type { CommandParts } from './program.ts'
import type { Colours } from './terminal.ts'
import { count } from './text-table.ts'

const EXAMPLES = `Examples:
  bailiwick scope explain agents/ --agent spiffe://acme/doc --to api.openai.com:443/tcp --address 203.0.113.7
  bailiwick scope explain agents/ --agent spiffe://acme/doc --to 10.0.9.5:5432/tcp
`

interface ExplainOptions {
  agent: string
  to?: string
  from?: string
  address?: string
}

/** Address of a name's host where none is given: from TEST-NET-3, which is nobody's (RFC 5737). */
const SOME_ADDRESS = '203.0.113.1'

/**
 * The question that the options ask. @throws CommandError if they ask none.
 * @param now microseconds: an expired scope answers otherwise
 */
export function askedOf(options: ExplainOptions, agents: readonly Agent[], now: number): Asked {
  const { agent, to, from, address } = options
  if (!agents.some(({ id }) => id === agent))
    throw usageError(
      `no agent file declares ${agent}${meant(
        agent,
        agents.map(({ id }) => id),
      )}`,
    )
  const text = to ?? from
  if (text === undefined || (to !== undefined && from !== undefined))
    throw usageError('give either --to host:port/protocol or --from address:port/protocol')
  const [, bracketed, bare, port, proto] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([^/]+?)):(\d{1,5})\/([a-z0-9-]+)$/.exec(text) ?? []
  const host = bracketed ?? bare
  const ipProto = protocolNumber(proto ?? '')
  if (host === undefined || ipProto === undefined || Number(port) > 65_535)
    throw usageError(`${text}: write host:port/protocol, like api.example.com:443/tcp`)
  const named = !isAddressLiteral(host)
  if (named && from !== undefined)
    throw usageError(`${text}: who connects to an agent shows no name; write an address`)
  const peer = address ?? (named ? SOME_ADDRESS : host)
  if (parseAddress(peer) === undefined) throw usageError(`--address ${peer} is no IP address`)
  return {
    agent,
    direction: to === undefined ? 'ingress' : 'egress',
    ts: now,
    ipProto,
    port: Number(port),
    peer,
    ...(named
      ? { serverName: seenName(host), nameSource: 'sni', nameProof: 'confirmed' as const }
      : {}),
  }
}

export function explanationText(
  { answer, scopeVersion, rules, suggestion }: Explanation,
  colours: Colours,
): string {
  const paint =
    answer.verdict === 'in_scope'
      ? colours.green
      : answer.verdict === 'out_of_scope'
        ? colours.red
        : colours.yellow
  const lines = [
    `${paint(colours.bold(answer.verdict))} by rule ${answer.rule}, scope ${scopeVersion}`,
  ]
  for (const { id, outcome, why } of rules) lines.push(`  ${outcome.padEnd(5)} ${id}: ${why}`)
  if (rules.length === 0) lines.push('  no rule is declared for this direction')
  if (suggestion !== '') lines.push('to allow it:', ...indented(suggestion, '  '))
  return `${lines.map((line, i) => (i === 0 ? line : printable(line))).join('\n')}\n`
}

export function addScopeCommand(program: Command, parts: CommandParts): void {
  const scope = program.command('scope').summary('check and explain what agents declare')
  scope
    .command('check')
    .summary('say what is wrong with agent files, as file:line:column')
    .argument('<dir...>', 'directories of agent files, or files')
    .action(async (paths: string[]) => {
      const terminal = parts.terminal()
      const { agents, problems, files } = await readAgentDirectory(paths)
      parts.causes.push(...(await tellProblems(problems, terminal)))
      const warnings = problems.filter(({ severity }) => severity === 'warning').length
      if (parts.causes.length === 0)
        await terminal.out.write(
          `${count(agents.length, 'agent')} in ${count(files, 'file')}: sound${warnings > 0 ? `, ${count(warnings, 'warning')}` : ''}\n`,
        )
    })
  scope
    .command('explain')
    .summary("ask an agent's scope about one connection, rule by rule")
    .addHelpText('before', EXAMPLES)
    .argument('<dir...>', 'directories of agent files, or files')
    .addOption(new Option('--agent <id>', 'whose scope').makeOptionMandatory())
    .option('--to <host:port/proto>', 'where it would connect to')
    .option('--from <address:port/proto>', 'who would connect to it, and to which of its ports')
    .option('--address <ip>', 'address behind the name of --to, where rules name networks')
    .action(async (paths: string[], options: ExplainOptions) => {
      const terminal = parts.terminal()
      const { agents, problems } = await readAgentDirectory(paths)
      parts.causes.push(...(await tellProblems(problems, terminal)))
      const asked = askedOf(options, agents, Date.now() * 1000)
      const explanation = explain(openScopes(agents), asked)
      if (explanation === undefined) throw usageError(`${asked.peer} is no IP address`)
      await terminal.out.write(explanationText(explanation, terminal.colours))
    })
}
