// docs/revocation.md against the program: its limits and their bounds, its guards, its variables, its example.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { REVOCATION_GUARDS } from '../../src/respond/revoke-guards.ts'
import { REVOCATION, REVOCATION_MODES } from '../../src/respond/revoke-settings.ts'
import { TEMPLATE_VARIABLES } from '../../src/respond/revoke-template.ts'
import { readSettings } from '../../src/settings.ts'

const PAGE = readFileSync(path.join(import.meta.dirname, '../../docs/revocation.md'), 'utf8')

test('the example is one', () => {
  const text = /```yaml\n([\s\S]*?)```/.exec(PAGE)![1]!
  const { problems, settings } = readSettings({ env: {}, flags: {}, files: [{ path: 'x', text }] })
  expect([problems, settings.respond.revocation.mode]).toEqual([[], 'approve'])
})

test('the limits are those of the code, and end where it says', () => {
  const rows = [...PAGE.matchAll(/^\| `(\w+)` \| (\d+) \| (\d+) to (\d+) \|/gm)]
  const defaults: Record<string, unknown> = REVOCATION.parse({})
  expect(rows.map(([, name]) => name).sort()).toEqual(
    Object.keys(defaults)
      .filter((name) => typeof defaults[name] === 'number')
      .sort(),
  )
  for (const [, name, fallback, least, most] of rows) {
    expect(defaults[name!], name).toBe(Number(fallback))
    const takes = (value: number) => REVOCATION.safeParse({ [name!]: value }).success
    const [low, high] = [Number(least), Number(most)]
    expect([takes(low - 1), takes(low), takes(high), takes(high + 1)], name).toEqual([
      ...[false, true, true, false],
    ])
    for (const none of [Number.NaN, Number.POSITIVE_INFINITY, low + 0.5])
      expect(takes(none), name).toBe(false)
  }
})

test('modes, guards and variables are all there', () => {
  for (const word of [...REVOCATION_MODES, ...REVOCATION_GUARDS])
    expect(PAGE).toContain(`| \`${word}\` | `)
  for (const variable of TEMPLATE_VARIABLES) expect(PAGE).toContain(`\`${variable}\``)
})
