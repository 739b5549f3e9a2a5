import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Groups } from '../src/dns-groups.ts'

it('keeps the entries of every key in the order in which they came or were renewed', () => {
  const step = fc.record({
    key: fc.integer({ min: 0, max: 20 }),
    entry: fc.nat(120),
    what: fc.constantFrom('append', 'append', 'renew', 'take'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const groups = new Groups(Int32Array.of(1, 2, 3, 4), 2)
      const lists = new Map<number, number[]>()
      const keyOf = new Map<number, number>()
      const find = (key: number) => {
        groups.key[1] = key
        groups.aim()
        return groups.find()
      }
      for (const { key, entry, what } of steps) {
        const mine = keyOf.get(entry)
        if (mine === undefined && what === 'append') {
          const known = find(key)
          groups.append(known < 0 ? groups.make() : known, entry)
          keyOf.set(entry, key)
          lists.set(key, [...(lists.get(key) ?? []), entry])
        } else if (mine !== undefined && what !== 'append') {
          const group = groups.groupOf(entry)
          const others = lists.get(mine)!.filter((one) => one !== entry)
          if (what === 'renew') {
            groups.renew(entry)
            lists.set(mine, [...others, entry])
          } else {
            groups.take(entry)
            keyOf.delete(entry)
            lists.set(mine, others)
            if (groups.count(group) === 0) {
              groups.remove(group)
              lists.delete(mine)
            }
          }
        }
      }
      for (let key = 0; key <= 20; key++) {
        const group = find(key)
        const wanted = lists.get(key)
        expect(group >= 0).toBe(wanted !== undefined)
        if (wanted === undefined) continue
        const held: number[] = []
        for (let at = groups.newest(group); at >= 0; at = groups.older(at)) held.unshift(at)
        expect(held).toEqual(wanted)
        expect(groups.oldest(group)).toBe(wanted[0])
        expect(groups.count(group)).toBe(wanted.length)
      }
    }),
  )
})
