// `bailiwick sensor`: reads captures and logs, and sends what it finds to Kafka by way of a spool on disk.

import { type Command, InvalidArgumentError } from 'commander'
import { BusError, CHUNK_STREAM } from '../bus/bus.ts'
import { KafkaSink } from '../bus/kafka-sink.ts'
import type { ReportInput } from '../report.ts'
import { reportInput } from '../report.ts'
import type { SensorEvent } from '../sensor.ts'
import { isRefusal, shipInputs } from '../ship/ship.ts'
import { SPOOL_BYTES_MIN, SPOOL_DEFAULTS, Spool, tellTrouble } from '../ship/spool.ts'
import type { Log } from '../telemetry.ts'
import { startThreads } from '../threads.ts'
import { CommandError, usageError } from './exit.ts'
import { addSensorOptions, type SensorOptions, sensorSettings } from './flows.ts'
import { inputCause } from './inputs-told.ts'
import type { CommandParts } from './program.ts'
import { startProgress } from './progress.ts'
import { say, type Terminal } from './terminal.ts'
import { count } from './text-table.ts'
import { untilAborted } from './until-aborted.ts'

interface SensorCommandOptions extends SensorOptions {
  spool?: string
  kafka?: string
  lanes: number
  spoolBytes: number
}

const EXAMPLES = `Examples:
  bailiwick sensor captures/ --kafka broker:9092 --spool /var/lib/bailiwick/spool
  tcpdump -i eth0 -w - | bailiwick sensor - --kafka broker:9092 --spool spool/
`

function wholeNumber(most: number, least = 1): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!Number.isInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`)
    return value
  }
}

export function addSensorCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('sensor')
    .summary('read captures and logs, and send what is found to Kafka')
    .description(
      'Decodes captures, cloud flow logs and Zeek logs, keeps the result in a spool on disk, and sends it to Kafka. While Kafka is away the spool grows; nothing is lost.',
    )
    .addHelpText('before', EXAMPLES)
    .argument('<path...>', 'files, directories, or - for standard input; gzip is undone')
    .option('--spool <dir>', 'directory of the spool')
    .option('--kafka <brokers>', 'host:port, several with commas between them')
    .option(
      '--lanes <n>',
      'lanes that chunks are dealt over',
      wholeNumber(1024),
      SPOOL_DEFAULTS.lanes,
    )
    .option(
      '--spool-bytes <n>',
      'most bytes that the spool takes on disk',
      wholeNumber(2 ** 50, SPOOL_BYTES_MIN),
      SPOOL_DEFAULTS.maxBytes,
    )
  addSensorOptions(command).action(async (paths: string[], options: SensorCommandOptions) => {
    if (options.spool === undefined)
      throw usageError('--spool DIR is missing: chunks are kept there until Kafka has them')
    if (options.kafka === undefined)
      throw usageError('--kafka HOST:PORT is missing: where are chunks to be sent?')
    await runSensor(paths, { ...options, spool: options.spool, kafka: options.kafka }, parts)
  })
}

async function runSensor(
  paths: string[],
  options: SensorCommandOptions & { spool: string; kafka: string },
  parts: CommandParts,
): Promise<void> {
  const settings = sensorSettings(options)
  const terminal = parts.terminal()
  const log = terminalLog(terminal)
  const spool = await openSpool(options, log)
  const sink = new KafkaSink(
    {
      brokers: options.kafka.split(','),
      clientId: `sensor-${settings.sensor}`,
      topic: CHUNK_STREAM,
    },
    (trouble) => tellTrouble(log, 'kafka', trouble),
  )
  const threads = startThreads(1)
  const progress = startProgress(terminal, true, () => performance.now())
  const inputs: ReportInput[] = []
  try {
    const events = untilAborted(threads.decode(paths, settings, progress.at), parts.signal)
    const inputOver = (event: SensorEvent & { type: 'input' }) => {
      inputs.push(reportInput(event, 0))
    }
    const { chunks, flowRecords, drained } = await shipInputs({
      events,
      spool,
      sink,
      log,
      signal: parts.signal,
      inputOver,
    })
    progress.stop()
    if (!terminal.quiet)
      await say(
        terminal,
        `${count(chunks, 'chunk')} with ${count(flowRecords, 'flow record')} ${drained ? 'sent' : 'spooled'}`,
      )
  } catch (error) {
    if (isRefusal(error))
      throw new CommandError(4, `${error.message}; what was read is in ${options.spool}`)
    throw error
  } finally {
    progress.stop()
    if (!parts.signal.aborted) await threads.close()
    await spool.close()
  }
  parts.causes.push(...inputs.map(inputCause).filter((cause) => cause !== undefined))
}

async function openSpool(
  options: SensorCommandOptions & { spool: string },
  log: Log,
): Promise<Spool> {
  const { spool: directory, spoolBytes: maxBytes, lanes } = options
  try {
    return await Spool.open({ directory, maxBytes, lanes }, log)
  } catch (error) {
    if (error instanceof BusError && error.kind === 'in_use')
      throw new CommandError(4, `${error.message}: end it, or give another --spool`)
    throw error
  }
}

/** Lines for a person who watches. */
function terminalLog(terminal: Terminal): Log {
  return (level, message, fields) => {
    if (level === 'debug' || (level === 'info' && !terminal.verbose)) return
    const more = Object.entries(fields ?? {}).map(([name, value]) => `${name}: ${String(value)}`)
    void say(terminal, [`${level}: ${message}`, ...more].join(' · '))
  }
}
