// `bailiwick sensor`: reads captures and logs, and sends what it finds to Kafka by way of a spool on disk.

import type { Command } from 'commander'
import { BusError, BusFault, CHUNK_STREAM } from '../bus/bus.ts'
import { errorCode } from '../bus/disk.ts'
import { KafkaSink } from '../bus/kafka-sink.ts'
import type { Running } from '../serve/running.ts'
import { liveSettings, readPaths, startLive } from '../serve/sensing.ts'
import type { Settings } from '../settings.ts'
import { closeLiveOrigins, readLive } from '../ship/read-live.ts'
import { isRefusal, ship } from '../ship/ship.ts'
import type { Shipper } from '../ship/shipper.ts'
import { Spool, tellTrouble } from '../ship/spool.ts'
import type { Log } from '../telemetry.ts'
import { printable } from '../wire-text.ts'
import { addSettingsOptions, kafkaSettings, needed, settingsOf } from './bus-options.ts'
import { CommandError, type ExitCause, usageError } from './exit.ts'
import { tellInput } from './inputs-told.ts'
import { runLongRunning } from './long-running.ts'
import type { CommandParts } from './program.ts'
import { startProgress } from './progress.ts'
import { count } from './text-table.ts'

const EXAMPLES = `Examples:
  bailiwick sensor captures/ --kafka broker:9092 --spool /var/lib/bailiwick/spool
  bailiwick sensor /var/log/zeek/current --follow --kafka broker:9092 --spool /var/lib/bailiwick/spool
  bailiwick sensor --live eth0 --kafka broker:9092 --spool /var/lib/bailiwick/spool
`

export function addSensorCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('sensor')
    .summary('capture, read captures and logs, and send what is found to Kafka')
    .description(
      'Captures on network interfaces, decodes captures, cloud flow logs and Zeek logs, keeps the result in a spool on disk, and sends it to Kafka. While Kafka is away the spool grows; nothing is lost.',
    )
    .addHelpText('before', EXAMPLES)
    .argument('[path...]', 'files, directories, or - for standard input; gzip is undone')
    .option(
      '--follow',
      'go on with files that grow and directories that fill, until told to end',
      false,
    )
  addSettingsOptions(command, ['kafka.brokers', 'sensor', 'live', 'listen']).action(
    async (paths: string[], options: Record<string, unknown>) => {
      const settings = await settingsOf(options, parts)
      needed(settings.kafka.brokers, 'kafka.brokers')
      needed(settings.sensor.spool, 'sensor.spool')
      if (paths.length === 0 && settings.live.interfaces.length === 0)
        throw usageError('nothing to read: give a file, a directory, -, or --live INTERFACE')
      await runLongRunning(parts, 'sensor', settings, (running) =>
        runSensor({ paths, follow: options.follow === true, settings }, running, parts),
      )
    },
  )
}

interface SensorRun {
  paths: readonly string[]
  follow: boolean
  settings: Settings
}

async function runSensor(run: SensorRun, running: Running, parts: CommandParts): Promise<void> {
  const { settings, follow } = run
  const { log, signal, observe } = running
  const spool = await openSpool(settings, log)
  const client = `${settings.kafka.clientId}-sensor-${settings.sensor.id}`
  const sink = new KafkaSink(
    { ...kafkaSettings(settings, client, log), topic: CHUNK_STREAM },
    (trouble) => tellTrouble(log, 'kafka', trouble),
  )
  try {
    const shipped = await ship({
      sensor: settings.sensor.id,
      spool,
      sink,
      log,
      signal,
      read: (shipper) => readInputs(run, shipper, running, parts),
      whenRefused: follow || settings.live.interfaces.length > 0 ? 'wait' : 'end',
      observe,
    })
    const { chunks, flowRecords, known, drained } = shipped
    log('info', drained ? 'everything is sent' : 'what is not sent yet waits in the spool', {
      chunks,
      flow_records: flowRecords,
      known_chunks: known,
    })
    parts.causes.push(...lossCauses(spool))
  } catch (error) {
    if (isRefusal(error))
      throw new CommandError(4, `${error.message}; what was read waits in the spool`)
    throw error
  } finally {
    await spool.close()
  }
}

/** Files and interfaces beside each other; an interface that cannot be captured on ends both. */
async function readInputs(
  run: SensorRun,
  shipper: Shipper,
  running: Running,
  parts: CommandParts,
): Promise<void> {
  if (run.settings.live.interfaces.length === 0) return readFiles(run, shipper, running, parts)
  await closeLiveOrigins(shipper, running.log)
  const failed = new AbortController()
  const signal = AbortSignal.any([running.signal, failed.signal])
  const live = startLive(liveSettings(run.settings), running.log, signal)
  running.observe(live)
  const capturing = readLive(live.events(), shipper).catch((error: unknown) => {
    failed.abort(error)
    throw error
  })
  const reading =
    run.paths.length === 0 ? undefined : readFiles(run, shipper, { ...running, signal }, parts)
  const [captured] = await Promise.allSettled([capturing, reading])
  if (captured.status === 'rejected') throw captured.reason
  await reading
}

async function readFiles(
  { paths, follow, settings }: SensorRun,
  shipper: Shipper,
  running: Running,
  parts: CommandParts,
): Promise<void> {
  const { log } = running
  const terminal = parts.terminal()
  const quiet = terminal.quiet || !terminal.errIsTerminal || follow
  const progress = startProgress({ ...terminal, quiet }, true, () => performance.now())
  try {
    await readPaths(paths, {
      settings,
      follow,
      shipper,
      running,
      progress: progress.at,
      inputOver: (event) => {
        const cause = tellInput(event, log)
        if (cause !== undefined && !follow) parts.causes.push(cause)
      },
      unreadable: (source, words) => {
        const cause = { code: 3 as const, words: `${printable(source)}: ${words}`, told: true }
        // Who follows waits for better times: its end says nothing of an input that was bad once.
        log('error', cause.words, follow ? {} : { exit: cause.code })
        if (!follow) parts.causes.push(cause)
      },
    })
  } finally {
    progress.stop()
  }
}

/** What makes a run one that did not keep everything. */
function lossCauses({ dead, damages }: Spool): ExitCause[] {
  const causes: ExitCause[] = []
  if (dead.count > 0)
    causes.push({
      code: 3,
      words: `${count(dead.count, 'chunk')} too large for the broker: kept in ${dead.directory}`,
    })
  if (damages.length > 0)
    causes.push({ code: 3, words: `the spool was damaged: ${damages[0]!.detail}` })
  return causes
}

async function openSpool({ sensor }: Settings, log: Log): Promise<Spool> {
  const directory = needed(sensor.spool, 'sensor.spool')
  try {
    return await Spool.open({ directory, maxBytes: sensor.spoolBytes, lanes: sensor.lanes }, log)
  } catch (error) {
    if (error instanceof BusError && error.kind === 'in_use')
      throw new CommandError(4, `${error.message}: end it, or give another --spool`)
    const code = errorCode(error)
    if (error instanceof BusError || error instanceof BusFault || code === '') throw error
    const words = `the spool ${printable(directory)} cannot be used (${code})`
    throw new CommandError(4, `${words}: give one that you may write to, with room, by --spool`)
  }
}
