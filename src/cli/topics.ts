// `bailiwick topics`: the topics that Bailiwick needs, created where they are missing. What is there is never changed:
// where it is not as it would be created, that is said.

import type { Command } from 'commander'
import { ALERT_STREAM, CHUNK_STREAM, DEAD_STREAM, IDENTITY_STREAM } from '../bus/bus.ts'
import { brokerCount, ensureTopics, type TopicState, type TopicWish } from '../bus/kafka-topics.ts'
import type { Settings } from '../settings.ts'
import { printable, printableJson } from '../wire-text.ts'
import { addSettingsOptions, kafkaSettings, settingsOf } from './bus-options.ts'
import type { CommandParts } from './program.ts'
import type { Colours } from './terminal.ts'
import { count, renderTable } from './text-table.ts'

const DAY_MILLIS = 86_400_000
/** Dead letters are few, and each is somebody's loss until it was looked at. */
const DEAD_RETENTION_DAYS = 365
/** So many brokers can lose one and still acknowledge on two. */
const REPLICAS = 3

const EXAMPLES = `Examples:
  bailiwick topics --kafka kafka:9092                  create what is missing
  bailiwick topics --kafka kafka:9092 --dry-run        say what would be done; exit 1 if not all is as it should be
  bailiwick topics --config bailiwick.yaml --partitions 32 --replicas 3 --retention 14
`

/**
 * The topics as they should be.
 * @param brokers in the cluster: three or more keep three replicas, unless the settings say otherwise
 */
export function topicWishes(wanted: Settings['topics'], brokers: number): TopicWish[] {
  const replicas = wanted.replicas ?? (brokers >= REPLICAS ? REPLICAS : 1)
  const { partitions, retentionDays } = wanted
  const lasting = (days: number) => ({ replicas, retentionMillis: days * DAY_MILLIS })
  return [
    { topic: CHUNK_STREAM, partitions, ...lasting(retentionDays) },
    // What was learned of an identity is keyed by what it is about: the latest of each must outlive every retention,
    // so that a worker that starts years later still learns it.
    { topic: IDENTITY_STREAM, partitions: 1, ...lasting(retentionDays), cleanup: 'compact' },
    { topic: ALERT_STREAM, partitions, ...lasting(retentionDays) },
    // One partition: they are looked at in the order in which they died.
    {
      topic: DEAD_STREAM,
      partitions: 1,
      ...lasting(Math.max(DEAD_RETENTION_DAYS, retentionDays)),
    },
  ]
}

export function addTopicsCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('topics')
    .summary('create the topics in Kafka')
    .description(
      'Creates the topics of chunks, identities, alerts and dead letters where they are missing. Changes nothing that is there; says what differs.',
    )
    .addHelpText('before', EXAMPLES)
  addSettingsOptions(command, ['kafka', 'topics'])
    .option('--dry-run', 'create nothing; exit 1 if something is missing or differs', false)
    .option('--json', 'one JSON object instead of a table', false)
    .action(async (options: { dryRun: boolean; json: boolean }) => {
      const settings = await settingsOf(options, parts)
      const terminal = parts.terminal()
      const kafka = kafkaSettings(settings)
      const brokers = await brokerCount(kafka)
      const wishes = topicWishes(settings.topics, brokers)
      const states = await ensureTopics(kafka, wishes, options.dryRun ? 'look' : undefined)
      await terminal.out.write(
        options.json
          ? `${printableJson({ schema: 'bailiwick.topics/v1', brokers, dry_run: options.dryRun, topics: states.map((state, at) => topicJson(state, wishes[at]!)) })}\n`
          : topicsText(states, wishes, terminal.colours),
      )
      const wrong = states.filter((state) => word(state) !== 'there' && word(state) !== 'created')
      if (options.dryRun && wrong.length > 0)
        parts.causes.push({
          code: 1,
          words: `${count(wrong.length, 'topic')} missing or not as it would be created`,
        })
    })
}

function word({ partitions, created, differs }: TopicState): string {
  if (created) return 'created'
  if (partitions === 0) return 'missing'
  return differs.length > 0 ? 'differs' : 'there'
}

function topicJson(state: TopicState, wish: TopicWish): Record<string, unknown> {
  const { topic, partitions, differs } = state
  return { topic, state: word(state), partitions, replicas: wish.replicas, differs }
}

function topicsText(
  states: readonly TopicState[],
  wishes: readonly TopicWish[],
  colours: Colours,
): string {
  const paint: Readonly<Record<string, (text: string) => string>> = {
    created: colours.green,
    missing: colours.yellow,
    differs: colours.yellow,
  }
  return renderTable(
    [{ title: 'topic' }, { title: 'partitions', right: true }, { title: '' }, { title: 'differs' }],
    states.map((state, at) => {
      const shown = word(state)
      return [
        state.topic,
        String(state.partitions || wishes[at]!.partitions),
        paint[shown]?.(shown) ?? shown,
        printable(state.differs.join(', ')),
      ]
    }),
    colours,
  )
}
