// Work side by side: never more than allowed, never two about the same thing, in order where they are.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Turns } from '../../src/store/turns.ts'

test('bounded, apart where they have a name in common, and then in order', async () => {
  const work = fc.array(
    fc.uniqueArray(fc.constantFrom<string[]>('a', 'b', 'c', 'd', 'e'), { maxLength: 3 }),
    {
      maxLength: 12,
    },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      work,
      fc.integer({ min: 1, max: 4 }),
      async (s, all, limit) => {
        const turns = new Turns(limit)
        const running = new Set<number>()
        const began: number[] = []
        const done = Promise.all(
          all.map((names, i) =>
            turns.run(names, async () => {
              for (const other of running) {
                const common = all[other]!.some((name) => names.includes(name))
                expect(common, `${i} runs beside ${other}`).toBe(false)
              }
              running.add(i)
              began.push(i)
              expect(running.size).toBeLessThanOrEqual(limit)
              await s.schedule(Promise.resolve())
              running.delete(i)
            }),
          ),
        )
        await s.waitFor(done)
        expect(began.length).toBe(all.length)
        for (const name of ['a', 'b', 'c', 'd', 'e']) {
          const order = began.filter((i) => all[i]!.includes(name))
          expect(order).toEqual([...order].sort((x, y) => x - y))
        }
      },
    ),
  )
})

test('work that fails gives its turn away, and its error to whoever asked', async () => {
  const turns = new Turns(1)
  const failing = turns.run(['a'], () => Promise.reject(new Error('no')))
  const next = turns.run(['a'], async () => 7)
  await expect(failing).rejects.toThrow('no')
  expect(await next).toBe(7)
})
