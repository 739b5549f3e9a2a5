// `bailiwick serve`: everything in one process tree, from the packets to the webhook, without Kafka or a database.

import type { Command } from 'commander'
import type { Running } from '../serve/running.ts'
import { serve } from '../serve/serve.ts'
import type { Settings } from '../settings.ts'
import type { StoreTarget } from '../store/store-target.ts'
import { printable } from '../wire-text.ts'
import { areAgentsSound } from './agent-directory.ts'
import { addSettingsOptions, needed, settingsOf, storeTargetOf } from './bus-options.ts'
import { tellInput } from './inputs-told.ts'
import { runLongRunning } from './long-running.ts'
import type { CommandParts } from './program.ts'
import { say } from './terminal.ts'
import { packageVersion } from './version.ts'

const EXAMPLES = `Examples:
  bailiwick serve --agents agents/ --live eth0              capture, judge, alert; the page at http://127.0.0.1:7650
  bailiwick serve --agents agents/ --input captures/        read files, then go on serving what they held
  bailiwick serve --agents agents/ --input /var/log/zeek/current --follow --data /var/lib/bailiwick
  bailiwick serve --agents agents/ --live eth0,eth1 --config bailiwick.yaml
                                                            webhooks and revocation as the settings say
`

/** Where a server answers if nobody says anything. */
const LISTEN = { host: '127.0.0.1', port: 7650 }
const SECTIONS = [
  'worker.agents',
  'worker.threads',
  'live',
  'serve.data',
  'listen',
  'store',
  'sensor.id',
  'sensor.spool_bytes',
  'sensor.local_nets',
  'sensor.verify_checksums',
]

const MEANINGS = {
  listen: 'where the page, the API, /health, /ready and /metrics answer (default: 127.0.0.1:7650)',
  'store.address':
    'a ClickHouse server, http(s)://user@host:port/database, or a directory, instead of the store in the data directory',
}

interface ServeOptions extends Record<string, unknown> {
  input: string[]
  follow: boolean
}

export function addServeCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('serve')
    .summary('all of it in one process: capture or read, judge, alert, store, and show it')
    .description(
      'Captures on interfaces and reads files, judges every flow against what agents declared, tells webhooks of those that left their scope while they are still open, keeps everything in one directory, and answers people and programs over HTTP. Agent files may be changed while it runs. SIGTERM ends it in good order; after any other end it goes on where it was.',
    )
    .addHelpText('before', EXAMPLES)
    .option(
      '--input <path...>',
      'captures and logs to read: files, directories, or - for standard input',
      [],
    )
    .option('--follow', 'go on with files that grow and directories that fill', false)
  addSettingsOptions(command, SECTIONS, MEANINGS).action(async (options: ServeOptions) => {
    const settings = await settingsOf(options, parts)
    const agents = needed(settings.worker.agents, 'worker.agents')
    if (!(await areAgentsSound(agents, parts))) return
    const listen = settings.listen ?? LISTEN
    // The API answers probes and Prometheus, too: one server, one port.
    const { listen: _, ...rest } = settings
    await runLongRunning(parts, 'serve', { ...rest, listen: undefined }, (running) =>
      runServe({ settings, agents, listen, options }, running, parts),
    )
  })
}

interface ServeRun {
  settings: Settings
  agents: string
  listen: typeof LISTEN
  options: ServeOptions
}

async function runServe(run: ServeRun, running: Running, parts: CommandParts): Promise<void> {
  const { settings, agents, listen, options } = run
  const { log } = running
  await serve(running, {
    settings,
    paths: options.input,
    follow: options.follow,
    agents,
    listen,
    target: storeOf(settings),
    version: packageVersion(),
    // What was bad once is no reason to end: the log says it, and what came before is used.
    inputOver: (event) => void tellInput(event, log),
    unreadable: (source, words) => log('error', `${printable(source)}: ${words}`),
    answers: (address, token) => tellAddress(address, token, running, parts),
  })
}

function storeOf(settings: Settings): StoreTarget | undefined {
  return settings.store === undefined ? undefined : storeTargetOf(settings)
}

async function tellAddress(
  address: string,
  token: string,
  { log }: Running,
  parts: CommandParts,
): Promise<void> {
  log('info', 'answers over HTTP', { address, token_file: token })
  const terminal = parts.terminal()
  if (!terminal.errIsTerminal || terminal.quiet) return
  await say(terminal, `bailiwick: the page is at ${address}/`)
  await say(terminal, `bailiwick: it asks for the token that stands in ${printable(token)}`)
}
