// `bailiwick webhooks`: how webhooks do, whether a message arrives, what could not be delivered. Asked of the process
// that sends; where there is none, of the settings and of what it left in its directory.

import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import type { z } from 'zod'
import { DeadList, deadShown, Redriven } from '../api/delivery-routes.ts'
import { testShown, WebhookList, WebhookTested } from '../api/webhook-routes.ts'
import { deadMails, reviveMail } from '../respond/dead-mails.ts'
import { RespondError } from '../respond/responder.ts'
import { shownTarget } from '../respond/webhook.ts'
import { testOneWebhook } from '../serve/response.ts'
import type { Settings } from '../settings.ts'
import type { Log } from '../telemetry.ts'
import { printable, printableJson } from '../wire-text.ts'
import { ApiClient, addApiOptions, findApi } from './api-client.ts'
import { settingsOf } from './bus-options.ts'
import { usageError } from './exit.ts'
import type { CommandParts } from './program.ts'
import { say, type Terminal } from './terminal.ts'
import { count, renderTable } from './text-table.ts'
import { packageVersion } from './version.ts'

const EXAMPLES = `Examples:
  bailiwick webhooks ls                          each with its state, what waits and what was given up
  bailiwick webhooks test soc                    a signed message that tells of nothing, and what the receiver must check
  bailiwick webhooks dead                        messages that are tried no more
  bailiwick webhooks redrive msg_0f3a…           send one of them again, under its id
`

type Tested = z.infer<typeof WebhookTested>
type Webhook = z.infer<typeof WebhookList>['webhooks'][number]
/** Of a process that sends, or of the settings alone. */
type ListedWebhook = Pick<Webhook, 'name' | 'target'> & Partial<Webhook>

interface Options {
  json: boolean
  [other: string]: unknown
}

/** What a subcommand is given: the process that sends, if one lives. */
interface Asked {
  client: ApiClient | undefined
  settings: Settings
  options: Options
  parts: CommandParts
  terminal: Terminal
}

export function addWebhooksCommand(program: Command, parts: CommandParts): void {
  const webhooks = program
    .command('webhooks')
    .summary('look after webhooks: test one, send again what could not be delivered')
    .addHelpText('before', EXAMPLES)
  const add = (name: string, summary: string) =>
    addApiOptions(webhooks.command(name).summary(summary)).option(
      '--json',
      'JSON instead of text',
      false,
    )
  const run = async (options: Options, work: (asked: Asked) => Promise<void>) => {
    const settings = await settingsOf(options, parts)
    const found = findApi(settings)
    const client = found === undefined ? undefined : new ApiClient(() => found, parts.signal)
    await work({ client, settings, options, parts, terminal: parts.terminal() })
  }
  add('ls', 'webhooks, and how each does').action((options: Options) => run(options, list))
  add('test', 'send a message that tells of nothing, once')
    .argument('<name>', 'of the webhook')
    .action((name: string, options: Options) => run(options, (asked) => test(asked, name)))
  add('dead', 'messages that are tried no more, newest first').action((options: Options) =>
    run(options, dead),
  )
  add('redrive', 'send dead messages again, under their ids')
    .argument('<id...>', 'as `webhooks dead` shows them')
    .action((ids: string[], options: Options) => run(options, (asked) => redrive(asked, ids)))
}

async function list({ client, settings, options, terminal }: Asked): Promise<void> {
  const rows: readonly ListedWebhook[] =
    client === undefined
      ? settings.respond.webhooks.map(({ name, url }) => ({ name, target: shownTarget(url) }))
      : (await client.get('/api/v1/webhooks', WebhookList)).webhooks
  if (client === undefined && !terminal.quiet)
    await say(terminal, 'bailiwick: no process sends now: these are the settings')
  if (options.json)
    return await terminal.out.write(
      `${printableJson({ schema: 'bailiwick.webhooks/v1', webhooks: rows })}\n`,
    )
  const titles = ['webhook', 'target', 'state', 'waiting', 'dead', 'delivered', 'last error']
  const cells = rows.map(({ name, target, state, queued, dead: given, delivered, last_error }) =>
    [name, target, state, queued, given, delivered, last_error].map((one) =>
      printable(String(one ?? '')),
    ),
  )
  const columns = titles.map((title, at) => ({ title, right: at >= 3 && at <= 5 }))
  await terminal.out.write(renderTable(columns, cells, terminal.colours))
}

async function test(
  { client, settings, options, parts, terminal }: Asked,
  name: string,
): Promise<void> {
  const tested =
    client === undefined
      ? await testHere(name, settings)
      : await client.post(`/api/v1/webhooks/${encodeURIComponent(name)}/test`, {}, WebhookTested)
  if (!tested.delivered)
    parts.causes.push({ code: 1, words: `the test of ${name} was not delivered`, told: true })
  await terminal.out.write(options.json ? `${printableJson(tested)}\n` : testText(tested))
}

/** Without a process: the same request, from here. */
async function testHere(name: string, settings: Settings): Promise<Tested> {
  try {
    return testShown(await testOneWebhook(name, settings.respond, packageVersion()))
  } catch (error) {
    if (error instanceof RespondError) throw usageError(error.message)
    throw error
  }
}

function testText({ target, id, delivered, status, why, millis, body }: Tested): string {
  const answered = status === null ? '' : ` (status ${status})`
  const how = delivered
    ? `delivered to ${target}${answered} in ${millis} ms`
    : `NOT delivered to ${target}${answered} after ${millis} ms: ${why}`
  return printableLines([
    how,
    '',
    'The receiver must',
    `  take webhook-id (here ${id}), webhook-timestamp and the body byte for byte,`,
    '  compute HMAC-SHA256 over `webhook-id.webhook-timestamp.body` with the secret (base64 after whsec_),',
    '  compare it in constant time with a `v1,` entry of webhook-signature,',
    '  refuse a webhook-timestamp that is more than five minutes off, and take each webhook-id once.',
    '',
    `body: ${body}`,
  ])
}

const printableLines = (lines: readonly string[]) => `${lines.map(printable).join('\n')}\n`

async function dead(asked: Asked): Promise<void> {
  const { client, options, terminal } = asked
  const found =
    client === undefined
      ? await deadHere(asked)
      : await client.get('/api/v1/deliveries/dead', DeadList)
  if (options.json)
    return await terminal.out.write(
      `${printableJson({ schema: 'bailiwick.dead_deliveries/v1', ...found })}\n`,
    )
  const rows = found.dead.map(({ id, endpoint, alerts, attempts, died_at, last_error }) =>
    [id, endpoint, count(alerts.length, 'alert'), String(attempts), died_at, last_error].map(
      printable,
    ),
  )
  const titles = ['message', 'webhook', 'about', 'tries', 'died', 'why']
  await terminal.out.write(
    renderTable(
      titles.map((title) => ({ title, right: title === 'tries' })),
      rows,
      terminal.colours,
    ),
  )
  if (found.total > rows.length && !terminal.quiet)
    await say(terminal, `bailiwick: these are the newest of ${found.total}`)
}

async function deadHere(asked: Asked): Promise<z.infer<typeof DeadList>> {
  const mails = await deadMails(outboxOf(asked.settings), logOf(asked))
  return { total: mails.length, dead: mails.map(deadShown) }
}

async function redrive(asked: Asked, ids: readonly string[]): Promise<void> {
  const { client, terminal, options } = asked
  const done: string[] = []
  for (const id of ids) {
    if (client !== undefined)
      await client.post(`/api/v1/deliveries/${encodeURIComponent(id)}/redrive`, {}, Redriven)
    else if (
      (await reviveMail(outboxOf(asked.settings), id, logOf(asked), Date.now())) === undefined
    )
      throw usageError(
        `${printable(id)}: there is no dead message of this id (bailiwick webhooks dead lists them)`,
      )
    done.push(id)
  }
  if (options.json) return await terminal.out.write(`${printableJson({ redriven: done })}\n`)
  const words =
    client === undefined ? 'goes out when the next process begins' : 'is on its way again'
  await terminal.out.write(printableLines(done.map((id) => `${id} ${words}`)))
}

/** What a process left. @throws CommandError if there is nothing */
function outboxOf({ serve: { data } }: Settings): string {
  const directory = path.join(data, 'respond')
  if (existsSync(directory)) return directory
  throw usageError(
    `${printable(data)} holds no messages: name the data directory of a server by --data, or its API by --api URL`,
  )
}

function logOf({ terminal }: Asked): Log {
  return (level, message) => {
    if (level === 'error' || level === 'warn')
      void say(terminal, `bailiwick: ${printable(message)}`)
  }
}
