// Each user may do what it has to, and no more: what the store says to its engine is held against the grants.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../src/store/engine.ts'
import { insertSql } from '../../src/store/insert-sql.ts'
import { maintenanceOf, usersOf } from '../../src/store/maintenance.ts'
import { insertSlice, type SliceChunk } from '../../src/store/slice.ts'
import { queryNames, readMigrations, readSql } from '../../src/store/sql-files.ts'
import { EngineStore } from '../../src/store/store.ts'
import { parseStoreTarget } from '../../src/store/store-target.ts'
import { openEmbeddedStore } from './embedded-store.ts'
import { judged, sampleChunk } from './samples.ts'

const HASH = 'a'.repeat(64)
const PASSWORDS = { migrator: HASH, writer: HASH, reader: HASH }
const TARGET = parseStoreTarget('http://admin@clickhouse:8123/flows')
const RUN = '11111111-1111-4111-8111-111111111111'

let engine: Engine
beforeAll(async () => {
  ;({ engine } = await openEmbeddedStore())
})
afterAll(() => engine.close())

/** Tables that a user may use in a way, by the statements for an administrator. */
function granted(user: string, right: string): string[] {
  return usersOf(TARGET, PASSWORDS).flatMap((sql) => {
    const match = /^GRANT (.+) ON (\S+) TO (\w+)$/.exec(sql)
    if (match === null || match[3] !== `bailiwick_${user}`) return []
    return match[1]!.split(', ').includes(right) ? [match[2]!.replace('flows.', '')] : []
  })
}

/** Tables and table functions that a statement names, as the engine reads it. */
async function namesOf(sql: string): Promise<{ tables: string[]; functions: string[] }> {
  // A parameter's place is taken by a value: the tree is of the shape, not of what is asked.
  const plain = sql
    .replace(/^INSERT INTO [\s\S]*?\n(?=SELECT)/, '')
    .replace(/\{\w+:Identifier\}/g, 'flow_records')
    .replace(/\{\w+:Array\(\w+\)\}/g, '[]')
    .replace(/\{\w+:[^}]+\}/g, '0')
  // As the engine writes it: one line, no comments, one space.
  const [row] = await engine.select('SELECT formatQuerySingleLine({text:String}) AS text', {
    text: plain,
  })
  const { text } = row as { text: string }
  const named = [...text.matchAll(/\b(?:FROM|JOIN) (\w+(?:\.\w+)?)(\(?)/g)]
  const tables = named.flatMap(([, name = '', open]) => (open === '(' ? [] : [name]))
  const functions = named.flatMap(([, name = '', open]) => (open === '(' ? [name] : []))
  return { tables: [...new Set(tables)], functions: [...new Set(functions)] }
}

/** The engine, with everything that is said to it written down; INSERTs as a server gets them. */
function heard(): { spy: Engine; said: string[]; asked: string[] } {
  const [said, asked]: [string[], string[]] = [[], []]
  const spy: Engine = {
    ...{ address: 'spy', writers: 1, close: async () => {} },
    async command(sql) {
      said.push(sql)
      await engine.command(sql)
    },
    async insert(blocks, inserts) {
      said.push(...inserts.map((insert) => insertSql(insert, 'body')))
      await engine.insert(blocks, inserts)
    },
    async select(sql, params) {
      asked.push(sql)
      return engine.select(sql, params)
    },
  }
  return { spy, said, asked }
}

const insertsInto = (sql: string) => /^INSERT INTO (\w+)/.exec(sql)?.[1] ?? ''

test('the writer may do all that workers and replay say to a server, and nothing else', async () => {
  const { spy, said, asked } = heard()
  const store = new EngineStore(spy, false)
  const chunk = sampleChunk({
    flows: [{ name: 'a' }],
    rejects: [{ reason: 'r', at: 1, sample: '' }],
  })
  const verdict = { name: 'a', verdict: 'out_of_scope', alert: 'x' } as const
  await store.insertSlice({ key: 'u', chunks: [judged(chunk, [verdict])] })
  await store.insertSlice({ key: 'u', chunks: [judged(chunk, [verdict], 1, 'k1')] })
  await repeatAfterDeath(spy, judged(sampleChunk({ seq: 1, flows: [{ name: 'a' }] }), [verdict]))
  const letter = { reason: '', detail: '', stream: '', partition: 0, offset: '0', key: '' }
  await store.noteDeadLetters([{ ...letter, id: RUN, acceptedAt: 0, diedAt: 0, version: '' }])
  const note = { stream: '', partition: 0, detail: '', first: 0, last: 0, count: 0 }
  await store.noteStream([{ ...note, kind: 'gap' }])
  await store.wantBack([chunk.header.id])
  await store.noteRun(RUN, [chunk.header.id])
  // Announcements come in chunks of their own; the store writes them as any other part.
  const written = new Set([...said.map(insertsInto), 'announced'])
  expect([...written].sort()).toEqual(granted('writer', 'INSERT').sort())
  for (const sql of said) {
    const { functions } = await namesOf(sql.replace(/FORMAT Native\s*$/, ''))
    expect(functions.filter((name) => name !== 'input')).toEqual([])
  }
  expect(granted('writer', 'CREATE TEMPORARY TABLE')).toEqual(['*.*'])
  const foreign = await foreignTables([
    ...asked,
    ...queryNames().map((name) => readSql(`queries/${name}`)),
  ])
  // Days of partitions are the migrator's to ask for.
  expect(foreign).toEqual(['system.parts', 'system.tables'])
  expect(granted('writer', 'SELECT').sort()).toEqual(['*', 'system.tables'])
}, 60_000)

/** Somebody dies before a slice is marked as complete, and somebody else goes on. */
async function repeatAfterDeath(spy: Engine, chunk: SliceChunk): Promise<void> {
  let marks = 0
  const dying: Engine = {
    ...spy,
    async insert(blocks, inserts) {
      if (inserts[0]?.table === 'chunks' && marks++ === 1) throw new Error('killed')
      await spy.insert(blocks, inserts)
    },
  }
  const slice = { key: 'u', chunks: [chunk] }
  await expect(insertSlice(dying, slice)).rejects.toThrow('killed')
  await insertSlice(spy, slice)
}

/** Tables that are not the store's own. */
async function foreignTables(queries: readonly string[]): Promise<string[]> {
  const own = (await engine.select(
    'SELECT name FROM system.tables WHERE database = currentDatabase()',
    {},
  )) as { name: string }[]
  const known = new Set(own.map(({ name }) => name))
  const found = new Set<string>()
  for (const sql of new Set(queries))
    for (const name of (await namesOf(sql)).tables)
      if (!known.has(name) && !new RegExp(`\\b${name} AS \\(`).test(sql)) found.add(name)
  return [...found].sort()
}

test('the reader has nothing but SELECT', () => {
  const rights = usersOf(TARGET, PASSWORDS).filter((sql) => sql.endsWith('TO bailiwick_reader'))
  for (const sql of rights) expect(sql).toMatch(/^GRANT SELECT ON (flows\.\*|system\.tables) TO /)
  expect(rights).toHaveLength(2)
})

test('the migrator may run every statement of the schema and of retention', async () => {
  const plan = await maintenanceOf(engine, undefined, Date.now).retentionPlan(1)
  const days = ['ALTER TABLE flow_records DROP PARTITION x']
  const statements = [...readMigrations().flatMap((one) => one.statements), ...plan, ...days]
  const into = new Set(statements.map(insertsInto).filter((name) => name !== ''))
  for (const sql of statements) {
    const filled = /^CREATE MATERIALIZED VIEW IF NOT EXISTS \w+ TO (\w+)/.exec(sql)?.[1]
    if (filled !== undefined) into.add(filled)
  }
  into.add('schema_migrations')
  expect(granted('migrator', 'INSERT').sort()).toEqual([...into].sort())
  const needs: Readonly<Record<string, string>> = {
    'CREATE TABLE': 'CREATE TABLE',
    'DROP TABLE': 'DROP TABLE',
    'DROP VIEW': 'DROP VIEW',
    'CREATE MATERIALIZED VIEW': 'CREATE VIEW',
    'CREATE OR REPLACE VIEW': 'CREATE VIEW',
    'ADD COLUMN': 'ALTER ADD COLUMN',
    'MODIFY COLUMN': 'ALTER MODIFY COLUMN',
    'ADD INDEX': 'ALTER ADD INDEX',
    'MODIFY SETTING': 'ALTER SETTINGS',
    'MODIFY QUERY': 'ALTER VIEW MODIFY QUERY',
    DELETE: 'ALTER DELETE',
    'DROP PARTITION': 'ALTER DELETE',
  }
  for (const sql of statements.filter((one) => !one.startsWith('INSERT'))) {
    const head = sql.replace(/^ALTER TABLE \w+ /, '')
    const [, right] = Object.entries(needs).find(([start]) => head.startsWith(start)) ?? []
    expect(right, sql.slice(0, 80)).toBeDefined()
    expect(granted('migrator', right!)).toEqual(['*'])
  }
})

describe('the text for an administrator', () => {
  test('is SQL to the engine, on one server and on a cluster', async () => {
    for (const cluster of [undefined, 'main'])
      for (const text of usersOf(TARGET, PASSWORDS, cluster))
        await engine.select('SELECT formatQuery({text:String})', { text })
  })

  test('on a cluster speaks of local tables, too, and of all servers', () => {
    const text = usersOf(TARGET, PASSWORDS, 'main').join('\n')
    expect(text).toContain('GRANT ON CLUSTER main INSERT ON flows.chunks_local TO bailiwick_writer')
    expect(text).toContain('GRANT ON CLUSTER main INSERT ON flows.dead_letters TO bailiwick_writer')
    expect(text).not.toContain('dead_letters_local')
    expect(text).toContain('GRANT ON CLUSTER main CLUSTER ON *.* TO bailiwick_migrator')
    for (const line of text.split('\n')) expect(line).toContain('ON CLUSTER main')
  })

  test('is not to be had for a directory, nor for a name that could end its quotes', () => {
    expect(() => usersOf({ kind: 'directory', path: 'x' }, PASSWORDS)).toThrow('has no users')
    const odd = parseStoreTarget("http://h:1/a'b")
    expect(() => usersOf(odd, PASSWORDS)).toThrow('is no plain name')
  })
})
