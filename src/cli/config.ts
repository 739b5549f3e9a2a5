// `bailiwick config`: the settings as a command would see them, where each comes from, and what is wrong with them.

import type { Command } from 'commander'
import { SETTING_KEYS, shownSetting } from '../setting-table.ts'
import type { SettingsRead } from '../settings.ts'
import { printable, printableJson } from '../wire-text.ts'
import { addSettingsOptions, settingsOf, settingsRead } from './bus-options.ts'
import type { CommandParts } from './program.ts'
import { renderTable } from './text-table.ts'

const SECTIONS = ['kafka', 'store', 'sensor', 'worker', 'respond', 'topics', 'listen']

const EXAMPLES = `Examples:
  bailiwick config validate --config bailiwick.yaml     exit 2 if something is wrong
  bailiwick config show --origin                        what holds here, and who says so
`

export function addConfigCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('config')
    .summary('show and check settings')
    .description(
      'Settings come from flags, the environment, settings files and defaults, in this order. Secrets are never shown.',
    )
    .addHelpText('before', EXAMPLES)
  addSettingsOptions(command.command('show').summary('the settings that hold'), SECTIONS)
    .option('--origin', 'also where each comes from', false)
    .option('--json', 'one JSON object instead of a table', false)
    .action(async (options: { origin: boolean; json: boolean }) => {
      await settingsOf({ ...options }, parts)
      const read = await settingsRead({ ...options }, parts)
      const terminal = parts.terminal()
      await terminal.out.write(
        options.json ? settingsJson(read) : settingsText(read, options.origin, parts),
      )
    })
  addSettingsOptions(command.command('validate').summary('check the settings'), SECTIONS).action(
    async (options: Record<string, unknown>) => {
      await settingsOf(options, parts)
      await parts.terminal().out.write('the settings are valid\n')
    },
  )
}

function settingsText(
  { values, origins }: SettingsRead,
  withOrigin: boolean,
  parts: CommandParts,
): string {
  const rows = SETTING_KEYS.map((key) => [
    key,
    printable(shownSetting(key, values[key])),
    withOrigin ? printable(origins[key]) : '',
  ])
  const columns = [{ title: 'setting' }, { title: 'value' }, { title: 'from' }]
  return renderTable(columns, rows, parts.terminal().colours)
}

/** Values as text, null where nothing is set. */
function settingsJson({ values, origins }: SettingsRead): string {
  const settings = SETTING_KEYS.map((key) => ({
    key,
    value: values[key] === undefined ? null : shownSetting(key, values[key]),
    from: origins[key],
  }))
  return `${printableJson({ schema: 'bailiwick.config/v1', settings })}\n`
}
