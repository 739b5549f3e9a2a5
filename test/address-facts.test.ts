// A memory of addresses that changes no answer: what stands in a place is of the address that was asked for last.

import { expect, test } from 'vitest'
import { parseAddress } from '../src/address.ts'
import { AddressFacts, addressWords } from '../src/address-facts.ts'
import { addressKind } from '../src/detect/destination.ts'
import { findPrefix } from '../src/identity/address-table.ts'
import { loadAgents } from '../src/identity/agent-files.ts'
import { compileSnapshot, openSnapshot } from '../src/snapshot.ts'

const AGENTS = `
id: urn:agent:a
owner: o@example.net
purpose: p
environment: production
addresses: [10.1.0.0/16, "fd00::/16"]
scope:
  version: "1"
  egress: [{ id: r, cidr: [198.51.100.0/24], port: 443 }]
`

test('says of each address what the tables say, also where addresses share a place', () => {
  const { agents } = loadAgents([{ path: 'a.yaml', text: AGENTS }])
  const snapshot = openSnapshot(compileSnapshot(agents, []))
  const facts = new AddressFacts(snapshot)
  // More than there are places.
  const texts = Array.from({ length: 150_000 }, (_, i) =>
    i % 9 === 0
      ? `fd00::${(1 + i / 9).toString(16)}`
      : `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
  )
  texts.push('198.51.100.7', '::', '169.254.169.254')
  const bytes = new Uint8Array(texts.length * 16)
  for (const [row, text] of texts.entries()) bytes.set(parseAddress(text)!, row * 16)
  const words = addressWords(bytes, texts.length)
  for (const pass of [0, 1])
    for (let row = 0; row < texts.length; row += 1 + pass * 7) {
      const slot = facts.find(words, bytes, row)
      const is = [facts.ownerPrefix(slot), facts.class(slot), facts.kind(slot)].join()
      const text = facts.text(words, bytes, row)
      const { owners, scopes } = snapshot
      const at = row * 16
      const should = [
        findPrefix(owners.table, bytes, at),
        findPrefix(scopes.networks, bytes, at),
        addressKind(bytes, at),
      ].join()
      if (is !== should || text !== texts[row]) expect([is, text]).toEqual([should, texts[row]])
    }
})
