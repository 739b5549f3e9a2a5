// `bailiwick dlq`: messages that workers gave up. Lists them, shows one with its bytes, sends them again.

import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { CHUNK_STREAM, laneKey } from '../bus/bus.ts'
import { DEAD_REASONS, type DeadLetter, type DeadReason } from '../bus/dead-letter.ts'
import { DeadLetters, type FoundLetter, type LetterList } from '../bus/dead-letters.ts'
import { JournalLetters } from '../bus/journal-letters.ts'
import { explainFileError } from '../inputs.ts'
import { dataPaths } from '../serve/data-directory.ts'
import type { Settings } from '../settings.ts'
import { printable, printableJson } from '../wire-text.ts'
import { addSettingsOptions, kafkaSettings, settingsOf } from './bus-options.ts'
import { chunkText, tellChunk } from './chunk-told.ts'
import { CommandError, usageError } from './exit.ts'
import type { CommandParts } from './program.ts'
import { sizeWords } from './progress.ts'
import { instantText } from './row-values.ts'
import { type Colours, say, type Terminal } from './terminal.ts'
import { count, renderTable } from './text-table.ts'

const EXAMPLES = `Examples:
  bailiwick dlq ls --kafka broker:9092                 what was given up, newest first
  bailiwick dlq ls --data /var/lib/bailiwick           the same of a server; to send again, end it first
  bailiwick dlq show 3f0c9a1e                          one of them; the beginning of an id will do
  bailiwick dlq show 3f0c9a1e --raw > message.bin      its bytes as they came
  bailiwick dlq redrive --all --reason refused         send those again that the store refused
`

/** Letters that redriving looks at in one run. */
const REDRIVE_MAX = 100_000
/** Shorter beginnings of an id hit by chance. */
const ID_LENGTH_MIN = 6

interface LsOptions {
  json: boolean
  limit: string
  reason?: DeadReason
  open: boolean
}

interface RedriveOptions {
  json: boolean
  all: boolean
  reason?: DeadReason
  dryRun: boolean
  again: boolean
}

export function addDlqCommand(program: Command, parts: CommandParts): void {
  const dlq = program
    .command('dlq')
    .summary('look at messages that workers gave up, and send them again')
    .addHelpText('before', EXAMPLES)
  const reason = () => new Option('--reason <reason>', 'only these').choices(DEAD_REASONS)
  const json = ['--json', 'one JSON object instead of text', false] as const
  const add = (name: string, summary: string) =>
    addSettingsOptions(dlq.command(name).summary(summary), ['kafka.brokers', 'serve.data'])

  add('ls', 'list them, newest first')
    .option('--limit <number>', 'at most so many', '100')
    .addOption(reason())
    .option('--open', 'only those that were not sent again', false)
    .option(...json)
    .action((options: LsOptions) => withLetters(options, parts, (all) => list(all, options, parts)))
  add('show', 'show one with its bytes')
    .argument('<id>', 'its id, or the beginning of it')
    .option('--raw', 'its bytes as they came, on stdout', false)
    .option('--rows <number>', 'rows of each part of a chunk to show', '3')
    .option(...json)
    .action((id: string, options: { raw: boolean; rows: string; json: boolean }) =>
      withLetters(options, parts, (all) => show(all, id, options, parts.terminal())),
    )
  add('redrive', 'send them again to where they came from')
    .argument('[id...]', 'ids, or beginnings of them; or .chunk files that a sensor put aside')
    .option('--all', 'all that were not sent again yet', false)
    .addOption(reason())
    .option('--dry-run', 'only say what would be sent', false)
    .option('--again', 'also those that were sent again before', false)
    .option(...json)
    .action((ids: string[], options: RedriveOptions) => {
      if (options.all === ids.length > 0) throw usageError('give ids, or --all; not both')
      return withLetters(options, parts, (all, settings) =>
        redrive(all, ids, { ...options, lanes: settings.sensor.lanes }, parts),
      )
    })
}

async function withLetters(
  options: object,
  parts: CommandParts,
  work: (all: DeadLetters, settings: Settings) => Promise<void>,
): Promise<void> {
  const settings = await settingsOf({ ...options }, parts)
  let all: DeadLetters | undefined
  try {
    all = await openLetters(settings, 'data' in options)
    await work(all, settings)
  } finally {
    await all?.close()
  }
}

/** Those of the cluster; without one, or where a data directory is named, those of a server. */
async function openLetters(settings: Settings, named: boolean): Promise<DeadLetters> {
  if (settings.kafka.brokers !== undefined && !named)
    return await DeadLetters.open(kafkaSettings(settings, `${settings.kafka.clientId}-dlq`))
  const { dead, spool } = dataPaths(settings.serve.data)
  const places = { dead, spool: settings.sensor.spool ?? spool }
  return new DeadLetters(await JournalLetters.open(places))
}

export function wholeNumber(text: string, name: string, most: number): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (!(number <= most)) throw usageError(`${name} ${text}: expected a number up to ${most}`)
  return number
}

async function list(all: DeadLetters, options: LsOptions, parts: CommandParts): Promise<void> {
  const { out, outIsTerminal, colours, ...terminal } = parts.terminal()
  // Who reads a pipe has room.
  const width = outIsTerminal ? terminal.width : Number.POSITIVE_INFINITY
  const limit = wholeNumber(options.limit, '--limit', REDRIVE_MAX)
  const found = await all.list({ limit, reason: options.reason, onlyOpen: options.open })
  await out.write(
    options.json
      ? `${printableJson({
          schema: 'bailiwick.dlq/v1',
          letters: found.letters.map(letterJson),
          unread_offsets: Number(found.unread),
          strangers: found.strangers.map(({ offset, ...one }) => ({ ...one, offset: `${offset}` })),
        })}\n`
      : listText(found, width, colours),
  )
}

function letterJson(found: FoundLetter): Record<string, unknown> {
  const { letter, bytes, redrivenAt } = found
  const { chunk, acceptedAt, diedAt, ...rest } = letter
  return {
    ...rest,
    accepted_at: instantText(acceptedAt),
    died_at: instantText(diedAt),
    bytes,
    redriven_at: redrivenAt === undefined ? null : instantText(redrivenAt),
    chunk: chunk ?? null,
  }
}

/** What the columns before the last take. */
const OTHER_COLUMNS = 90

/** The list as a table, its last column cut to fit into `width`. Its cells are made printable here. */
export function listText(found: LetterList, width: number, colours: Colours): string {
  const { letters, unread, strangers } = found
  if (letters.length === 0 && strangers.length === 0) return 'no dead letters\n'
  const detailWidth = Math.max(24, width - OTHER_COLUMNS)
  const table = renderTable(
    [
      { title: 'id' },
      { title: 'died' },
      { title: 'reason' },
      { title: 'sensor' },
      { title: 'size', right: true },
      { title: 'sent again' },
      { title: 'detail' },
    ],
    letters.map(({ letter, bytes, redrivenAt }) => [
      letter.id,
      instantText(letter.diedAt),
      colours.yellow(letter.reason),
      printable(letter.chunk?.sensor ?? ''),
      sizeWords(bytes),
      redrivenAt === undefined ? '' : colours.green(instantText(redrivenAt)),
      printable(letter.detail).slice(0, detailWidth),
    ]),
    colours,
  )
  const lines = strangers.map(
    ({ partition, offset, why }) =>
      `not a letter: partition ${partition}, offset ${offset}: ${printable(why)}`,
  )
  if (unread > 0n) lines.push(`${unread} older offsets were not read: --limit for more`)
  return table + lines.map((line) => `${line}\n`).join('')
}

/** The one letter that an id means. */
async function theOne(all: DeadLetters, id: string): Promise<FoundLetter> {
  if (!/^[0-9a-f-]{1,36}$/.test(id) || id.length < ID_LENGTH_MIN)
    throw usageError(`${id} is no id: at least the first ${ID_LENGTH_MIN} characters of one`)
  const { letters } = await all.list({ limit: 2, id })
  if (letters.length === 0)
    throw new CommandError(3, `there is no letter ${id} (any more): bailiwick dlq ls`)
  if (letters.length > 1) throw usageError(`${id} is the beginning of several ids: give more of it`)
  return letters[0]!
}

async function show(
  all: DeadLetters,
  id: string,
  options: { raw: boolean; rows: string; json: boolean },
  terminal: Terminal,
): Promise<void> {
  const rows = wholeNumber(options.rows, '--rows', 100_000)
  if (options.raw && terminal.outIsTerminal)
    throw usageError('--raw writes bytes as they are: send them to a file, `--raw > message.bin`')
  const found = await theOne(all, id)
  const bytes = await all.bytesOf(found)
  if (bytes === undefined)
    throw new CommandError(3, `letter ${found.letter.id} was removed by the retention of its topic`)
  if (options.raw) return await terminal.out.write(bytes)
  const told = tellChunk(bytes, rows)
  if (options.json) {
    const whole = { schema: 'bailiwick.dlq/v1', ...letterJson(found), content: told }
    return await terminal.out.write(`${printableJson(whole)}\n`)
  }
  await terminal.out.write(
    letterText(found.letter, found.redrivenAt) + chunkText(told, bytes, terminal.colours),
  )
}

export function letterText(letter: DeadLetter, redrivenAt: number | undefined): string {
  const place = `${letter.stream}:${letter.partition}:${letter.offset}`
  const lines = [
    `letter ${letter.id}`,
    `  ${letter.reason}: ${printable(letter.detail)}`,
    `  came from ${printable(place)}, key ${printable(letter.key) || '(none)'}`,
    `  taken ${instantText(letter.acceptedAt)}, given up ${instantText(letter.diedAt)} by version ${printable(letter.version)}`,
  ]
  if (redrivenAt !== undefined) lines.push(`  sent again ${instantText(redrivenAt)}`)
  return `${lines.join('\n')}\n`
}

async function redrive(
  all: DeadLetters,
  ids: readonly string[],
  options: RedriveOptions & { lanes: number },
  parts: CommandParts,
): Promise<void> {
  const terminal = parts.terminal()
  const { reason, again, dryRun } = options
  const wanted: FoundLetter[] = []
  if (options.all) {
    const found = await all.list({ limit: REDRIVE_MAX, reason, onlyOpen: !again })
    wanted.push(...found.letters)
  } else for (const id of new Set(ids)) if (!isChunkFile(id)) wanted.push(await theOne(all, id))
  const outcomes: { id: string; outcome: string }[] = []
  const tellOf = async (id: string, outcome: string) => {
    outcomes.push({ id, outcome })
    if (!options.json) await terminal.out.write(`${printable(id)}  ${outcome}\n`)
  }
  const tell = ({ letter }: FoundLetter, outcome: string) => tellOf(letter.id, outcome)
  for (const file of ids.filter(isChunkFile))
    await tellOf(file, await redriveFile(all, file, options))
  // The oldest first, as they came.
  for (const found of wanted.reverse()) {
    if (parts.signal.aborted) break
    if (found.redrivenAt !== undefined && !again)
      await tell(
        found,
        `was sent again ${instantText(found.redrivenAt)}: --again sends it once more`,
      )
    else if (dryRun) await tell(found, `would be sent to ${printable(found.letter.stream)}`)
    else await tell(found, await redriveOne(all, found, parts))
  }
  if (options.json)
    await terminal.out.write(`${printableJson({ schema: 'bailiwick.dlq/v1', outcomes })}\n`)
  else if (outcomes.length === 0) await terminal.out.write('no dead letters to send again\n')
  else if (!dryRun && !terminal.quiet)
    await say(terminal, `${count(outcomes.length, 'letter')}; those that die again are new letters`)
}

/** As a sensor names what is too large for its broker: `SPOOL/dead/ID.chunk`. */
const isChunkFile = (id: string) => id.endsWith('.chunk')

async function redriveFile(
  all: DeadLetters,
  file: string,
  { lanes, dryRun }: { lanes: number; dryRun: boolean },
): Promise<string> {
  const bytes = await readFile(file).catch((error: Error) => {
    throw new CommandError(3, `${file}: ${explainFileError(error)}`)
  })
  const told = tellChunk(bytes, 0)
  if (told.kind !== 'chunk' || !told.intact)
    throw new CommandError(3, `${file}: ${told.kind === 'chunk' ? 'was altered' : told.problem}`)
  if (dryRun) return `would be sent to ${CHUNK_STREAM}`
  await all.sendChunk(laneKey(told.header, told.header.lanes ?? lanes), bytes)
  return `sent to ${CHUNK_STREAM}; the file can be removed`
}

async function redriveOne(
  all: DeadLetters,
  found: FoundLetter,
  parts: CommandParts,
): Promise<string> {
  const bytes = await all.bytesOf(found)
  if (bytes === undefined) return 'was removed by the retention of its topic'
  if ((await all.redrive(found, bytes, Date.now())) === 'sent')
    return `sent to ${found.letter.stream}`
  const outcome = `not sent: it says that it came from ${printable(found.letter.stream)}, which is not ours`
  parts.causes.push({ code: 3, words: `${found.letter.id} ${outcome}` })
  return outcome
}
