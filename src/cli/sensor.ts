// `bailiwick sensor`: reads captures and logs, and sends what it finds to Kafka by way of a spool on disk.

import { getRandomValues } from 'node:crypto'
import type { Command } from 'commander'
import { BusError, CHUNK_STREAM } from '../bus/bus.ts'
import { KafkaSink } from '../bus/kafka-sink.ts'
import { reportInput } from '../report.ts'
import type { SensorEvent, SensorSettings } from '../sensor.ts'
import type { Settings } from '../settings.ts'
import { isRefusal, shipInputs } from '../ship/ship.ts'
import { Spool, tellTrouble } from '../ship/spool.ts'
import type { Log } from '../telemetry.ts'
import { startThreads } from '../threads.ts'
import { printable } from '../wire-text.ts'
import { addSettingsOptions, kafkaSettings, needed, settingsOf } from './bus-options.ts'
import { CommandError, type ExitCause } from './exit.ts'
import { inputCause } from './inputs-told.ts'
import { type Running, runLongRunning } from './long-running.ts'
import type { CommandParts } from './program.ts'
import { startProgress } from './progress.ts'
import { untilAborted } from './until-aborted.ts'

const EXAMPLES = `Examples:
  bailiwick sensor captures/ --kafka broker:9092 --spool /var/lib/bailiwick/spool
  tcpdump -i eth0 -w - | bailiwick sensor - --kafka broker:9092 --spool spool/
`

export function addSensorCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('sensor')
    .summary('read captures and logs, and send what is found to Kafka')
    .description(
      'Decodes captures, cloud flow logs and Zeek logs, keeps the result in a spool on disk, and sends it to Kafka. While Kafka is away the spool grows; nothing is lost.',
    )
    .addHelpText('before', EXAMPLES)
    .argument('<path...>', 'files, directories, or - for standard input; gzip is undone')
  addSettingsOptions(command, ['kafka.brokers', 'sensor', 'listen']).action(
    async (paths: string[], options: Record<string, unknown>) => {
      const settings = await settingsOf(options, parts)
      needed(settings.kafka.brokers, 'kafka.brokers')
      needed(settings.sensor.spool, 'sensor.spool')
      await runLongRunning(parts, 'sensor', settings, (running) =>
        ship(paths, settings, running, parts),
      )
    },
  )
}

async function ship(
  paths: string[],
  settings: Settings,
  { log, signal }: Running,
  parts: CommandParts,
): Promise<void> {
  const terminal = parts.terminal()
  const spool = await openSpool(settings, log)
  const client = `${settings.kafka.clientId}-sensor-${settings.sensor.id}`
  const sink = new KafkaSink(
    { ...kafkaSettings(settings, client, log), topic: CHUNK_STREAM },
    (trouble) => tellTrouble(log, 'kafka', trouble),
  )
  const threads = startThreads(1)
  const progress = startProgress(
    { ...terminal, quiet: terminal.quiet || !terminal.errIsTerminal },
    true,
    () => performance.now(),
  )
  try {
    const decoding = threads.decode(paths, sensorOf(settings), progress.at)
    const { chunks, flowRecords, drained } = await shipInputs({
      events: untilAborted(decoding, signal),
      spool,
      sink,
      log,
      signal,
      inputOver: (event) => tellInput(event, log, parts.causes),
    })
    progress.stop()
    log('info', drained ? 'everything is sent' : 'what is not sent yet waits in the spool', {
      chunks,
      flow_records: flowRecords,
    })
  } catch (error) {
    if (isRefusal(error))
      throw new CommandError(4, `${error.message}; what was read waits in the spool`)
    throw error
  } finally {
    progress.stop()
    // A thread that waits for standard input would be waited for.
    if (!signal.aborted) await threads.close()
    await spool.close()
  }
}

function sensorOf({ sensor }: Settings): SensorSettings {
  return {
    sensor: sensor.id,
    verifyChecksums: sensor.verifyChecksums,
    hashSeed: getRandomValues(new Int32Array(4)),
    localNets: sensor.localNets,
  }
}

async function openSpool({ sensor }: Settings, log: Log): Promise<Spool> {
  const directory = needed(sensor.spool, 'sensor.spool')
  try {
    return await Spool.open({ directory, maxBytes: sensor.spoolBytes, lanes: sensor.lanes }, log)
  } catch (error) {
    if (error instanceof BusError && error.kind === 'in_use')
      throw new CommandError(4, `${error.message}: end it, or give another --spool`)
    throw error
  }
}

/** An input that is over, in the log; one that could not be read also ends the run with its exit code. */
function tellInput(event: SensorEvent & { type: 'input' }, log: Log, causes: ExitCause[]): void {
  const cause = inputCause(reportInput(event, 0))
  const { source, bytesRead, stats } = event
  const fields = { input: printable(source), format: stats.format, bytes: bytesRead }
  if (cause === undefined) log('info', 'input read', fields)
  else {
    log('error', cause.words, { ...fields, exit: cause.code })
    causes.push({ ...cause, told: true })
  }
}
