// Records travel without the Community ID that their endpoints give. What the store puts there in SQL is what
// src/community-id.ts says, for whatever endpoints, protocols and sources.

import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Block } from '../../src/block.ts'
import { ChunkWriter, chunkPart, decodeChunk } from '../../src/chunk.ts'
import { recordCommunityId } from '../../src/community-id.ts'
import type { FlowColumns } from '../../src/flow.ts'
import type { Engine } from '../../src/store/engine.ts'
import type { EngineStore } from '../../src/store/store.ts'
import { openEmbeddedStore } from './embedded-store.ts'
import { flowIdOf, judged, MONDAY } from './samples.ts'

let engine: Engine
let store: EngineStore
beforeAll(async () => {
  ;({ engine, store } = await openEmbeddedStore())
})
afterAll(() => store.close())

const octets = fc.uint8Array({ minLength: 16, maxLength: 16 })
const four = fc.tuple(octets, fc.constantFrom(0, 0, 0x80)).map(([bytes, odd]) => {
  const mapped = Uint8Array.from(bytes)
  // Now and then only nearly an IPv4 address.
  mapped.set([odd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff])
  return mapped
})
const address = fc.oneof(four, four, octets)
// Types of ICMP are small numbers, many of which have an answer.
const port = fc.oneof(fc.nat(0xffff), fc.nat(20), fc.integer({ min: 126, max: 146 }))
const record = fc.record({
  orig: address,
  resp: fc.option(address, { nil: undefined, freq: 5 }),
  ports: fc.tuple(port, port),
  protocol: fc.constantFrom(1, 1, 6, 17, 47, 58, 58, 132, 255),
  kind: fc.constantFrom('pcap', 'pcap', 'zeek', 'aws', 'gcp', 'azure'),
  given: fc.constantFrom('', '', '', '1:of another seed'),
})

test('the store says the same Community ID of a record as the ground does', async () => {
  const records = fc.sample(record, { numRuns: 4000, seed: 7 })
  const chunks: Uint8Array[] = []
  const writer = new ChunkWriter({ sensor: 'tap1', origin: 'ids', format: 'pcap' }, (chunk) =>
    chunks.push(chunk),
  )
  for (const [at, { orig, resp, ports, protocol, kind, given }] of records.entries()) {
    const row = writer.flow()
    const c = writer.flows.columns
    c.flow_id.set(flowIdOf(String(at)), row * 16)
    c.ts[row] = MONDAY
    c.source_kind.set(row, kind)
    c.orig_h.set(orig, row * 16)
    // The same host on both sides: then the ports decide which comes first.
    c.resp_h.set(resp ?? orig, row * 16)
    c.orig_p[row] = ports[0]
    c.resp_p[row] = ports[1]
    c.ip_proto[row] = protocol
    c.community_id.set(row, given)
  }
  writer.end()
  const chunk = decodeChunk(chunks[0]!)
  const block = chunkPart(chunk, 'flow_records') as Block<FlowColumns>
  await store.insertSlice({ key: 'ids', chunks: [judged(chunk, [])] })
  const stored = (await engine.select(
    'SELECT community AS community_id FROM flow_records ORDER BY row',
    {},
  )) as {
    community_id: string
  }[]
  expect(stored.map((row) => row.community_id)).toEqual(
    records.map((_, row) => recordCommunityId(block.columns, row)),
  )
  const flows = (await engine.select(
    'SELECT count() AS n, countIf(f.community_id = r.community) AS same FROM flows AS f INNER JOIN flow_records AS r USING (flow_id)',
    {},
  )) as unknown[]
  expect(flows).toEqual([{ n: 4000, same: 4000 }])
  // Each kind of answer is among them.
  expect(stored.filter((row) => row.community_id === '').length).toBeGreaterThan(100)
  expect(stored.filter((row) => row.community_id === '1:of another seed').length).toBeGreaterThan(
    100,
  )
  expect(new Set(stored.map((row) => row.community_id)).size).toBeGreaterThan(2000)
})
