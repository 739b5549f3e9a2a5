// SQL is source code in files under sql/. This finds and reads them, wherever this module was built to.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sha256Hex } from '../hash.ts'

/** The folder sql/ of the package: beside src/ in the source, further up from dist/. */
function sqlFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    const sql = join(folder, 'sql')
    if (existsSync(join(sql, 'schema'))) return sql
    const parent = dirname(folder)
    if (parent === folder) throw new Error('the folder sql/ of bailiwick is missing: reinstall it')
    folder = parent
  }
}

const texts = new Map<string, string>()

/** Text of sql/<path>.sql without comment lines. */
export function readSql(path: string): string {
  let text = texts.get(path)
  if (text === undefined) {
    text = withoutComments(readFileSync(join(sqlFolder(), `${path}.sql`), 'utf8'))
    texts.set(path, text)
  }
  return text
}

/** Statements of sql/<path>.sql, with <words> filled in: numbers, days and names of our own. */
export function readStatements(path: string, words: Readonly<Record<string, string>>): string[] {
  return splitStatements(readSql(path)).map((statement) =>
    statement.replace(/<([a-z]+)>/g, (_, name: string) => {
      const word = words[name]
      if (word === undefined) throw new Error(`sql/${path}.sql asks for <${name}>`)
      return word
    }),
  )
}

/** Names of the files in sql/queries, without their ending. */
export function queryNames(): string[] {
  return sqlNames('queries')
}

function sqlNames(folder: string): string[] {
  return readdirSync(join(sqlFolder(), folder))
    .filter((name) => name.endsWith('.sql'))
    .map((name) => name.slice(0, -'.sql'.length))
    .sort()
}

export interface Migration {
  version: number
  name: string
  /** Of the whole file: one that was applied must not change. */
  sha256: string
  /** Each is idempotent, so a migration that was cut short is run again from its start. */
  statements: string[]
}

/** The numbered files of sql/schema, in order. @throws if numbers are doubled or left out. */
export function readMigrations(): Migration[] {
  return sqlNames('schema').map((name, at) => {
    const version = Number(/^(\d{3})_[a-z_]+$/.exec(name)?.[1])
    if (version !== at + 1) throw new Error(`sql/schema/${name}.sql is not number ${at + 1}`)
    const text = readFileSync(join(sqlFolder(), 'schema', `${name}.sql`), 'utf8')
    return { version, name, sha256: sha256Hex(text), statements: splitStatements(text) }
  })
}

function withoutComments(text: string): string {
  return text.replace(/^\s*--.*\n?/gm, '')
}

/** Statements end with a semicolon at the end of a line. Text in quotes must not hold one there. */
export function splitStatements(text: string): string[] {
  return withoutComments(text)
    .split(/;[ \t]*(?:\r?\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}
