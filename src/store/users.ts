// The users of a server, each with as much as it needs: text for an administrator to look at and run (sql/users).

import type { ClusterSql } from './cluster-sql.ts'
import { readStatements } from './sql-files.ts'

const USERS = ['migrator', 'writer', 'reader'] as const
export type StoreUser = (typeof USERS)[number]

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/

/**
 * CREATE USER and GRANT for the users bailiwick_migrator, bailiwick_writer and bailiwick_reader.
 * @param passwords SHA-256 of each password in hex; or words that say so, for a person to replace
 * @param cluster rewrites for a cluster: rights on local tables, too, on every server
 * @throws RangeError if the database's name cannot stand in SQL
 */
export function usersSql(
  database: string,
  passwords: Readonly<Record<StoreUser, string>>,
  cluster?: ClusterSql,
): string[] {
  if (!NAME.test(database)) throw new RangeError(`${JSON.stringify(database)} is no plain name`)
  const words = {
    database,
    on: cluster?.on ?? '',
    ...Object.fromEntries(USERS.map((user) => [user, `bailiwick_${user}`])),
  }
  const statements = USERS.flatMap((user) =>
    readStatements(`users/${user}`, { ...words, password: passwords[user] }),
  )
  if (cluster === undefined) return statements
  return [
    ...statements.flatMap((sql) => {
      const local = sql.replace(/ ON (\w+)\.(\w+) TO /, (whole, of: string, table: string) =>
        of === database ? ` ON ${of}.${cluster.local(table)} TO ` : whole,
      )
      return local === sql ? [sql] : [sql, local]
    }),
    ...readStatements('users/cluster', words),
  ]
}
