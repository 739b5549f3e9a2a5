import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAddress } from '../src/address.ts'
import { communityId, sha1Block } from '../src/community-id.ts'

const id = (a: string, portA: number, b: string, portB: number, protocol: number) =>
  communityId(parseAddress(a)!, 0, portA, parseAddress(b)!, 0, portB, protocol)

describe('communityId', () => {
  it('agrees with the vectors of the specification', () => {
    expect(id('1.2.3.4', 1122, '5.6.7.8', 3344, 6)).toBe('1:wCb3OG7yAFWelaUydu0D+125CLM=')
    expect(id('1.2.3.4', 1122, '5.6.7.8', 3344, 17)).toBe('1:0Mu9InQx6z4ZiCZM/7HXi2WMhOg=')
    expect(id('1.2.3.4', 1122, '5.6.7.8', 3344, 132)).toBe('1:EKt4MsxuyaE6mL+hmrEkQ9csDD8=')
    expect(id('1.2.3.4', 8, '5.6.7.8', 0, 1)).toBe('1:crodRHL2FEsHjbv3UkRrfbs4bZ0=')
    expect(
      id('fe80:1:203:405:607:809:a0b:c0d', 128, 'fe80:1011:1213:1415:1617:1819:1a1b:1c1d', 129, 58),
    ).toBe('1:0bf7hyMJUwt3fMED7z8LIfRpBeo=')
  })

  it('does not swap an ICMP message that has no answer', () => {
    expect(id('1.2.3.4', 11, '5.6.7.8', 0, 1)).toBe('1:f/YiSyWqczrTgfUCZlBUnvHRcPk=')
    expect(id('5.6.7.8', 11, '1.2.3.4', 0, 1)).not.toBe('1:f/YiSyWqczrTgfUCZlBUnvHRcPk=')
  })

  it('hashes no ports of protocols without ports', () => {
    const rsvp = '1:ikv3kmf89luf73WPz1jOs49S768='
    expect(id('1.2.3.4', 0, '5.6.7.8', 0, 46)).toBe(rsvp)
    expect(id('5.6.7.8', 7, '1.2.3.4', 9, 46)).toBe(rsvp)
  })

  it('is the same from both directions', () => {
    const port = fc.integer({ min: 0, max: 65535 })
    const address = fc.uint8Array({ minLength: 16, maxLength: 16 })
    fc.assert(
      fc.property(
        address,
        address,
        port,
        port,
        fc.constantFrom(6, 17, 132, 47),
        (a, b, p, q, proto) => {
          expect(communityId(a, 0, p, b, 0, q, proto)).toBe(communityId(b, 0, q, a, 0, p, proto))
        },
      ),
    )
    // A reply: its type is the request's counterpart, whatever code the caller passes.
    expect(id('5.6.7.8', 0, '1.2.3.4', 8, 1)).toBe(id('1.2.3.4', 8, '5.6.7.8', 0, 1))
  })

  it('reads addresses at an offset', () => {
    const both = Uint8Array.from([9, ...parseAddress('1.2.3.4')!, ...parseAddress('5.6.7.8')!])
    expect(communityId(both, 1, 1122, both, 17, 3344, 6)).toBe('1:wCb3OG7yAFWelaUydu0D+125CLM=')
  })
})

describe('sha1Block', () => {
  it('is SHA-1 of every message that fits one block', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 55 }), (bytes) => {
        const block = new Uint8Array(64).fill(0xee)
        block.set(bytes)
        const words = new Int32Array(5)
        sha1Block(block, bytes.length, words)
        const text = [...words].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
        expect(text).toBe(createHash('sha1').update(bytes).digest('hex'))
      }),
    )
  })
})

interface SpecRow {
  readonly ip_proto: number
  readonly src: string
  readonly src_port: number
  readonly dst: string
  readonly dst_port: number
  readonly community_id: string
}

const corpus = process.env.BAILIWICK_CORPUS ?? '../shared/corpus'
const oracles = join(corpus, 'communityid/all-oracles.json')

describe.skipIf(!existsSync(oracles))('other tools', () => {
  it('give the same id to the same TCP, UDP and SCTP flow', () => {
    const rows: SpecRow[] = JSON.parse(readFileSync(oracles, 'utf8'))
    let compared = 0
    for (const row of rows) {
      if (![6, 17, 132].includes(row.ip_proto) || row.src_port === undefined) continue
      if (parseAddress(row.src) === undefined || parseAddress(row.dst) === undefined) continue
      if (row.ip_proto === 132 && row.src_port === 0) continue // one oracle prints no SCTP ports
      const got = id(row.src, row.src_port, row.dst, row.dst_port, row.ip_proto)
      expect(got, JSON.stringify(row)).toBe(row.community_id)
      compared++
    }
    expect(compared).toBeGreaterThan(100)
  })
})
