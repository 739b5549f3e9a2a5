// The schema for a cluster, made of the same files as for one server (sql/schema) by five rules; sql/cluster holds the
// two forms that a table takes, and why.
//
//   CREATE TABLE        with a chunk_id: replicated and sharded, behind a Distributed table of its name;
//                       else, or if it is in EVERYWHERE: one group of replicas over all servers
//   ALTER TABLE         columns: on the local table and on the door; partitions and rows: on the local table alone
//   MATERIALIZED VIEW   from local tables into local tables
//   VIEW                as it is, on every server
//   INSERT              as it is: it goes through the doors
//   DROP                the door, then the local table

import { type Migration, readSql, splitStatements } from './sql-files.ts'

export interface ClusterLayout {
  /** Name in remote_servers of the servers' configuration. */
  cluster: string
  database: string
  /** False for shards of one server each, without Keeper: plain tables then. */
  replicated: boolean
  /** False to make tables on the server that is asked alone. */
  onCluster: boolean
}

/** Few rows, asked about together with all shards. */
const EVERYWHERE: ReadonlySet<string> = new Set([
  'dead_letters',
  'expired_origins',
  'restorations',
  'retention',
  'run_doubles',
  'schema_migrations',
  'stream_notes',
])

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/
/** What a deduplication window is called where Keeper holds it. */
const WINDOW = 'non_replicated_deduplication_window = 10000'
const REPLICATED_WINDOW =
  'replicated_deduplication_window = 10000,\n  replicated_deduplication_window_seconds = 604800'

/** Rewrites migrations and other statements; remembers which tables are sharded. */
export class ClusterSql {
  readonly #layout: ClusterLayout
  /** `ON CLUSTER … `, or '' where statements are of one server. */
  readonly on: string
  readonly #sharded = new Set<string>()

  /** @throws RangeError if a name cannot stand in SQL */
  constructor(layout: ClusterLayout) {
    for (const name of [layout.cluster, layout.database])
      if (!NAME.test(name)) throw new RangeError(`${JSON.stringify(name)} is no name of a cluster`)
    this.#layout = layout
    this.on = layout.onCluster ? `ON CLUSTER ${layout.cluster} ` : ''
  }

  /** The same migrations, by version, name and hash, with the statements of a cluster. */
  migrations(migrations: readonly Migration[]): Migration[] {
    return migrations.map((migration) => ({
      ...migration,
      statements: migration.statements.flatMap((sql) => this.statements(sql)),
    }))
  }

  /** What one statement becomes. Tables must have come before what is said of them. */
  statements(sql: string): string[] {
    const table =
      /^CREATE TABLE IF NOT EXISTS (\w+) \(([\s\S]*?)\n\)\nENGINE = (\w+)(?:\((.*)\))?\n([\s\S]*)$/.exec(
        sql,
      )
    if (table !== null) return this.#table(table as unknown as string[])
    const altered = /^ALTER TABLE (\w+) /.exec(sql)?.[1]
    if (altered !== undefined) return this.#alter(sql, altered)
    const view = /^CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) TO (\w+) AS\n([\s\S]*)$/.exec(sql)
    if (view !== null) {
      const [, name = '', to = '', select = ''] = view
      return [
        `CREATE MATERIALIZED VIEW IF NOT EXISTS ${name} ${this.on}TO ${this.local(to)} AS\n${this.#fromLocal(select)}`,
      ]
    }
    if (sql.startsWith('CREATE OR REPLACE VIEW '))
      return [sql.replace(/^(CREATE OR REPLACE VIEW \w+) /, `$1 ${this.on}`)]
    const dropped = /^DROP (?:TABLE|VIEW) IF EXISTS (\w+)/.exec(sql)?.[1]
    if (dropped !== undefined)
      return [...new Set([dropped, this.local(dropped)])].map((table) =>
        sql
          .replace(/^(DROP \w+ IF EXISTS )\w+ ?/, (_, verb: string) =>
            `${verb}${table} ${this.on}`.trimEnd().concat(' '),
          )
          .trimEnd(),
      )
    if (/^(INSERT|SELECT|WITH) /.test(sql)) return [sql]
    throw new Error(`no rule says what this is on a cluster: ${sql.slice(0, 60)}`)
  }

  #table([, name = '', columns = '', engine = '', values, rest = '']: string[]): string[] {
    const sharded = !EVERYWHERE.has(name) && /^ {2}chunk_id UUID/m.test(columns)
    if (sharded) this.#sharded.add(name)
    const local = this.local(name)
    const { cluster, database, replicated } = this.#layout
    const place = sharded
      ? `'/clickhouse/tables/{shard}/${database}/${local}', '{replica}'`
      : `'/clickhouse/tables/everywhere/${database}/${name}', '{shard}-{replica}'`
    const given = values === undefined ? '' : replicated ? `, ${values}` : `(${values})`
    const words: Readonly<Record<string, string>> = {
      ...{ name, local, cluster, database, on: this.on, columns: `${columns}\n` },
      engine: replicated ? `Replicated${engine}(${place}${given})` : `${engine}${given}`,
      rest: replicated ? rest.replace(WINDOW, REPLICATED_WINDOW) : rest,
    }
    return splitStatements(readSql(`cluster/${sharded ? 'sharded' : 'everywhere'}`)).map((form) =>
      form.replace(/<([a-z]+)>/g, (_, word: string) => words[word] ?? ''),
    )
  }

  #alter(sql: string, name: string): string[] {
    const at = (table: string, text: string) =>
      text.replace(/^(ALTER TABLE )\w+ /, (_, verb: string) => `${verb}${table} ${this.on}`)
    const onLocal = at(this.local(name), this.#fromLocal(sql))
    const columns = /^ALTER TABLE \w+ (ADD|MODIFY|DROP) COLUMN/.test(sql)
    return columns && this.#sharded.has(name) ? [onLocal, at(name, sql)] : [onLocal]
  }

  /** Where the rows of a table lie on a server. */
  local(name: string): string {
    return this.#sharded.has(name) ? `${name}_local` : name
  }

  #fromLocal(sql: string): string {
    return sql.replace(/\bFROM (\w+)\b/g, (_, name: string) => `FROM ${this.local(name)}`)
  }
}
