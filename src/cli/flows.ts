// `bailiwick flows`: inputs to flows on stdout, nothing judged and nothing stored.

import { getRandomValues } from 'node:crypto'
import { type Command, Option } from 'commander'
import { DEFAULT_SENSOR, parseNetworks, SENSOR_NAME } from '../config.ts'
import type { SensorSettings } from '../sensor.ts'
import { liveSettings, startLive } from '../serve/sensing.ts'
import { startThreads } from '../threads.ts'
import { untilAborted } from '../until-aborted.ts'
import { addSettingsOptions, settingsOf } from './bus-options.ts'
import { usageError } from './exit.ts'
import { FLOW_FORMATS, type FlowFormatName, flowFormat } from './flow-format.ts'
import { FlowWriter } from './flow-writer.ts'
import { printLive } from './flows-live.ts'
import { printFlows, STATS_FORMATS, type StatsFormat } from './print-flows.ts'
import type { CommandParts } from './program.ts'
import { startProgress } from './progress.ts'
import { say } from './terminal.ts'

export interface SensorOptions {
  sensorId: string
  verifyChecksums: boolean
  localNets?: string
}

interface FlowsOptions extends SensorOptions {
  format?: FlowFormatName | 'text'
  stats: StatsFormat
  live?: string
  match: string[]
}

const EXAMPLES = `Examples:
  bailiwick flows capture.pcap                         one JSON object per flow
  bailiwick flows logs/ --stats json 2> stats.ndjson   a directory of flow logs, with counts per input
  tcpdump -w - | bailiwick flows -                     from standard input
  bailiwick flows --live eth0 --match api.example.com  as they come, until Ctrl-C
  bailiwick flows --live lo --filter 'tcp port 443' --format ndjson
`

/** Options of every command that reads captures and logs. */
export function addSensorOptions(command: Command): Command {
  return command
    .option('--verify-checksums', 'leave out packets whose checksum is wrong', false)
    .option(
      '--sensor-id <id>',
      'name of this observation point, part of every flow id',
      DEFAULT_SENSOR,
    )
    .option('--local-nets <cidrs>', 'networks that are ours, comma-separated')
}

/** Reads the sensor's options. @throws CommandError for what they do not allow. */
export function sensorSettings(options: SensorOptions): SensorSettings {
  if (!SENSOR_NAME.test(options.sensorId))
    throw usageError(
      `--sensor-id ${options.sensorId}: use up to 63 letters, digits, dots, dashes and underscores`,
    )
  const nets = options.localNets === undefined ? [] : parseNetworks(options.localNets)
  if (!Array.isArray(nets))
    throw usageError(`--local-nets: ${nets.wrong} is no network; write 10.0.0.0/8,fd00::/8`)
  return {
    sensor: options.sensorId,
    verifyChecksums: options.verifyChecksums,
    hashSeed: getRandomValues(new Int32Array(4)),
    localNets: nets,
  }
}

export function addFlowsCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('flows')
    .summary('decode captures and logs to flows, or capture them')
    .description(
      'Decodes captures, cloud flow logs and Zeek logs. Prints one flow a line on stdout. With --live, captures on network interfaces and prints a line when a flow is decided, when it goes on for long, and when it is over.',
    )
    .addHelpText('before', EXAMPLES)
    .argument('[path...]', 'files, directories, or - for standard input; gzip is undone')
    .addOption(
      new Option(
        '--format <format>',
        'how flows are printed (default: ndjson; text for --live at a terminal)',
      ).choices([...FLOW_FORMATS, 'text']),
    )
    .option(
      '--match <text>',
      'with --live: only flows whose line contains this; may be given again',
      (one: string, before: string[]) => [...before, one],
      [] as string[],
    )
    .addOption(
      new Option('--stats <format>', 'what was read of each input, on stderr')
        .choices(STATS_FORMATS)
        .default('none'),
    )
  addSettingsOptions(addSensorOptions(command), ['live'])
  command.action(async (paths: string[], options: FlowsOptions) => {
    if (options.live !== undefined) return flowsLive(paths, options, parts)
    const format = filesFormat(paths, options)
    const settings = sensorSettings(options)
    const terminal = parts.terminal()
    const threads = startThreads(1)
    const progress = startProgress(terminal, !terminal.outIsTerminal, () => performance.now())
    try {
      const writer = new FlowWriter(
        flowFormat(format, settings.localNets.length > 0),
        settings.localNets,
      )
      const events = untilAborted(threads.decode(paths, settings, progress.at), parts.signal)
      parts.causes.push(...(await printFlows(events, writer, terminal, options.stats)))
    } finally {
      progress.stop()
      // An interrupted thread may still wait for standard input, and would be waited for.
      if (!parts.signal.aborted) await threads.close()
    }
  })
}

/** What is asked for of files. @throws CommandError for what only a live capture gives */
function filesFormat(paths: readonly string[], { format, match }: FlowsOptions): FlowFormatName {
  if (paths.length === 0)
    throw usageError('nothing to read: give a file, a directory, -, or --live INTERFACE')
  if (format === 'text' || match.length > 0)
    throw usageError('--format text and --match are for --live: take one of the other formats')
  return format ?? 'ndjson'
}

async function flowsLive(
  paths: readonly string[],
  options: FlowsOptions,
  parts: CommandParts,
): Promise<void> {
  if (paths.length > 0)
    throw usageError('files and --live do not go together here: give one of them')
  const settings = await settingsOf({ ...options }, parts)
  const terminal = parts.terminal()
  const { localNets } = settings.sensor
  const format = options.format ?? (terminal.outIsTerminal ? 'text' : 'ndjson')
  const writer =
    format === 'text'
      ? undefined
      : new FlowWriter(flowFormat(format, localNets.length > 0), localNets)
  // Told to end is how it ends.
  parts.runLong((fault) => void say(terminal, `bailiwick: ${String(fault)}`))
  const live = startLive(liveSettings(settings), () => {}, parts.signal)
  await printLive(live, { writer, match: options.match }, terminal)
}
