// `bailiwick api`: shows what workers found, to people and to programs. Reads the store, and Kafka's stream of alerts
// as it grows; sends nothing and decides nothing, so there may be any number of it.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { startApi } from '../api/api.ts'
import { ListenError } from '../api/listening.ts'
import type { AgentsView } from '../api/parts.ts'
import { TokenFileError } from '../api/tokens.ts'
import { ALERT_STREAM, type Trouble } from '../bus/bus.ts'
import { KafkaTail } from '../bus/kafka-tail.ts'
import { Hub } from '../respond/hub.ts'
import { AgentRegistry } from '../serve/agent-registry.ts'
import { DataDirectory } from '../serve/data-directory.ts'
import { LateStore } from '../serve/late-store.ts'
import { LiveAlerts } from '../serve/live-alerts.ts'
import { type Running, untilReached } from '../serve/running.ts'
import type { Settings } from '../settings.ts'
import { openStore } from '../store/store.ts'
import { targetAddress } from '../store/store-target.ts'
import { printable } from '../wire-text.ts'
import { areAgentsSound } from './agent-directory.ts'
import { addSettingsOptions, kafkaSettings, settingsOf, storeTargetOf } from './bus-options.ts'
import { CommandError, usageError } from './exit.ts'
import { runLongRunning } from './long-running.ts'
import type { CommandParts } from './program.ts'
import { packageVersion } from './version.ts'

const EXAMPLES = `Examples:
  bailiwick api --kafka localhost:9092 --store http://reader@clickhouse:8123/flows --agents agents/
  bailiwick alerts --follow --data bailiwick-data       from another terminal
`

/** Where it answers if nobody says anything. */
const LISTEN = { host: '127.0.0.1', port: 7650 }
/** Messages of each partition that are read before the new ones: what was raised lately has its evidence then. */
const BACK = 500n
/** What hangs when it is closed does not keep the process. */
const CLOSE_MILLIS = 10_000
const MEANINGS = { listen: 'where it answers (default: 127.0.0.1:7650)' }
const ELSEWHERE =
  'the process `bailiwick respond` sends alerts and carries out revocations: ask its API (--data or --api)'

export function addApiCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('api')
    .summary('show what workers found: the page, the API and the live stream')
    .description(
      'Answers over HTTP from the store, and tells of new alerts as workers put them into Kafka. It sends nothing and decides nothing, and every one of it sees everything: start as many as you like, each with a --data directory of its own for its tokens.',
    )
    .addHelpText('before', EXAMPLES)
  const sections = ['kafka', 'store', 'worker.agents', 'serve.data', 'listen']
  addSettingsOptions(command, sections, MEANINGS).action(
    async (options: Record<string, unknown>) => {
      const settings = await settingsOf(options, parts)
      const { agents } = settings.worker
      if (agents !== undefined && !(await areAgentsSound(agents, parts))) return
      // The API answers probes and Prometheus, too: one server, one port.
      await runLongRunning(parts, 'api', { ...settings, listen: undefined }, (running) =>
        runApi(running, settings),
      )
    },
  )
}

/** What was opened, to be closed in the opposite order. */
type Closers = (() => Promise<unknown>)[]

async function runApi(running: Running, settings: Settings): Promise<void> {
  const closers: Closers = []
  const failed = new AbortController()
  const signal = AbortSignal.any([running.signal, failed.signal])
  try {
    await work({ ...running, signal }, settings, closers, (error) => failed.abort(error))
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
  const kafka = kafkaSettings(settings, `${settings.kafka.clientId}-api`, log)
  const target = storeTargetOf(settings)
  const directory = await DataDirectory.hold(settings.serve.data, () =>
    fail(new Error('another process took the data directory over')),
  )
  closers.push(() => directory.release())
  const agents = await agentsView(running, settings.worker.agents, closers)
  // The page answers, and says what it waits for, before the store is there.
  const store = new LateStore(targetAddress(target))
  closers.push(() => store.close())
  const reaching = untilReached(running, () => openStore(target, { schema: 'check' }))
    .then((there) => there && store.reached(there))
    .catch(fail)
  closers.push(() => reaching)
  const hub = new Hub(log)
  const stream = new StreamState(hub, running)
  const raised = new LiveAlerts({ hub, log, trouble: () => stream.trouble })
  observe(raised)
  const version = packageVersion()
  const { root } = directory.paths
  const listen = settings.listen ?? LISTEN
  const api = await startApi(
    { ...settings.api, listen, name: 'api', version, directory: root },
    { store, hub, raised, agents, elsewhere: ELSEWHERE, observed: running.observed, log },
  )
  closers.push(() => api.close())
  const { address } = api
  await directory.note({ address, pid: process.pid, started: Date.now(), version })
  log('info', 'answers over HTTP', { address, token_file: directory.paths.token })
  const tail = await untilReached(running, () =>
    KafkaTail.open(kafka, ALERT_STREAM, BACK, stream.tell),
  )
  if (tail === undefined) return
  closers.push(() => tail.close())
  stream.begun()
  await tail.run((delivery) => raised.take(delivery), signal)
}

async function agentsView(
  { log, observe }: Running,
  directory: string | undefined,
  closers: Closers,
): Promise<() => AgentsView> {
  // Whoever judges has the agent files; here they only add who owns what.
  if (directory === undefined) return () => NO_AGENTS
  const registry = await AgentRegistry.open([directory], { log })
  closers.push(() => registry.close())
  observe(registry)
  return registry.view
}

const NO_AGENTS: AgentsView = { loadedAt: 0, agents: [] }

/** Whether alerts come: what is the matter is told to those who look on, because silence would look like peace. */
class StreamState {
  readonly #hub: Hub
  readonly #running: Running
  trouble = 'Kafka is not reached yet'

  constructor(hub: Hub, running: Running) {
    this.#hub = hub
    this.#running = running
  }

  begun(): void {
    this.trouble = ''
    this.#hub.publish('notice', { kind: 'stream', state: 'live', words: '' })
  }

  readonly tell = ({ kind, where, detail }: Trouble): void => {
    const words = printable(detail)
    const level = kind === 'recovered' ? 'info' : kind === 'hole' ? 'error' : 'warn'
    this.#running.log(level, `bus: ${words}`, { kind, where })
    if (kind === 'recovered') return this.begun()
    if (kind !== 'unreachable') return
    this.trouble = words
    this.#hub.publish('notice', { kind: 'stream', state: 'lost', words })
  }
}
