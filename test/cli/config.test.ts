// `bailiwick config`: what holds and who says so, without secrets; and what is wrong.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { run } from '../../src/cli/program.ts'
import { readEnvironment } from '../../src/config.ts'
import { Memory } from './heard.ts'

let scratch = ''
let file = ''
beforeAll(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-config-test-'))
  file = path.join(scratch, 'settings.yaml')
  writeFileSync(file, 'kafka:\n  brokers: [a:9092, b:9092]\nstore: http://writer@h:8123/flows\n')
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

async function config(args: string[], env: Record<string, string> = {}) {
  const [stdout, stderr] = [new Memory(), new Memory()]
  const signal = new AbortController().signal
  const environment = readEnvironment(env)
  const code = await run(['config', ...args], { stdout, stderr, environment, signal })
  return { code, out: stdout.text, err: stderr.text }
}

it('shows what holds, and who says so', async () => {
  const env = { BAILIWICK_KAFKA_SASL_USERNAME: 'sensor', BAILIWICK_KAFKA_PASSWORD: 'hunter2' }
  const { code, out } = await config(['show', '--origin', '--config', file, '--lanes', '16'], env)
  expect(code).toBe(0)
  const row = (key: string) => out.split('\n').find((line) => line.startsWith(`${key} `))
  expect(row('kafka.brokers')).toMatch(/ a:9092,b:9092 +\S*settings\.yaml:2:12$/)
  expect(row('store.address')).toMatch(/ http:\/\/writer@h:8123\/flows +\S*settings\.yaml:3:8$/)
  expect(row('sensor.lanes')).toMatch(/ 16 +--lanes$/)
  expect(row('sensor.spool_bytes')).toMatch(/ 20GiB +default$/)
  expect(row('kafka.password')).toMatch(/ \*\*\* +BAILIWICK_KAFKA_PASSWORD$/)
  expect(out).not.toContain('hunter2')
})

it('shows it as JSON', async () => {
  const { out } = await config(['show', '--json', '--config', file])
  const { schema, settings } = JSON.parse(out)
  expect(schema).toBe('bailiwick.config/v1')
  expect(settings).toContainEqual({
    key: 'kafka.brokers',
    value: 'a:9092,b:9092',
    from: `${file}:2:12`,
  })
  expect(settings).toContainEqual({ key: 'listen', value: null, from: 'not set' })
})

it('says whether all is well', async () => {
  expect(await config(['validate', '--config', file])).toEqual({
    code: 0,
    out: 'the settings are valid\n',
    err: '',
  })
  const wrong = await config(['validate', '--config', file], { BAILIWICK_LISTEN: ':1' })
  expect([wrong.code, wrong.out]).toEqual([2, ''])
  expect(wrong.err).toMatch(/^bailiwick: BAILIWICK_LISTEN: expected a port .*, found :1\n$/)
})
