import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KEY_WORDS } from '../../src/capture/flow-fields.ts'
import { FlowTable } from '../../src/capture/table.ts'

const SEED = Int32Array.of(11, 22, 33, 44)

function keyOf(number: number): Int32Array {
  const key = new Int32Array(KEY_WORDS)
  key[3] = number
  return key
}

function tableOf(seed = SEED): {
  table: FlowTable
  add: (n: number) => number
  find: (n: number) => number
} {
  const table = new FlowTable(seed, 100_000)
  return {
    table,
    add: (n) => table.add(keyOf(n), table.hash(keyOf(n))),
    find: (n) => table.find(keyOf(n), table.hash(keyOf(n))),
  }
}

describe('the flow table', () => {
  test('holds what a map would hold, through any additions and removals', () => {
    const step = fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 60 }))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const { table, add, find } = tableOf()
        const model = new Map<number, number>()
        for (const [adds, n] of steps) {
          const flow = find(n)
          expect(flow).toBe(model.get(n) ?? -1)
          if (adds && flow < 0) model.set(n, add(n))
          else if (!adds && flow >= 0) {
            table.remove(flow)
            model.delete(n)
          }
        }
        expect(table.active).toBe(model.size)
        for (const [n, flow] of model) expect(find(n)).toBe(flow)
      }),
    )
  })

  test('grows beyond its first size, and gives flows back oldest first', () => {
    const { table, add } = tableOf()
    const flows = Array.from({ length: 10_000 }, (_, n) => add(n))
    expect(table.inOrder()).toEqual(flows)
  })

  test('numbers flows alike whatever the seed', () => {
    const one = tableOf(Int32Array.of(1, 2, 3, 4))
    const other = tableOf(Int32Array.of(-5, 6, 70_000, 8))
    for (let n = 0; n < 500; n++) expect(one.add(n)).toBe(other.add(n))
  })
})

describe('the timer wheel', () => {
  test('visits each flow after its deadline, within a second of it, in order of arming', () => {
    const { table, add } = tableOf()
    table.advance(0, () => {})
    const deadlines = new Map<number, number>()
    for (let n = 0; n < 200; n++) {
      const flow = add(n)
      const deadline = ((n * 37) % 300) * 1e6
      deadlines.set(flow, deadline)
      table.arm(flow, deadline)
    }
    for (let second = 1; second <= 301; second++)
      table.advance(second * 1e6, (flow) => {
        const late = second * 1e6 - deadlines.get(flow)!
        expect(late).toBeGreaterThanOrEqual(0)
        expect(late).toBeLessThanOrEqual(1e6)
        table.remove(flow)
      })
    expect(table.active).toBe(0)
  })

  test('turns once at most, however far time jumps', () => {
    const { table, add } = tableOf()
    table.advance(0, () => {})
    for (let n = 0; n < 50; n++) table.arm(add(n), n * 1e6)
    let visits = 0
    table.advance(1e15, (flow) => {
      visits++
      table.remove(flow)
    })
    expect(visits).toBe(50)
  })

  test('lets go of a flow that is removed or armed for an earlier time', () => {
    const { table, add } = tableOf()
    table.advance(0, () => {})
    const [a, b, c] = [add(1), add(2), add(3)]
    for (const flow of [a, b, c]) table.arm(flow, 100e6)
    table.arm(b, 3e6)
    table.remove(a)
    const visited: number[] = []
    table.advance(5e6, (flow) => visited.push(flow))
    expect(visited).toEqual([b])
    table.advance(102e6, (flow) => visited.push(flow))
    expect(visited).toEqual([b, c])
  })
})
