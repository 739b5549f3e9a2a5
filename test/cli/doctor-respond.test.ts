// What doctor says of webhooks, of secrets and of the audit log.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checkRespond } from '../../src/cli/doctor-respond.ts'
import { AUDIT_NAME, AuditLog } from '../../src/respond/audit-log.ts'
import { readSettings } from '../../src/settings.ts'
import { SECRET } from '../respond/receiver.ts'

let scratch = ''
beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-doctor-respond-'))
})
afterEach(() => rmSync(scratch, { recursive: true, force: true }))

const ask = () => {
  const text = `respond:
  webhooks: [{name: soc, url: "https://hooks.example.com/s3cr3t", secret_file: secret}]
serve: {data: data}
`
  const files = [{ path: path.join(scratch, 'bailiwick.yaml'), text }]
  const { settings, problems } = readSettings({ env: {}, flags: {}, files })
  expect(problems).toEqual([])
  return checkRespond(settings, new AbortController().signal)
}
const secret = (text: string, mode = 0o600) => {
  writeFileSync(path.join(scratch, 'secret'), text)
  chmodSync(path.join(scratch, 'secret'), mode)
}

test('a secret that can be read is fine, one that others may read is not, one that is none fails', async () => {
  secret(SECRET)
  expect(await ask()).toEqual([
    {
      name: 'webhook soc',
      state: 'ok',
      found: 'https://hooks.example.com/…, its secret can be read',
      cure: '',
    },
  ])
  secret(SECRET, 0o644)
  expect(await ask()).toMatchObject([
    { state: 'warn', cure: `chmod 600 ${path.join(scratch, 'secret')}` },
  ])
  secret('hunter2hunter2')
  const [none] = await ask()
  expect(none).toMatchObject({
    state: 'fail',
    found: expect.stringContaining('is no secret') as string,
  })
  expect(none!.found).not.toContain('hunter2')
})

test('an audit log that was changed fails', async () => {
  secret(SECRET)
  const directory = path.join(scratch, 'data', 'audit')
  mkdirSync(directory, { recursive: true })
  const log = await AuditLog.open(directory, () => {})
  for (const subject of ['one', 'two'])
    await log.append({ at: 0, actor: 'system', action: 'a', subject, detail: {} })
  await log.close()
  expect((await ask()).at(-1)).toMatchObject({ state: 'ok', found: 'it holds together, 2 records' })
  writeFileSync(path.join(directory, AUDIT_NAME), '{"seq":1}\n')
  expect((await ask()).at(-1)).toMatchObject({ name: 'audit log', state: 'fail' })
})
