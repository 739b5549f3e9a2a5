// `bailiwick api`: shows what workers found, to people and to programs. Reads the store, and Kafka's stream of alerts
// as it grows; sends nothing and decides nothing, so there may be any number of it.

import type { Command } from 'commander'
import { type AgentsView, NO_AGENTS } from '../api/parts.ts'
import { ALERT_STREAM, type Trouble } from '../bus/bus.ts'
import { KafkaTail } from '../bus/kafka-tail.ts'
import { Hub } from '../respond/hub.ts'
import { AgentRegistry } from '../serve/agent-registry.ts'
import { answer, holdDirectory, openLateStore } from '../serve/answering.ts'
import { LiveAlerts } from '../serve/live-alerts.ts'
import { type Opened, openReached, overOpened, type Tools } from '../serve/opened.ts'
import type { Running } from '../serve/running.ts'
import type { Settings } from '../settings.ts'
import { printable } from '../wire-text.ts'
import { areAgentsSound } from './agent-directory.ts'
import { addSettingsOptions, kafkaSettings, settingsOf, storeTargetOf } from './bus-options.ts'
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
        overOpened(running, (running, tools) => runApi(running, settings, tools)),
      )
    },
  )
}

async function runApi(running: Running, settings: Settings, tools: Tools): Promise<void> {
  const { opened } = tools
  const { log, signal, observe } = running
  const kafka = kafkaSettings(settings, `${settings.kafka.clientId}-api`, log)
  const target = storeTargetOf(settings)
  const directory = await holdDirectory(settings, tools)
  const agents = await agentsView(running, settings.worker.agents, opened)
  // The page answers, and says what it waits for, before the store is there.
  const store = openLateStore({ target, schema: 'check' }, running, tools)
  const hub = new Hub(log)
  const stream = new StreamState(hub, running)
  const raised = new LiveAlerts({ hub, log, trouble: () => stream.trouble })
  observe(raised)
  const version = packageVersion()
  const listen = settings.listen ?? LISTEN
  const api = await answer(
    directory,
    { name: 'api', version, listen, settings },
    { store, hub, raised, agents, elsewhere: ELSEWHERE, observed: running.observed, log },
  )
  opened.closing('api', () => api.close())
  log('info', 'answers over HTTP', { address: api.address, token_file: directory.paths.token })
  const tail = await openReached(running, opened, 'stream', () =>
    KafkaTail.open(kafka, ALERT_STREAM, BACK, stream.tell),
  )
  if (tail === undefined) return
  stream.begun()
  await tail.run((delivery) => raised.take(delivery), signal)
}

async function agentsView(
  { log, observe }: Running,
  directory: string | undefined,
  opened: Opened,
): Promise<() => AgentsView> {
  // Whoever judges has the agent files; here they only add who owns what.
  if (directory === undefined) return () => NO_AGENTS
  const registry = await AgentRegistry.open([directory], { log })
  opened.closing('agent files', () => registry.close())
  observe(registry)
  return registry.view
}

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
