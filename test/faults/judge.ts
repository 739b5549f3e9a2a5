// The end of a trial of faults: everything that must hold is asked for, and one row of the table comes out.

import { expect } from 'vitest'
import { sha256Hex } from '../../src/hash.ts'
import type { Arena } from './arena.ts'
import { type FaultRow, keepRow } from './fault-table.ts'
import { chunkFaults, viewFaults } from './invariants.ts'
import { askRows, type ComparedTable, compareStores, type Known, type Queried } from './oracle.ts'
import type { Poison } from './poison.ts'
import { givenStore, runProgram } from './program.ts'
import type { Supervised } from './supervised.ts'

export interface Trial {
  /** Names the row. */
  fault: string
  /** What was done besides kills of processes, in words. */
  events?: string
  /** Kills of what is not under the arena's supervision: brokers, the store. */
  furtherKills?: number
  recoverySeconds: number
  drainedPerSecond?: number
  arrivalsPerSecond?: number
  /** What was written to the stream and must be found among the dead letters, and nothing else. */
  poison?: readonly Poison[]
}

/** Judges what the arena has come to. Sensors and workers are ended. */
export async function judge(arena: Arena, known: Known, trial: Trial): Promise<FaultRow> {
  await arena.rest()
  await arena.checkOffsets()
  const { flows, sent, store } = arena
  const verdict = await compareStores(known, store, sent)
  const tables = Object.keys(verdict) as ComparedTable[]
  const sum = (what: 'missing' | 'duplicated' | 'altered' | 'foreign') =>
    tables.reduce((total, table) => total + verdict[table][what], 0)
  const faults = [
    ...(sum('foreign') > 0 ? [`I2: ${sum('foreign')} rows that nobody sent`] : []),
    ...arena.offsetFaults.map((fault) => `I3: ${fault}`),
    ...(arena.offsetChecks === 0 ? ['I3: was never looked at'] : []),
    ...(await chunkFaults(store)),
    ...(await viewFaults(store)),
    ...(await deadFaults(arena, trial.poison ?? [])),
    ...(await toldFaults(arena)),
    ...(await auditFaults(store)),
    ...endFaults([...arena.sensors, ...arena.workers]),
  ]
  const row: FaultRow = {
    fault: trial.fault,
    kills: arena.kills + (trial.furtherKills ?? 0),
    events: trial.events ?? '',
    flows,
    missing: sum('missing'),
    duplicated: sum('duplicated'),
    altered: sum('altered'),
    recoverySeconds: trial.recoverySeconds,
    ...(trial.drainedPerSecond === undefined ? {} : { drainedPerSecond: trial.drainedPerSecond }),
    ...(trial.arrivalsPerSecond === undefined
      ? {}
      : { arrivalsPerSecond: trial.arrivalsPerSecond }),
    faults,
    invariants: 'I1 I2 I3 I4 I7 I8, views, audit',
  }
  keepRow(row)
  return row
}

/** Fails unless nothing is missing, doubled or altered, and everything holds. */
export function expectUnharmed(row: FaultRow, told = ''): void {
  expect(row, told).toMatchObject({ missing: 0, duplicated: 0, altered: 0, faults: [] })
}

/** I7: each poison message died, with its bytes and for its reason, and nothing else did. */
async function deadFaults(arena: Arena, sent: readonly Poison[]): Promise<string[]> {
  const faults: string[] = []
  const left = new Map<string, Poison[]>()
  for (const one of sent) {
    const hash = sha256Hex(one.bytes)
    left.set(hash, [...(left.get(hash) ?? []), one])
  }
  for (const { letter, sha256 } of arena.watch.dead.values()) {
    const one = left.get(sha256)?.pop()
    const where = `${letter.stream} ${letter.partition}:${letter.offset}`
    if (one === undefined) faults.push(`I7: ${where} is dead (${letter.reason}: ${letter.detail})`)
    else if (!one.reasons.includes(letter.reason))
      faults.push(`I7: ${one.kind} at ${where} died of ${letter.reason}`)
  }
  for (const [, poisons] of left)
    for (const { kind } of poisons)
      faults.push(`I7: a message (${kind}) is not in the dead letters`)
  const [noted] = await askRows<{ letters: string }>(
    arena.store,
    'SELECT toString(uniqExact(id)) AS letters FROM dead_letters',
  )
  if (Number(noted?.letters) !== arena.watch.dead.size)
    faults.push(`I7: ${noted?.letters} dead letters are noted, ${arena.watch.dead.size} are there`)
  return faults
}

/**
 * I4: each finding that is stored was told to whoever acts on findings, at least once and always under the same ids, and
 * none that is not stored. That the stored ones are those of the input is for the oracle to say.
 */
async function toldFaults(arena: Arena): Promise<string[]> {
  const stored = await askRows<{ finding: string }>(
    arena.store,
    `SELECT concat(toString(flow_id), ' ', side, ' ', toString(ruling), ' ', kind, ' ', rule, ' ', toString(alert_id),
       ' ', toString(chunk_id), ':', toString(row)) AS finding FROM findings`,
  )
  const told = (await arena.watch.findings()).map(
    (one) =>
      `${one.flowId} ${one.side} ${one.ruling} ${one.kind} ${one.rule} ${one.alertId} ${one.chunkId}:${one.row}`,
  )
  return setFaults(new Set(stored.map(({ finding }) => finding)), new Set(told))
}

/** What is stored and was not told, and what was told and is not stored, in words. */
export function setFaults(stored: ReadonlySet<string>, told: ReadonlySet<string>): string[] {
  const silent = [...stored].filter((finding) => !told.has(finding))
  const foreign = [...told].filter((finding) => !stored.has(finding))
  const nothing = stored.size === 0 ? ['I4: there are no findings, so nothing is shown'] : []
  return [
    ...nothing,
    ...(silent.length > 0 ? [`I4: ${silent.length} findings were not told: ${silent[0]}`] : []),
    ...(foreign.length > 0 ? [`I4: ${foreign.length} were told of nothing: ${foreign[0]}`] : []),
  ]
}

/** The auditor, which knows nothing of the oracle, finds no difference either. */
async function auditFaults(server: Queried): Promise<string[]> {
  const { store, env } = givenStore(server.store)
  const args = ['reconcile', '--store', store, '--deep', '--json']
  const { code, stdout } = await runProgram(args, { codes: [0, 1], env })
  return code === 0 ? [] : [`the auditor: ${stdout.replace(/\s+/g, ' ').slice(0, 600)}`]
}

/** Who was told to end did so in good order, unless it had not even begun. */
function endFaults(all: readonly Supervised[]): string[] {
  return all.flatMap((one) => {
    const { code, signal } = one.exits.at(-1) ?? {}
    const atBirth = signal === 'SIGTERM' && !one.saidStarted
    return code === 0 || atBirth ? [] : [`I8: ${one.name} ended with ${code ?? signal}`]
  })
}
