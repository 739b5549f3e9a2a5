// `bailiwick migrate`: the schema of a store, and what it keeps. Run before a new version of the workers, and every day
// where old days are to go.

import type { Command } from 'commander'
import { type Maintenance, openMaintenance, usersOf } from '../store/maintenance.ts'
import { RETENTION_DAYS_MAX, RETENTION_DAYS_MIN } from '../store/retention.ts'
import type { StoreTarget } from '../store/store-target.ts'
import { printable } from '../wire-text.ts'
import { addSettingsOptions, settingsOf, storeTargetOf } from './bus-options.ts'
import { usageError } from './exit.ts'
import type { CommandParts } from './program.ts'
import { say, type Terminal } from './terminal.ts'

const EXAMPLES = `Examples:
  bailiwick migrate --store http://migrator@clickhouse:8123/flows              bring the schema up to date
  bailiwick migrate --store http://migrator@clickhouse:8123/flows --dry-run    print the statements instead
  bailiwick migrate --store http://migrator@clickhouse:8123/flows --cluster main
                                                                               the same on a cluster of servers
  bailiwick migrate --store bailiwick-data --retention 90                      let go of days older than 90
`

interface Options {
  cluster?: string
  dryRun: boolean
  retention?: string
  users: boolean
}

export function addMigrateCommand(program: Command, parts: CommandParts): void {
  const command = program
    .command('migrate')
    .summary('bring the schema of a store up to date, let go of old days')
    .description(
      'Applies the numbered files of sql/schema that a store has not seen. May be killed and run again at any moment, and by two at once.',
    )
    .addHelpText('before', EXAMPLES)
  addSettingsOptions(command, ['store'])
    .option('--cluster <name>', 'replicated and sharded tables on this cluster of the server')
    .option('--dry-run', 'print the statements that would run, and run none', false)
    .option('--retention <days>', 'drop the days of flows that are older than this')
    .option('--users', 'print the users that a server should have, each with its rights', false)
    .action(async (options: Options) => {
      const days = daysOf(options.retention)
      const target = storeTargetOf(await settingsOf(options as never, parts))
      if (options.users) return printUsers(target, options.cluster, parts.terminal())
      const store = await openMaintenance(target, options.cluster)
      try {
        await (options.dryRun ? printPlan : apply)(store, days, parts.terminal())
      } finally {
        await store.close()
      }
    })
}

function daysOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const days = Number(text)
  if (/^\d{1,5}$/.test(text) && days >= RETENTION_DAYS_MIN && days <= RETENTION_DAYS_MAX)
    return days
  throw usageError(
    `--retention ${printable(text)}: expected ${RETENTION_DAYS_MIN} to ${RETENTION_DAYS_MAX} days`,
  )
}

/** What an administrator runs: with the hash of a password in each place, as `sha256sum` tells it. */
async function printUsers(
  target: StoreTarget,
  cluster: string | undefined,
  terminal: Terminal,
): Promise<void> {
  const place = (user: string) => `SHA-256 of the password of ${user}, in hex`
  const [migrator, writer, reader] = ['migrator', 'writer', 'reader'].map(place)
  const passwords = { migrator: migrator!, writer: writer!, reader: reader! }
  const statements = usersOf(target, passwords, cluster)
  await terminal.out.write(statements.map((sql) => `${sql};\n`).join(''))
}

/** SQL that a person can read, or run by hand. */
async function printPlan(
  store: Maintenance,
  days: number | undefined,
  terminal: Terminal,
): Promise<void> {
  const pending = await store.pending()
  for (const { name, statements } of pending)
    await terminal.out.write(`-- ${name}\n${statements.map((sql) => `${sql};\n\n`).join('')}`)
  if (days === undefined) return
  if (pending.length > 0) {
    await say(terminal, 'bailiwick: what expires is known only when the schema is up to date')
    return
  }
  const plan = await store.retentionPlan(days)
  await terminal.out.write(`-- retention\n${plan.map((sql) => `${sql};\n\n`).join('')}`)
}

async function apply(
  store: Maintenance,
  days: number | undefined,
  terminal: Terminal,
): Promise<void> {
  const told: Promise<void>[] = []
  const tell = (place: string, sql: string) => {
    if (!terminal.quiet) told.push(say(terminal, `${place}: ${firstLine(sql)}`))
  }
  const applied = await store.migrate(({ name, statement, statements, sql }) =>
    tell(`${name} ${statement}/${statements}`, sql),
  )
  const files = applied.length === 0 ? 'nothing to do' : `applied ${applied.join(', ')}`
  await Promise.all(told)
  await terminal.out.write(`${printable(store.address)}: schema ${store.newest}, ${files}\n`)
  if (days === undefined) return
  const plan = await store.retentionPlan(days)
  await store.expire(plan, ({ step, steps, sql }) => tell(`retention ${step}/${steps}`, sql))
  await Promise.all(told)
  await terminal.out.write(`${printable(store.address)}: ${days} days are kept\n`)
}

function firstLine(sql: string): string {
  return sql.split('\n', 1)[0]!.slice(0, 100)
}
