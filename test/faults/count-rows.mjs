// Prints what a store holds, by table, as JSON: rows, distinct (chunk_id, row), and a hash that does not depend on
// the order of the rows. A process of its own, because an engine holds one directory for its whole life.

import path from 'node:path'
import { Session } from 'chdb'

const [store] = process.argv.slice(2)
const session = new Session(path.join(store, 'engine'))
const counts = {}
for (const table of ['flow_records', 'coverage', 'rejects', 'judgements', 'findings'])
  counts[table] = JSON.parse(
    session.query(
      `SELECT
         count() AS rows,
         uniqExact(chunk_id, row) AS distinct_rows,
         toString(sum(cityHash64(formatRow('TSV', *)))) AS hash
       FROM ${table}`,
      'JSONEachRow',
    ),
  )
session.close()
console.log(JSON.stringify(counts))
process.exit(0)
