// Flow records for tests, written as a reader thinks of them: `{ orig: '10.0.0.1:40000', resp: '…:443', name }`.

import { parseAddress } from '../src/address.ts'
import { ChunkWriter } from '../src/chunk.ts'
import type { Handshake, NameProof, NameSource } from '../src/flow.ts'
import { contentUuid } from '../src/hash.ts'

export interface FlowSketch {
  orig: string
  resp: string
  /** Default: of what the sketch holds, so that equal sketches are one flow. */
  id?: string
  recNo?: number
  protocol?: number
  /** ISO; default noon of a day in 2026. */
  ts?: string
  handshake?: Handshake
  name?: string
  source?: NameSource
  proof?: NameProof
  dns?: string[]
  proxyUser?: string
  interfaceId?: string
  interfaceSide?: 'orig' | 'resp'
  directionSure?: boolean
}

/** Address and port of `10.0.0.1:443` or `[::1]:443`. */
function endpoint(text: string): { address: Uint8Array; port: number } {
  const colon = text.lastIndexOf(':')
  const address = parseAddress(text.slice(0, colon).replace(/^\[|\]$/g, ''))
  if (address === undefined) throw new Error(`no address in ${text}`)
  return { address, port: Number(text.slice(colon + 1)) }
}

/** One chunk of these flows, in this order. */
export function chunkOf(flows: readonly FlowSketch[]): Uint8Array {
  const chunks: Uint8Array[] = []
  const writer = new ChunkWriter({ sensor: 's', origin: 'test', format: 'pcap' }, (chunk) =>
    chunks.push(chunk),
  )
  for (const flow of flows) {
    const row = writer.flow()
    const c = writer.flows.columns
    const orig = endpoint(flow.orig)
    const resp = endpoint(flow.resp)
    const ts = Date.parse(flow.ts ?? '2026-06-01T12:00:00Z') * 1000
    c.flow_id.set(contentUuid([flow.id ?? JSON.stringify({ ...flow, recNo: 0 })]), row * 16)
    c.rec_no[row] = flow.recNo ?? 0
    c.ts[row] = ts
    c.end[row] = ts
    c.decided_at[row] = ts
    c.orig_h.set(orig.address, row * 16)
    c.resp_h.set(resp.address, row * 16)
    c.orig_p[row] = orig.port
    c.resp_p[row] = resp.port
    c.ip_proto[row] = flow.protocol ?? 6
    c.direction_sure[row] = flow.directionSure === false ? 0 : 1
    c.handshake.set(row, flow.handshake ?? 'completed')
    c.server_name.set(row, flow.name ?? '')
    c.name_source.set(row, flow.source ?? (flow.name === undefined ? '' : 'sni'))
    c.name_proof.set(row, flow.proof ?? (flow.name === undefined ? '' : 'unconfirmed'))
    c.dns_names.set(row, flow.dns ?? [])
    c.proxy_user.set(row, flow.proxyUser ?? '')
    c.interface_id.set(row, flow.interfaceId ?? '')
    c.interface_side.set(row, flow.interfaceSide ?? '')
  }
  writer.end()
  return chunks[0]!
}
