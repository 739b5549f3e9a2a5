// Findings with one id are one alert, whatever their order and however often they come.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AlertBook, FLOWS_MAX } from '../../src/respond/alert-book.ts'
import { finding, uuid } from './made-findings.ts'

test('two flows of one alert', () => {
  const book = new AlertBook()
  book.absorb([finding('a', 1, { ts: 20, score: 40 }), finding('a', 2, { ts: 10, score: 90 })], 5)
  const alert = book.get(uuid('alert', 'a'))!
  expect([alert.first, alert.last, alert.flows.size, alert.evidence.score]).toEqual([10, 20, 2, 90])
})

test('the same finding again changes nothing', () => {
  const book = new AlertBook()
  expect(book.absorb([finding('a', 1)], 5)).toHaveLength(1)
  expect(book.absorb([finding('a', 1)], 9)).toEqual([])
  expect(book.counters).toMatchObject({ raised: 1, findings: 2, repeated: 1 })
})

const findings = fc.array(
  fc
    .record({
      alert: fc.integer({ min: 0, max: 3 }),
      flow: fc.integer({ min: 0, max: 9 }),
      ts: fc.integer({ min: 1, max: 50 }),
      score: fc.integer({ min: 0, max: 5 }),
    })
    .map(({ alert, flow, ts, score }) => finding(alert, flow, { ts, score })),
  { maxLength: 30 },
)

/** What does not depend on when it was raised. */
const said = (book: AlertBook) =>
  [...book.all()]
    .map(({ id, first, last, evidence, flows }) => ({
      id,
      first,
      last,
      evidence,
      flows: [...flows].sort((a, b) => a - b),
    }))
    .sort((a, b) => a.id.localeCompare(b.id))

test('any order, in any pieces, with any repetition, gives the same alerts', () => {
  fc.assert(
    fc.property(
      findings.chain((all) =>
        fc.tuple(
          fc.constant(all),
          fc.shuffledSubarray([...all, ...all], { minLength: 2 * all.length }),
        ),
      ),
      fc.integer({ min: 1, max: 7 }),
      ([all, shuffled], step) => {
        const [one, other] = [new AlertBook(), new AlertBook()]
        one.absorb(all, 1)
        for (let at = 0; at < shuffled.length; at += step)
          other.absorb(shuffled.slice(at, at + step), 2)
        expect(said(other)).toEqual(said(one))
      },
    ),
  )
})

test('what changed, merged elsewhere, gives the same book', () => {
  fc.assert(
    fc.property(findings, (all) => {
      const [one, other] = [new AlertBook(), new AlertBook()]
      for (const event of all) for (const change of one.absorb([event], 1)) other.merge(change)
      expect(said(other)).toEqual(said(one))
      const third = new AlertBook()
      for (const alert of one.all()) third.merge(AlertBook.whole(alert))
      expect(said(third)).toEqual(said(one))
    }),
  )
})

test('flows are counted up to a limit, and one beyond it is not counted twice', () => {
  const book = new AlertBook()
  const many = Array.from({ length: FLOWS_MAX + 50 }, (_, flow) => finding('a', flow))
  book.absorb(many, 1)
  expect(book.get(uuid('alert', 'a'))!.flows.size).toBe(FLOWS_MAX)
  expect(book.absorb(many, 1)).toEqual([])
})

test('the oldest goes when there are too many, and what comes for it later is no new alert', () => {
  const book = new AlertBook(3)
  for (let n = 0; n < 5; n++) book.absorb([finding(n)], n)
  expect([...book.all()].map(({ id }) => id)).toEqual([2, 3, 4].map((n) => uuid('alert', n)))
  expect(book.absorb([finding(0, 'another')], 9)).toEqual([])
  expect(book.counters.late).toBe(1)
  const next = new AlertBook(3)
  next.addGone(book.goneIds())
  expect(next.absorb([finding(1)], 9)).toEqual([])
})
