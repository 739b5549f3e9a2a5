// Says what a store lacks, holds twice, or holds otherwise than an undisturbed replay of the same input does. It reads
// the tables themselves, row by row, and trusts nothing that the pipeline counted.

import { NUMBER_OFFSET } from './numbered-flows.ts'
import { compareRows, type HashedRows, type RowDifference, readHashedRows } from './row-compare.ts'

/** A ClickHouse as the tests have it: scripts/clickhouse-front.mjs. */
export interface Queried {
  /** As --store takes it, user and password inside. */
  store: string
}

/** What tells one row of a table from the others, and the columns that two stores need not agree in. */
const TABLES = {
  flow_records: { key: 'flow_id, rec_no', except: 'chunk_id, row, day' },
  judgements: { key: 'flow_id, side, ruling', except: 'chunk_id, row, day' },
  findings: { key: 'flow_id, side, ruling, kind, rule', except: 'chunk_id, row, day' },
} as const
export type ComparedTable = keyof typeof TABLES
export const COMPARED_TABLES = Object.keys(TABLES) as ComparedTable[]

/** How many flows of each sensor there are, from number 0 on. */
export type FlowsOf = Readonly<Record<string, number>>

export async function ask(server: Queried, sql: string): Promise<Buffer> {
  const { origin, pathname, username, password } = new URL(server.store)
  const response = await fetch(`${origin}/?database=${pathname.slice(1)}`, {
    method: 'POST',
    headers: {
      'X-ClickHouse-User': decodeURIComponent(username),
      'X-ClickHouse-Key': decodeURIComponent(password),
    },
    body: sql,
  })
  const bytes = Buffer.from(await response.arrayBuffer())
  if (!response.ok) throw new Error(`${bytes.toString().slice(0, 2000)}\nasked: ${sql}`)
  return bytes
}

export async function askRows<Row>(server: Queried, sql: string): Promise<Row[]> {
  const text = (await ask(server, `${sql} FORMAT JSONEachRow`)).toString()
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Row]))
}

/** Flow ids of the flows that were sent, in words of SQL. */
function sentFlows(sent: FlowsOf): string {
  const of = Object.entries(sent).map(
    ([sensor, flows]) => `(sensor = '${sensor}' AND orig_ip_bytes < ${flows + NUMBER_OFFSET})`,
  )
  return `SELECT flow_id FROM flow_records WHERE ${of.join(' OR ') || '0'}`
}

async function hashedRows(server: Queried, table: ComparedTable, of: string): Promise<HashedRows> {
  const { key, except } = TABLES[table]
  const sql = `SELECT cityHash64(${key}) AS key,
      cityHash64(formatRow('TSV', * EXCEPT (${except}))) AS hash
    FROM ${table} ${of} ORDER BY key, hash FORMAT RowBinary`
  return readHashedRows(await ask(server, sql))
}

export type Verdict = Record<ComparedTable, RowDifference>

/**
 * What of these flows the store lacks, has twice, or has altered; and what it has besides.
 * @param reference a store that an undisturbed replay filled with at least these flows
 */
export async function compareStores(
  reference: Queried,
  store: Queried,
  sent: FlowsOf,
): Promise<Verdict> {
  const of = `WHERE flow_id IN (${sentFlows(sent)})`
  const verdict: Partial<Verdict> = {}
  for (const table of COMPARED_TABLES)
    verdict[table] = compareRows(
      await hashedRows(reference, table, of),
      await hashedRows(store, table, ''),
    )
  return verdict as Verdict
}

/**
 * The words for what is wrong with the reference itself: each number that was written must be in it, once. Empty if
 * nothing is.
 */
export async function faultsOfReference(reference: Queried, written: FlowsOf): Promise<string[]> {
  const faults: string[] = []
  for (const [sensor, flows] of Object.entries(written)) {
    const [row] = await askRows<{ rows: string; distinct: string; first: string; last: string }>(
      reference,
      `SELECT toString(count()) AS rows, toString(uniqExact(number)) AS distinct,
         toString(min(number)) AS first, toString(max(number)) AS last
       FROM (SELECT assumeNotNull(orig_ip_bytes) - ${NUMBER_OFFSET} AS number
         FROM flow_records WHERE sensor = '${sensor}')`,
    )
    const right = [flows, flows, 0, flows - 1].join()
    const there = [row?.rows, row?.distinct, row?.first, row?.last].join()
    if (there !== right) faults.push(`${sensor}: rows,distinct,first,last ${there}, not ${right}`)
  }
  return faults
}
