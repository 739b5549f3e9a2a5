// The settings of a run, from flags, the environment, settings files and defaults, in this order. Pure: texts in,
// settings and mistakes out; who reads the files is the command line. setting-table.ts says which settings there are.

import path from 'node:path'
import { z } from 'zod'
import { type Network, parseNetwork } from './address.ts'
import {
  checkYaml,
  formatProblem,
  type KeyPath,
  meant,
  readYaml,
  type SourceFile,
  shown,
} from './identity/yaml-file.ts'
import type { Listen } from './setting-kinds.ts'
import {
  flagOf,
  SETTING_KEYS,
  SETTINGS,
  type Setting,
  type SettingKey,
  type SettingValues,
  variableOf,
} from './setting-table.ts'

export interface KafkaPart {
  /** undefined where Kafka is not named. */
  brokers: readonly string[] | undefined
  clientId: string
  tls: { caFile?: string; certFile?: string; keyFile?: string } | undefined
  sasl:
    | {
        mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
        username: string
        password: HiddenText
      }
    | undefined
  requestTimeoutMillis: number
  sessionTimeoutMillis: number
}

/** A secret, or the file that holds it. A function, so that nothing that prints settings prints it. */
export type HiddenText = { text: () => string } | { file: string }

/** What a process is told. Paths of settings files are resolved; those of flags and variables are as given. */
export interface Settings {
  kafka: KafkaPart
  /** A directory, or a URL without password. */
  store: string | undefined
  storeAccess: { password: HiddenText | undefined; caFile: string | undefined }
  sensor: {
    id: string
    spool: string | undefined
    spoolBytes: number
    lanes: number
    localNets: Network[]
    verifyChecksums: boolean
  }
  live: {
    interfaces: readonly string[]
    filter: string
    snaplen: number
    bufferMillis: number
    promiscuous: boolean
    backend: 'auto' | 'pcap' | 'dumpcap' | 'tcpdump'
    user: string | undefined
    activeTimeoutSeconds: number
    ringBytes: number
    write: string | undefined
    writeBytes: number
  }
  worker: {
    agents: string | undefined
    group: string
    threads: number | undefined
    inFlightBytes: number
    untilIdleSeconds: number | undefined
  }
  topics: { partitions: number; replicas: number | undefined; retentionDays: number }
  api: {
    /** For whoever asks an API; undefined: that of the process whose data directory is named. */
    address: string | undefined
    token: HiddenText | undefined
    /** For the process that answers: names that are its own, and who stands in front of it. */
    hosts: readonly string[]
    proxy: { said: boolean; addresses: readonly string[] }
  }
  listen: Listen | undefined
}

/** A mistake, and where it was made: `bailiwick.yaml:3:5`, `BAILIWICK_LISTEN` or `--listen`. */
export interface SettingsProblem {
  severity: 'error' | 'warning'
  /** One printable line: the place, what is wrong, and the cure. */
  words: string
}

export interface SettingSources {
  /** Variables of the environment; only those that begin with BAILIWICK_ are looked at. */
  env: Readonly<Record<string, string | undefined>>
  /** Settings files, the one that counts most first. */
  files: readonly SourceFile[]
  /** Texts of flags by the key of their setting. */
  flags: Readonly<Partial<Record<SettingKey, string | boolean>>>
}

export interface SettingsRead {
  settings: Settings
  values: SettingValues
  /** Where each value comes from; `default` or `not set` where nobody said anything. */
  origins: Readonly<Record<SettingKey, string>>
  problems: SettingsProblem[]
}

/** Reads the settings. Never throws: with an error among the problems, the settings are not to be used. */
export function readSettings(sources: SettingSources): SettingsRead {
  const problems: SettingsProblem[] = []
  const values: Partial<Record<SettingKey, unknown>> = {}
  const origins: Partial<Record<SettingKey, string>> = {}
  const files = sources.files.map((file) => readFile(file, problems))
  for (const key of SETTING_KEYS) {
    const { fallback }: Setting = SETTINGS[key]
    const found =
      readText(key, flagOf(key), sources.flags[key], problems) ??
      readText(key, variableOf(key), sources.env[variableOf(key)] || undefined, problems) ??
      files.map((file) => file.get(key)).find((one) => one !== undefined)
    values[key] = found?.value ?? fallback
    origins[key] = found?.origin ?? (fallback === undefined ? 'not set' : 'default')
  }
  tellUnknownVariables(sources.env, problems)
  // Every key was visited, and each value read by its own kind.
  const read = {
    values: values as SettingValues,
    origins: origins as Record<SettingKey, string>,
    problems,
  }
  checkTogether(read)
  return { settings: assemble(read.values), ...read }
}

interface Found {
  value: unknown
  origin: string
}

function readText(
  key: SettingKey,
  origin: string | undefined,
  given: string | boolean | undefined,
  problems: SettingsProblem[],
): Found | undefined {
  if (origin === undefined || given === undefined) return undefined
  const { kind, secret }: Setting = SETTINGS[key]
  const value = kind.read(given)
  if (value !== undefined) return { value, origin }
  const found = secret === true ? '' : `, found ${shown(given)}`
  problems.push({ severity: 'error', words: `${origin}: expected ${kind.expected}${found}` })
  return undefined
}

/** Keys that may be written shorter, and what they stand for. */
const SHORT: Readonly<Record<string, string>> = { store: 'address', 'kafka.tls': 'enabled' }
/** Keys that people try. */
const SECRET_KEYS: readonly KeyPath[] = [
  ['kafka', 'password'],
  ['kafka', 'sasl', 'password'],
  ['store', 'password'],
]

/** The settings of one file, by key. */
function readFile(source: SourceFile, problems: SettingsProblem[]): Map<SettingKey, Found> {
  const file = readYaml(source)
  const raw = file.problems.length > 0 ? undefined : longForm(file.raw ?? {}, '')
  const found = new Map<SettingKey, Found>()
  for (const keys of SECRET_KEYS) {
    const above = valueAt(raw, keys.slice(0, -1))
    if (typeof above !== 'object' || above === null || !('password' in above)) continue
    delete above.password
    const variable = `BAILIWICK_${keys[0] === 'kafka' ? 'KAFKA' : 'STORE'}_PASSWORD`
    file.report(
      'error',
      keys,
      `secrets do not stand in settings files: put it into a file of its own and name that with \`password_file\`, or set ${variable}`,
      'key',
    )
  }
  const checked =
    raw === undefined ? undefined : checkYaml({ ...file, raw }, SCHEMA, (keys) => keysBelow(keys))
  for (const key of SETTING_KEYS) {
    const keys = key.split('.')
    let value = valueAt(checked, keys)
    if (value === undefined) continue
    const { kind }: Setting = SETTINGS[key]
    if (kind.from !== undefined) value = kind.from(value, path.dirname(source.path))
    found.set(key, { value, origin: file.place(keys) })
  }
  for (const problem of file.problems)
    problems.push({
      severity: problem.severity,
      words: formatProblem(problem).replace(`: ${problem.severity}:`, ':'),
    })
  return found
}

/** Without keys that hold nothing (all of a section may be commented out), and with short forms written out. */
function longForm(raw: unknown, key: string): unknown {
  const long = SHORT[key]
  if (long !== undefined && (typeof raw !== 'object' || raw === null)) return { [long]: raw }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return raw
  const entries = Object.entries(raw).filter(([, value]) => value !== null)
  return Object.fromEntries(
    entries.map(([name, value]) => [name, longForm(value, key === '' ? name : `${key}.${name}`)]),
  )
}

function valueAt(value: unknown, keys: KeyPath): unknown {
  for (const key of keys) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<string | number, unknown>)[key]
  }
  return value
}

const FILE_KEYS = SETTING_KEYS.filter((key) => !('secret' in SETTINGS[key]))

/** The keys known below a key, in the order of the table. */
function keysBelow(keys: KeyPath): string[] {
  const start = keys.map((key) => `${key}.`).join('')
  const below = FILE_KEYS.filter((key) => key.startsWith(start))
  return [...new Set(below.map((key) => key.slice(start.length).split('.', 1)[0]!))]
}

const SCHEMA = schemaBelow([])

function schemaBelow(keys: readonly string[]): z.ZodType<unknown> {
  const setting: Setting | undefined = SETTINGS[keys.join('.') as SettingKey]
  if (setting !== undefined && keysBelow(keys).length === 0) return schemaOf(setting)
  const shape = keysBelow(keys).map((key) => [key, schemaBelow([...keys, key]).optional()])
  return z.strictObject(Object.fromEntries(shape))
}

function schemaOf({ kind }: Setting): z.ZodType<unknown> {
  return z.unknown().transform((given, context) => {
    const value = kind.read(given)
    if (value !== undefined) return value
    context.addIssue({ code: 'custom', message: kind.expected })
    return z.NEVER
  })
}

/** Variables that are not settings. */
const OTHER_VARIABLES = ['BAILIWICK_CONFIG', 'BAILIWICK_DEBUG', 'BAILIWICK_FAILPOINTS']
/** What the tests are told, and hand on to the processes that they start. */
const OF_TESTS = /^BAILIWICK_(?:REQUIRE_[A-Z]+|SHOTS)$/
/** What Kubernetes sets in every container for a service that is called bailiwick. */
const OF_KUBERNETES = /_(?:SERVICE_HOST|SERVICE_PORT\w*|PORT(?:_\d+_(?:TCP|UDP)\w*)?)$/

function tellUnknownVariables(env: SettingSources['env'], problems: SettingsProblem[]): void {
  const known = [...SETTING_KEYS.map(variableOf), ...OTHER_VARIABLES]
  for (const name of Object.keys(env))
    if (
      name.startsWith('BAILIWICK_') &&
      !known.includes(name) &&
      ![OF_TESTS, OF_KUBERNETES].some((pattern) => pattern.test(name))
    )
      problems.push({
        severity: 'warning',
        words: `${shown(name)}: no such setting, nothing reads it${meant(name, known)}`,
      })
}

/** Mistakes of several settings together. */
function checkTogether({ values, origins, problems }: Omit<SettingsRead, 'settings'>): void {
  const tell = (severity: SettingsProblem['severity'], key: SettingKey, words: string) => {
    const origin = origins[key]
    const place = origin === variableOf(key) || origin === flagOf(key) ? '' : `\`${key}\`: `
    problems.push({ severity, words: `${origin}: ${place}${words}` })
  }
  const given = (key: SettingKey) => !['default', 'not set'].includes(origins[key])
  const pair = ['kafka.tls.cert_file', 'kafka.tls.key_file'] as const
  for (const [one, other] of [pair, [pair[1], pair[0]] as const])
    if (given(one) && !given(other)) tell('error', one, `needs \`${other}\` beside it`)
  if (values['kafka.tls.enabled'] === false && TLS_FILES.some(given))
    tell('error', 'kafka.tls.enabled', 'is false, but files for TLS are given (take one away)')
  const user = 'kafka.sasl.username'
  const password = given('kafka.password') || given('kafka.sasl.password_file')
  if (given(user) && !password)
    tell(
      'error',
      user,
      'needs a password: give `kafka.sasl.password_file`, or set BAILIWICK_KAFKA_PASSWORD',
    )
  for (const key of ['kafka.password', 'kafka.sasl.password_file', 'kafka.sasl.mechanism'] as const)
    if (given(key) && !given(user))
      tell('error', key, 'needs `kafka.sasl.username` (or BAILIWICK_KAFKA_SASL_USERNAME) beside it')
  if (given(user) && values['kafka.sasl.mechanism'] === 'plain' && tlsPart(values) === undefined)
    tell(
      'warning',
      user,
      'the password travels in the clear: set `kafka.tls`, or use scram-sha-512',
    )
  if (/^https?:\/\/[^/@]*:[^/@]+@/i.test(values['store.address'] ?? ''))
    tell(
      'warning',
      'store.address',
      'others can read the password in this URL: give `store.password_file`, or set BAILIWICK_STORE_PASSWORD',
    )
}

const TLS_FILES = ['kafka.tls.ca_file', 'kafka.tls.cert_file', 'kafka.tls.key_file'] as const

function tlsPart(values: SettingValues): KafkaPart['tls'] {
  const [caFile, certFile, keyFile] = TLS_FILES.map((key) => values[key])
  const files = {
    ...(caFile === undefined ? {} : { caFile }),
    ...(certFile === undefined ? {} : { certFile }),
    ...(keyFile === undefined ? {} : { keyFile }),
  }
  const wanted = values['kafka.tls.enabled'] ?? Object.keys(files).length > 0
  return wanted ? files : undefined
}

function hidden(text: string | undefined, file: string | undefined): HiddenText | undefined {
  if (text !== undefined) return { text: () => text }
  return file === undefined ? undefined : { file }
}

function assemble(values: SettingValues): Settings {
  const username = values['kafka.sasl.username']
  const password = hidden(values['kafka.password'], values['kafka.sasl.password_file'])
  return {
    kafka: {
      brokers: values['kafka.brokers'],
      clientId: values['kafka.client_id'],
      tls: tlsPart(values),
      sasl:
        username === undefined || password === undefined
          ? undefined
          : { mechanism: values['kafka.sasl.mechanism'], username, password },
      requestTimeoutMillis: values['kafka.request_timeout_ms'],
      sessionTimeoutMillis: values['kafka.session_timeout_ms'],
    },
    store: values['store.address'],
    storeAccess: {
      password: hidden(values['store.password'], values['store.password_file']),
      caFile: values['store.ca_file'],
    },
    sensor: {
      id: values['sensor.id'],
      spool: values['sensor.spool'],
      spoolBytes: values['sensor.spool_bytes'],
      lanes: values['sensor.lanes'],
      localNets: (values['sensor.local_nets'] ?? []).map((one) => parseNetwork(one)!),
      verifyChecksums: values['sensor.verify_checksums'],
    },
    live: {
      interfaces: values['live.interfaces'] ?? [],
      filter: values['live.filter'] ?? '',
      snaplen: values['live.snaplen'],
      bufferMillis: values['live.buffer_ms'],
      promiscuous: values['live.promiscuous'],
      backend: values['live.backend'],
      user: values['live.user'],
      activeTimeoutSeconds: values['live.active_timeout_seconds'],
      ringBytes: values['live.ring_bytes'],
      write: values['live.write'],
      writeBytes: values['live.write_bytes'],
    },
    worker: {
      agents: values['worker.agents'],
      group: values['worker.group'],
      threads: values['worker.threads'],
      inFlightBytes: values['worker.in_flight_bytes'],
      untilIdleSeconds: values['worker.until_idle_seconds'],
    },
    topics: {
      partitions: values['topics.partitions'],
      replicas: values['topics.replicas'],
      retentionDays: values['topics.retention_days'],
    },
    api: {
      address: values['api.address'],
      token: hidden(values.token, values['api.token_file']),
      hosts: values['api.hosts'] ?? [],
      proxy: { said: values['api.behind_proxy'], addresses: values['api.proxies'] ?? [] },
    },
    listen: values.listen,
  }
}
