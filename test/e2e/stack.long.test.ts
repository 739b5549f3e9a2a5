// The whole path on real processes: `scripts/stack up`, a capture, VPC flow logs and Zeek directories into the inbox,
// through spool, Kafka and workers into the store. Every row must be the one that `bailiwick replay` stores of the same
// files. The comparison is printed.

import { cp, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kafkaAvailable } from '../bus/broker.ts'
import { type Front, startFront } from '../store/front.ts'
import { LocalStack, ROOT } from './local-stack.ts'

const STORY = path.join(ROOT, 'fixtures', 'told-three-times')
const AGENTS = path.join(STORY, 'agents')

/** What is compared, without what says through which chunk it came: chunks of a followed file may end elsewhere. */
const COMPARED: Readonly<Record<string, string>> = {
  flow_records_once: '*',
  flows: '*',
  judgements: '* EXCEPT (chunk_id, row)',
  judgements_current: '*',
  findings: '* EXCEPT (chunk_id, row)',
  alerts: '*',
  rejects: '* EXCEPT (chunk_id, row)',
}

describe.skipIf(!(await kafkaAvailable()))('the local stack', () => {
  let scratch = ''
  let stack: LocalStack
  let reference: Front | undefined

  beforeAll(async () => {
    stack = await LocalStack.make()
    scratch = await mkdtemp(path.join(tmpdir(), 'bailiwick-reference-'))
    reference = await startFront({ path: scratch })
    await stack.run('up', '--agents', AGENTS, '--partitions', '4', '--workers', '2')
  }, 240_000)
  afterAll(async () => {
    await stack?.remove()
    await reference?.kill('SIGTERM')
    await rm(scratch, { recursive: true, force: true })
  }, 120_000)

  const rowsOf = (table: string) => `SELECT ${COMPARED[table]} FROM ${table} ORDER BY ALL`

  test('stores of what is put into the inbox exactly what replay stores', async () => {
    await stack.bailiwick(
      ...['replay', path.join(STORY, 'input'), '--agents', AGENTS, '--sensor-id', 'stack'],
      ...['--store', reference!.store, '--json'],
    )
    const wanted = new Map<string, unknown[]>()
    for (const table of Object.keys(COMPARED))
      wanted.set(table, await reference!.rows(rowsOf(table)))
    // Each appears whole, as a collector puts finished files there.
    await cp(path.join(STORY, 'input'), path.join(scratch, 'input'), { recursive: true })
    for (const name of await readdir(path.join(scratch, 'input')))
      await rename(path.join(scratch, 'input', name), path.join(stack.inbox, name))

    const stored = (table: string) => stack.rows(rowsOf(table))
    // A followed file may still grow, and its last flows go on with it: it is over when it is gone.
    let before = 0
    const settled = async () => {
      const now = (await stored('judgements_current')).length
      const isSettled = now === before && now > 30
      before = now
      return isSettled
    }
    await expect.poll(settled, { timeout: 60_000, interval: 3000 }).toBe(true)
    for (const name of await readdir(stack.inbox))
      await rm(path.join(stack.inbox, name), { recursive: true })
    for (const table of ['judgements_current', 'flow_records_once'])
      await expect
        .poll(async () => (await stored(table)).length, { timeout: 90_000, interval: 500 })
        .toBe(wanted.get(table)!.length)
    const lines: string[] = []
    for (const [table, rows] of wanted) {
      const found = await stored(table)
      const verdict = JSON.stringify(found) === JSON.stringify(rows) ? 'equal' : 'DIFFERENT'
      const counts = [rows, found].map(({ length }) => String(length).padStart(5))
      lines.push(`${table.padEnd(20)}${counts[0]} by replay ${counts[1]} through Kafka  ${verdict}`)
      expect.soft(found, table).toEqual(rows)
    }
    process.stdout.write(`${lines.join('\n')}\n`)
    expect(wanted.get('judgements')!.length).toBeGreaterThan(40)
  }, 180_000)

  test('says how it is, starts nothing twice, and is audited', async () => {
    const before = await stack.state()
    await stack.run('up')
    expect(await stack.state()).toEqual(before)
    expect((await stack.parts()).map(({ name, state }) => [name, state])).toEqual([
      ['kafka', 'running'],
      ['clickhouse', 'running'],
      ['worker-1', 'ready'],
      ['worker-2', 'ready'],
      ['sensor', 'ready'],
      ['respond', 'ready'],
      ['api', 'ready'],
    ])
    // Exit code 1 would say that something is missing, twice there, or altered.
    await stack.bailiwick('reconcile', '--config', stack.config)
    expect(await stack.bailiwick('dlq', 'ls', '--config', stack.config)).toBe('no dead letters\n')
    expect((await stack.run('logs', 'worker-1', '--lines', '3')).trim().split('\n')).toHaveLength(3)
  }, 120_000)

  test('its findings are alerts, told alike by respond and by the API', async () => {
    const wanted = (await reference!.rows('SELECT DISTINCT toString(alert_id) AS id FROM findings'))
      .map(({ id }) => String(id))
      .sort()
    for (const part of ['respond', 'api'] as const) {
      const { alerts } = (await stack.api(part, 'alerts')) as { alerts: { id: string }[] }
      expect(alerts.map(({ id }) => id).sort(), part).toEqual(wanted)
    }
  })

  test('the auditor finds one row that was deleted, one that is there twice, and one that was altered', async () => {
    const rows = await stack.rows(
      `SELECT toString(chunk_id) AS chunk, count() AS n FROM flow_records
       GROUP BY chunk_id HAVING n > 3 ORDER BY chunk LIMIT 3`,
    )
    const [deleted, doubled, altered] = rows.map(({ chunk }) => String(chunk))
    const where = (chunk: string, row: number) => `WHERE chunk_id = '${chunk}' AND row = ${row}`
    const change = (sql: string) => stack.tellStore(`${sql} SETTINGS mutations_sync = 2`)
    await change(`ALTER TABLE flow_records DELETE ${where(deleted!, 1)}`)
    await stack.tellStore(
      `INSERT INTO flow_records SELECT * FROM flow_records ${where(doubled!, 2)} LIMIT 1`,
    )
    await change(`ALTER TABLE flow_records UPDATE history = 'x' ${where(altered!, 0)}`)
    const told = await stack
      .bailiwick('reconcile', '--deep', '--config', stack.config)
      .catch(({ code, stdout }: { code: number; stdout: string }) => {
        expect(code).toBe(1)
        return stdout
      })
    process.stdout.write(told)
    expect(told).toContain(`1 row of flow_records missing (row 1): chunk ${deleted}`)
    expect(told).toContain(`1 row of flow_records doubled (row 2): chunk ${doubled}`)
    expect(told).toContain(`1 row of flow_records altered (row 0): chunk ${altered}`)
  }, 120_000)
})
