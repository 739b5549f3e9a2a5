// Flags, variables and files of a command become settings, and settings what Kafka and the store are opened with.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  addSettingsOptions,
  kafkaSettings,
  needed,
  settingsOf,
  storeTargetOf,
} from '../../src/cli/bus-options.ts'
import type { CommandParts } from '../../src/cli/program.ts'
import { readEnvironment } from '../../src/config.ts'
import { heard } from './heard.ts'

let scratch = ''
beforeAll(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'bailiwick-settings-test-'))
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

function written(name: string, text: string): string {
  const file = path.join(scratch, name)
  writeFileSync(file, text)
  return file
}

/** The settings of a command line, as a command reads them. */
async function read(args: string[], env: Record<string, string> = {}, { terminal } = heard()) {
  const parts: CommandParts = {
    terminal: () => terminal,
    environment: readEnvironment(env),
    signal: new AbortController().signal,
    causes: [],
    runLong: () => {},
  }
  const command = addSettingsOptions(new Command('worker'), ['kafka', 'store', 'worker', 'listen'])
  command.exitOverride().configureOutput({ outputError: () => {} })
  command.parse(args, { from: 'user' })
  return { settings: await settingsOf(command.opts(), parts) }
}

it('reads the flags of the sections that a command asked for', async () => {
  const { settings } = await read(
    ['--kafka', 'a:1,b:2', '--in-flight-bytes', '64MiB', '--until-idle', '5', '--listen', '0'],
    { BAILIWICK_WORKER_GROUP: 'blue' },
  )
  expect(settings.kafka.brokers).toEqual(['a:1', 'b:2'])
  expect(settings.worker).toMatchObject({
    inFlightBytes: 64 * 2 ** 20,
    untilIdleSeconds: 5,
    group: 'blue',
  })
  expect(settings.listen).toEqual({ host: '127.0.0.1', port: 0 })
  await expect(read(['--spool', 'x'])).rejects.toThrow("unknown option '--spool'")
})

it('reads the file that --config names, or BAILIWICK_CONFIG; one that is not there is a mistake', async () => {
  const config = written('a.yaml', 'kafka: {brokers: "file:1"}\n')
  expect((await read(['--config', config])).settings.kafka.brokers).toEqual(['file:1'])
  expect((await read([], { BAILIWICK_CONFIG: config })).settings.kafka.brokers).toEqual(['file:1'])
  await expect(read(['--config', '/nowhere/x.yaml'])).rejects.toMatchObject({
    code: 2,
    message: '--config /nowhere/x.yaml: no such file or directory',
  })
})

it('tells every mistake, the last as the reason to end', async () => {
  const config = written('wrong.yaml', 'kafka: {brokers: 7}\nlisten: here\n')
  const said = heard()
  const env = { BAILIWICK_LISTN: '1' }
  const wrong = read(['--config', config, '--threads', 'many'], env, said)
  await expect(wrong).rejects.toMatchObject({
    code: 2,
    message: '--threads: expected a whole number from 1 to 256, found many',
  })
  expect(said.err.text.split('\n')).toEqual([
    'bailiwick: warning: BAILIWICK_LISTN: no such setting, nothing reads it (did you mean BAILIWICK_LISTEN?)',
    expect.stringContaining(`bailiwick: ${config}:1:18: \`kafka.brokers\`: expected host:port of`),
    expect.stringContaining(`bailiwick: ${config}:2:9: \`listen\`: expected a port`),
    '',
  ])
})

it('says how to give what is missing', async () => {
  const { settings } = await read([])
  expect(() => needed(settings.worker.agents, 'worker.agents')).toThrow(
    'worker.agents is not set: give --agents <dir>, BAILIWICK_WORKER_AGENTS, or `worker.agents` in a settings file',
  )
  expect(() => kafkaSettings(settings)).toThrow(
    'kafka.brokers is not set: give --kafka <host:port,...>, BAILIWICK_KAFKA_BROKERS, or',
  )
})

describe('files that settings name', () => {
  const PEM = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n'

  it('are read: certificates and passwords', async () => {
    const { settings } = await read(['--kafka', 'a:1', '--store', 'https://writer@h:8443/flows'], {
      BAILIWICK_KAFKA_TLS_CA_FILE: written('ca.pem', PEM),
      BAILIWICK_KAFKA_SASL_USERNAME: 'sensor',
      BAILIWICK_KAFKA_SASL_PASSWORD_FILE: written('password', 'hunter2\n'),
      BAILIWICK_STORE_PASSWORD: 'hunter3',
    })
    expect(kafkaSettings(settings, 'sensor-1')).toMatchObject({
      brokers: ['a:1'],
      clientId: 'sensor-1',
      tls: { ca: PEM },
      sasl: { mechanism: 'scram-sha-512', username: 'sensor', password: 'hunter2' },
    })
    expect(storeTargetOf(settings)).toMatchObject({ user: 'writer', password: 'hunter3' })
  })

  it.each([
    ['two lines', 'hunter2\nhunter3\n', 'expected one line of text, the password and nothing else'],
    ['nothing', '\n', 'is empty, and should hold the password'],
  ])('are not read with %s in them, and are not shown', async (_, text, words) => {
    const { settings } = await read(['--kafka', 'a:1'], {
      BAILIWICK_KAFKA_SASL_USERNAME: 'sensor',
      BAILIWICK_KAFKA_SASL_PASSWORD_FILE: written('bad', text),
    })
    const message = `kafka.sasl.password_file ${path.join(scratch, 'bad')}: ${words}`
    expect(() => kafkaSettings(settings)).toThrow(expect.objectContaining({ code: 2, message }))
  })

  it('are said to be missing, or no PEM', async () => {
    const ca = async (file: string) =>
      (await read(['--kafka', 'a:1'], { BAILIWICK_KAFKA_TLS_CA_FILE: file })).settings
    const missing = await ca('/nowhere/ca.pem')
    expect(() => kafkaSettings(missing)).toThrow(
      'kafka.tls.ca_file /nowhere/ca.pem: no such file or directory',
    )
    const der = await ca(written('ca.der', '0\u0082'))
    expect(() => kafkaSettings(der)).toThrow('expected PEM (-----BEGIN …), found something else')
  })
})
