// The settings there are, held against what is written about them: the page of settings and the example file.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import {
  flagOf,
  SETTING_KEYS,
  SETTINGS,
  type Setting,
  shownSetting,
  variableOf,
} from '../src/setting-table.ts'
import { readSettings } from '../src/settings.ts'

const ROOT = path.join(import.meta.dirname, '..')
const read = (name: string) => readFileSync(path.join(ROOT, name), 'utf8')
const EXAMPLE = { path: 'deploy/config.example.yaml', text: read('deploy/config.example.yaml') }

/** The rows of docs/settings.md. */
function rows(): string[] {
  const code = (text: string) => (text === '' ? '' : `\`${text}\``)
  return SETTING_KEYS.map((key) => {
    const { kind, flag, fallback, meaning, secret }: Setting = SETTINGS[key]
    const cells = [
      secret === true ? '' : code(key),
      code(variableOf(key)),
      code(flag ?? ''),
      kind.name,
      code(shownSetting(key, fallback)),
      meaning,
    ]
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  })
}

it('stand on the page of settings, each with its variable, flag, default and meaning', () => {
  const page = read('docs/settings.md')
  const table = page.split('\n').filter((line) => /^\|.*\| `BAILIWICK_/.test(line))
  expect(table, 'copy the rows into docs/settings.md:\n' + rows().join('\n')).toEqual(rows())
})

it('stand in the example file, which is valid', () => {
  const { problems, origins, values, settings } = readSettings({
    env: {},
    files: [EXAMPLE],
    flags: {},
  })
  expect(problems).toEqual([])
  const absent = SETTING_KEYS.filter((key) => !origins[key].startsWith('deploy/'))
  expect(absent).toEqual([
    ...['kafka.password', 'store.password', 'live.write', 'worker.until_idle_seconds', 'token'],
  ])
  expect(EXAMPLE.text).toContain('# until_idle_seconds: ')
  expect(EXAMPLE.text).toContain('# write: ')
  expect(settings.worker.agents).toBe(path.resolve('deploy/agents'))
  // What the comment says holds where nothing is said, holds.
  for (const key of ['kafka.client_id', 'sensor.id', 'sensor.spool_bytes', 'worker.group'] as const)
    expect(values[key]).toBe(readSettings({ env: {}, files: [], flags: {} }).values[key])
})

it('have one variable and one flag each', () => {
  for (const names of [SETTING_KEYS.map(variableOf), SETTING_KEYS.map(flagOf)]) {
    const given = names.filter((name) => name !== undefined)
    expect(new Set(given).size).toBe(given.length)
  }
})

it('have defaults that they would take', () => {
  for (const key of SETTING_KEYS) {
    const { kind, fallback }: Setting = SETTINGS[key]
    if (fallback === undefined) continue
    expect(kind.read(fallback), key).toEqual(fallback)
    // And as they are shown, so that a default can be copied from the page.
    expect(kind.read(shownSetting(key, fallback)), key).toEqual(fallback)
  }
})

it('show no secret', () => {
  expect(shownSetting('kafka.password', 'hunter2')).toBe('***')
  expect(shownSetting('store.password', 'hunter2')).toBe('***')
  expect(shownSetting('store.address', 'http://u:hunter2@h:1/d')).toBe('http://u:***@h:1/d')
})
