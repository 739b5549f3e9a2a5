// `bailiwick audit verify`, as somebody runs it who does not trust the machine that wrote the log.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '../../src/cli/program.ts'
import { readEnvironment } from '../../src/config.ts'
import { AUDIT_NAME, AuditLog } from '../../src/respond/audit-log.ts'
import { Memory } from './heard.ts'

let root = ''
let head = ''
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'bailiwick-audit-'))
  const log = await AuditLog.open(root, () => {})
  for (const subject of ['a', 'b', 'c'])
    await log.append({ at: 0, actor: 'alice', action: 'revocation.approved', subject, detail: {} })
  head = log.head.hash
  await log.close()
})
afterAll(() => rm(root, { recursive: true, force: true }))

async function bailiwick(...args: string[]) {
  const [stdout, stderr] = [new Memory(), new Memory()]
  const { signal } = new AbortController()
  const code = await run(args, { stdout, stderr, environment: readEnvironment({}), signal })
  return { code, out: stdout.text, err: stderr.text }
}

test('says that a log holds together, and where it ends', async () => {
  const { code, out } = await bailiwick('audit', 'verify', root)
  expect(code).toBe(0)
  expect(out).toBe(`3 records hold together\nthe last of them is ${head}\n`)
})

test('finds a record that was changed, and a chain that was cut off', async () => {
  const text = await readFile(path.join(root, AUDIT_NAME), 'utf8')
  const other = path.join(root, 'other.log')
  await writeFile(other, text.replace('"b"', '"x"'))
  const changed = await bailiwick('audit', 'verify', other)
  expect(changed.code).toBe(1)
  expect(changed.out).toContain(`${other}:2 was changed`)
  await writeFile(other, text.slice(0, text.lastIndexOf('{"seq":3')))
  expect((await bailiwick('audit', 'verify', other)).code).toBe(0)
  const cut = await bailiwick('audit', 'verify', other, '--head', head, '--json')
  expect(cut.code).toBe(1)
  expect(JSON.parse(cut.out)).toMatchObject({ found: false, head: { seq: 2 } })
})

test('says so if there is none', async () => {
  const { code, err } = await bailiwick('audit', 'verify', path.join(root, 'nothing'))
  expect(code).toBe(3)
  expect(err).toContain('there is no audit log at')
})
