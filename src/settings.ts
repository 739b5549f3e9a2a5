// The settings of a run, from flags, the environment, settings files and defaults, in this order. Pure: texts in,
// settings and mistakes out; who reads the files is the command line. setting-table.ts says which settings there are.

import path from 'node:path'
import { z } from 'zod'
import { type Network, parseNetwork } from './address.ts'
import {
  checkYaml,
  formatProblem,
  type KeyPath,
  keyText,
  meant,
  readYaml,
  type SourceFile,
  shown,
} from './identity/yaml-file.ts'
import { respondPart, respondProblems, secretVariables } from './respond/respond-part.ts'
import type { RespondPart } from './respond/respond-settings.ts'
import { REVOCATION } from './respond/revoke-settings.ts'
import { checkTogether, tlsPart } from './setting-checks.ts'
import { keysWithin, type Listen } from './setting-kinds.ts'
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
  /** What follows a finding; the group is that of `bailiwick respond`. */
  respond: RespondPart & { group: string }
  topics: { partitions: number; replicas: number | undefined; retentionDays: number }
  api: {
    /** For whoever asks an API; undefined: that of the process whose data directory is named. */
    address: string | undefined
    token: HiddenText | undefined
    /** For the process that answers: names that are its own, and who stands in front of it. */
    hosts: readonly string[]
    proxy: { said: boolean; addresses: readonly string[] }
  }
  serve: { data: string }
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
  const places = new Map<SettingKey, Found['place']>()
  for (const key of SETTING_KEYS) {
    const { fallback }: Setting = SETTINGS[key]
    const found =
      readText(key, flagOf(key), sources.flags[key], problems) ??
      readText(key, variableOf(key), sources.env[variableOf(key)] || undefined, problems) ??
      files.map((file) => file.get(key)).find((one) => one !== undefined)
    values[key] = found?.value ?? fallback
    origins[key] = found?.origin ?? (fallback === undefined ? 'not set' : 'default')
    if (found !== undefined) places.set(key, found.place)
  }
  // Every key was visited, and each value read by its own kind.
  const read = {
    values: values as SettingValues,
    origins: origins as Record<SettingKey, string>,
    problems,
  }
  checkTogether(read)
  const respond = readRespond(read.values, sources.env, places, problems)
  tellUnknownVariables(sources.env, secretVariables(respond), problems)
  return { settings: { ...assemble(read.values), respond }, ...read }
}

interface Found {
  value: unknown
  origin: string
  /** The place of what stands inside of the value. */
  place: (below: KeyPath) => string
}

/** What follows a finding, checked as a whole. */
function readRespond(
  values: SettingValues,
  env: SettingSources['env'],
  places: ReadonlyMap<SettingKey, Found['place']>,
  problems: SettingsProblem[],
): Settings['respond'] {
  const placeOf = ([name, ...below]: KeyPath) =>
    places.get(`respond.${name}` as SettingKey)?.(below) ?? 'respond'
  const written = {
    webhooks: values['respond.webhooks'] ?? [],
    allowTargets: (values['respond.allow_targets'] ?? []).map((one) => parseNetwork(one)!),
    revocation: values['respond.revocation'] ?? REVOCATION.parse({}),
  }
  const part = respondPart(written, env, placeOf)
  for (const { keys, words } of respondProblems(part))
    problems.push({ severity: 'error', words: `${placeOf(keys)}: \`${keyText(keys)}\`: ${words}` })
  return { ...part, group: values['respond.group'] }
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
  if (value !== undefined) return { value, origin, place: () => origin }
  const found = secret === true || kind.hidden ? '' : `, found ${shown(given)}`
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
    const place = (below: KeyPath) => file.place([...keys, ...below])
    found.set(key, { value, origin: file.place(keys), place })
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
  if (below.length === 0)
    for (const key of FILE_KEYS) {
      const { schema } = (SETTINGS[key] as Setting).kind
      const depth = key.split('.').length
      if (schema !== undefined && keys.slice(0, depth).join('.') === key)
        return keysWithin(schema, keys.slice(depth))
    }
  return [...new Set(below.map((key) => key.slice(start.length).split('.', 1)[0]!))]
}

const SCHEMA = schemaBelow([])

function schemaBelow(keys: readonly string[]): z.ZodType<unknown> {
  const setting: Setting | undefined = SETTINGS[keys.join('.') as SettingKey]
  if (setting !== undefined) return setting.kind.schema ?? schemaOf(setting)
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

function tellUnknownVariables(
  env: SettingSources['env'],
  secrets: readonly string[],
  problems: SettingsProblem[],
): void {
  const known = [...SETTING_KEYS.map(variableOf), ...OTHER_VARIABLES, ...secrets]
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

function hidden(text: string | undefined, file: string | undefined): HiddenText | undefined {
  if (text !== undefined) return { text: () => text }
  return file === undefined ? undefined : { file }
}

function assemble(values: SettingValues): Omit<Settings, 'respond'> {
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
    serve: { data: values['serve.data'] },
    listen: values.listen,
  }
}
