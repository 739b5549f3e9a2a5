import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatIntent, parseIntent } from '../../src/bus/intent-text.ts'

const intent = {
  attempt: 2,
  slices: [
    { first: 7n, last: 9n, rows: 49_152, token: 'v1:a' },
    { first: 12n, last: 2n ** 60n, rows: 0, token: 'v1:"quoted" ü' },
  ],
}

describe('the text of an intent', () => {
  test('is one line of JSON that says everything', () => {
    const text = formatIntent(intent)
    expect(text).toMatch(/^\{"v":1,"try":2,"slices":\[\["7","9",49152,"v1:a"\],/)
    expect(text).not.toContain('\n')
    expect(parseIntent(text)).toEqual(intent)
  })

  test('comes back as it was', () => {
    const slices = fc
      .array(fc.tuple(fc.bigInt(1n, 1000n), fc.bigInt(0n, 1000n), fc.nat(), fc.string()), {
        minLength: 1,
        maxLength: 10,
      })
      .map((steps) => {
        let at = 2n ** 53n - 2n
        return steps.map(([gap, length, rows, token]) => {
          const first = at + gap
          at = first + length
          return { first, last: at, rows, token }
        })
      })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), slices, (attempt, list) => {
        const given = { attempt, slices: list }
        expect(parseIntent(formatIntent(given))).toEqual(given)
      }),
    )
  })

  test('anything else is no intent, and no error', () => {
    for (const text of [
      '',
      'null',
      '[]',
      '{"v":2,"try":1,"slices":[["1","1",1,"t"]]}',
      '{"v":1,"try":1,"slices":[]}',
      '{"v":1,"try":0,"slices":[["1","1",1,"t"]]}',
      '{"v":1,"try":1,"slices":[["2","1",1,"t"]]}',
      '{"v":1,"try":1,"slices":[["1","2",1,"t"],["2","3",1,"t"]]}',
      '{"v":1,"try":1,"slices":[[1,2,1,"t"]]}',
      '{"v":1,"try":1,"slices":[["1e3","2000",1,"t"]]}',
      `{"v":1,"try":1,"slices":[["1","1",1,"${'t'.repeat(5000)}"]]}`,
    ])
      expect(parseIntent(text)).toBeUndefined()
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const read = parseIntent(text)
        expect(read === undefined || read.slices.length > 0).toBe(true)
      }),
    )
  })

  test('slices that overlap, run backward or do not fit are the fault of the caller', () => {
    const slice = intent.slices[0]!
    for (const slices of [[], [slice, slice], [{ ...slice, last: 3n }], [{ ...slice, rows: -1 }]])
      expect(() => formatIntent({ attempt: 1, slices })).toThrow(RangeError)
    const many = Array.from({ length: 200 }, (_, i) => ({
      ...slice,
      first: BigInt(i),
      last: BigInt(i),
    }))
    expect(() => formatIntent({ attempt: 1, slices: many })).toThrow(/4096/)
  })
})
