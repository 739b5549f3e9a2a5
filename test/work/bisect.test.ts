import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type BisectParts, bisect, DEATHS_MAX } from '../../src/work/bisect.ts'

type Bytes = Uint8Array

/** Pieces are runs of numbers; those that hold one of these kill. */
function parts(killers: ReadonlySet<number>, deaths: Bytes[] = []): BisectParts<number> {
  return {
    attempt: async (bytes) => {
      if (!bytes.some((one) => killers.has(one))) return { value: bytes.length }
      deaths.push(bytes)
      return { died: 'of it' }
    },
    split: async (bytes) => {
      const middle = Math.ceil(bytes.length / 2)
      return bytes.length < 2 ? [] : [bytes.slice(0, middle), bytes.slice(middle)]
    },
  }
}

test('one killer is found, and everything around it lives', async () => {
  const deaths: Bytes[] = []
  const whole = Uint8Array.from({ length: 100 }, (_, i) => i)
  const { alive, dead } = await bisect(whole, 'at first', parts(new Set([42]), deaths))
  expect(dead).toEqual([{ bytes: Uint8Array.of(42), died: 'of it' }])
  expect(alive.flatMap(({ bytes }) => [...bytes])).toEqual([...whole].filter((one) => one !== 42))
  expect(deaths.length).toBeLessThanOrEqual(7)
})

test('what cannot be divided is dead as it is', async () => {
  const whole = Uint8Array.of(7)
  expect(await bisect(whole, 'at first', parts(new Set([7])))).toEqual({
    alive: [],
    dead: [{ bytes: whole, died: 'at first' }],
  })
})

test('a chunk that costs too many deaths is given up where it stands', async () => {
  const deaths: Bytes[] = []
  const whole = Uint8Array.from({ length: 250 }, (_, i) => i)
  const { alive, dead } = await bisect(whole, 'at first', parts(new Set(whole), deaths))
  expect(alive).toEqual([])
  expect(dead.flatMap(({ bytes }) => [...bytes])).toEqual([...whole])
  // Where it stands: the other halves of the pieces on the way down are still tried.
  expect(deaths.length).toBeLessThan(DEATHS_MAX + 10)
})

test('nothing is lost or doubled, and nothing is dead that does not kill', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 200 }),
      fc.uniqueArray(fc.nat(199), { maxLength: 4 }),
      async (length, killers) => {
        const whole = Uint8Array.from({ length }, (_, i) => i)
        const killing = new Set([killers[0] ?? 0, ...killers].map((one) => one % length))
        const { alive, dead } = await bisect(whole, 'at first', parts(killing))
        const all = [...alive, ...dead].flatMap(({ bytes }) => [...bytes])
        expect(all.sort((a, b) => a - b)).toEqual([...whole])
        expect(dead.map(({ bytes }) => [...bytes]).sort()).toEqual(
          [...killing].map((one) => [one]).sort(),
        )
      },
    ),
  )
})
