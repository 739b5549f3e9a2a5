// `bailiwick respond`: takes the findings that workers put into Kafka, tells webhooks, revokes, and answers people.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { NO_AGENTS } from '../api/parts.ts'
import { ALERT_STREAM, DEAD_STREAM } from '../bus/bus.ts'
import { KafkaSink } from '../bus/kafka-sink.ts'
import { KafkaSource } from '../bus/kafka-source.ts'
import { checkTopic } from '../bus/kafka-topics.ts'
import { AlertConsumer, type AlertConsumerParts } from '../serve/alert-consumer.ts'
import { answer, deskParts, holdDirectory, openLateStore, respondTo } from '../serve/answering.ts'
import { type Opened, openReached, overOpened, type Tools } from '../serve/opened.ts'
import type { Running } from '../serve/running.ts'
import type { Settings } from '../settings.ts'
import { aborted } from '../until-aborted.ts'
import { StreamLosses } from '../work/stream-losses.ts'
import { addSettingsOptions, kafkaSettings, settingsOf, storeTargetOf } from './bus-options.ts'
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
      overOpened(running, (running, tools) => respond(running, settings, tools)),
    )
  })
}

async function respond(running: Running, settings: Settings, tools: Tools): Promise<void> {
  const { opened, fail } = tools
  const { log, signal, observe } = running
  const version = packageVersion()
  const kafka = kafkaSettings(settings, undefined, log)
  const target = storeTargetOf(settings)
  const directory = await holdDirectory(settings, tools)
  // Alerts do not wait for a database: silence after a revocation and the API do.
  const store = openLateStore({ target, schema: 'apply' }, running, tools)
  const response = await respondTo(directory, { settings, version, store }, running, tools)
  const listen = settings.listen ?? LISTEN
  const api = await answer(
    directory,
    { name: 'respond', version, listen, settings },
    { store, log, ...deskParts(response), observed: running.observed, agents: () => NO_AGENTS },
  )
  opened.closing('api', () => api.close())
  log('info', 'answers over HTTP', { address: api.address, token_file: directory.paths.token })
  const { take } = response
  const consumer = await openConsumer(running, settings, kafka, { opened, version, take })
  if (consumer === undefined) return
  observe(consumer)
  const consuming = consumer.run()
  consuming.catch(fail)
  // What waits for room on a disk is not waited for: it is not committed, and comes again.
  const late = aborted(signal).then(() => sleep(STOP_MILLIS, undefined, { ref: false }))
  await Promise.race([consuming, late])
}

interface ConsumerNeeds {
  opened: Opened
  version: string
  take: AlertConsumerParts['take']
}

/** Joins the group; undefined if the process was told to end first. */
async function openConsumer(
  running: Running,
  settings: Settings,
  kafka: ReturnType<typeof kafkaSettings>,
  { opened, version, take }: ConsumerNeeds,
): Promise<AlertConsumer | undefined> {
  const { log, signal } = running
  const losses = new StreamLosses(log)
  const dead = await openReached(running, opened, 'dead letters', async () => {
    // Better to know now than with the first dead letter.
    await checkTopic(kafka, DEAD_STREAM)
    return new KafkaSink({ ...kafka, topic: DEAD_STREAM }, losses.tell)
  })
  if (dead === undefined) return undefined
  const { sessionTimeoutMillis } = settings.kafka
  let partitions = 0
  const source = await openReached(running, opened, 'source', async () => {
    partitions = await checkTopic(kafka, ALERT_STREAM)
    return await KafkaSource.open(
      {
        ...kafka,
        ...{ topic: ALERT_STREAM, groupId: settings.respond.group },
        ...{ inFlightBytes: IN_FLIGHT_BYTES, sessionTimeoutMillis },
      },
      losses.tell,
    )
  })
  if (source === undefined) return undefined
  return new AlertConsumer({ source, partitions, dead, take, log, version, signal })
}
