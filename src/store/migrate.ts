// Brings the schema of a store up to this version: numbered files of sql/schema, each applied once, in order.

import type { Engine } from './engine.ts'
import { type Migration, readMigrations, readSql } from './sql-files.ts'
import { StoreSchemaError } from './store-error.ts'

interface Applied {
  version: number
  name: string
  sha256: string
}

/**
 * Applies what is missing. Statements are idempotent and a file is noted after its last one, so a migration that
 * was cut short is run again.
 * @throws StoreSchemaError if the store was written by a newer version, or a file changed after it was applied
 */
export async function migrate(engine: Engine): Promise<void> {
  const migrations = readMigrations()
  // The first file makes the table that remembers the others.
  for (const statement of migrations[0]!.statements) await engine.command(statement)
  const applied = (await engine.select(readSql('queries/schema_migrations'), {})) as Applied[]
  checkApplied(engine.address, migrations, applied)
  const done = new Set(applied.map((one) => one.version))
  for (const migration of migrations) {
    if (done.has(migration.version)) continue
    for (const statement of migration.statements) await engine.command(statement)
    await engine.command(noteSql(migration))
  }
}

/**
 * Looks whether the schema is the one that this program knows, and changes nothing.
 * @throws StoreSchemaError if it is older, newer or another
 */
export async function checkSchema(engine: Engine): Promise<void> {
  const migrations = readMigrations()
  const [table] = await engine.select(readSql('queries/schema_there'), {})
  const applied =
    (table as { there: number }).there === 1
      ? ((await engine.select(readSql('queries/schema_migrations'), {})) as Applied[])
      : []
  checkApplied(engine.address, migrations, applied)
  const done = new Set(applied.map((one) => one.version))
  const missing = migrations.filter((migration) => !done.has(migration.version))
  if (missing.length > 0)
    throw new StoreSchemaError(
      `the store at ${engine.address} ${applied.length === 0 ? 'has no schema yet' : `has an older schema (${missing[0]!.name} is missing)`}: run bailiwick migrate --store ${engine.address} first`,
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
function noteSql(migration: Migration): string {
  return readSql('insert/migration')
    .replace('<version>', String(migration.version))
    .replace('<name>', migration.name)
    .replace('<sha256>', migration.sha256)
}
