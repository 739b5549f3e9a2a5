import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatAddress } from '../../src/address.ts'
import { DnsMessage, MAX_ADDRESSES, parseDns } from '../../src/capture/dns.ts'
import { dnsMessage } from './dns-writer.ts'
import { joined } from './hello-writer.ts'

function parsed(bytes: Uint8Array): DnsMessage {
  const message = new DnsMessage()
  if (!parseDns(bytes, 0, bytes.length, message)) throw new Error('no DNS message')
  return message
}

const accepts = (bytes: Uint8Array) => parseDns(bytes, 0, bytes.length, new DnsMessage())
const addressesOf = (message: DnsMessage) =>
  Array.from({ length: message.count }, (_, i) => formatAddress(message.addresses, i * 16))

describe('parseDns', () => {
  it('gives every address of an answer to the name that was asked for, through CNAMEs', () => {
    const message = parsed(
      dnsMessage({
        id: 0x1234,
        questions: [{ name: 'WWW.Example.com', type: 1 }],
        answers: [
          { name: 'WWW.Example.com', type: 5, data: 'edge.cdn.example.net' },
          { name: 'edge.cdn.example.net', type: 5, data: 'e1.cdn.example.net' },
          { name: 'e1.cdn.example.net', type: 1, ttl: 20, data: Uint8Array.of(192, 0, 2, 1) },
          {
            name: 'e1.cdn.example.net',
            type: 28,
            ttl: 30,
            data: joined([0x20, 1, 0xd, 0xb8], new Uint8Array(11), [9]),
          },
        ],
        additional: [{ name: 'ns.example.com', type: 1, data: Uint8Array.of(192, 0, 2, 53) }],
      }),
    )
    expect(message).toMatchObject({
      id: 0x1234,
      response: true,
      rcode: 0,
      query: 'www.example.com',
      qtype: 1,
    })
    expect(addressesOf(message)).toEqual(['192.0.2.1', '2001:db8::9'])
    expect([...message.ttls.subarray(0, 2)]).toEqual([20, 30])
    expect(message).toMatchObject({ malformed: false, exact: true, dropped: 0 })
  })

  it('reads questions, failures and the root', () => {
    const question = parsed(
      dnsMessage({ flags: 0x0100, questions: [{ name: 'a.example', type: 65 }] }),
    )
    expect(question).toMatchObject({ response: false, query: 'a.example', qtype: 65, count: 0 })
    const failure = parsed(
      dnsMessage({ flags: 0x8183, questions: [{ name: 'no.example', type: 1 }] }),
    )
    expect(failure).toMatchObject({ rcode: 3, query: 'no.example' })
    expect(parsed(dnsMessage({ questions: [{ name: '', type: 2 }] })).query).toBe('.')
  })

  it('escapes what is odd in a label, a dot too, so that no two names look alike', () => {
    const bytes = dnsMessage({ questions: [{ name: 'aXb', type: 1 }] })
    bytes[14] = 0x2e
    expect(parsed(bytes).query).toBe('a\\x2eb')
    bytes[14] = 0x1b
    expect(parsed(bytes).query).toBe('a\\x1bb')
    bytes[14] = 0x5c
    expect(parsed(bytes).query).toBe('a\\\\b')
  })

  it('takes the owner of a multicast answer for the name, and only its addresses', () => {
    const message = parsed(
      dnsMessage({
        flags: 0x8400,
        answers: [
          { name: 'Printer.local', type: 1, class: 0x8001, data: Uint8Array.of(192, 168, 1, 9) },
          { name: 'other.local', type: 1, class: 0x8001, data: Uint8Array.of(192, 168, 1, 10) },
        ],
      }),
    )
    expect(message.query).toBe('printer.local')
    expect(addressesOf(message)).toEqual(['192.168.1.9'])
    const unicast = parsed(
      dnsMessage({ flags: 0, questions: [{ name: 'x.local', type: 1, class: 0x8001 }] }),
    )
    expect(unicast.qclass).toBe(1)
  })

  it('keeps what came before the damage', () => {
    const bytes = dnsMessage({
      questions: [{ name: 'a.example', type: 1 }],
      answers: [
        { name: 'a.example', type: 1, data: Uint8Array.of(192, 0, 2, 1) },
        { name: 'a.example', type: 1, data: Uint8Array.of(192, 0, 2, 2) },
      ],
    })
    const cut = parsed(bytes.subarray(0, bytes.length - 1))
    expect(cut).toMatchObject({ count: 1, malformed: true, exact: false })
    const longer = parsed(joined(bytes, [0]))
    expect(longer).toMatchObject({ count: 2, malformed: false, exact: false })
  })

  it('passes over addresses of a wrong size or class, and counts a TTL above 2^31 as 0', () => {
    const message = parsed(
      dnsMessage({
        questions: [{ name: 'a', type: 1 }],
        answers: [
          { name: 'a', type: 1, data: Uint8Array.of(1, 2, 3) },
          { name: 'a', type: 1, class: 3, data: Uint8Array.of(1, 2, 3, 4) },
          { name: 'a', type: 1, ttl: 0x80000000, data: Uint8Array.of(192, 0, 2, 1) },
        ],
      }),
    )
    expect(addressesOf(message)).toEqual(['192.0.2.1'])
    expect(message.ttls[0]).toBe(0)
  })

  it('keeps a bounded number of addresses and counts the others', () => {
    const answers = Array.from({ length: MAX_ADDRESSES + 6 }, (_, i) => ({
      name: 'a',
      type: 1,
      data: Uint8Array.of(10, 0, 0, i),
    }))
    const message = parsed(dnsMessage({ questions: [{ name: 'a', type: 1 }], answers }))
    expect(message).toMatchObject({ count: MAX_ADDRESSES, dropped: 6 })
  })

  it('refuses names that loop, climb, or grow beyond 255 bytes', () => {
    const header = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    const ask = (...name: number[]) => joined(header, name, [0, 1, 0, 1])
    expect(accepts(ask(0xc0, 12))).toBe(false) // itself
    expect(accepts(ask(0xc0, 14, 0))).toBe(false) // forward
    expect(accepts(ask(1, 97, 0xc0, 12))).toBe(false) // its own beginning
    expect(accepts(ask(0x40, 1, 0))).toBe(false) // label types that do not exist
    const long = Array.from({ length: 5 }, () => [63, ...new Array<number>(63).fill(97)]).flat()
    expect(accepts(ask(...long, 0))).toBe(false)
    expect(accepts(ask(1, 97, 0))).toBe(true)
  })

  it('ends a chain of pointers after 20 jumps', () => {
    // The name 'a' at 12 owns a TXT record; its data, from 25 on, are pointers, each to the one before; the last
    // one is the owner of an address.
    const message = (jumps: number) => {
      const pointers = Array.from({ length: jumps }, (_, i) => [0xc0, i === 0 ? 12 : 23 + 2 * i])
      return joined(
        [0, 1, 0x84, 0, 0, 0, 0, 2, 0, 0, 0, 0],
        [1, 97, 0, 0, 16, 0, 1, 0, 0, 0, 9, 0, 2 * jumps],
        pointers.flat(),
        [0xc0, 23 + 2 * jumps, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1],
      )
    }
    expect(parsed(message(19))).toMatchObject({ query: 'a', count: 1, malformed: false })
    expect(parsed(message(20))).toMatchObject({ count: 0, malformed: true })
  })

  it('reads back every message that is written', () => {
    const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/)
    const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'))
    const four = fc.uint8Array({ minLength: 4, maxLength: 4 })
    fc.assert(
      fc.property(
        name,
        fc.array(name, { maxLength: 4 }),
        fc.array(four, { maxLength: 8 }),
        (query, chain, given) => {
          const names = [query, ...chain]
          const message = parsed(
            dnsMessage({
              questions: [{ name: query, type: 1 }],
              answers: [
                ...chain.map((target, i) => ({ name: names[i]!, type: 5, data: target })),
                ...given.map((data) => ({ name: names[names.length - 1]!, type: 1, data })),
              ],
            }),
          )
          expect(message).toMatchObject({ query, malformed: false, exact: true })
          expect(addressesOf(message)).toEqual(given.map((data) => [...data].join('.')))
        },
      ),
    )
  })

  it('never throws on random or cut bytes, and leaves nothing of the message before', () => {
    const whole = dnsMessage({
      questions: [{ name: 'a.example', type: 1 }],
      answers: [{ name: 'a.example', type: 1, data: Uint8Array.of(192, 0, 2, 1) }],
    })
    const message = new DnsMessage()
    for (let i = 0; i <= whole.length; i++) parseDns(whole, 0, i, message)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (random, plausible) => {
        const bytes = plausible ? joined(whole.subarray(0, 12), random) : random
        parseDns(whole, 0, whole.length, message)
        if (!parseDns(bytes, 0, bytes.length, message)) return
        expect(message.query).not.toBe('a.example')
        expect(message.query.length).toBeLessThanOrEqual(4 * 255)
      }),
      { numRuns: 1000 },
    )
  })
})
