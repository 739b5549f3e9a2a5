// `bailiwick alerts`: what was found, one of them with its evidence, or all as they happen. Asks the process that has
// the data directory; where none runs, the store in it is read.

import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import {
  AlertDetail,
  AlertFilters,
  AlertPage,
  alertDetail,
  alertPage,
  PAGE_MAX,
} from '../api/alert-list.ts'
import type { AlertShown } from '../api/alert-shape.ts'
import { Refusal } from '../api/house-rules.ts'
import { NO_AGENTS } from '../api/parts.ts'
import { Uuid } from '../api/shapes.ts'
import { dataPaths } from '../serve/data-directory.ts'
import type { Settings } from '../settings.ts'
import { openStore } from '../store/store.ts'
import { printable, printableJson } from '../wire-text.ts'
import { followAlerts } from './alert-follow.ts'
import { alertText, detailText } from './alert-text.ts'
import { type AlertWishes, queryOf, type WishFlags, wishesOf } from './alert-wishes.ts'
import { ApiClient, addApiOptions, findApi, neededApi } from './api-client.ts'
import { settingsOf, storeTargetOf } from './bus-options.ts'
import { wholeNumber } from './dlq.ts'
import { CommandError, usageError } from './exit.ts'
import type { CommandParts } from './program.ts'

const EXAMPLES = `Examples:
  bailiwick alerts                                     the newest, of the server that has ./bailiwick-data
  bailiwick alerts --since 2h --agent spiffe://corp.example/agent/invoice-reader
  bailiwick alerts --follow                            as they happen, until Ctrl-C
  bailiwick alerts --follow --json | jq .alert.sentence
  bailiwick alerts show 077ce1bb-3539-8082-949f-38d94e407be0
                                                       one of them: evidence, reasons, flows, deliveries
  bailiwick alerts --api https://bailiwick.example --token-file token
`

const LIMIT_MAX = 10_000
/** Shown before the new ones. */
const BEFORE_FOLLOWING = 10

interface AlertOptions extends WishFlags, Record<string, unknown> {
  limit?: string
  follow: boolean
  json: boolean
}

/** Where alerts come from. */
interface AlertSource {
  page(query: URLSearchParams): Promise<AlertPage>
  detail(id: string): Promise<AlertDetail>
  close(): Promise<void>
}

export function addAlertsCommand(program: Command, parts: CommandParts): void {
  const alerts = addApiOptions(
    program
      .command('alerts')
      .summary('what was found: list it, look at one, or watch it happen')
      .description(
        'Alerts of the server that has the data directory, newest first; where no server runs, of the store in it.',
      )
      .addHelpText('before', EXAMPLES),
  )
  alerts
    .option('--agent <id>', 'only of this agent')
    .option(
      '--kind <kind>',
      'only of this kind: out_of_scope, unregistered, or the name of a detector',
    )
    .option('--destination <name>', 'only of this destination')
    .option('--min-score <number>', 'only with at least this score, 0 to 100')
    .option(
      '--since <time>',
      'only those that went on after it: 30m, 2h, 7d, or a time such as 2026-01-05T09:00:00Z',
    )
    .option('--limit <number>', 'at most so many (default: 50)')
    .option('--follow', 'go on with those that are raised from now on', false)
    .option('--json', 'one JSON object a line instead of text', false)
    .action(async (options: AlertOptions) => {
      const settings = await settingsOf(options, parts)
      const wishes = wishesOf(options)
      const limit = wholeNumber(
        options.limit ?? String(options.follow ? BEFORE_FOLLOWING : 50),
        '--limit',
        LIMIT_MAX,
      )
      if (options.follow) {
        const client = new ApiClient(() => neededApi(settings), parts.signal)
        const shown = { wishes, limit, json: options.json }
        return followAlerts(client, shown, parts.terminal())
      }
      await withAlerts(settings, parts, async (source) => {
        for await (const some of listed(source, wishes, limit))
          await parts.terminal().out.write(written(some, options.json, parts))
      })
    })
  addApiOptions(
    alerts
      .command('show')
      .summary('one alert with its evidence, its flows and what followed')
      .argument('<id>', 'its id, as the list shows it'),
  )
    .option('--json', 'one JSON object instead of text', false)
    .action(async (id: string, own: Record<string, unknown>, command: Command) => {
      // A flag that both take may stand before or after the word.
      const options = command.optsWithGlobals<Record<string, unknown> & { json: boolean }>()
      if (!Uuid.safeParse(id).success)
        throw usageError(`${printable(id)} is no id of an alert: bailiwick alerts shows them`)
      const settings = await settingsOf({ ...options, ...own }, parts)
      await withAlerts(settings, parts, async (source) => {
        const { out, colours, width } = parts.terminal()
        const detail = await source.detail(id)
        await out.write(
          options.json ? `${printableJson(detail)}\n` : detailText(detail, colours, width),
        )
      })
    })
}

function written(alerts: readonly AlertShown[], json: boolean, parts: CommandParts): string {
  const { colours, width, outIsTerminal } = parts.terminal()
  if (json) return alerts.map((alert) => `${printableJson(alert)}\n`).join('')
  // Who reads a pipe has room.
  const room = outIsTerminal ? width : Number.POSITIVE_INFINITY
  return alerts.map((alert) => alertText(alert, colours, room)).join('')
}

/** Page by page, newest first. */
async function* listed(
  source: AlertSource,
  wishes: AlertWishes,
  limit: number,
): AsyncGenerator<AlertShown[]> {
  let cursor: string | null = ''
  for (let left = limit; left > 0 && cursor !== null; ) {
    const page: AlertPage = await source.page(
      queryOf(wishes, Math.min(left, PAGE_MAX), cursor === '' ? undefined : cursor),
    )
    yield page.alerts
    left -= page.alerts.length
    cursor = page.next
  }
}

async function withAlerts(
  settings: Settings,
  parts: CommandParts,
  work: (source: AlertSource) => Promise<void>,
): Promise<void> {
  const source =
    findApi(settings) === undefined
      ? await storedAlerts(settings)
      : askedAlerts(new ApiClient(() => neededApi(settings), parts.signal))
  try {
    await work(source)
  } catch (error) {
    throw error instanceof Refusal ? usageError(error.message) : error
  } finally {
    await source.close()
  }
}

function askedAlerts(client: ApiClient): AlertSource {
  return {
    page: (query) => client.get(`/api/v1/alerts?${query}`, AlertPage),
    detail: (id) => client.get(`/api/v1/alerts/${id}`, AlertDetail),
    close: async () => {},
  }
}

/** The store that a server left. What was delivered, only a server knows. */
async function storedAlerts(settings: Settings): Promise<AlertSource> {
  const { root, store: directory } = dataPaths(settings.serve.data)
  if (settings.store === undefined && !existsSync(directory))
    throw new CommandError(
      4,
      `no process of bailiwick has ${printable(root)} now, and there is no store in it: start one (bailiwick serve --data ${printable(root)}), or name an API with --api URL`,
    )
  const target =
    settings.store === undefined
      ? ({ kind: 'directory', path: directory } as const)
      : storeTargetOf(settings)
  const store = await openStore(target, { schema: 'check' })
  const lane = { lane: store, agents: () => NO_AGENTS }
  return {
    page: async (query) => alertPage(AlertFilters.parse(Object.fromEntries(query)), lane),
    detail: (id) => alertDetail(id, lane),
    close: () => store.close(),
  }
}
