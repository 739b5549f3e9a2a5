// What must hold whatever happened, asked of the bus and of the store directly.

import { CHUNK_STREAM, DEAD_STREAM } from '../../src/bus/bus.ts'
import type { BusWatch } from './bus-watch.ts'
import { askRows, type Queried } from './oracle.ts'

/**
 * I3: everything before a committed offset is complete in the store, or in the dead letters. Messages for which this
 * does not hold, in words. The offsets are read first, so what is stored meanwhile can hide a fault but not make one.
 * Undefined if bus or store could not be asked.
 */
export async function passedTooFar(watch: BusWatch, store: Queried): Promise<string[] | undefined> {
  let committed: Awaited<ReturnType<BusWatch['committed']>>
  let deadEnds: typeof committed
  let complete: Set<string>
  try {
    committed = await watch.committed()
    deadEnds = await watch.ends(DEAD_STREAM)
    const rows = await askRows<{ chunk_id: string }>(
      store,
      "SELECT DISTINCT toString(chunk_id) AS chunk_id FROM chunks WHERE state = 'complete'",
    )
    complete = new Set(rows.map(({ chunk_id }) => chunk_id))
  } catch {
    return undefined
  }
  await watch.seen(CHUNK_STREAM, committed)
  await watch.seen(DEAD_STREAM, deadEnds)
  const dead = new Set(
    [...watch.dead.values()].map(({ letter }) => `${letter.partition}:${letter.offset}`),
  )
  const faults: string[] = []
  for (const [partition, end] of committed)
    for (let offset = 0n; offset < end; offset++) {
      const place = `${partition}:${offset}`
      const message = watch.messages.get(place)
      if (message === undefined || dead.has(place)) continue
      const id = message.header?.id
      if (id === undefined || !complete.has(id))
        faults.push(`${place} is committed, but ${id ?? 'what is no chunk'} is not stored`)
    }
  return faults
}

/** Chunks that were begun and never completed, or completed twice, in words. */
export async function chunkFaults(store: Queried): Promise<string[]> {
  const rows = await askRows<{ chunk_id: string; intents: string; completes: string }>(
    store,
    `SELECT toString(chunk_id) AS chunk_id, toString(countIf(state = 'intent')) AS intents,
       toString(countIf(state = 'complete')) AS completes
     FROM chunks GROUP BY chunk_id, ruling HAVING countIf(state = 'complete') != 1`,
  )
  return rows.map((row) => `chunk ${row.chunk_id}: ${row.intents} begun, ${row.completes} complete`)
}

/** Tables that a checksum is kept of, by chunk, as rows are inserted. */
const SUMMED = ['flow_records', 'coverage', 'rejects', 'announced', 'judgements', 'findings']

/** Views that were filled at insertion and do not say what their base tables say now, in words. */
export async function viewFaults(store: Queried): Promise<string[]> {
  const faults: string[] = []
  for (const table of SUMMED) {
    const ruling = table === 'judgements' || table === 'findings' ? 'ruling' : 'toUInt16(0)'
    const rows = await askRows<{ chunk_id: string; kept: string; there: string }>(
      store,
      `SELECT toString(chunk_id) AS chunk_id, toString(kept.rows) AS kept, toString(there.rows) AS there
       FROM (SELECT chunk_id, ruling, sum(c.rows) AS rows, sum(c.sum) AS sum
         FROM chunk_sums AS c WHERE table = '${table}' GROUP BY chunk_id, ruling) AS kept
       FULL OUTER JOIN (SELECT chunk_id, ${ruling} AS ruling, count() AS rows, sum(checksum) AS sum
         FROM ${table} GROUP BY chunk_id, ruling) AS there USING (chunk_id, ruling)
       WHERE kept.rows != there.rows OR kept.sum != there.sum LIMIT 3`,
    )
    for (const row of rows)
      faults.push(
        `${table}: of chunk ${row.chunk_id} the view has ${row.kept}, the table ${row.there}`,
      )
  }
  return [...faults, ...(await hourFaults(store))]
}

/** What is asked by hour, agent, destination and verdict is not what the judgements add up to, in words. */
async function hourFaults(store: Queried): Promise<string[]> {
  const keys = 'hour, verdict, grade, direction, agent, destination'
  const sums = (of: string) =>
    `(${of}.judgements, ${of}.findings, ${of}.records, ${of}.bytes_out, ${of}.bytes_in)`
  const rows = await askRows<{ where: string; kept: string; there: string }>(
    store,
    `SELECT toString((${keys})) AS where, toString(${sums('kept')}) AS kept,
       toString(${sums('there')}) AS there
     FROM judged_hours_current AS kept
     FULL OUTER JOIN (SELECT toStartOfHour(toDateTime(ts, 'UTC')) AS hour, verdict, grade, direction, agent,
         destination, count() AS judgements, countIf(alert_id != toUUID('00000000-0000-0000-0000-000000000000')) AS findings,
         sum(j.records) AS records, sum(ifNull(j.bytes_out, 0)) AS bytes_out,
         sum(ifNull(j.bytes_in, 0)) AS bytes_in
       FROM judgements AS j GROUP BY ${keys}) AS there USING (${keys})
     WHERE ${sums('kept')} != ${sums('there')} LIMIT 3`,
  )
  return rows.map(
    (row) => `by hour, ${row.where}: the view says ${row.kept}, the table ${row.there}`,
  )
}
