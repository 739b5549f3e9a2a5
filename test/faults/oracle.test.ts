// The judge is judged first: one row that is lost, doubled, altered or made up in a store must be found, each as what
// it is. The store is filled by `bailiwick replay` behind the HTTP front.

import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Front, startFront } from '../store/front.ts'
import { viewFaults } from './invariants.ts'
import { AGENT, flowLine, writeFlows } from './numbered-flows.ts'
import { ask, compareStores, faultsOfReference, type Known, readKnown } from './oracle.ts'
import { compareRows, NO_DIFFERENCE } from './row-compare.ts'

const run = promisify(execFile)
const PROGRAM = path.join(import.meta.dirname, '..', '..', 'dist', 'src', 'cli', 'main.js')
const FLOWS = 8000

let directory = ''
let reference: Front
let known: Known
let store: Front

async function replay(server: Front, flows: number): Promise<void> {
  const log = path.join(directory, `${flows}.log`)
  writeFlows(log, 0, 0, flows)
  const args = [PROGRAM, 'replay', log, '--agents', path.join(directory, 'agent.yaml')]
  await run(process.execPath, [...args, '--store', server.store, '--sensor-id', 's0', '--json'], {
    maxBuffer: 64 << 20,
  })
}

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'bailiwick-oracle-'))
  await writeFile(path.join(directory, 'agent.yaml'), AGENT)
  reference = await startFront({ path: path.join(directory, 'reference') })
  store = await startFront({ path: path.join(directory, 'store') })
  // The reference knows more than was sent.
  await replay(reference, FLOWS + 1000)
  await replay(store, FLOWS)
  known = await readKnown(reference)
}, 120_000)
afterAll(async () => {
  await Promise.all([reference, store].map((one) => one?.kill('SIGKILL')))
  await rm(directory, { recursive: true, force: true })
})

const judged = () => compareStores(known, store, { s0: FLOWS })

/** Changes rows and waits until it is done. */
const change = (sql: string) => ask(store, `${sql} SETTINGS mutations_sync = 2`)
/** Flow `number` of the log. */
const flow = (number: number) => `orig_ip_bytes = ${number + 100}`

describe('the oracle', () => {
  test('knows the lines by their numbers', () => {
    expect(flowLine(1, 70_000)).toBe(flowLine(1, 70_000))
    const lines = Array.from({ length: 5000 }, (_, i) => flowLine(i & 1, i >> 1))
    expect(new Set(lines).size).toBe(5000)
  })

  test('finds a reference that lacks a flow', async () => {
    expect(await faultsOfReference(reference, { s0: FLOWS + 1000 })).toEqual([])
    expect(await faultsOfReference(reference, { s0: FLOWS + 1001 })).toEqual([
      's0: rows,distinct,first,last 9000,9000,0,8999, not 9001,9001,0,9000',
    ])
  })

  // One after the other: each adds one thing that is wrong.
  test('finds nothing where nothing is wrong, and then each thing that is', async () => {
    expect(await judged()).toMatchObject({
      flow_records: { same: FLOWS, ...NO_DIFFERENCE },
      judgements: { same: FLOWS, ...NO_DIFFERENCE },
      findings: NO_DIFFERENCE,
    })
    expect(await viewFaults(store)).toEqual([])

    await change(`ALTER TABLE flow_records DELETE WHERE ${flow(4711)}`)
    expect((await judged()).flow_records).toEqual({ ...NO_DIFFERENCE, same: FLOWS - 1, missing: 1 })

    // The views of checksums see this one, as they saw the one before.
    await ask(store, `INSERT INTO flow_records SELECT * FROM flow_records WHERE ${flow(7999)}`)
    expect((await judged()).flow_records).toMatchObject({ missing: 1, duplicated: 1, altered: 0 })

    await change(`ALTER TABLE flow_records UPDATE history = 'x' WHERE ${flow(0)}`)
    expect((await judged()).flow_records).toMatchObject({ missing: 1, duplicated: 1, altered: 1 })
    expect(await viewFaults(store)).toEqual([
      expect.stringMatching(/^flow_records: of chunk .* the view has 8001, the table 8000$/),
    ])

    await change(`ALTER TABLE judgements UPDATE score = score + 1 WHERE flow_id IN
      (SELECT flow_id FROM flow_records WHERE ${flow(17)})`)
    expect((await judged()).judgements).toEqual({ ...NO_DIFFERENCE, same: FLOWS - 1, altered: 1 })

    await change(`ALTER TABLE judgements UPDATE records = 2 WHERE flow_id IN
      (SELECT flow_id FROM flow_records WHERE ${flow(18)})`)
    expect((await viewFaults(store)).at(-1)).toMatch(/^by hour, .*the view says .*, the table/)

    const lost = '(SELECT min(flow_id) FROM findings)'
    await change(`ALTER TABLE findings DELETE WHERE flow_id = ${lost}`)
    expect((await judged()).findings).toMatchObject({ ...NO_DIFFERENCE, missing: 1 })

    // And one of a flow that was not sent.
    expect((await compareStores(known, store, { s0: FLOWS - 1 })).judgements).toMatchObject({
      missing: 0,
      foreign: 1,
    })
  })
})

/** The same by counting, slowly. */
function counted(wanted: ReadonlyMap<number, number>, found: readonly [number, number][]) {
  const told = { same: 0, missing: 0, duplicated: 0, altered: 0, foreign: 0 }
  for (const [key, hash] of wanted) {
    const copies = found.filter(([one]) => one === key)
    if (copies.length === 0) told.missing++
    else if (copies.some(([, one]) => one === hash)) told.same++
    else told.altered++
    told.duplicated += Math.max(0, copies.length - 1)
  }
  told.foreign = found.filter(([key]) => !wanted.has(key)).length
  return told
}

const sorted = (rows: readonly (readonly [number, number])[]) => {
  const inOrder = [...rows].sort(([a, x], [b, y]) => a - b || x - y)
  return {
    keys: BigUint64Array.from(inOrder, ([key]) => BigInt(key)),
    hashes: BigUint64Array.from(inOrder, ([, hash]) => BigInt(hash)),
  }
}

test('sorted rows are compared as by counting', () => {
  const row = fc.tuple(fc.nat(12), fc.nat(2))
  fc.assert(
    fc.property(fc.array(row), fc.array(row), (wishes, found) => {
      const wanted = new Map(wishes)
      expect(compareRows(sorted([...wanted]), sorted(found))).toEqual(counted(wanted, found))
    }),
  )
})
