// `bailiwick revoke`: revocations as they stand, and decisions about them. All of it is asked of the process that
// revokes; who decided is the name of the token.

import type { Command } from 'commander'
import type { z } from 'zod'
import {
  KillShown,
  RequestShown,
  RevocationList,
  RevocationShown,
} from '../api/revocation-routes.ts'
import { printable, printableJson } from '../wire-text.ts'
import { clockText, revocationWords } from './alert-text.ts'
import { ApiClient, addApiOptions, neededApi } from './api-client.ts'
import { settingsOf } from './bus-options.ts'
import { usageError } from './exit.ts'
import type { CommandParts } from './program.ts'
import { type Colours, say, type Terminal } from './terminal.ts'
import { wrap } from './text-table.ts'

const EXAMPLES = `Examples:
  bailiwick revoke ls --waiting                        what waits for a decision
  bailiwick revoke dry-run rev_1                       the exact request that would be sent, without its secrets
  bailiwick revoke approve rev_1                       let it be carried out
  bailiwick revoke reject rev_1 --why "a planned test" leave the access, and say why
  bailiwick revoke kill on                             stop all revoking at once; off lets it go on
`

type Revocation = z.infer<typeof RevocationShown>
/** What a subcommand does with the process that revokes. */
type Work<O> = (client: ApiClient, terminal: Terminal, options: O, id: string) => Promise<void>
interface JsonOption {
  json: boolean
}

export function addRevokeCommand(program: Command, parts: CommandParts): void {
  const revoke = program
    .command('revoke')
    .summary('look at revocations, and decide about them')
    .description(
      'Revocations of the process that has the data directory, or of the API that is named. Deciding needs the token of an approver.',
    )
    .addHelpText('before', EXAMPLES)
  const run = async <O extends object>(given: O, id: string, work: Work<O>) => {
    const options = given as O & Record<string, unknown>
    const settings = await settingsOf(options, parts)
    const client = new ApiClient(() => neededApi(settings), parts.signal)
    await work(client, parts.terminal(), options, id)
  }
  const add = (name: string, summary: string) =>
    addApiOptions(revoke.command(name).summary(summary)).option(
      '--json',
      'one JSON object a line instead of text',
      false,
    )
  const ID = ['<id>', 'as `revoke ls` shows it'] as const

  add('ls', 'revocations, newest first')
    .option('--waiting', 'only those that wait for a decision', false)
    .action((options: JsonOption & { waiting: boolean }) => run(options, '', list))
  add('show', 'one revocation')
    .argument(...ID)
    .action((id: string, options: JsonOption) => run(options, id, show))
  add('approve', 'let it be carried out')
    .argument(...ID)
    .action((id: string, options: JsonOption) => run(options, id, decide('approve')))
  add('reject', 'do not carry it out')
    .argument(...ID)
    .requiredOption('--why <words>', 'why not, for the audit')
    .action((id: string, options: JsonOption & { why: string }) =>
      run(options, id, decide('reject')),
    )
  add('dry-run', 'the exact request that would be sent, without its secrets')
    .argument(...ID)
    .action((id: string, options: JsonOption) => run(options, id, dryRun))
  add('kill', 'stop all revoking, or let it go on')
    .argument('<on|off>', 'on: nothing is revoked until it is off again')
    .action((word: string, options: JsonOption) => {
      if (word !== 'on' && word !== 'off')
        throw usageError(`revoke kill ${printable(word)}: expected on or off`)
      return run(options, word, kill)
    })
}

const list: Work<JsonOption & { waiting: boolean }> = async (client, terminal, options) => {
  const found = await client.get('/api/v1/revocations', RevocationList)
  const shown = found.revocations.filter(({ state }) => !options.waiting || state === 'waiting')
  const { out, colours, quiet } = terminal
  if (options.json)
    return out.write(shown.map((revocation) => `${printableJson(revocation)}\n`).join(''))
  const width = terminal.outIsTerminal ? terminal.width : Number.POSITIVE_INFINITY
  await out.write(shown.map((one) => revocationText(one, colours, width)).join(''))
  if (quiet) return
  if (!found.here) await say(terminal, 'the process that was asked decides about no revocations')
  else if (shown.length === 0)
    await say(terminal, options.waiting ? 'nothing waits for a decision' : 'no revocations')
  if (found.killed)
    await say(terminal, 'all revoking is stopped: `bailiwick revoke kill off` lets it go on')
}

const show: Work<JsonOption> = async (client, terminal, options, id) =>
  tell(await client.get(pathOf(id), RevocationShown), terminal, options)

function decide(verb: 'approve' | 'reject'): Work<JsonOption & { why?: string }> {
  return async (client, terminal, options, id) => {
    const body = verb === 'reject' ? { why: options.why ?? '' } : {}
    await tell(await client.post(`${pathOf(id)}/${verb}`, body, RevocationShown), terminal, options)
  }
}

const dryRun: Work<JsonOption> = async (client, { out }, options, id) => {
  const request = await client.get(`${pathOf(id)}/dry-run`, RequestShown)
  if (options.json) return out.write(`${printableJson(request)}\n`)
  const headers = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`)
  // Each line of the body as it is sent.
  const lines = [`${request.method} ${request.url}`, ...headers, '', ...request.body.split('\n')]
  await out.write(`${lines.map(printable).join('\n')}\n`)
}

const kill: Work<JsonOption> = async (client, terminal, options, word) => {
  const said = await client.post('/api/v1/revocations/kill', { on: word === 'on' }, KillShown)
  await terminal.out.write(
    options.json
      ? `${printableJson(said)}\n`
      : said.killed
        ? 'all revoking is stopped\n'
        : 'revoking goes on\n',
  )
}

/** @throws CommandError if it cannot be an id */
function pathOf(id: string): string {
  if (!/^[A-Za-z0-9_-]{1,100}$/.test(id))
    throw usageError(`${printable(id)} is no id of a revocation: bailiwick revoke ls shows them`)
  return `/api/v1/revocations/${id}`
}

async function tell(one: Revocation, terminal: Terminal, { json }: JsonOption): Promise<void> {
  const width = terminal.outIsTerminal ? terminal.width : Number.POSITIVE_INFINITY
  await terminal.out.write(
    json ? `${printableJson(one)}\n` : revocationText(one, terminal.colours, width),
  )
}

/** A revocation for people; its id comes first, because commands want it. */
export function revocationText(one: Revocation, colours: Colours, width: number): string {
  const { id, agent, alert_id, state, mode, sentence, asked_at, deadline } = one
  const facts = [
    revocationWords(state, colours),
    `agent ${printable(agent)}`,
    `mode ${printable(mode)}`,
    `asked ${clockText(asked_at)}`,
    ...(deadline === null ? [] : [`until ${clockText(deadline)}`]),
    ...(one.decided_by === null ? [] : [`decided by ${printable(one.decided_by)}`]),
  ]
  const lines = [
    `${colours.bold(printable(id))}  ${printable(sentence)}`,
    wrap(facts.join(', '), width, '  '),
    ...(one.detail === null ? [] : [wrap(printable(one.detail), width, '  ')]),
    `  ${colours.dim(`alert ${printable(alert_id)}`)}`,
  ]
  return `${lines.join('\n')}\n`
}
