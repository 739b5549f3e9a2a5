import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Block } from '../src/block.ts'
import { decidingRows, EVIDENCE_COLUMNS } from '../src/deciding.ts'

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
