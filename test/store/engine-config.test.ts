// Who looks at a page is answered beside reports, and cannot ask for more than a page holds.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { temporaryDirectory } from '../../src/store/directory.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import type { Engine } from '../../src/store/engine.ts'
import { READING } from '../../src/store/engine-config.ts'

let engine: Engine
beforeAll(async () => {
  engine = await openEmbedded(temporaryDirectory(), { memoryBytes: 1 << 30, temporary: true })
})
afterAll(() => engine.close())

test('a page does not wait behind a report', async () => {
  const order: string[] = []
  const report = engine.select('SELECT sleep(2)', {}).then(() => order.push('report'))
  const page = engine.select('SELECT 1 AS one', {}, 'page').then((rows) => {
    expect(rows).toEqual([{ one: 1 }])
    order.push('page')
  })
  await Promise.all([report, page])
  expect(order).toEqual(['page', 'report'])
})

test('a page is bounded, and reads tables alone', async () => {
  const ask = (sql: string) => engine.select(sql, {}, 'page')
  await expect(ask(`SELECT number FROM numbers(${READING.page.rows + 70_000})`)).rejects.toThrow(
    /limit for result/i,
  )
  await expect(ask('SET readonly = 0')).rejects.toThrow()
  await expect(ask('SELECT 1 SETTINGS max_execution_time = 0')).rejects.toThrow(/readonly/)
  await expect(ask('CREATE TABLE t (a UInt8) ENGINE = Memory')).rejects.toThrow(/readonly/)
  await expect(ask("SELECT * FROM file('/etc/hostname', 'LineAsString')")).rejects.toThrow()
  const [limit] = await ask("SELECT toUInt64(getSetting('max_execution_time')) AS seconds")
  expect(limit).toEqual({ seconds: READING.page.seconds })
})
