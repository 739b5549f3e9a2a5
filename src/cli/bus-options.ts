// The settings of a command: its flags, the environment and the settings files, and what the bus and the store are
// opened with. Files that settings name (certificates, passwords) are read here.

import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import type { KafkaSettings } from '../bus/kafka-client.ts'
import type { SourceFile } from '../identity/yaml-file.ts'
import { explainFileError } from '../inputs.ts'
import { Secret, SecretError } from '../respond/secret.ts'
import {
  flagOf,
  SETTING_KEYS,
  SETTINGS,
  type Setting,
  type SettingKey,
  shownSetting,
  variableOf,
} from '../setting-table.ts'
import { type HiddenText, readSettings, type Settings, type SettingsRead } from '../settings.ts'
import { parseStoreTarget, type StoreTarget } from '../store/store-target.ts'
import type { Log } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import { CommandError, usageError } from './exit.ts'
import type { CommandParts } from './program.ts'
import { say } from './terminal.ts'

/** Settings files that are read where they are, the one that counts most first. */
const SETTINGS_FILES = ['bailiwick.yaml', '/etc/bailiwick/config.yaml']
/** Largest file with a certificate or a password. */
const SECRET_FILE_BYTES_MAX = 1 << 20

/**
 * Adds `--config` and the flags of the given sections (`kafka`, `store`, `sensor`, `worker`, `topics`, `listen`) or
 * single keys (`worker.group`).
 * @param meanings what a setting means to this command, where that is not what it means to all
 */
export function addSettingsOptions(
  command: Command,
  sections: readonly string[] = ['kafka', 'store', 'listen'],
  meanings: Partial<Record<SettingKey, string>> = {},
): Command {
  for (const key of SETTING_KEYS) {
    const { flag, fallback, meaning }: Setting = SETTINGS[key]
    if (flag === undefined || !sections.some((one) => key === one || key.startsWith(`${one}.`)))
      continue
    const held =
      fallback === undefined || fallback === false
        ? ''
        : ` (default: ${shownSetting(key, fallback)})`
    const option = new Option(flag, meanings[key] ?? `${meaning}${held}`)
    // A list may be given in pieces.
    if (flag.endsWith(',...>'))
      option.argParser((text: string, before?: string) =>
        before === undefined ? text : `${before},${text}`,
      )
    command.addOption(option)
  }
  return command.option(
    '--config <file>',
    'settings file; docs/settings.md says what may stand in it',
  )
}

/**
 * The settings of a command that was given `options`. Warnings are said on stderr.
 * @throws CommandError with the first mistake; the others are said before it
 */
export async function settingsOf(
  options: Readonly<Record<string, unknown>>,
  parts: CommandParts,
): Promise<Settings> {
  const { settings, problems } = await settingsRead(options, parts)
  const terminal = parts.terminal()
  const errors = problems.filter(({ severity }) => severity === 'error')
  for (const { severity, words } of problems)
    if (severity === 'warning' && !terminal.quiet)
      await say(terminal, `bailiwick: warning: ${words}`)
  for (const { words } of errors.slice(0, -1)) await say(terminal, `bailiwick: ${words}`)
  const last = errors.at(-1)
  if (last !== undefined) throw usageError(last.words)
  return settings
}

/** As `settingsOf`, with every mistake and with where each value comes from. */
export async function settingsRead(
  options: Readonly<Record<string, unknown>>,
  parts: CommandParts,
): Promise<SettingsRead> {
  const env = parts.environment.bailiwick
  const flags: Partial<Record<SettingKey, string | boolean>> = {}
  for (const key of SETTING_KEYS) {
    const { flag }: Setting = SETTINGS[key]
    if (flag === undefined) continue
    const given = options[new Option(flag).attributeName()]
    if (typeof given === 'string' || given === true) flags[key] = given
  }
  const named = typeof options.config === 'string' ? options.config : env.BAILIWICK_CONFIG
  const origin = typeof options.config === 'string' ? '--config' : 'BAILIWICK_CONFIG'
  return readSettings({ env, flags, files: await settingsFiles(named, origin) })
}

async function settingsFiles(named: string | undefined, origin: string): Promise<SourceFile[]> {
  const files: SourceFile[] = []
  for (const path of named === undefined ? SETTINGS_FILES : [named, ...SETTINGS_FILES])
    try {
      files.push({ path, text: await readFile(path, 'utf8') })
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (path !== named && (code === 'ENOENT' || code === 'ENOTDIR')) continue
      const place = path === named ? `${origin} ${path}` : path
      throw usageError(printable(`${place}: ${explainFileError(error)}`))
    }
  return files
}

/** A setting that a command cannot do without. @throws CommandError that says how to give it */
export function needed<T>(value: T | undefined, key: SettingKey): T {
  if (value !== undefined) return value
  const flag = flagOf(key)
  const { flag: usage }: Setting = SETTINGS[key]
  throw usageError(
    `${key} is not set: give ${flag === undefined ? '' : `${usage}, `}${variableOf(key)}, or \`${key}\` in a settings file`,
  )
}

/**
 * How Kafka is reached. Reads the files that the settings name.
 * @throws CommandError if no broker is named or a file cannot be read
 */
export function kafkaSettings(settings: Settings, clientId?: string, log?: Log): KafkaSettings {
  const { brokers, tls, sasl, requestTimeoutMillis } = settings.kafka
  const read: KafkaSettings = {
    brokers: needed(brokers, 'kafka.brokers'),
    clientId: clientId ?? settings.kafka.clientId,
    requestTimeoutMillis,
  }
  if (tls !== undefined) {
    read.tls = {}
    if (tls.caFile !== undefined) read.tls.ca = pemFile(tls.caFile, 'kafka.tls.ca_file')
    if (tls.certFile !== undefined) read.tls.cert = pemFile(tls.certFile, 'kafka.tls.cert_file')
    if (tls.keyFile !== undefined) read.tls.key = pemFile(tls.keyFile, 'kafka.tls.key_file')
  }
  if (sasl !== undefined)
    read.sasl = { ...sasl, password: secretOf(sasl.password, 'kafka.sasl.password_file') }
  if (log !== undefined) read.log = log
  return read
}

/**
 * The store that the settings name, with the password from where it is kept.
 * @throws CommandError if none is named, or it or the password's file cannot be read
 */
export function storeTargetOf(settings: Settings): StoreTarget {
  const target = parseStoreTarget(needed(settings.store, 'store.address'))
  if (target.kind !== 'server') return target
  const { password, caFile } = settings.storeAccess
  if (password !== undefined) target.password = secretOf(password, 'store.password_file')
  if (caFile !== undefined) target.ca = pemFile(caFile, 'store.ca_file')
  return target
}

/** The secrets that settings hold or name, to be kept out of logs. What cannot be read is told when it is needed. */
export function secretTexts(settings: Settings): string[] {
  const texts: string[] = []
  const hidden: [HiddenText | undefined, SettingKey][] = [
    [settings.kafka.sasl?.password, 'kafka.sasl.password_file'],
    [settings.storeAccess.password, 'store.password_file'],
    [settings.api.token, 'api.token_file'],
  ]
  for (const [secret, key] of hidden)
    try {
      if (secret !== undefined) texts.push(secretOf(secret, key))
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
    }
  const { webhooks, revocations } = settings.respond.secrets
  for (const { source, place } of [...webhooks.values(), ...revocations.values()])
    try {
      texts.push(...new Secret(source, place).texts())
    } catch (error) {
      if (!(error instanceof SecretError)) throw error
    }
  const inUrl = /^https?:\/\/[^/@]*:([^/@]+)@/i.exec(settings.store ?? '')?.[1]
  if (inUrl !== undefined) texts.push(inUrl)
  return texts
}

/** What a secret is; read from its file if it is in one. @throws CommandError */
export function secretOf(secret: HiddenText, key: SettingKey): string {
  if ('text' in secret) return secret.text()
  const text = smallFile(secret.file, key).replace(/\r?\n$/, '')
  const what = `${key} ${printable(secret.file)}`
  const kind = key === 'api.token_file' ? 'token' : 'password'
  if (text === '') throw usageError(`${what}: is empty, and should hold the ${kind}`)
  if (/\p{Cc}/u.test(text))
    throw usageError(`${what}: expected one line of text, the ${kind} and nothing else`)
  return text
}

function pemFile(path: string, key: SettingKey): string {
  const text = smallFile(path, key)
  if (!text.includes('-----BEGIN '))
    throw usageError(`${key} ${printable(path)}: expected PEM (-----BEGIN …), found something else`)
  return text
}

function smallFile(path: string, key: SettingKey): string {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    throw usageError(`${key} ${printable(path)}: ${explainFileError(error)}`)
  }
  if (bytes.length > SECRET_FILE_BYTES_MAX)
    throw usageError(`${key} ${printable(path)}: too large for what it should hold`)
  return bytes.toString('utf8')
}
