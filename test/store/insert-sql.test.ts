import { describe, expect, test } from 'vitest'
import type { BlockInsert } from '../../src/store/engine.ts'
import { insertSql } from '../../src/store/insert-sql.ts'

const INSERT: BlockInsert = {
  table: 'flow_records',
  columns: [
    ['ts', "DateTime64(6, 'UTC')"],
    ['row', 'UInt32'],
  ],
  day: 20_458,
  onlyDay: 20_458,
  onlyChunks: ['00000000-0000-4000-8000-000000000001'],
  token: 'v1.flow_records.20458.abc',
}

describe('an INSERT', () => {
  test('reads a file or the body, and holds all its settings', () => {
    const sql = insertSql(INSERT, { file: "/a'b\\c/1.native" })
    expect(sql).toContain('INSERT INTO flow_records (ts, row, day)')
    expect(sql).toContain("insert_deduplication_token = 'v1.flow_records.20458.abc'")
    expect(sql).toContain('async_insert = 0')
    expect(sql).toContain('SELECT ts, row, toDate(20458)')
    expect(sql).toContain(
      "FROM file('/a\\'b\\\\c/1.native', 'Native', 'ts DateTime64(6, \\'UTC\\'), row UInt32')",
    )
    expect(sql).toContain("chunk_id IN ('00000000-0000-4000-8000-000000000001') AND ")
    expect(insertSql(INSERT, 'body')).toMatch(/FROM input\('ts .*'\)[\s\S]*FORMAT Native\s*$/)
  })

  test('without a day or a filter takes all rows', () => {
    const all = { ...INSERT, day: undefined, onlyDay: undefined, onlyChunks: undefined }
    expect(insertSql(all, 'body')).toMatch(/\(ts, row\)[\s\S]*WHERE 1\n/)
  })

  test('takes no name, id or token that could end its quotes', () => {
    const wrong: Partial<BlockInsert>[] = [
      { table: 'a b' },
      { columns: [['a) SELECT', 'UInt8']] },
      { onlyChunks: ["x'"] },
      { token: "a'b" },
      { token: '' },
      { day: 1.5 },
      { onlyDay: -1 },
    ]
    for (const part of wrong)
      expect(() => insertSql({ ...INSERT, ...part }, 'body'), JSON.stringify(part)).toThrow()
  })
})
