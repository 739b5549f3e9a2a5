import fc from 'fast-check'
import { expect, it } from 'vitest'
import { HashIndex } from '../src/hash-index.ts'

it('finds every number by its hash, and none that was taken out, however hashes collide', () => {
  // A few hashes whose low bits are alike, so that slots are always taken by somebody else.
  const hash = fc.constantFrom(0, 1, 64, 63, -1, 127, 0x40000000, -64)
  const step = fc.record({ hash, remove: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const index = new HashIndex()
      const held = new Map<number, number>()
      for (const [number, { hash: value, remove }] of steps.entries()) {
        const [oldest] = held
        if (remove && oldest !== undefined) {
          index.remove(oldest[1], oldest[0])
          held.delete(oldest[0])
        } else {
          index.add(value, number)
          held.set(number, value)
        }
      }
      for (const asked of [0, 1, 64, 63, -1, 127, 0x40000000, -64, 5]) {
        const found: number[] = []
        for (let slot = index.first(asked); slot >= 0; slot = index.after(slot))
          found.push(index.at(slot))
        const wanted = [...held].filter(([, value]) => value === asked).map(([number]) => number)
        expect(found.sort((a, b) => a - b)).toEqual(wanted)
      }
    }),
  )
})
