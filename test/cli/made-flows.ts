// Flows made by hand for the tests of this room: a few columns set, the rest as a decoder leaves them.

import { parseAddress } from '../../src/address.ts'
import { type Chunk, ChunkWriter, decodeChunk } from '../../src/chunk.ts'

export interface MadeFlow {
  id: number
  recNo?: number
  kind?: string
  uid?: string
  ts?: number
  duration?: number
  orig?: [address: string, port: number]
  resp?: [address: string, port: number]
  proto?: number
  counts?: Partial<
    Record<
      | 'orig_bytes'
      | 'resp_bytes'
      | 'missed_bytes'
      | 'orig_pkts'
      | 'orig_ip_bytes'
      | 'resp_pkts'
      | 'resp_ip_bytes',
      number
    >
  >
  words?: Partial<
    Record<
      | 'service'
      | 'conn_state'
      | 'history'
      | 'server_name'
      | 'name_source'
      | 'user_agent'
      | 'alpn'
      | 'action'
      | 'end_reason'
      | 'community_id',
      string
    >
  >
  lists?: Partial<Record<'tunnel_parents' | 'dns_names' | 'anomalies', string[]>>
  vlan?: number
}

/** One chunk with these flows, encoded. */
export function chunkOf(flows: readonly MadeFlow[]): Uint8Array<ArrayBuffer> {
  const made: Uint8Array<ArrayBuffer>[] = []
  const writer = new ChunkWriter({ sensor: 'test', origin: 'test/0', format: 'pcap' }, (chunk) =>
    made.push(chunk),
  )
  for (const flow of flows) addFlow(writer, flow)
  writer.end()
  return made[0]!
}

export function decoded(flows: readonly MadeFlow[]): Chunk {
  return decodeChunk(chunkOf(flows))
}

export function addFlow(writer: ChunkWriter, flow: MadeFlow): void {
  const row = writer.flow()
  const c = writer.flows.columns
  new DataView(c.flow_id.buffer).setUint32(row * 16 + 12, flow.id)
  c.rec_no[row] = flow.recNo ?? 0
  c.source_kind.set(row, flow.kind ?? 'pcap')
  c.uid.set(row, flow.uid ?? '')
  c.ts[row] = flow.ts ?? 1_767_603_600_000_250
  c.end[row] = c.ts[row]! + 1_000_000
  c.duration[row] = flow.duration ?? Number.NaN
  const [origHost, origPort] = flow.orig ?? ['10.0.0.5', 40_000]
  const [respHost, respPort] = flow.resp ?? ['203.0.113.9', 443]
  c.orig_h.set(parseAddress(origHost)!, row * 16)
  c.resp_h.set(parseAddress(respHost)!, row * 16)
  c.orig_p[row] = origPort
  c.resp_p[row] = respPort
  c.ip_proto[row] = flow.proto ?? 6
  c.vlan[row] = flow.vlan ?? 0
  c.direction_sure[row] = 1
  for (const [name, value] of Object.entries(flow.counts ?? {}))
    c[name as keyof NonNullable<MadeFlow['counts']>][row] = value
  for (const [name, value] of Object.entries(flow.words ?? {}))
    c[name as keyof NonNullable<MadeFlow['words']>].set(row, value)
  for (const [name, value] of Object.entries(flow.lists ?? {}))
    c[name as keyof NonNullable<MadeFlow['lists']>].set(row, value)
}
