// `bailiwick agents`: which agents a directory of agent files declares.

import type { Command } from 'commander'
import type { Agent } from '../identity/agent.ts'
import { printable, printableJson } from '../wire-text.ts'
import { readAgentDirectory, tellProblems } from './agent-directory.ts'
import type { CommandParts } from './program.ts'
import type { Colours } from './terminal.ts'
import { renderTable, shortenStart } from './text-table.ts'

/** What an agent is known by, in words. */
function knownBy(agent: Agent): string {
  const addresses = agent.addresses.map(
    ({ network, shared }) => network.replace(/\/(32|128)$/, '') + (shared ? ' (shared)' : ''),
  )
  const users = agent.proxyUsers.map((user) => `proxy user ${user}`)
  return [...addresses, ...agent.interfaces, ...users].join(', ')
}

export function agentsText(agents: readonly Agent[], width: number, colours: Colours): string {
  const idWidth = Math.max(24, Math.floor(width / 2))
  return renderTable(
    [
      { title: 'agent' },
      { title: 'owner' },
      { title: 'environment' },
      { title: 'state' },
      { title: 'rules', right: true },
      { title: 'known by' },
    ],
    agents.map((agent) => [
      shortenStart(printable(agent.id), idWidth),
      printable(agent.owner),
      printable(agent.environment),
      agent.state === 'active' ? '' : colours.yellow(agent.state),
      String(agent.scope.egress.length + agent.scope.ingress.length),
      printable(knownBy(agent)),
    ]),
    colours,
  )
}

export function addAgentsCommand(program: Command, parts: CommandParts): void {
  program
    .command('agents')
    .summary('list the agents that a directory declares')
    .argument('<dir...>', 'directories of agent files, or files')
    .option('--json', 'one JSON object instead of a table', false)
    .action(async (paths: string[], options: { json: boolean }) => {
      const terminal = parts.terminal()
      const { agents, problems } = await readAgentDirectory(paths)
      const list = agents.map(({ id, owner, purpose, environment, state, scope, ...agent }) => ({
        id,
        owner,
        purpose,
        environment,
        state,
        addresses: agent.addresses.map(({ network, shared }) => ({ network, shared })),
        interfaces: agent.interfaces,
        proxy_users: agent.proxyUsers,
        scope_version: scope.version,
        rules: scope.egress.length + scope.ingress.length,
      }))
      await terminal.out.write(
        options.json
          ? `${printableJson({ schema: 'bailiwick.agents/v1', agents: list })}\n`
          : agentsText(agents, terminal.width, terminal.colours),
      )
      parts.causes.push(...(await tellProblems(problems, terminal)))
    })
}
