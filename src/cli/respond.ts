// `bailiwick respond`: takes the findings that workers put into Kafka, tells webhooks, revokes, and answers people.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { startApi } from '../api/api.ts'
import { ListenError } from '../api/listening.ts'
import { TokenFileError } from '../api/tokens.ts'
import { ALERT_STREAM, DEAD_STREAM } from '../bus/bus.ts'
import { KafkaSink } from '../bus/kafka-sink.ts'
import { KafkaSource } from '../bus/kafka-source.ts'
import { checkTopic } from '../bus/kafka-topics.ts'
import { agentActivity } from '../serve/activity.ts'
import { AlertConsumer, type AlertConsumerParts } from '../serve/alert-consumer.ts'
import { DataDirectory } from '../serve/data-directory.ts'
import { LateStore } from '../serve/late-store.ts'
import { openResponse } from '../serve/response.ts'
import { type Running, untilReached } from '../serve/running.ts'
import type { Settings } from '../settings.ts'
import { openStore } from '../store/store.ts'
import { targetAddress } from '../store/store-target.ts'
import { StreamLosses } from '../work/stream-losses.ts'
import { addSettingsOptions, kafkaSettings, settingsOf, storeTargetOf } from './bus-options.ts'
import { CommandError, usageError } from './exit.ts'
import { runLongRunning } from './long-running.ts'
import type { CommandParts } from './program.ts'
import { packageVersion } from './version.ts'

const EXAMPLES = `Examples:
  bailiwick respond --kafka localhost:9092 --store http://bailiwick@clickhouse:8123/flows --config bailiwick.yaml
`

/** Where it answers if nobody says anything: beside a server, or the API, on the same machine. */
const LISTEN = { host: '127.0.0.1', port: 7651 }
const LISTEN_MEANS =
  'where the API, /health, /ready and /metrics answer; a port alone is on loopback (default: 127.0.0.1:7651)'
/** What hangs when it is closed does not keep the process. */
const CLOSE_MILLIS = 10_000
/** So long what was begun may take to be durable, once the process is told to end. */
const STOP_MILLIS = 10_000
/** Findings are small; what is fetched and not yet taken is bounded by this. */
const IN_FLIGHT_BYTES = 32 << 20

export function addRespondCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('respond')
    .summary('tell webhooks of what workers found, and take access away')
    .description(
      'Takes findings from Kafka, keeps alerts and what is to be sent of them in its data directory, sends signed webhooks, and carries out revocations within their guards. There is one of it. Deliveries and revocations are decided through its API. SIGTERM ends it in good order; after any other end it goes on where it was.',
    )
    .addHelpText('before', EXAMPLES)
  addSettingsOptions(command, ['kafka', 'store', 'serve.data', 'listen'], {
    listen: LISTEN_MEANS,
  }).action(async (options: Record<string, unknown>) => {
    const settings = await settingsOf(options, parts)
    // The API answers probes and Prometheus, too: one server, one port.
    await runLongRunning(parts, 'respond', { ...settings, listen: undefined }, (running) =>
      respond(running, settings),
    )
  })
}

/** What was opened, to be closed in the opposite order. */
type Closers = (() => Promise<unknown> | undefined)[]

async function respond(running: Running, settings: Settings): Promise<void> {
  const closers: Closers = []
  const failed = new AbortController()
  const signal = AbortSignal.any([running.signal, failed.signal])
  const fail = (error: unknown) => failed.abort(error)
  try {
    await work({ ...running, signal }, settings, closers, fail)
  } catch (error) {
    if (error instanceof ListenError) throw usageError(error.message)
    if (error instanceof TokenFileError) throw new CommandError(4, error.message)
    throw error
  } finally {
    for (const close of closers.reverse())
      await Promise.race([close(), sleep(CLOSE_MILLIS, undefined, { ref: false })])
  }
  if (failed.signal.aborted) throw failed.signal.reason
}

async function work(
  running: Running,
  settings: Settings,
  closers: Closers,
  fail: (error: unknown) => void,
): Promise<void> {
  const { log, signal, observe } = running
  const version = packageVersion()
  const kafka = kafkaSettings(settings, undefined, log)
  const target = storeTargetOf(settings)
  const directory = await DataDirectory.hold(settings.serve.data, () =>
    fail(new Error('another process took the data directory over')),
  )
  closers.push(() => directory.release())
  // A server's schema is `bailiwick migrate`'s.
  const schema = target.kind === 'server' ? 'check' : 'apply'
  // Alerts do not wait for a database: silence after a revocation and the API do.
  const store = new LateStore(targetAddress(target))
  closers.push(() => store.close())
  const reaching = untilReached(running, () => openStore(target, { schema }))
    .then((there) => there && store.reached(there))
    .catch(fail)
  closers.push(() => reaching)
  const response = await openResponse(settings.respond, {
    ...{ log, version, directory: directory.paths.root },
    activity: agentActivity(store, settings.live.activeTimeoutSeconds),
  })
  closers.push(() => response.close())
  for (const part of response.observed) observe(part)
  response.ended.catch(fail)
  const listen = settings.listen ?? LISTEN
  const api = await startApi(
    { ...settings.api, listen, name: 'respond', version, directory: directory.paths.root },
    {
      ...{ store, log, hub: response.hub, responder: response.desk, observed: running.observed },
      revocations: response.revocations,
      webhooks: response.webhooks,
      // Workers have the agent files.
      agents: () => ({ loadedAt: 0, agents: [] }),
    },
  )
  closers.push(() => api.close())
  const { address } = api
  await directory.note({ address, pid: process.pid, started: Date.now(), version })
  log('info', 'answers over HTTP', { address, token_file: directory.paths.token })
  const consumer = await openConsumer(running, settings, kafka, {
    ...{ closers, version },
    take: response.take,
  })
  if (consumer === undefined) return
  observe(consumer)
  const consuming = consumer.run()
  consuming.catch(fail)
  // What waits for room on a disk is not waited for: it is not committed, and comes again.
  const late = aborted(signal).then(() => sleep(STOP_MILLIS, undefined, { ref: false }))
  await Promise.race([consuming, late])
}

interface ConsumerNeeds {
  closers: Closers
  version: string
  take: AlertConsumerParts['take']
}

/** Joins the group; undefined if the process was told to end first. */
async function openConsumer(
  running: Running,
  settings: Settings,
  kafka: ReturnType<typeof kafkaSettings>,
  { closers, version, take }: ConsumerNeeds,
): Promise<AlertConsumer | undefined> {
  const { log, signal } = running
  const losses = new StreamLosses(log)
  const dead = await untilReached(running, async () => {
    // Better to know now than with the first dead letter.
    await checkTopic(kafka, DEAD_STREAM)
    return new KafkaSink({ ...kafka, topic: DEAD_STREAM }, losses.tell)
  })
  if (dead === undefined) return undefined
  closers.push(() => dead.close())
  const { sessionTimeoutMillis } = settings.kafka
  const source = await untilReached(running, () =>
    KafkaSource.open(
      {
        ...kafka,
        ...{ topic: ALERT_STREAM, groupId: settings.respond.group },
        ...{ inFlightBytes: IN_FLIGHT_BYTES, sessionTimeoutMillis },
      },
      losses.tell,
    ),
  )
  if (source === undefined) return undefined
  closers.push(() => source.close())
  return new AlertConsumer({ source, dead, take, log, version, signal })
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
