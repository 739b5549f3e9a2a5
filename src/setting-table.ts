// Every setting there is: its key in a settings file, its flag, its default and what it is for. The variable of the
// environment follows from the key. docs/settings.md is held to this table by a test.

import path from 'node:path'
import { shownRevocation, shownWebhooks } from './respond/respond-part.ts'
import { WEBHOOKS } from './respond/respond-settings.ts'
import { REVOCATION } from './respond/revoke-settings.ts'
import {
  apiAddress,
  brokers,
  bytes,
  filePath,
  hosts,
  interfaces,
  type Kind,
  listen,
  networks,
  oneOf,
  storeAddress,
  structured,
  text,
  whole,
  yesOrNo,
} from './setting-kinds.ts'

export interface Setting<T = unknown> {
  kind: Kind<T>
  /** As commander takes it: `--kafka <host:port,...>`. Most settings need none. */
  flag?: string
  /** What holds where nobody says anything; undefined if there is nothing to take. */
  fallback?: T
  meaning: string
  /** Only by the environment, and shown nowhere. */
  secret?: true
}

const setting = <T, const D extends Partial<Setting<T>>>(
  kind: Kind<T>,
  meaning: string,
  more: D = {} as D,
): Setting<T> & D => ({ kind, meaning, ...more })

/** Names a sensor may have: they stand in ids, keys, file names and SQL rows. */
const SENSOR = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
/** Names of a client, a group or a user of Kafka. */
const KAFKA_NAME = /^[A-Za-z0-9._-]{1,200}$/
const USER = /^[^\p{C}]{1,200}$/u
const FILTER = /^[^\p{Cc}]{1,2000}$/u
/** One line, as a password is; the first message of it would otherwise be a refusal nobody understands. */
const SECRET = /^[^\p{Cc}]{1,1024}$/u

const TOKEN = /^bw_[0-9a-f]{8}_[A-Za-z0-9_-]{43}$/

/** A path in a settings file is relative to that. */
function besideFile<T extends { secret_file?: string | undefined }>(one: T, directory: string): T {
  const { secret_file: file } = one
  return file === undefined ? one : { ...one, secret_file: path.resolve(directory, file) }
}

export const SETTINGS = {
  'kafka.brokers': setting(brokers, 'Kafka brokers to begin with; the others are learned', {
    flag: '--kafka <host:port,...>',
  }),
  'kafka.client_id': setting(
    text('1 to 200 letters, digits, dots, dashes or underscores', KAFKA_NAME),
    'how this program calls itself in the logs of the brokers',
    { fallback: 'bailiwick' },
  ),
  'kafka.tls.enabled': setting(yesOrNo, 'speak TLS; true too where a file for it is given'),
  'kafka.tls.ca_file': setting(
    filePath,
    "PEM file of the authorities that sign brokers' certificates; without it the system's",
  ),
  'kafka.tls.cert_file': setting(
    filePath,
    'PEM file of our own certificate, where brokers want one',
  ),
  'kafka.tls.key_file': setting(filePath, 'PEM file of the key to it'),
  'kafka.sasl.mechanism': setting(
    oneOf(['plain', 'scram-sha-256', 'scram-sha-512']),
    'how the user proves who it is',
    { fallback: 'scram-sha-512' },
  ),
  'kafka.sasl.username': setting(text('a name of up to 200 characters', USER), 'user at Kafka'),
  'kafka.sasl.password_file': setting(
    filePath,
    'file that holds the password; BAILIWICK_KAFKA_PASSWORD comes first',
  ),
  'kafka.password': setting(text('a password of one line', SECRET), 'password of the user', {
    secret: true,
  }),
  'kafka.request_timeout_ms': setting(
    whole(500, 300_000, 'milliseconds'),
    'longest wait for an answer of a broker',
    { fallback: 15_000 },
  ),
  'kafka.session_timeout_ms': setting(
    whole(6000, 1_800_000, 'milliseconds'),
    'a worker that is silent for so long loses its partitions to others',
    { fallback: 30_000 },
  ),
  'store.address': setting(
    storeAddress,
    'where rows go: a directory, or http(s)://user@host:port/database',
    { flag: '--store <url|dir>' },
  ),
  'store.password_file': setting(
    filePath,
    'file that holds the password of the user in the URL; BAILIWICK_STORE_PASSWORD comes first',
  ),
  'store.password': setting(text('a password of one line', SECRET), 'password of the user', {
    secret: true,
  }),
  'store.ca_file': setting(
    filePath,
    "PEM file of the authorities that sign the server's certificate; without it the system's",
  ),
  'sensor.id': setting(
    text('up to 63 letters, digits, dots, dashes and underscores', SENSOR),
    'name of this observation point, part of every flow id',
    { flag: '--sensor-id <id>', fallback: 'local' },
  ),
  'sensor.spool': setting(filePath, 'directory that keeps chunks until Kafka has them', {
    flag: '--spool <dir>',
  }),
  'sensor.spool_bytes': setting(
    bytes(64 * 2 ** 20, 2 ** 50),
    'most that the spool may take; reading waits then',
    { flag: '--spool-bytes <bytes>', fallback: 20 * 2 ** 30 },
  ),
  'sensor.lanes': setting(
    whole(1, 1024),
    'lanes that the chunks of this sensor are dealt over; at most so many partitions are used',
    { flag: '--lanes <number>', fallback: 8 },
  ),
  'sensor.local_nets': setting(networks, 'networks that are ours', {
    flag: '--local-nets <cidr,...>',
  }),
  'sensor.verify_checksums': setting(yesOrNo, 'leave out packets whose checksum is wrong', {
    flag: '--verify-checksums',
    fallback: false,
  }),
  'live.interfaces': setting(interfaces, 'interfaces to capture on, several with commas between', {
    flag: '--live <interface,...>',
  }),
  'live.filter': setting(
    text('a filter of one line, as pcap-filter(7) describes', FILTER),
    'which packets are captured, as pcap-filter(7) describes; all without it',
    { flag: '--filter <expression>' },
  ),
  'live.snaplen': setting(
    whole(256, 262_144, 'bytes'),
    'most bytes of a packet that are looked at; what names a peer must fit',
    { fallback: 2048 },
  ),
  'live.buffer_ms': setting(
    whole(1, 1000, 'milliseconds'),
    'how long the kernel may collect packets before it hands them over',
    { fallback: 2 },
  ),
  'live.promiscuous': setting(yesOrNo, 'capture what is addressed to others, too', {
    fallback: false,
  }),
  'live.backend': setting(
    oneOf(['auto', 'pcap', 'dumpcap', 'tcpdump']),
    'what packets are captured with; the first that can, if it is auto',
    { flag: '--capture-with <backend>', fallback: 'auto' },
  ),
  'live.user': setting(
    text('a name of up to 200 characters', USER),
    'who captures where this process is root: a user, or uid:gid; nobody without it',
  ),
  'live.active_timeout_seconds': setting(
    whole(1, 86_400, 'seconds'),
    'a flow that goes on is reported again after so long',
    { fallback: 60 },
  ),
  'live.ring_bytes': setting(
    bytes(64 * 2 ** 10, 2 ** 30),
    'packets of an interface that the kernel keeps until they are read; more are dropped, and counted',
    { fallback: 64 * 2 ** 20 },
  ),
  'live.write': setting(
    filePath,
    'directory that keeps what is captured, in a file for each time that capture begins',
    { flag: '--write <dir>' },
  ),
  'live.write_bytes': setting(
    bytes(2 ** 20, 2 ** 50),
    'most that is kept of an interface; then no more is kept, and capture goes on',
    { flag: '--write-bytes <bytes>', fallback: 2 ** 30 },
  ),
  'worker.agents': setting(filePath, 'agent files, one YAML file each', { flag: '--agents <dir>' }),
  'worker.group': setting(
    text('1 to 200 letters, digits, dots, dashes or underscores', KAFKA_NAME),
    'consumer group; workers of one group share the work',
    { flag: '--group <name>', fallback: 'bailiwick-workers' },
  ),
  'worker.threads': setting(
    whole(1, 256),
    'threads that judge; without it as many as there are processors but one',
    { flag: '--threads <number>' },
  ),
  'worker.in_flight_bytes': setting(
    bytes(8 * 2 ** 20, 64 * 2 ** 30),
    'most that is fetched and not yet committed',
    { flag: '--in-flight-bytes <bytes>', fallback: 256 * 2 ** 20 },
  ),
  'worker.until_idle_seconds': setting(
    whole(1, 86_400, 'seconds'),
    'end when nothing came for so long and everything is committed; for scripts',
    { flag: '--until-idle <seconds>' },
  ),
  'respond.webhooks': setting(
    structured('a list of webhooks (docs/webhooks.md)', 'list', WEBHOOKS, {
      from: (webhooks, directory) => webhooks.map((one) => besideFile(one, directory)),
      show: shownWebhooks,
    }),
    'whom alerts are sent to',
  ),
  'respond.allow_targets': setting(
    networks,
    'private networks in which webhooks and revocation endpoints may be; none without it',
  ),
  'respond.revocation': setting(
    structured('settings of revocation (docs/revocation.md)', 'keys and values', REVOCATION, {
      from: (revocation, directory) => ({
        ...revocation,
        endpoints: revocation.endpoints.map((one) => besideFile(one, directory)),
      }),
      show: shownRevocation,
    }),
    'who may take access away, how, and within which limits; without it nothing is called',
  ),
  'respond.group': setting(
    text('1 to 200 letters, digits, dots, dashes or underscores', KAFKA_NAME),
    'consumer group of `bailiwick respond`',
    { fallback: 'bailiwick-respond' },
  ),
  'topics.partitions': setting(
    whole(1, 10_000),
    'partitions of the topics of chunks and alerts; at most so many workers share the work',
    { flag: '--partitions <number>', fallback: 8 },
  ),
  'topics.replicas': setting(
    whole(1, 9),
    'replicas of each partition; without it 3 where there are three brokers, else 1',
    { flag: '--replicas <number>' },
  ),
  'topics.retention_days': setting(whole(1, 3650, 'days'), 'how long chunks stay on the topic', {
    flag: '--retention <days>',
    fallback: 7,
  }),
  'api.address': setting(
    apiAddress,
    'the API that commands ask; without it that of the process whose data directory is named',
    { flag: '--api <url>' },
  ),
  'api.token_file': setting(
    filePath,
    'file that holds the token to ask with; BAILIWICK_TOKEN comes first',
    { flag: '--token-file <file>' },
  ),
  token: setting(text('a token, bw_…', TOKEN), 'token to ask the API with', { secret: true }),
  'api.hosts': setting(
    hosts,
    'names by which the API may be asked, beside its address and loopback names',
  ),
  'api.behind_proxy': setting(
    yesOrNo,
    'something that speaks TLS stands in front of the API: without it only loopback is listened at',
    { fallback: false },
  ),
  'api.proxies': setting(networks, 'proxies whose X-Forwarded-For is believed'),
  'serve.data': setting(
    filePath,
    'directory of a server: its spool, store, alerts, audit and tokens; one process has it',
    { flag: '--data <dir>', fallback: 'bailiwick-data' },
  ),
  listen: setting(
    listen,
    'where /health, /ready and /metrics answer; nowhere unless said, but serve, respond and api at ports of their own. A port alone is on loopback',
    { flag: '--listen <host:port>' },
  ),
} as const

export type SettingKey = keyof typeof SETTINGS
export const SETTING_KEYS = Object.keys(SETTINGS) as SettingKey[]

type ValueOf<S> =
  S extends Setting<infer T> ? (S extends { fallback: unknown } ? T : T | undefined) : never
/** A value for every key; undefined where there is neither value nor default. */
export type SettingValues = { [K in SettingKey]: ValueOf<(typeof SETTINGS)[K]> }

/** `BAILIWICK_KAFKA_BROKERS` */
export function variableOf(key: SettingKey): string {
  return `BAILIWICK_${key
    .replace(/\.(?:address|enabled)$/, '')
    .replaceAll('.', '_')
    .toUpperCase()}`
}

/** `--kafka`, or undefined. */
export function flagOf(key: SettingKey): string | undefined {
  const { flag }: Setting = SETTINGS[key]
  return flag?.split(' ', 1)[0]
}

/** A value as it would be written, without any secret; '' if there is none. */
export function shownSetting(key: SettingKey, value: unknown): string {
  const { kind, secret }: Setting = SETTINGS[key]
  if (value === undefined) return ''
  if (secret === true) return '***'
  if (key === 'store.address')
    return String(value).replace(/^(https?:\/\/[^/@]*):[^/@]*@/i, '$1:***@')
  return kind.show?.(value) ?? (Array.isArray(value) ? value.join(',') : String(value))
}
