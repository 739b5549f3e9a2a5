// `bailiwick inspect`: what a chunk, a segment, a spool or a message on Kafka holds. Reads only, also while the owner of
// a spool writes to it.

import { open, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Command } from 'commander'
import type { Delivery } from '../bus/bus.ts'
import { decodeDeadLetter, decodeRedriveMark } from '../bus/dead-letter.ts'
import { NODE_DISK } from '../bus/disk.ts'
import { isJournal, lookAtJournal, recordsOf, segmentOf } from '../bus/journal-look.ts'
import { parseSegmentName } from '../bus/journal-record.ts'
import { KafkaReader } from '../bus/kafka-reader.ts'
import { explainFileError } from '../inputs.ts'
import { readLedger } from '../ship/ledger-file.ts'
import { printable, printableJson } from '../wire-text.ts'
import { addSettingsOptions, kafkaSettings, settingsOf } from './bus-options.ts'
import { chunkText, tellChunk } from './chunk-told.ts'
import { letterText, wholeNumber } from './dlq.ts'
import { CommandError, usageError } from './exit.ts'
import { journalJson, journalText, segmentJson, segmentText } from './journal-told.ts'
import { ledgerJson, ledgerText } from './ledger-told.ts'
import type { CommandParts } from './program.ts'
import { instantText } from './row-values.ts'
import type { Terminal } from './terminal.ts'

const EXAMPLES = `Examples:
  bailiwick inspect /var/lib/bailiwick/spool                 what waits in a spool
  bailiwick inspect bailiwick.chunks.v1:3:4711 --kafka broker:9092
                                                             a message: partition 3, offset 4711
  bailiwick inspect chunk.bin --rows 20                      a chunk in a file
  bailiwick inspect bailiwick.chunks.v1:3:4711 --raw > chunk.bin
`

/** Larger files are no chunk and no dead letter. */
const FILE_BYTES_MAX = 64 << 20
const PLACE = /^([A-Za-z0-9._-]{1,249}):(\d{1,9}):(\d{1,19})$/

interface InspectOptions {
  rows: string
  json: boolean
  raw: boolean
}

/** How a look goes on: what is shown, and how much of it. */
interface Look {
  terminal: Terminal
  rows: number
  json: boolean
  raw: boolean
}

export function addInspectCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('inspect')
    .summary('look into a chunk, a spool or a message on Kafka')
    .addHelpText('before', EXAMPLES)
    .argument('<what>', 'file, spool directory, or TOPIC:PARTITION:OFFSET')
    .option('--rows <number>', 'rows of each part, or records of a spool, to show', '5')
    .option('--json', 'one JSON object instead of text', false)
    .option('--raw', 'the bytes as they are, on stdout', false)
  addSettingsOptions(command, ['kafka.brokers']).action(
    async (what: string, options: InspectOptions) => {
      const terminal = parts.terminal()
      const rows = wholeNumber(options.rows, '--rows', 100_000)
      if (options.raw && terminal.outIsTerminal)
        throw usageError('--raw writes bytes as they are: send them to a file, `--raw > chunk.bin`')
      const look = { terminal, rows, json: options.json, raw: options.raw }
      const isFile = await stat(what).then(
        (found) => found,
        () => undefined,
      )
      if (isFile?.isDirectory() === true) await inspectDirectory(what, look)
      else if (isFile !== undefined) await inspectFile(what, look)
      else if (PLACE.test(what)) await inspectMessage(what, { ...options }, look, parts)
      else
        throw new CommandError(
          3,
          `${what}: no such file or directory, and not TOPIC:PARTITION:OFFSET`,
        )
    },
  )
}

async function inspectDirectory(directory: string, look: Look): Promise<void> {
  if (!(await isJournal(directory).catch(cannotRead(directory))))
    throw new CommandError(3, `${directory}: no spool: there is neither a segment nor a checkpoint`)
  if (look.raw) throw usageError('--raw is for a single chunk or message')
  const journal = await lookAtJournal(directory, look.rows).catch(cannotRead(directory))
  const ledger = await readLedger(NODE_DISK, directory, () => {}).catch(() => undefined)
  const { out, colours } = look.terminal
  await out.write(
    look.json
      ? `${printableJson({ ...journalJson(journal), ledger: ledgerJson(ledger, look.rows) })}\n`
      : journalText(journal, colours) + ledgerText(ledger, look.rows, colours),
  )
}

async function inspectFile(file: string, look: Look): Promise<void> {
  const segment = parseSegmentName(path.basename(file))
  if (segment === undefined)
    return await inspectBytes(await readBytes(file).catch(cannotRead(file)), file, look)
  if (look.raw) throw usageError('--raw is for a single chunk or message')
  const directory = path.dirname(file)
  const looked = await segmentOf(directory, segment).catch(cannotRead(file))
  if (looked === undefined) throw new CommandError(3, `${file}: is gone`)
  const records = await recordsOf(directory, segment, 0n, look.rows).catch(cannotRead(file))
  const { out, colours } = look.terminal
  await out.write(
    look.json
      ? `${printableJson(segmentJson(looked, records))}\n`
      : segmentText(looked, records, colours),
  )
}

async function readBytes(file: string): Promise<Buffer> {
  const handle = await open(file, 'r')
  try {
    const { size } = await handle.stat()
    if (size > FILE_BYTES_MAX)
      throw new CommandError(3, `${file}: ${size} bytes are more than any chunk has`)
    const bytes = Buffer.alloc(size)
    return bytes.subarray(0, (await handle.read(bytes, 0, size, 0)).bytesRead)
  } finally {
    await handle.close()
  }
}

function cannotRead(name: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof CommandError) throw error
    throw new CommandError(3, `${name}: ${explainFileError(error as Error)}`)
  }
}

async function inspectMessage(
  what: string,
  options: Record<string, unknown>,
  look: Look,
  parts: CommandParts,
): Promise<void> {
  const [, topic, partition, offset] = PLACE.exec(what)!
  const settings = await settingsOf(options, parts)
  const delivery = await fetchMessage(
    topic!,
    Number(partition),
    BigInt(offset!),
    kafkaSettings(settings, `${settings.kafka.clientId}-inspect`),
  )
  if (!look.json && !look.raw) {
    const { acceptedAt, key, unreadable } = delivery
    const when = instantText(acceptedAt)
    const lines = [`message ${what}`, `  taken ${when}, key ${printable(key) || '(none)'}`]
    if (unreadable !== undefined) lines.push(`  ${printable(unreadable)}`)
    await look.terminal.out.write(`${lines.join('\n')}\n`)
  }
  await inspectBytes(delivery.bytes, what, look)
}

async function fetchMessage(
  topic: string,
  partition: number,
  offset: bigint,
  kafka: Parameters<typeof KafkaReader.open>[0],
): Promise<Delivery> {
  let reader: KafkaReader | undefined
  try {
    reader = await KafkaReader.open(kafka, topic)
    const ranges = await reader.ranges()
    const range = ranges.find((one) => one.partition === partition)
    if (range === undefined)
      throw new CommandError(3, `topic ${topic} has ${ranges.length} partitions, no ${partition}`)
    if (offset >= range.first && offset < range.end)
      for await (const delivery of reader.read(partition, offset, range.end)) {
        // A batch that cannot be read stands at its last offset, for all that it holds.
        if (delivery.offset === offset || delivery.unreadable !== undefined) return delivery
        break
      }
    throw new CommandError(
      3,
      `${topic}:${partition} has no message at ${offset}: it holds ${range.first} to before ${range.end}`,
    )
  } finally {
    await reader?.close()
  }
}

/** A chunk, a dead letter with what it holds, or neither. */
async function inspectBytes(bytes: Uint8Array, from: string, look: Look): Promise<void> {
  const { out, colours } = look.terminal
  if (look.raw) return await out.write(bytes)
  const mark = decodeRedriveMark(bytes)
  if (mark !== undefined) {
    const text = `the mark that letter ${mark.id} was sent again ${instantText(mark.at)}\n`
    return await out.write(look.json ? `${printableJson({ ...SCHEMA, mark })}\n` : text)
  }
  const dead = deadLetter(bytes)
  const content = dead?.bytes ?? bytes
  const told = tellChunk(content, look.rows)
  const letter = dead?.letter
  if (look.json)
    await out.write(`${printableJson({ ...SCHEMA, ...(letter && { letter }), content: told })}\n`)
  else {
    if (letter !== undefined) await out.write(letterText(letter, undefined))
    await out.write(chunkText(told, content, colours))
  }
  if (letter !== undefined) return
  if (told.kind !== 'chunk') throw new CommandError(3, `${from}: ${told.problem}`)
  if (!told.intact) throw new CommandError(3, `${from}: the content is not what its id says`)
}

const SCHEMA = { schema: 'bailiwick.inspect/v1' }

function deadLetter(bytes: Uint8Array): ReturnType<typeof decodeDeadLetter> | undefined {
  try {
    return decodeDeadLetter(bytes)
  } catch {
    return undefined
  }
}
