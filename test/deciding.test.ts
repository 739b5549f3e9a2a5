import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Block } from '../src/block.ts'
import { decidingRows, EVIDENCE_COLUMNS, FlowTotals } from '../src/deciding.ts'

/** Records as [flow id bytes, record number]. */
function rowsOf(records: readonly (readonly [id: Uint8Array, recNo: number])[]): number[] {
  const block = new Block(EVIDENCE_COLUMNS)
  for (const [id, recNo] of records) {
    const row = block.add()
    block.columns.flow_id.set(id, row * 16)
    block.columns.rec_no[row] = recNo
  }
  return [...decidingRows(block)]
}

const A = Uint8Array.from({ length: 16 }, (_, i) => i)
const B = Uint8Array.from({ length: 16 }, (_, i) => 255 - i)

test('each flow is judged by its first record, in the order of the rows', () => {
  expect(rowsOf([])).toEqual([])
  expect(rowsOf([[A, 0]])).toEqual([0])
  expect(
    rowsOf([
      [B, 1],
      [A, 0],
      [B, 0],
      [A, 3],
      [B, 2],
    ]),
  ).toEqual([1, 2])
})

test('flows whose ids differ in the last bit alone are two', () => {
  const almost = Uint8Array.from(A)
  almost[15]! ^= 1
  expect(
    rowsOf([
      [A, 0],
      [almost, 0],
      [A, 1],
    ]),
  ).toEqual([0, 1])
})

test('it agrees with a plain search, also where ids are made to collide', () => {
  const id = fc
    .tuple(fc.constantFrom(0, 1, 128, 255), fc.constantFrom(0, 127, 128), fc.constantFrom(0, 255))
    .map(([a, b, c]) => {
      const bytes = new Uint8Array(16)
      bytes[0] = a
      bytes[4] = b
      bytes[15] = c
      return bytes
    })
  fc.assert(
    fc.property(fc.array(fc.tuple(id, fc.nat())), (records) => {
      const best = new Map<string, number>()
      for (const [row, [bytes, recNo]] of records.entries()) {
        const key = bytes.join()
        const other = best.get(key)
        if (other === undefined || recNo < records[other]![1]) best.set(key, row)
      }
      expect(rowsOf(records)).toEqual([...best.values()].sort((a, b) => a - b))
    }),
  )
})

test('records and bytes of a flow add up under the row that is judged, whatever the order', () => {
  const wire = [10, 20, Number.NaN, 40, Number.NaN]
  const payload = [1, 2, 3, Number.NaN, Number.NaN]
  fc.assert(
    fc.property(
      fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }),
      fc.array(fc.constantFrom(A, B), { minLength: 5, maxLength: 5 }),
      (order, ids) => {
        const block = new Block(EVIDENCE_COLUMNS)
        for (const i of order) {
          const row = block.add()
          block.columns.flow_id.set(ids[i]!, row * 16)
          block.columns.rec_no[row] = i
          block.columns.orig_ip_bytes[row] = wire[i]!
          block.columns.orig_bytes[row] = payload[i]!
          block.columns.resp_ip_bytes[row] = Number.NaN
          block.columns.resp_bytes[row] = i
        }
        const totals = new FlowTotals(block)
        for (const row of decidingRows(block, totals)) {
          const own = order.filter((i) => ids[i] === ids[order[row]!])
          const sent = own.map((i) => [10, 20, 3, 40, Number.NaN][i]!).filter((n) => n > 0)
          const total = sent.length === 0 ? Number.NaN : sent.reduce((a, b) => a + b)
          expect(totals.records[row]).toBe(own.length)
          expect(totals.origBytes[row]).toBe(total)
          expect(totals.respBytes[row]).toBe(own.reduce((a, b) => a + b))
        }
      },
    ),
  )
})
