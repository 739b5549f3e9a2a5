// `bailiwick reconcile` and `doctor` over a store directory: what an operator reads, and the exit codes.

import { access, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '../../src/cli/program.ts'
import { readEnvironment } from '../../src/config.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import { migrate } from '../../src/store/migrate.ts'
import { EngineStore } from '../../src/store/store.ts'
import { flowsChunk, HOUR, sayingOf, statement, storeAll } from '../audit/world.ts'
import { MONDAY } from '../store/samples.ts'
import { Memory } from './heard.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-reconcile-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

async function bailiwick(...args: string[]) {
  const stdout = new Memory()
  const stderr = new Memory()
  const code = await run(args, {
    stdout,
    stderr,
    environment: readEnvironment({}),
    signal: new AbortController().signal,
  })
  return { code, stdout: stdout.text, stderr: stderr.text }
}

async function withEngine(
  work: (store: EngineStore, command: (sql: string) => Promise<void>) => Promise<void>,
): Promise<void> {
  const engine = await openEmbedded(directory, { memoryBytes: 1 << 30, temporary: false })
  await migrate(engine)
  const store = new EngineStore(engine, false)
  await work(store, (sql) => engine.command(sql))
  await store.close()
}

test('hours that are all right are one line; a deleted row is told with its cause and cure', async () => {
  const chunks = Array.from({ length: 3 }, (_, seq) =>
    flowsChunk('tap1/\u001b[2Ja', seq, 4, { ts: MONDAY + seq * HOUR }),
  )
  await withEngine((store) =>
    storeAll(store, [...chunks, statement(0, [sayingOf('tap1/\u001b[2Ja', chunks)])]),
  )
  const calm = await bailiwick('reconcile', '--store', directory)
  expect(calm).toMatchObject({ code: 0, stderr: '' })
  expect(calm.stdout).toMatch(/equal +tap1 +2026-01-05 09:00 to 2026-01-05 11:00 +12 +12 +12/)
  expect(calm.stdout).toContain('all equal: 4 chunks compared')

  await withEngine((_store, command) =>
    command(
      `ALTER TABLE flow_records DELETE WHERE row = 2 AND chunk_id = '${chunks[1]!.header.id}' SETTINGS mutations_sync = 2`,
    ),
  )
  const found = await bailiwick('reconcile', '--store', directory, '--deep')
  expect(found).toMatchObject({ code: 1, stderr: expect.stringContaining('1 row missing') })
  expect(found.stdout).toContain(
    `1 row of flow_records missing (row 2): chunk ${chunks[1]!.header.id}`,
  )
  expect(found.stdout).toContain('flows of 2026-01-05 10:00 UTC')
  expect(found.stdout).toMatch(/why: they were inserted and are gone[\s\S]*cure: /)
  expect(found.stdout).not.toContain('\u001b[2J')

  const json = await bailiwick('reconcile', '--store', directory, '--json')
  expect(JSON.parse(json.stdout)).toMatchObject({
    schema: 'bailiwick.reconcile/v1',
    chunks: 4,
    findings: [{ kind: 'rows_missing', places: [2], count: 1 }],
  })

  const doctor = await bailiwick('doctor', '--store', directory, '--json')
  const { checks } = JSON.parse(doctor.stdout) as { checks: { name: string }[] }
  expect(checks.find(({ name }) => name === 'audit')).toMatchObject({
    state: 'warn',
    found: '1 row missing',
    cure: 'bailiwick reconcile',
  })

  const wanted = await bailiwick('reconcile', '--store', directory, '--restore')
  expect(wanted.code).toBe(1)
  expect(wanted.stdout).toMatch(/wanted back +1 chunk of tap1\/.*: .* --sensor-id tap1 and/)
  await withEngine((store) => storeAll(store, chunks))
  const mended = await bailiwick('reconcile', '--store', directory, '--restore')
  expect(mended).toMatchObject({ code: 0, stderr: '' })
  expect(mended.stdout).toContain('all equal')
  expect(mended.stdout).toContain('nothing is wanted back')
}, 120_000)

test('where nothing was stored, or is no store, nothing is said to be equal', async () => {
  const nowhere = path.join(directory, 'mistyped')
  const none = await bailiwick('reconcile', '--store', nowhere)
  expect(none).toMatchObject({ code: 4, stdout: '' })
  expect(none.stderr).toContain('mistyped holds no store')
  await expect(access(nowhere)).rejects.toThrow('ENOENT')

  const fresh = path.join(directory, 'fresh')
  const doctor = await bailiwick('doctor', '--store', fresh)
  expect(doctor.stdout).toMatch(/ok +audit +nothing was announced or stored in the last 24 hours/)
  const calm = await bailiwick('reconcile', '--store', fresh)
  expect(calm).toMatchObject({ code: 0, stderr: '' })
  expect(calm.stdout).toMatch(/^nothing to compare: nothing was announced or stored since 2/)
  const ever = await bailiwick('reconcile', '--store', fresh, '--deep')
  expect(ever.stdout).toBe('nothing to compare: nothing was announced or stored ever\n')
}, 60_000)

test('wrong usage says what is wanted', async () => {
  const since = await bailiwick('reconcile', '--store', directory, '--since', 'yesterday')
  expect(since).toMatchObject({ code: 2, stderr: expect.stringContaining('--since yesterday') })
  const both = await bailiwick('reconcile', '--store', directory, '--since', '3', '--deep')
  expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining('leave --since out') })
  const help = await bailiwick('reconcile', '--help')
  expect(help.stdout).toContain('--deep')
})
