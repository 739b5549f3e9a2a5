// Says what a store lacks, holds twice, or holds otherwise than an undisturbed replay of the same input does. It reads
// the tables themselves, row by row, and trusts nothing that the pipeline counted.

import { NUMBER_OFFSET } from './numbered-flows.ts'
import { compareRows, type HashedRows, type RowDifference, readColumns } from './row-compare.ts'

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
      // One that is kept is closed by the server while a long answer is compared, and just when the next is asked.
      Connection: 'close',
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

const hashOf = (table: ComparedTable) =>
  `cityHash64(${TABLES[table].key}) AS key,
   cityHash64(formatRow('TSV', * EXCEPT (${TABLES[table].except}))) AS hash`

/** Rows of one table of the reference, and which flow each is of: sensor * 2^32 + number. */
interface KnownRows extends HashedRows {
  flows: BigUint64Array
}

/** What a store should hold, of as many flows as there may be. */
export type Known = Record<ComparedTable, KnownRows>

/** @param reference a store that an undisturbed replay filled, with sensors `s0`, `s1` and so on */
export async function readKnown(reference: Queried): Promise<Known> {
  const known: Partial<Known> = {}
  for (const table of COMPARED_TABLES) {
    const sql = `SELECT key, hash, flow FROM (SELECT flow_id, ${hashOf(table)} FROM ${table}) AS r
      INNER JOIN (SELECT flow_id, toUInt64(substring(sensor, 2)) * 4294967296
          + assumeNotNull(orig_ip_bytes) - ${NUMBER_OFFSET} AS flow FROM flow_records) AS f USING (flow_id)
      ORDER BY key FORMAT RowBinary`
    const [keys, hashes, flows] = readColumns(await ask(reference, sql), 3)
    known[table] = { keys: keys!, hashes: hashes!, flows: flows! }
  }
  return known as Known
}

/** The rows of what was sent. */
function sentOf({ keys, hashes, flows }: KnownRows, sent: FlowsOf): HashedRows {
  const bounds = new Map(
    Object.entries(sent).map(([sensor, count]) => [BigInt(sensor.slice(1)), BigInt(count)]),
  )
  const wanted = [...flows.keys()].filter((at) => {
    const flow = flows[at]!
    return (flow & 0xffff_ffffn) < (bounds.get(flow >> 32n) ?? 0n)
  })
  return {
    keys: BigUint64Array.from(wanted, (at) => keys[at]!),
    hashes: BigUint64Array.from(wanted, (at) => hashes[at]!),
  }
}

export type Verdict = Record<ComparedTable, RowDifference>

/** What of these flows the store lacks, has twice, or has altered; and what it has besides. */
export async function compareStores(known: Known, store: Queried, sent: FlowsOf): Promise<Verdict> {
  const verdict: Partial<Verdict> = {}
  for (const table of COMPARED_TABLES) {
    const sql = `SELECT ${hashOf(table)} FROM ${table} ORDER BY key, hash FORMAT RowBinary`
    const [keys, hashes] = readColumns(await ask(store, sql), 2)
    verdict[table] = compareRows(sentOf(known[table], sent), { keys: keys!, hashes: hashes! })
  }
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
