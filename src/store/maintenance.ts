// What an administrator does to a store: the schema, and letting go of what is old. Nothing is done at opening.

import type { Engine } from './engine.ts'
import { type MigrationStep, migrate, pendingMigrations } from './migrate.ts'
import { openEngine } from './open-engine.ts'
import { expire, type RetentionStep, retentionFloor, retentionPlan } from './retention.ts'
import { type Migration, readMigrations } from './sql-files.ts'
import type { StoreTarget } from './store-target.ts'

export type { MigrationStep } from './migrate.ts'
export type { RetentionStep } from './retention.ts'

export interface Maintenance {
  /** As it may be shown: without a password. */
  readonly address: string
  /** Version of the schema that this program knows. */
  readonly newest: number
  /** The files that are not applied yet. @throws StoreSchemaError if the store is of a newer or another version */
  pending(): Promise<Migration[]>
  /** Applies them. @returns their names */
  migrate(onStep: (step: MigrationStep) => void): Promise<string[]>
  /** The statements that let go of whole days that are older than so many. Nothing is changed. */
  retentionPlan(days: number): Promise<string[]>
  /** Runs them. A run that was cut short is repeated from its plan on. */
  expire(plan: readonly string[], onStep: (step: RetentionStep) => void): Promise<void>
  close(): Promise<void>
}

/**
 * Opens a store as it is.
 * @param now milliseconds since 1970
 * @throws StoreLockedError, StoreUnreachableError, StoreAccessError, StoreError
 */
export async function openMaintenance(
  target: StoreTarget,
  now: () => number = Date.now,
): Promise<Maintenance> {
  return maintenanceOf(await openEngine(target), readMigrations(), now)
}

/** The same over an engine that is open. */
export function maintenanceOf(
  engine: Engine,
  migrations: readonly Migration[],
  now: () => number,
): Maintenance {
  return {
    address: engine.address,
    newest: migrations.at(-1)!.version,
    pending: () => pendingMigrations(engine, migrations),
    migrate: (onStep) => migrate(engine, { migrations, onStep }),
    retentionPlan: (days) => retentionPlan(engine, days, retentionFloor(days, now())),
    expire: (plan, onStep) => expire(engine, plan, onStep),
    close: () => engine.close(),
  }
}
