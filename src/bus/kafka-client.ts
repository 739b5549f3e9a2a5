// How a Kafka cluster is reached: addresses, TLS, credentials, compression, the log, and errors in words.

import './kafka-patch.ts'
import type { Kafka as KafkaClient, KafkaConfig, LogEntry } from 'kafkajs'
import { compressFrame } from 'lz4-napi'
import { BusError, type BusErrorKind } from './bus.ts'
import { RETRIABLE_MESSAGES } from './kafka-patch.ts'
import { CompressionCodecs, CompressionTypes, Kafka, logLevel } from './kafkajs.ts'

export interface KafkaSettings {
  /** host:port, several with commas between them in settings. */
  brokers: readonly string[]
  clientId: string
  /** TLS; undefined for none. PEM texts. */
  tls?: { ca?: string; cert?: string; key?: string } | undefined
  sasl?:
    | {
        mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
        username: string
        password: string
      }
    | undefined
  /** Longest wait for an answer, milliseconds. */
  requestTimeoutMillis?: number
  log?: BusLog
}

/** Takes a line of kafkajs's log. What it will try again by itself comes as `debug`. */
export type BusLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields: Record<string, unknown>,
) => void

export const REQUEST_TIMEOUT_MILLIS = 15_000
/** The last connection to a cluster may take seconds to end. */
const DISCONNECT_MILLIS = 3000

CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: ({ buffer }: { buffer: Buffer }) => compressFrame(buffer),
  // What is fetched is decompressed by kafka-records.ts.
  decompress: () => Promise.reject(new Error('not used')),
})

/** How many bytes a message takes when it travels. */
export async function compressedBytes(bytes: Uint8Array): Promise<number> {
  const frame = await compressFrame(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  return frame.length
}

export function kafkaClient(settings: KafkaSettings, retries: number): KafkaClient {
  const config: KafkaConfig = {
    brokers: [...settings.brokers],
    clientId: settings.clientId,
    connectionTimeout: 5000,
    authenticationTimeout: 10_000,
    requestTimeout: settings.requestTimeoutMillis ?? REQUEST_TIMEOUT_MILLIS,
    enforceRequestTimeout: true,
    // Its own restarts know no backoff that grows: see the consumer.
    retry: {
      retries,
      initialRetryTime: 100,
      maxRetryTime: 2000,
      restartOnFailure: async () => false,
    },
    logLevel: logLevel.INFO,
    logCreator: () => (entry) => tellLog(settings.log, entry),
  }
  if (settings.tls !== undefined) config.ssl = { ...settings.tls }
  const { sasl } = settings
  if (sasl !== undefined) {
    const { username, password } = sasl
    config.sasl =
      sasl.mechanism === 'plain'
        ? { mechanism: 'plain', username, password }
        : sasl.mechanism === 'scram-sha-256'
          ? { mechanism: 'scram-sha-256', username, password }
          : { mechanism: 'scram-sha-512', username, password }
  }
  return new Kafka(config)
}

/** Where kafkajs tells of each single try, several a second while a broker is away. Whoever tries tells what comes of it. */
const OF_TRIES: ReadonlySet<string> = new Set(['Connection', 'BrokerPool'])
/** What every member of a group hears when another one comes or goes. */
const REBALANCING = 'The group is rebalancing, so a rejoin is needed'

function tellLog(log: BusLog | undefined, { level, namespace, log: line }: LogEntry): void {
  if (log === undefined) return
  const { message, timestamp: _timestamp, ...fields } = line
  const error = typeof fields.error === 'string' ? fields.error : ''
  // Whoever has the consumer starts it again and tells why.
  const crash = /^Crash: \w+: (.*)$/s.exec(message)?.[1] ?? ''
  const passing =
    RETRIABLE_MESSAGES.has(error) ||
    RETRIABLE_MESSAGES.has(message) ||
    RETRIABLE_MESSAGES.has(crash) ||
    OF_TRIES.has(namespace) ||
    error === REBALANCING
  const words = {
    [logLevel.ERROR]: 'error',
    [logLevel.WARN]: 'warn',
    [logLevel.INFO]: 'info',
  } as const
  const word = level in words ? words[level as keyof typeof words] : 'debug'
  log(passing ? 'debug' : word, message, { namespace, ...fields })
}

/** Ends a connection, or stops waiting for its end. Never throws: there is nothing left to do. */
export async function disconnect(client: { disconnect(): Promise<void> }): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, DISCONNECT_MILLIS)
  })
  await Promise.race([client.disconnect().catch(() => {}), late])
  clearTimeout(timer)
}

/** Answers of a broker whose cure is known: what waiting does not change, and what passes. */
const KINDS: Readonly<Record<string, [kind: BusErrorKind, cure: string]>> = {
  GROUP_LOAD_IN_PROGRESS: ['unreachable', 'the broker has just started: this passes by itself'],
  GROUP_COORDINATOR_NOT_AVAILABLE: ['unreachable', 'this passes by itself while brokers start'],
  TOPIC_AUTHORIZATION_FAILED: ['refused', 'the user may not: grant it the right to this topic'],
  GROUP_AUTHORIZATION_FAILED: ['refused', 'the user may not: grant it the right to this group'],
  CLUSTER_AUTHORIZATION_FAILED: ['refused', 'the user may not: grant it the right to the cluster'],
  SASL_AUTHENTICATION_FAILED: ['refused', 'check the user, the password and the SASL mechanism'],
  ILLEGAL_SASL_STATE: ['refused', 'the broker wants a user: set kafka.sasl'],
  UNSUPPORTED_SASL_MECHANISM: ['refused', 'the broker has other ones: set kafka.sasl.mechanism'],
  UNKNOWN_TOPIC_OR_PARTITION: ['no_stream', 'bailiwick topics creates it'],
  INVALID_TOPIC_EXCEPTION: ['no_stream', 'bailiwick topics creates those that there should be'],
  INVALID_REPLICATION_FACTOR: ['refused', 'there are fewer brokers: ask for fewer replicas'],
  POLICY_VIOLATION: ['refused', 'the cluster does not allow it: ask whoever keeps it'],
  MESSAGE_TOO_LARGE: ['too_large', 'raise max.message.bytes of the topic'],
  RECORD_LIST_TOO_LARGE: ['too_large', 'raise max.message.bytes of the topic'],
}

/** What node:tls says where the other side's certificate is not to be trusted. */
const BAD_CERTIFICATE = /self.signed|certificate|ALTNAME|UNABLE_TO_VERIFY|ERR_SSL|wrong version/i

/** An error of kafkajs in the bus's words, by the first cause that is known, with the cure. */
export function busErrorOf(error: unknown, what: string): BusError {
  if (error instanceof BusError) return error
  const chain: Error[] = []
  for (let one = error; one instanceof Error && chain.length < 8; one = causeOf(one))
    chain.push(one)
  const message = `${what}: ${chain.at(-1)?.message ?? String(error)}`
  const known = (kind: BusErrorKind, cure: string) =>
    new BusError(kind, `${message} (${cure})`, { cause: error })
  for (const one of chain) {
    const type = 'type' in one && typeof one.type === 'string' ? one.type : ''
    const answer = KINDS[type]
    if (answer !== undefined) return known(...answer)
    if (one.name === 'KafkaJSSASLAuthenticationError')
      return known(...KINDS.SASL_AUTHENTICATION_FAILED!)
    if (/wrong version/i.test(one.message))
      return known(
        'refused',
        'the broker speaks no TLS at this port: take kafka.tls away, or give another port',
      )
    if (BAD_CERTIFICATE.test(one.message))
      return known(
        'refused',
        "give the authority that signed the broker's certificate: kafka.tls.ca_file",
      )
  }
  return known(
    'unreachable',
    'is it running at this address? if it wants TLS or a user, set kafka.tls and kafka.sasl',
  )
}

function causeOf(error: Error): unknown {
  if (error.cause !== undefined) return error.cause
  if ('originalError' in error) return error.originalError
  return 'errors' in error && Array.isArray(error.errors) ? error.errors[0] : undefined
}

/** The type of a protocol error anywhere in the chain of causes; empty if there is none. */
export function protocolType(error: unknown): string {
  for (let one = error, depth = 0; one instanceof Error && depth < 8; one = causeOf(one), depth++)
    if ('type' in one && typeof one.type === 'string') return one.type
  return ''
}
