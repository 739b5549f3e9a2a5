// Starts scripts/clickhouse-front.mjs: a ClickHouse server as far as it can be had without one, in a process of its
// own that can be told to fail and can be killed.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const SCRIPT = join(import.meta.dirname, '..', '..', 'scripts', 'clickhouse-front.mjs')

export interface Front {
  port: number
  /** As --store takes it. */
  store: string
  /** Sends a line of scripts/clickhouse-front/faults.mjs; resolves to the answer. */
  tell(line: string): Promise<Record<string, unknown>>
  /** Runs a query; rows as JSONEachRow gives them. */
  rows(sql: string): Promise<Record<string, unknown>[]>
  /** Resolves when the process is gone, whoever ended it. */
  gone: Promise<void>
  kill(signal: NodeJS.Signals): Promise<void>
}

export interface FrontOptions {
  /** Directory of the front; of a Bailiwick store, too: both have their engine in `engine/`. */
  path: string
  /** Of a front that was there before; undefined for a free one. */
  port?: number
  database?: string
  /** More settings of its engine, in XML. */
  settings?: string
}

/** The user is `watcher`, the password `p w:%`, the database `flows` unless another is given. */
export async function startFront(options: FrontOptions): Promise<Front> {
  const database = options.database ?? 'flows'
  const settings = join(options.path, 'settings.xml')
  if (options.settings !== undefined) writeFileSync(settings, options.settings)
  const child: ChildProcessWithoutNullStreams = spawn(process.execPath, [
    ...[SCRIPT, '--path', options.path, '--port', String(options.port ?? 0)],
    ...(options.settings === undefined ? [] : ['--settings', settings]),
    ...['--user', 'watcher', '--password', 'p w:%', '--database', database, '--until-stdin-ends'],
  ])
  let words = ''
  child.stderr.on('data', (piece) => {
    words += piece
  })
  // A line that is sent to a process that was killed has nobody to go to.
  child.stdin.on('error', () => {})
  const gone = once(child, 'exit').then(() => {})
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const heard = async (): Promise<Record<string, unknown>> => {
    const { value, done } = await lines.next()
    if (done === true) throw new Error(`the front is gone: ${words}`)
    return JSON.parse(value)
  }
  const url = new URL(String((await heard()).url))
  return {
    port: Number(url.port),
    store: `http://watcher:p%20w%3A%25@${url.host}/${database}`,
    tell(line) {
      child.stdin.write(`${line}\n`)
      return heard()
    },
    async rows(sql) {
      const response = await fetch(`${url.origin}/?database=${database}`, {
        method: 'POST',
        headers: { 'X-ClickHouse-User': 'watcher', 'X-ClickHouse-Key': 'p w:%' },
        body: `${sql} FORMAT JSONEachRow`,
      })
      const text = await response.text()
      if (!response.ok) throw new Error(text)
      return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))
    },
    gone,
    async kill(signal) {
      child.kill(signal)
      await gone
    },
  }
}

/** Columns that say when or by which run something was stored: no two stores agree in them. */
const OF_THE_MOMENT: Readonly<Record<string, string>> = {
  schema_migrations: 'applied_at',
  flow_records: '',
  coverage: '',
  rejects: '',
  judgements: '',
  findings: '',
  announced: 'said_at',
  chunks: 'stored_at',
  run_chunks: 'run, noted_at',
  run_doubles: 'run, noted_at',
  dead_letters: 'died_at',
  stream_notes: 'noted_at',
  restorations: 'noted_at',
  chunk_sums: 'inserted_at',
  judged_sums: '',
  retention: 'set_at',
  expired_chunks: '',
  expired_origins: '',
}

/** Every table of a store: how many rows it has, and a hash of them whatever their order. */
export async function contentOf(front: Front): Promise<Record<string, unknown>> {
  const tables = await front.rows(
    `SELECT name, engine FROM system.tables
    WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name`,
  )
  const content: Record<string, unknown> = {}
  for (const { name, engine } of tables) {
    const except = OF_THE_MOMENT[String(name)]
    if (except === undefined) throw new Error(`say in OF_THE_MOMENT what of ${name} is compared`)
    const columns = except === '' ? '*' : `* EXCEPT (${except})`
    const [row] = await front.rows(
      `SELECT toString(count()) AS rows, toString(sum(cityHash64(formatRow('TSV', ${columns})))) AS hash FROM ${name} ${engine === 'MergeTree' ? '' : 'FINAL'}`,
    )
    content[String(name)] = row
  }
  return content
}
