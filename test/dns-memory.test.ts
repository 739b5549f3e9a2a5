import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAddress } from '../src/address.ts'
import { DnsMemory, MAX_GROUP, MAX_NAMES, SLACK_SECONDS } from '../src/dns-memory.ts'
import type { NameProof } from '../src/flow.ts'
import { NameText } from '../src/name-table.ts'

const SECOND = 1e6
const client = parseAddress('10.0.0.5')!
const other = parseAddress('10.0.0.6')!
const web = parseAddress('192.0.2.1')!
const cdn = parseAddress('192.0.2.2')!

const address = (n: number) => parseAddress(`198.51.${n >> 8}.${n & 255}`)!

const SEED = Int32Array.of(1, 2, 3, 4)
const memoryOf = (capacity?: number, seed = SEED) => new DnsMemory(seed, capacity)

function nameOf(text: string): NameText {
  const name = new NameText()
  if (!name.take(text)) throw new Error(`no name: ${text}`)
  return name
}

function learn(
  memory: DnsMemory,
  name: string,
  to: Uint8Array,
  seconds: number,
  ttl = 60,
  who = client,
) {
  memory.learn(who, 0, nameOf(name), to, Uint32Array.of(ttl), 1, seconds * SECOND)
}
const names = (memory: DnsMemory, to: Uint8Array, seconds: number, who = client) =>
  memory.names(who, 0, to, 0, seconds * SECOND)
const proof = (memory: DnsMemory, name: string, to: Uint8Array, seconds: number, who = client) =>
  memory.proof(who, 0, name, to, 0, seconds * SECOND)

describe('DnsMemory', () => {
  it('tells the names that this client was given for an address, newest first', () => {
    const memory = memoryOf()
    learn(memory, 'a.example', web, 1)
    learn(memory, 'b.example', web, 2)
    learn(memory, 'c.example', cdn, 3)
    expect(names(memory, web, 4)).toEqual(['b.example', 'a.example'])
    learn(memory, 'a.example', web, 5)
    expect(names(memory, web, 6)).toEqual(['a.example', 'b.example'])
    expect(names(memory, web, 6, other)).toEqual([])
  })

  it('proves a name by this client only', () => {
    const memory = memoryOf()
    learn(memory, 'a.example', web, 1)
    expect(proof(memory, 'a.example', web, 2)).toBe('confirmed')
    expect(proof(memory, 'a.example', cdn, 2)).toBe('contradicted')
    expect(proof(memory, 'b.example', web, 2)).toBe('unconfirmed')
    expect(proof(memory, 'a.example', web, 2, other)).toBe('unconfirmed')
    learn(memory, 'a.example', cdn, 3)
    expect(proof(memory, 'a.example', web, 4)).toBe('confirmed')
    expect(proof(memory, 'a.example', cdn, 4)).toBe('confirmed')
  })

  it('knows nothing before the answer, and forgets it after its time and some slack', () => {
    const memory = memoryOf()
    learn(memory, 'a.example', web, 100, 60)
    const last = 100 + 60 + SLACK_SECONDS
    expect(names(memory, web, 99)).toEqual([])
    expect(proof(memory, 'a.example', web, 99)).toBe('unconfirmed')
    expect(names(memory, web, last)).toEqual(['a.example'])
    expect(names(memory, web, last + 1)).toEqual([])
    // It was given once, so another address does not contradict; nor does this one count as given.
    expect(proof(memory, 'a.example', web, last + 1)).toBe('unconfirmed')
    expect(proof(memory, 'a.example', cdn, last + 1)).toBe('unconfirmed')
  })

  it('a renewed answer is good from its first moment on, one that had run out only from the new one', () => {
    const memory = memoryOf()
    learn(memory, 'a.example', web, 100, 60)
    learn(memory, 'a.example', web, 150, 60)
    expect(names(memory, web, 100)).toEqual(['a.example'])
    learn(memory, 'a.example', web, 90_000, 60)
    expect(names(memory, web, 150)).toEqual([])
    expect(names(memory, web, 90_000)).toEqual(['a.example'])
  })

  it('gives up the answer learned longest ago when it is full, and then contradicts no more', () => {
    const memory = memoryOf(3)
    learn(memory, 'a.example', address(1), 1)
    learn(memory, 'b.example', address(2), 2)
    learn(memory, 'a.example', address(3), 3)
    learn(memory, 'a.example', address(1), 4) // renewed: b is the oldest now
    learn(memory, 'c.example', address(4), 5)
    expect(memory.size).toBe(3)
    expect(memory.evicted).toBe(1)
    expect(names(memory, address(2), 6)).toEqual([])
    expect(proof(memory, 'a.example', address(9), 6)).toBe('contradicted')
    learn(memory, 'd.example', address(5), 7) // pushes out a at address 3
    expect(proof(memory, 'a.example', address(3), 8)).toBe('unconfirmed')
    expect(proof(memory, 'a.example', address(9), 8)).toBe('unconfirmed')
    // When what was given up would have run out too, it stands in no one's way.
    learn(memory, 'a.example', address(1), 3_000)
    expect(proof(memory, 'a.example', address(9), 4_000)).toBe('contradicted')
  })

  it('bounds the addresses of a name and the names of an address', () => {
    const memory = memoryOf()
    for (let i = 0; i < MAX_GROUP + 10; i++) learn(memory, 'many.example', address(i), i)
    expect(memory.size).toBe(MAX_GROUP)
    expect(memory.evicted).toBe(10)
    expect(proof(memory, 'many.example', address(0), 100)).toBe('unconfirmed')
    expect(proof(memory, 'many.example', address(MAX_GROUP), 100)).toBe('confirmed')
    for (let i = 0; i < MAX_GROUP + 10; i++) learn(memory, `n${i}.example`, web, 200 + i)
    expect(names(memory, web, 500)).toHaveLength(MAX_NAMES)
    expect(names(memory, web, 500)[0]).toBe(`n${MAX_GROUP + 9}.example`)
  })

  it('agrees with a plain list of everything that was said, as long as nothing is given up', () => {
    const event = fc.record({
      name: fc.constantFrom('a', 'b', 'c'),
      to: fc.integer({ min: 1, max: 3 }),
      who: fc.constantFrom(client, other),
      wait: fc.integer({ min: 0, max: 3_000 }),
      ttl: fc.integer({ min: 0, max: 4_000 }),
    })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        const memory = memoryOf()
        const said: { name: string; to: number; who: Uint8Array; first: number; until: number }[] =
          []
        let now = 1_000
        for (const { name, to, who, wait, ttl } of events) {
          now += wait
          learn(memory, name, address(to), now, ttl, who)
          const at = said.findIndex((x) => x.name === name && x.to === to && x.who === who)
          const before = at < 0 ? undefined : said.splice(at, 1)[0]
          const good = before !== undefined && now <= before.until
          const until = Math.max(now + ttl + SLACK_SECONDS, before?.until ?? 0)
          said.push({ name, to, who, first: good ? before.first : now, until })
        }
        for (const who of [client, other])
          for (const to of [1, 2, 3]) {
            const good = said.filter((x) => x.who === who && x.to === to && now <= x.until)
            expect(names(memory, address(to), now, who)).toEqual(good.map((x) => x.name).reverse())
            for (const name of ['a', 'b', 'c']) {
              const all = said.filter((x) => x.who === who && x.name === name)
              const here = all.find((x) => x.to === to)
              const fresh = all.some((x) => now <= x.until)
              const want =
                here === undefined
                  ? fresh
                    ? 'contradicted'
                    : 'unconfirmed'
                  : now <= here.until
                    ? 'confirmed'
                    : 'unconfirmed'
              expect(proof(memory, name, address(to), now, who)).toBe(want)
            }
          }
      }),
    )
  })

  it('stays within its bound and in order under a stream of new names', () => {
    const memory = memoryOf(500)
    for (let i = 0; i < 5_000; i++) learn(memory, `n${i}.example`, address(i % 40), i)
    expect(memory.size).toBe(500)
    expect(memory.evicted).toBe(4_500)
    expect(names(memory, address(39), 5_000)[0]).toBe('n4999.example')
  })

  it('agrees with a plain list that is bounded alike, under any seed', () => {
    // Few of each, so that answers come again, groups overflow and the memory is full most of the time.
    const event = fc.record({
      who: fc.constantFrom(client, other),
      name: fc.constantFrom('a', 'b', 'c.example', 'dddd', ''),
      from: fc.integer({ min: 1, max: 150 }),
      count: fc.integer({ min: 0, max: 40 }),
      wait: fc.integer({ min: 0, max: 400 }),
      ttl: fc.integer({ min: 0, max: 4_000 }),
    })
    const seeds = fc.tuple(fc.integer(), fc.integer(), fc.integer(), fc.integer())
    const bounded = (capacity: number) => fc.tuple(fc.constant(capacity), seeds)
    const settings = fc.oneof(bounded(1), bounded(20), bounded(100), bounded(200))
    fc.assert(
      fc.property(settings, fc.array(event, { maxLength: 60 }), ([capacity, seed], events) => {
        const memory = memoryOf(capacity, Int32Array.from(seed))
        const plain = new PlainMemory(capacity)
        let now = 1_000
        for (const { who, name, from, count, wait, ttl } of events) {
          now += wait
          const addresses = new Uint8Array(16 * count)
          for (let i = 0; i < count; i++) addresses.set(address(from + i), 16 * i)
          const ttls = new Uint32Array(count).fill(ttl)
          memory.learn(who, 0, nameOf(name), addresses, ttls, count, now * SECOND)
          for (let i = 0; i < count; i++)
            plain.learn(`${who}`, name, `${address(from + i)}`, now, now + ttl + SLACK_SECONDS)
          const to = address(from + (count >> 1))
          expect(names(memory, to, now, who)).toEqual(plain.names(`${who}`, `${to}`, now))
          for (const asked of ['a', 'b', 'c.example'])
            expect(proof(memory, asked, to, now, who)).toBe(
              plain.proof(`${who}`, asked, `${to}`, now),
            )
        }
        expect(memory.size).toBe(plain.entries.length)
        expect(memory.evicted).toBe(plain.evicted)
      }),
    )
  })

  it('takes a name that no DNS message can hold for one that it was never told', () => {
    const memory = memoryOf()
    learn(memory, 'a.example', web, 1)
    expect(proof(memory, 'a.example…', web, 2)).toBe('unconfirmed')
    expect(proof(memory, 'a'.repeat(5_000), web, 2)).toBe('unconfirmed')
  })
})

/** The same memory as one list, the entry learned last at its end. */
class PlainMemory {
  readonly entries: { who: string; name: string; to: string; first: number; until: number }[] = []
  evicted = 0
  readonly #capacity: number
  readonly #forgotUntil = new Map<string, number>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  learn(who: string, name: string, to: string, now: number, until: number): void {
    const at = this.entries.findIndex((x) => x.who === who && x.name === name && x.to === to)
    if (at >= 0) {
      const [known] = this.entries.splice(at, 1)
      const first = now > known!.until ? now : known!.first
      this.entries.push({ who, name, to, first, until: Math.max(known!.until, until) })
      return
    }
    if (this.entries.length === this.#capacity) this.#forget(0, now)
    this.entries.push({ who, name, to, first: now, until })
    for (const alike of [
      (x: { who: string; to: string }) => x.who === who && x.to === to,
      (x: { who: string; name: string }) => x.who === who && x.name === name,
    ])
      if (this.entries.filter(alike).length > MAX_GROUP)
        this.#forget(this.entries.findIndex(alike), now)
  }

  names(who: string, to: string, now: number): string[] {
    const good = this.entries.filter((x) => x.who === who && x.to === to && now <= x.until)
    return good
      .map((x) => x.name)
      .reverse()
      .slice(0, MAX_NAMES)
  }

  proof(who: string, name: string, to: string, now: number): NameProof {
    const all = this.entries.filter((x) => x.who === who && x.name === name)
    const here = all.find((x) => x.to === to)
    if (here !== undefined) return now <= here.until ? 'confirmed' : 'unconfirmed'
    const forgot = (this.#forgotUntil.get(`${who} ${name}`) ?? 0) >= now
    return !forgot && all.some((x) => now <= x.until) ? 'contradicted' : 'unconfirmed'
  }

  #forget(at: number, now: number): void {
    const { who, name, until } = this.entries.splice(at, 1)[0]!
    if (until >= now) this.evicted++
    const key = `${who} ${name}`
    const left = this.entries.some((x) => x.who === who && x.name === name)
    if (left) this.#forgotUntil.set(key, Math.max(this.#forgotUntil.get(key) ?? 0, until))
    else this.#forgotUntil.delete(key)
  }
}
