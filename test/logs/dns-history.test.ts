import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DnsHistory, HISTORY_GROUP_MAX } from '../../src/logs/dns-history.ts'

const CLIENT = new Uint8Array(16).fill(1)
const address = (n: number) => new Uint8Array(16).fill(100 + n)
const SECOND = 1_000_000

test('what is known at a moment does not depend on what was learned of later ones', () => {
  const answer = fc.record({
    at: fc.nat(20_000),
    name: fc.constantFrom('a', 'b', 'c'),
    to: fc.nat(2),
    ttl: fc.nat(600),
  })
  fc.assert(
    fc.property(fc.array(answer, { maxLength: 30 }), fc.nat(20_000), (answers, moment) => {
      answers.sort((a, b) => a.at - b.at)
      const all = new DnsHistory()
      const past = new DnsHistory()
      for (const { at, name, to, ttl } of answers) {
        all.learn(CLIENT, 0, name, address(to), 0, at * SECOND, ttl)
        if (at <= moment) past.learn(CLIENT, 0, name, address(to), 0, at * SECOND, ttl)
      }
      for (const to of [0, 1, 2]) {
        const names = all.names(CLIENT, 0, address(to), 0, moment * SECOND)
        expect(names).toEqual(past.names(CLIENT, 0, address(to), 0, moment * SECOND))
        for (const name of names)
          expect(all.proof(CLIENT, 0, name, address(to), 0, moment * SECOND)).toBe('confirmed')
      }
    }),
  )
})

test('a group that forgets proves nothing any more', () => {
  const history = new DnsHistory()
  history.learn(CLIENT, 0, 'a', address(0), 0, 0, 60)
  expect(history.proof(CLIENT, 0, 'a', address(1), 0, SECOND)).toBe('contradicted')
  for (let i = 0; i <= HISTORY_GROUP_MAX; i++)
    history.learn(CLIENT, 0, 'a', address(2 + (i & 1)), 0, SECOND, 60)
  expect(history.evicted).toBeGreaterThan(0)
  expect(history.proof(CLIENT, 0, 'a', address(1), 0, SECOND)).toBe('unconfirmed')
})

test('the whole is bounded', () => {
  const history = new DnsHistory(10)
  for (let i = 0; i < 100; i++) history.learn(CLIENT, 0, `n${i}`, address(i), 0, i * SECOND, 60)
  expect(history.evicted).toBe(180)
  expect(history.names(CLIENT, 0, address(99), 0, 99 * SECOND)).toEqual(['n99'])
  expect(history.names(CLIENT, 0, address(0), 0, 99 * SECOND)).toEqual([])
})
