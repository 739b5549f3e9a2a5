// What an administrator does to a store: the schema, and letting go of what is old. Nothing is done at opening.

import { ClusterSql } from './cluster-sql.ts'
import type { Engine } from './engine.ts'
import { type MigrationStep, migrate, pendingMigrations } from './migrate.ts'
import { openEngine } from './open-engine.ts'
import { expire, type RetentionStep, retentionFloor, retentionPlan } from './retention.ts'
import { type Migration, readMigrations } from './sql-files.ts'
import { StoreTargetError } from './store-error.ts'
import type { StoreTarget } from './store-target.ts'
import { type StoreUser, usersSql } from './users.ts'

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
 * @param cluster name of the cluster that the store lies on, if it does
 * @param now milliseconds since 1970
 * @throws StoreLockedError, StoreUnreachableError, StoreAccessError, StoreError
 */
export async function openMaintenance(
  target: StoreTarget,
  cluster?: string,
  now: () => number = Date.now,
): Promise<Maintenance> {
  const sql = cluster === undefined ? undefined : clusterSql(target, cluster)
  return maintenanceOf(await openEngine(target), sql, now)
}

/**
 * Statements that make the users of a server, for an administrator: nothing is asked of the server.
 * @throws StoreTargetError if the store is none, or a name cannot stand in SQL
 */
export function usersOf(
  target: StoreTarget,
  passwords: Readonly<Record<StoreUser, string>>,
  cluster?: string,
): string[] {
  if (target.kind !== 'server')
    throw new StoreTargetError('an embedded store has no users: name a server by its URL')
  const sql = cluster === undefined ? undefined : clusterSql(target, cluster)
  sql?.migrations(readMigrations())
  try {
    return usersSql(target.database, passwords, sql)
  } catch (error) {
    throw new StoreTargetError(error instanceof Error ? error.message : String(error))
  }
}

function clusterSql(target: StoreTarget, cluster: string): ClusterSql {
  if (target.kind !== 'server')
    throw new StoreTargetError('a cluster is of servers: name one of them by its URL')
  try {
    return new ClusterSql({
      ...{ cluster, database: target.database, replicated: true, onCluster: true },
    })
  } catch (error) {
    throw new StoreTargetError(error instanceof Error ? error.message : String(error))
  }
}

/** The same over an engine that is open. @param sql rewrites for a cluster */
export function maintenanceOf(
  engine: Engine,
  sql: ClusterSql | undefined,
  now: () => number,
): Maintenance {
  const ours = readMigrations()
  const migrations = sql === undefined ? ours : sql.migrations(ours)
  const planned = async (days: number) => {
    const plan = await retentionPlan(engine, days, retentionFloor(days, now()))
    return sql === undefined ? plan : plan.flatMap((statement) => sql.statements(statement))
  }
  return {
    address: engine.address,
    newest: migrations.at(-1)!.version,
    pending: () => pendingMigrations(engine, migrations, sql !== undefined),
    migrate: (onStep) => migrate(engine, { migrations, onStep, cluster: sql !== undefined }),
    retentionPlan: planned,
    expire: (plan, onStep) => expire(engine, plan, onStep),
    close: () => engine.close(),
  }
}
