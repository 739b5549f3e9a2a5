// The command line: which commands there are, what they take, and how a run ends. Each command's work is in the
// file of its name; this one only reads arguments and hands over parts.

import type { Writable } from 'node:stream'
import { Command, CommanderError } from 'commander'
import type { Environment } from '../config.ts'
import { printable } from '../wire-text.ts'
import { errorCause } from './error-cause.ts'
import { type ExitCause, exitCode } from './exit.ts'
import { openTerminal, say, type Terminal } from './terminal.ts'
import { versionText } from './version.ts'

export interface RunParts {
  stdout: Writable & { isTTY?: boolean; columns?: number }
  stderr: Writable & { isTTY?: boolean; columns?: number }
  environment: Environment
  /** Aborted by the first Ctrl-C. */
  signal: AbortSignal
  /** Asked of the process by a command that runs until it is told to end. */
  runLong?: ProcessRunsLong
}

/**
 * From now on SIGTERM aborts the signal as Ctrl-C does, what was begun has all the time it takes, and a fault that
 * nothing caught is told by `tell` before the process ends with 70.
 */
export type ProcessRunsLong = (tell: (fault: unknown) => void) => void

/** What a command is given to work with; it adds to `causes` why the run is not simply done. */
export interface CommandParts {
  /** Known only once the options are read. */
  terminal: () => Terminal
  environment: Environment
  signal: AbortSignal
  causes: ExitCause[]
  /** Called by a command that runs until it is told to end: then being told is a good end, exit code 0. */
  runLong: ProcessRunsLong
}

type AddCommand = (program: Command, parts: CommandParts) => void

/** The commands, in the order of the help. */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  replay: async () => (await import('./replay.ts')).addReplayCommand,
  serve: async () => (await import('./serve.ts')).addServeCommand,
  sensor: async () => (await import('./sensor.ts')).addSensorCommand,
  worker: async () => (await import('./worker.ts')).addWorkerCommand,
  respond: async () => (await import('./respond.ts')).addRespondCommand,
  api: async () => (await import('./api.ts')).addApiCommand,
  flows: async () => (await import('./flows.ts')).addFlowsCommand,
  alerts: async () => (await import('./alerts.ts')).addAlertsCommand,
  revoke: async () => (await import('./revoke.ts')).addRevokeCommand,
  webhooks: async () => (await import('./webhooks.ts')).addWebhooksCommand,
  scope: async () => (await import('./scope.ts')).addScopeCommand,
  agents: async () => (await import('./agents.ts')).addAgentsCommand,
  tokens: async () => (await import('./tokens.ts')).addTokensCommand,
  topics: async () => (await import('./topics.ts')).addTopicsCommand,
  migrate: async () => (await import('./migrate.ts')).addMigrateCommand,
  reconcile: async () => (await import('./reconcile.ts')).addReconcileCommand,
  dlq: async () => (await import('./dlq.ts')).addDlqCommand,
  inspect: async () => (await import('./inspect.ts')).addInspectCommand,
  config: async () => (await import('./config.ts')).addConfigCommand,
  audit: async () => (await import('./audit.ts')).addAuditCommand,
  doctor: async () => (await import('./doctor.ts')).addDoctorCommand,
}

/** What must be loaded for these arguments: of a command its own parts alone, since all of them take a second. */
function loadersOf(args: readonly string[]): (() => Promise<AddCommand>)[] {
  const name = args.find((arg) => !arg.startsWith('-'))
  const named = Object.entries(COMMANDS).filter(([known]) => known === name)
  return named.length === 1 ? named.map(([, load]) => load) : Object.values(COMMANDS)
}

const EXAMPLES = `Examples:
  bailiwick replay capture.pcap --agents agents/     judge a capture against what agents declared
  bailiwick replay logs/ --agents agents/ --fail-on out_of_scope
                                                     the same of a directory, for CI: exit 1 if one strayed
  bailiwick flows capture.pcap | head                only decode: one JSON object per flow
  bailiwick scope check agents/                      read the agent files, say what is wrong with them
`

/**
 * Runs one command line.
 * @param args without the node and script names. @returns the exit code.
 */
export async function run(args: readonly string[], parts: RunParts): Promise<number> {
  const causes: ExitCause[] = []
  const program = new Command('bailiwick')
  const terminal = () => terminalOf(program, parts)
  program
    .description(
      'Watches network traffic passively, knows which AI agent each flow belongs to, and says when an agent leaves the scope it declared.',
    )
    .addHelpText('before', EXAMPLES)
    .option('-v, --verbose', 'say more; a fault is told with its stack')
    .option('-q, --quiet', 'say nothing but errors')
    .option('--no-color', 'no colours, whatever the terminal')
    .version(versionText(), '-V, --version')
    .configureOutput({
      writeOut: (text) => void parts.stdout.write(text),
      writeErr: (text) => void parts.stderr.write(text),
      outputError: () => {},
    })
    .exitOverride()
  let long = false
  const command: CommandParts = {
    terminal,
    environment: parts.environment,
    signal: parts.signal,
    causes,
    runLong: (tell) => {
      long = true
      parts.runLong?.(tell)
    },
  }
  for (const load of loadersOf(args)) (await load())(program, command)
  try {
    await program.parseAsync([...args], { from: 'user' })
  } catch (error) {
    const cause = causeOf(error, args, program, parts)
    if (cause === undefined) return 0
    causes.push(cause)
  }
  const out = terminal()
  try {
    for (const { words, told } of causes) if (told !== true) await say(out, `bailiwick: ${words}`)
    await out.out.drained()
  } catch (error) {
    causes.push({ code: 70, words: `cannot write the output: ${String(error)}` })
    await say(out, `bailiwick: ${causes.at(-1)!.words}`).catch(() => {})
  }
  return parts.signal.aborted && !long ? 130 : exitCode(causes)
}

const opened = new WeakMap<RunParts, Terminal>()

function terminalOf(program: Command, parts: RunParts): Terminal {
  const known = opened.get(parts)
  if (known !== undefined) return known
  const options = program.opts<{ verbose?: boolean; quiet?: boolean; color: boolean }>()
  const { environment, stdout, stderr } = parts
  const fresh = openTerminal({
    stdout,
    stderr,
    ...environment,
    noColour: environment.noColour || !options.color,
    verbose: options.verbose === true || environment.debug,
    quiet: options.quiet === true,
  })
  opened.set(parts, fresh)
  return fresh
}

/** Why an error ended the run; undefined for help and version, which are no errors. */
function causeOf(
  error: unknown,
  args: readonly string[],
  program: Command,
  parts: RunParts,
): ExitCause | undefined {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return undefined
    // Without a command the help was printed: that is the cure.
    if (error.code === 'commander.help') return { code: 2, words: 'no command given' }
    const words = error.message.replace(/^error: /, '').replaceAll('\n', ' ')
    // The first that is one: later words are values, and may be called as one is.
    const [command] = args.flatMap((arg) => program.commands.filter((one) => one.name() === arg))
    const where = command === undefined ? 'bailiwick' : `bailiwick ${command.name()}`
    return { code: 2, words: `${words} (see ${where} --help)` }
  }
  if (parts.signal.aborted) return undefined
  const { code, words, fault } = errorCause(error)
  if (!fault) return { code, words }
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  if (parts.environment.debug || program.opts<{ verbose?: boolean }>().verbose === true)
    parts.stderr.write(`${printable(stack).replaceAll('\\u{a}', '\n')}\n`)
  return { code, words: `${words} (again with -v for its stack)` }
}
