import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatNetwork, type Network, parseAddress, parseNetwork } from '../../src/address.ts'
import { buildAddressTable, findPrefix, holds } from '../../src/identity/address-table.ts'

/** All networks that the table finds for an address, the narrowest first. */
function found(networks: readonly Network[], address: Uint8Array): string[] {
  const table = buildAddressTable(networks)
  const names: string[] = []
  for (let prefix = findPrefix(table, address, 0); prefix >= 0; prefix = table.parents[prefix]!)
    names.push(formatNetwork(networks[table.prefixOf.indexOf(prefix)]!))
  return names
}

const NETWORKS = ['10.0.0.0/8', '10.1.0.0/16', '10.1.0.0/16', '0.0.0.0/0', '::/0', '2001:db8::/32']

test.each([
  ['10.1.2.3', ['10.1.0.0/16', '10.0.0.0/8', '0.0.0.0/0']],
  ['10.2.0.1', ['10.0.0.0/8', '0.0.0.0/0']],
  ['11.0.0.0', ['0.0.0.0/0']],
  ['255.255.255.255', ['0.0.0.0/0']],
  ['2001:db8::1', ['2001:db8::/32', '::/0']],
  ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', ['::/0']],
])('the networks of %s, the narrowest first: %j', (address, expected) => {
  expect(
    found(
      NETWORKS.map((text) => parseNetwork(text)!),
      parseAddress(address)!,
    ),
  ).toEqual(expected)
})

test('an empty table finds nothing', () => {
  expect(found([], parseAddress('10.0.0.1')!)).toEqual([])
})

// Few distinct values in each byte, so that networks nest, touch and repeat.
const octet = fc.constantFrom(0, 1, 127, 128, 254, 255)
const bytes = fc.oneof(
  fc.tuple(octet, octet, octet, octet).map((four) => [...Array(10).fill(0), 255, 255, ...four]),
  fc.array(octet, { minLength: 16, maxLength: 16 }),
)
const network = fc.tuple(bytes, fc.integer({ min: 0, max: 128 })).map(([address, bits]) => {
  const masked = address.map((byte: number, i: number) => {
    const keep = Math.min(8, Math.max(0, bits - i * 8))
    return byte & (0xff << (8 - keep)) & 0xff
  })
  return { address: Uint8Array.from(masked), bits }
})

test('the table finds exactly the networks that hold the address, whatever is declared', () => {
  fc.assert(
    fc.property(fc.array(network, { maxLength: 30 }), fc.array(bytes), (networks, more) => {
      const edges = networks.map(({ address }) => [...address])
      for (const address of [...more, ...edges].map((list) => Uint8Array.from(list))) {
        const expected = networks
          .filter((one) => holds(one, address))
          .sort((a, b) => b.bits - a.bits)
          .map(formatNetwork)
        expect(found(networks, address)).toEqual([...new Set(expected)])
      }
    }),
    { numRuns: 150 },
  )
})
