// The text of an INSERT, from sql/insert/block.sql. What is filled in comes from closed sets: column names of
// src/flow.ts, numbers, UUIDs, tokens of our own making, a path of our own making. Never a value from a row.

import type { BlockInsert } from './engine.ts'
import { readSql } from './sql-files.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const TOKEN = /^[A-Za-z0-9:._-]{1,256}$/
const NAME = /^[a-z][a-z0-9_]{0,63}$/

/** Where the rows come from: a file that the engine reads, or the body of the request. */
export type BlockSource = { file: string } | 'body'

/**
 * The statement.
 * @param seconds after which the engine gives up; 0 for never
 * @throws if a name, id or token has characters that it cannot have
 */
export function insertSql(insert: BlockInsert, source: BlockSource, seconds = 0): string {
  const names = insert.columns.map(([name]) => checked(name, NAME))
  const structure = insert.columns.map(([name, type]) => `${name} ${type}`).join(', ')
  const rows: string[] = []
  if (insert.onlyChunks !== undefined) {
    const ids = insert.onlyChunks.map((id) => `'${checked(id, UUID)}'`)
    rows.push(`chunk_id IN (${ids.join(', ')})`)
  }
  if (insert.onlyDay !== undefined)
    rows.push(
      `least(greatest(intDiv(toUnixTimestamp64Micro(ts), 86400000000), 0), 65535) = ${whole(insert.onlyDay)}`,
    )
  if (insert.notThere !== undefined)
    rows.push(
      fill(readSql('insert/not_there').trimEnd(), {
        table: checked(insert.table, NAME),
        chunk: checked(insert.notThere.chunk, UUID),
        ruling:
          insert.notThere.ruling === undefined
            ? ''
            : `AND ruling = ${whole(insert.notThere.ruling)}`,
      }),
    )
  const days = insert.day === undefined ? [] : [`toDate(${whole(insert.day)})`]
  return fill(readSql('insert/block'), {
    table: checked(insert.table, NAME),
    columns: [...names, ...(insert.day === undefined ? [] : ['day'])].join(', '),
    token: checked(insert.token, TOKEN),
    seconds: whole(seconds),
    values: [...names, ...days].join(', '),
    source:
      source === 'body'
        ? `input(${quoted(structure)})`
        : `file(${quoted(source.file)}, 'Native', ${quoted(structure)})`,
    rows: rows.length === 0 ? '1' : rows.join(' AND '),
    format: source === 'body' ? 'FORMAT Native' : '',
  })
}

function fill(text: string, words: Readonly<Record<string, string>>): string {
  return text.replace(/<([a-z]+)>/g, (_, name: string) => {
    const word = words[name]
    if (word === undefined) throw new Error(`sql/insert/block.sql asks for <${name}>`)
    return word
  })
}

function checked(text: string, shape: RegExp): string {
  if (!shape.test(text)) throw new Error(`${JSON.stringify(text)} cannot stand in an INSERT`)
  return text
}

function whole(value: number): string {
  if (!Number.isInteger(value) || value < 0)
    throw new Error(`${value} is no day and no number of seconds`)
  return String(value)
}

/** A string literal of ClickHouse. */
function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, (char) => `\\${char}`)}'`
}
