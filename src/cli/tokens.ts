// `bailiwick tokens`: who may ask the API of a data directory. Works beside a running process, which looks at the file
// once a second.

import { existsSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { addToken, listTokens, ROLES, type Role, removeToken } from '../api/tokens.ts'
import { printable, printableJson } from '../wire-text.ts'
import { addSettingsOptions, settingsOf } from './bus-options.ts'
import { usageError } from './exit.ts'
import type { CommandParts } from './program.ts'
import { instantText } from './row-values.ts'
import { renderTable } from './text-table.ts'

const EXAMPLES = `Examples:
  bailiwick tokens add "night shift" --role approver --expires 90d
                                                       prints the token, once: it is kept nowhere
  bailiwick tokens ls                                  names, roles and ids
  bailiwick tokens rm 1f2e3d4c                         out within a second, also of a process that runs
`

const DAY_MILLIS = 86_400_000

export function addTokensCommand(program: Command, parts: CommandParts): void {
  const tokens = program
    .command('tokens')
    .summary('say who may ask the API, and who no longer')
    .addHelpText('before', EXAMPLES)
  const add = (name: string, summary: string) =>
    addSettingsOptions(tokens.command(name).summary(summary), ['serve.data'])

  add('add', 'make a token and print it')
    .argument('<name>', 'for people, and for the audit of what is decided with it')
    .addOption(new Option('--role <role>', 'what it may').choices(ROLES).default('viewer'))
    .option('--expires <days>', 'so many days from now, as 90d; never unless said')
    .action(async (name: string, options: { role: Role; expires?: string }) => {
      const data = await directoryOf({ ...options }, parts)
      const { role } = options
      const expires =
        options.expires === undefined ? {} : { expires: Date.now() + daysOf(options.expires) }
      const token = addToken(data, { name, role, ...expires })
      await parts.terminal().out.write(`${token}\n`)
    })
  add('ls', 'tokens, without what they are')
    .option('--json', 'one JSON object a line instead of text', false)
    .action(async (options: { json: boolean }) => {
      const data = await directoryOf({ ...options }, parts)
      const found = listTokens(data)
      const { out, colours } = parts.terminal()
      if (options.json) return out.write(found.map((token) => `${printableJson(token)}\n`).join(''))
      const rows = found.map(({ id, name, role, created, expires }) => [
        id,
        printable(name),
        role,
        instantText(created),
        expires === undefined ? 'never' : instantText(expires),
      ])
      const titles = ['id', 'name', 'role', 'made', 'expires']
      await out.write(
        renderTable(
          titles.map((title) => ({ title })),
          rows,
          colours,
        ),
      )
    })
  add('rm', 'take a token away')
    .argument('<id>', 'the eight characters behind bw_, as `tokens ls` shows them')
    .action(async (id: string, options: object) => {
      const data = await directoryOf({ ...options }, parts)
      if (!removeToken(data, id))
        throw usageError(`there is no token ${printable(id)}: bailiwick tokens ls shows them`)
    })
}

async function directoryOf(options: Record<string, unknown>, parts: CommandParts): Promise<string> {
  const { data } = (await settingsOf(options, parts)).serve
  if (existsSync(data)) return data
  throw usageError(
    `there is no data directory ${printable(data)}: a server makes it, or name another with --data`,
  )
}

function daysOf(text: string): number {
  const days = /^(\d{1,5})d$/.exec(text)?.[1]
  if (days === undefined || Number(days) === 0)
    throw usageError(`--expires ${printable(text)}: expected days such as 90d`)
  return Number(days) * DAY_MILLIS
}
