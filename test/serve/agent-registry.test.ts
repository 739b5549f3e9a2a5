// Agent files change while they are used: as editors do it, broken, half written, and gone.

import { mkdir, mkdtemp, open, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readinessOf } from '../../src/api/readiness.ts'
import { AgentProblemsError } from '../../src/replay.ts'
import { AgentRegistry } from '../../src/serve/agent-registry.ts'
import type { LogLevel } from '../../src/telemetry.ts'

let directory = ''
let registry: AgentRegistry | undefined
let lines: [LogLevel, string][] = []

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-agents-'))
  lines = []
})
afterEach(async () => {
  await registry?.close()
  registry = undefined
  await rm(directory, { recursive: true })
})

const at = (name: string) => path.join(directory, name)
const agent = (name: string, domain: string) => `id: urn:agent:${name}
owner: team@example.com
purpose: Tests
environment: test
addresses: [10.0.0.${name.length}]
scope:
  egress:
    - { id: one, domain: ${domain}, port: 443, why: It must }
`

async function watched(settleMillis = 40): Promise<AgentRegistry> {
  registry = await AgentRegistry.open([directory], {
    log: (level, message) => void lines.push([level, message]),
    settleMillis,
    lookMillis: 100,
  })
  return registry
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await new Promise((resolve) => setTimeout(resolve, 10))
}

const ids = () => registry!.view().agents.map(({ id }) => id)
const count = (result: string) =>
  registry!.samples().find(({ labels }) => labels?.result === result)?.value

test('a file that is added, edited in place, replaced by renaming, and taken away is seen', async () => {
  await writeFile(at('a.yaml'), agent('a', 'a.example'))
  const { scopes } = await watched()
  const first = scopes().hash
  expect(ids()).toEqual(['urn:agent:a'])

  await writeFile(at('bb.yaml'), agent('bb', 'b.example'))
  await until(() => ids().length === 2)
  const second = scopes().hash
  expect(second).not.toBe(first)

  await writeFile(at('a.yaml'), agent('a', 'other.example'))
  await until(() => scopes().hash !== second)
  const third = scopes().hash

  // As vim does: the old one aside, the new one in its place.
  await rename(at('a.yaml'), at('a.yaml~'))
  await writeFile(at('a.yaml'), agent('a', 'a.example'))
  await until(() => scopes().hash !== third)
  expect(scopes().hash).toBe(second)

  await rm(at('bb.yaml'))
  await until(() => ids().length === 1)
  expect(scopes().hash).toBe(first)
  expect([count('used'), count('refused')]).toEqual([4, 0])
})

test('a broken edit keeps what held, says so everywhere, and is mended by the next one', async () => {
  await writeFile(at('a.yaml'), agent('a', 'a.example'))
  const { scopes } = await watched()
  const before = scopes()
  await writeFile(at('a.yaml'), agent('a', 'a.example').replace('owner:', 'ownr:'))
  await until(() => registry!.view().problem !== undefined)
  expect(scopes()).toBe(before)
  expect(registry!.view().problem).toMatch(/a\.yaml:1:1: error: `owner` is missing.*\(and 1 more\)/)
  expect(ids()).toEqual(['urn:agent:a'])
  // It gets on, and says what is the matter.
  const told = readinessOf([registry!])
  expect([told.ready, told.warning]).toEqual([true, expect.stringContaining('`owner`')])
  expect(lines.filter(([level]) => level === 'error')).toHaveLength(1)
  expect([count('used'), count('refused')]).toEqual([0, 1])

  await writeFile(at('a.yaml'), agent('a', 'mended.example'))
  await until(() => registry!.view().problem === undefined)
  expect(scopes().hash).not.toBe(before.hash)
  expect(readinessOf([registry!])).toEqual({ ready: true, reason: '' })
})

test('all files gone is a broken edit, too', async () => {
  await writeFile(at('a.yaml'), agent('a', 'a.example'))
  await watched()
  await rm(at('a.yaml'))
  await until(() => registry!.view().problem !== undefined)
  expect(registry!.view().problem).toContain('no agent files')
  expect(ids()).toEqual(['urn:agent:a'])
})

test('while a file is written piece by piece nothing is judged by the first half', async () => {
  await writeFile(at('a.yaml'), agent('a', 'a.example'))
  const { scopes } = await watched(800)
  const seen = new Set([scopes().hash])
  const looking = setInterval(() => seen.add(scopes().hash), 1)
  // Each piece leaves a file that is sound by itself.
  const file = await open(at('a.yaml'), 'a')
  for (let i = 0; i < 12; i++) {
    await file.write(`    - { id: more-${i}, domain: x${i}.example, port: 443, why: It must }\n`)
    await new Promise((resolve) => setTimeout(resolve, 15))
  }
  await file.close()
  await until(() => seen.size > 1)
  clearInterval(looking)
  expect(count('used')).toBe(1)
})

test('a directory that is a link is followed when the link is turned, as Kubernetes does it', async () => {
  for (const name of ['v1', 'v2']) await mkdir(at(name))
  await writeFile(at('v1/a.yaml'), agent('a', 'a.example'))
  await writeFile(at('v2/a.yaml'), agent('a', 'b.example'))
  await symlink(at('v1'), at('data'))
  registry = await AgentRegistry.open([at('data')], {
    log: () => {},
    settleMillis: 40,
    lookMillis: 100,
  })
  const before = registry.scopes().hash
  await symlink(at('v2'), at('next'))
  await rename(at('next'), at('data'))
  await until(() => registry!.scopes().hash !== before)
})

test('files that are broken at the start are refused', async () => {
  await writeFile(at('a.yaml'), 'id: 7')
  await expect(watched()).rejects.toThrow(AgentProblemsError)
})
