// Brings the schema of a store up to this version: numbered files of sql/schema, each applied once, in order.
//
// Every statement can be run again, and a file is noted after its last one: a migration that was killed anywhere, or
// that another process runs at the same time, is simply run once more.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Engine } from './engine.ts'
import { type Migration, readMigrations, readSql } from './sql-files.ts'
import { StoreError, StoreSchemaError } from './store-error.ts'

interface Applied {
  version: number
  name: string
  sha256: string
}

/** One statement of a migration. */
export interface MigrationStep {
  version: number
  name: string
  sql: string
  /** Its place in its file, from 1. */
  statement: number
  statements: number
}

export interface MigrateOptions {
  /** The files to apply; those of sql/schema unless they are rewritten for a cluster. */
  migrations?: readonly Migration[]
  /** True if they are. */
  cluster?: boolean
  /** Told before each statement of a file that is not applied yet. */
  onStep?: (step: MigrationStep) => void
}

/**
 * Codes of what another migrator did in the same moment: ILLEGAL_COLUMN, DUPLICATE_COLUMN, TABLE_ALREADY_EXISTS,
 * UNKNOWN_TABLE while a view is exchanged, CANNOT_ASSIGN_ALTER, and ABORTED.
 */
const MEANWHILE_CODES: ReadonlySet<number> = new Set([44, 15, 57, 60, 517, 236])
/** Also for what passes by itself: a replicated table may be read-only for a moment after it was made. */
const MEANWHILE_PAUSES: readonly number[] = [50, 200, 1000, 3000]

/**
 * Applies what is missing.
 * @returns the names of the files that were applied
 * @throws StoreSchemaError if the store was written by a newer version, or a file changed after it was applied
 */
export async function migrate(engine: Engine, options: MigrateOptions = {}): Promise<string[]> {
  const migrations = options.migrations ?? readMigrations()
  // A store of another kind is not begun to be changed, and whose user may not change one needs not where all is done.
  if ((await pendingMigrations(engine, migrations, options.cluster)).length === 0) return []
  // The first file makes the table that remembers the others.
  for (const statement of migrations[0]!.statements) await again(engine, statement)
  const pending = await pendingMigrations(engine, migrations, options.cluster)
  for (const { version, name, sha256, statements } of pending) {
    for (const [at, sql] of statements.entries()) {
      options.onStep?.({ version, name, sql, statement: at + 1, statements: statements.length })
      await again(engine, sql)
    }
    await again(engine, noteSql(version, name, sha256))
  }
  return pending.map(({ name }) => name)
}

/** Runs a statement; again after a while if somebody else was just at the same. */
async function again(engine: Engine, sql: string): Promise<void> {
  for (const pause of MEANWHILE_PAUSES)
    try {
      return await engine.command(sql)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      if (!error.retriable && !MEANWHILE_CODES.has(error.code ?? -1)) throw error
      await sleep(pause)
    }
  return engine.command(sql)
}

/**
 * The files that are not applied yet. Changes nothing.
 * @param cluster whether the migrations are those of a cluster; a store cannot become one, or cease to be one
 * @throws StoreSchemaError if the store was written by a newer version, or a file changed after it was applied
 */
export async function pendingMigrations(
  engine: Engine,
  migrations: readonly Migration[] = readMigrations(),
  cluster = false,
): Promise<Migration[]> {
  const [found] = await engine.select(readSql('queries/schema_there'), {})
  const { there, plain, sharded } = found as Record<'there' | 'plain' | 'sharded', number>
  const applied =
    there === 1
      ? ((await engine.select(readSql('queries/schema_migrations'), {})) as Applied[])
      : []
  checkApplied(engine.address, migrations, applied)
  const done = new Set(applied.map((one) => one.version))
  const pending = migrations.filter((migration) => !done.has(migration.version))
  // Workers look at a cluster as at one server, and find nothing to do.
  if (cluster ? plain === 1 : sharded === 1 && pending.length > 0)
    throw new StoreSchemaError(
      cluster
        ? `the store at ${engine.address} is of one server: leave out --cluster, or name another database`
        : `the store at ${engine.address} lies on a cluster: run bailiwick migrate with --cluster NAME`,
    )
  return pending
}

/**
 * Looks whether the schema is the one that this program knows, and changes nothing.
 * @throws StoreSchemaError if it is older, newer or another
 */
export async function checkSchema(engine: Engine): Promise<void> {
  const migrations = readMigrations()
  const pending = await pendingMigrations(engine, migrations)
  if (pending.length === 0) return
  const what =
    pending.length === migrations.length
      ? 'has no schema yet'
      : `has an older schema (${pending[0]!.name} is missing)`
  throw new StoreSchemaError(
    `the store at ${engine.address} ${what}: run bailiwick migrate --store ${engine.address} first`,
  )
}

function checkApplied(
  address: string,
  ours: readonly Migration[],
  applied: readonly Applied[],
): void {
  for (const { version, name, sha256 } of applied) {
    const migration = ours[version - 1]
    if (migration === undefined)
      throw new StoreSchemaError(
        `the store at ${address} was written by a newer bailiwick (schema ${version}, this one knows ${ours.length}): update bailiwick or name another store`,
      )
    if (migration.sha256 !== sha256)
      throw new StoreSchemaError(
        `the store at ${address} was made by another version of schema ${name}: use the bailiwick that made it or name another store`,
      )
  }
}

/** Name and hash are of our own files and hold neither quotes nor backslashes. */
function noteSql(version: number, name: string, sha256: string): string {
  return readSql('insert/migration')
    .replace('<version>', String(version))
    .replace('<name>', name)
    .replace('<sha256>', sha256)
}
