// Lets go of what is older than it has to be kept: whole days of all tables together, and whatever belongs to them.
// First the decision is noted, then what it concerns, then it is dropped: a killed run is simply repeated.

import type { Engine } from './engine.ts'
import { readSql, readStatements } from './sql-files.ts'

/** Tables that are partitioned by day, in the order in which their days go: what was concluded before what was seen. */
export const DAY_TABLES = [
  'judged_sums',
  'findings',
  'judgements',
  'chunk_sums',
  'coverage',
  'flow_records',
] as const

export const RETENTION_DAYS_MIN = 1
export const RETENTION_DAYS_MAX = 36_500

export interface RetentionStep {
  sql: string
  /** Of all steps that are known so far. */
  step: number
  steps: number
}

/** The first day that stays: YYYY-MM-DD. @param now milliseconds since 1970 */
export function retentionFloor(days: number, now: number): string {
  if (!Number.isInteger(days) || days < RETENTION_DAYS_MIN || days > RETENTION_DAYS_MAX)
    throw new RangeError(`${days} is no number of days to keep`)
  return new Date(now - days * 86_400_000).toISOString().slice(0, 10)
}

/**
 * The statements that let go of everything before `floor`. Days that are there are asked for; nothing is changed.
 * @param days how many are kept, for the note
 */
export async function retentionPlan(
  engine: Engine,
  days: number,
  floor: string,
): Promise<string[]> {
  const tables = DAY_TABLES.flatMap((table) => [table, `${table}_local`])
  const found = await engine.select(readSql('queries/expired_days'), { tables, floor })
  const words = { days: String(days), floor }
  return [
    ...readStatements('retention/01_floor', words),
    ...readStatements('retention/02_known', words),
    ...(found as { day: string }[]).flatMap(({ day }) =>
      DAY_TABLES.flatMap((table) => readStatements('retention/03_partition', { table, day })),
    ),
    ...readStatements('retention/04_rows', words),
  ]
}

/** Runs a plan. @param onStep told before each statement */
export async function expire(
  engine: Engine,
  plan: readonly string[],
  onStep: (step: RetentionStep) => void = () => {},
): Promise<void> {
  for (const [at, sql] of plan.entries()) {
    onStep({ sql, step: at + 1, steps: plan.length })
    await engine.command(sql)
  }
}
