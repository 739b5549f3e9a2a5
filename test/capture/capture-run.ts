// Runs the capture decoder over bytes and gives back what a reader of its chunks would see.

import { formatAddress } from '../../src/address.ts'
import { captureDecoder, sniffCapture } from '../../src/capture/capture.ts'
import { ChunkWriter, chunkPart, decodeChunk } from '../../src/chunk.ts'
import type { DecodeStats } from '../../src/decoder.ts'
import { uidOf } from '../../src/flow-id.ts'

export interface SeenFlow {
  uid: string
  recNo: number
  ts: number
  duration: number | undefined
  orig: string
  resp: string
  protocol: number
  origPackets: number
  respPackets: number
  origIpBytes: number
  respIpBytes: number
  origBytes: number | undefined
  respBytes: number | undefined
  missed: number
  state: string
  history: string
  service: string
  name: string
  nameSource: string
  nameProof: string
  dnsNames: readonly string[]
  proxyUser: string
  decidedBy: string
  decidedAt: number
  handshake: string
  sure: boolean
  vlan: number
  vantage: string
  parents: readonly string[]
  anomalies: readonly string[]
  endReason: string
}

export interface Run {
  flows: SeenFlow[]
  coverage: Map<string, number>
  rejects: { at: number; reason: string }[]
  stats: DecodeStats
  chunks: Uint8Array[]
}

export interface RunSettings {
  verifyChecksums?: boolean
  seed?: readonly number[]
  flowsMax?: number
  /** Sizes of the pieces that the bytes are pushed in, over and over. */
  pieces?: readonly number[]
  /** Flows are told of while they go on. */
  live?: { activeTimeout: number }
  /** Called after each piece with the bytes pushed so far: the time that passes without packets, if any. */
  tick?: (pushed: number) => number | undefined
}

export function run(bytes: Uint8Array, settings: RunSettings = {}): Run {
  const format = sniffCapture(bytes)
  if (format === undefined) throw new Error('no capture')
  const chunks: Uint8Array[] = []
  const writer = new ChunkWriter({ sensor: 'test', origin: 'test', format }, (chunk) =>
    chunks.push(chunk),
  )
  const decoder = captureDecoder(
    format,
    {
      sensor: 'test',
      verifyChecksums: settings.verifyChecksums ?? false,
      hashSeed: Int32Array.from(settings.seed ?? [1, 2, 3, 4]),
      ...(settings.flowsMax === undefined ? {} : { flowsMax: settings.flowsMax }),
      ...(settings.live && { live: settings.live }),
    },
    writer,
  )
  const pieces = settings.pieces ?? [bytes.length || 1]
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = pieces[turn % pieces.length]!
    // A copy, and a Buffer, as files are read; it is overwritten afterwards: nothing may hold on to it.
    const piece = Buffer.from(bytes.subarray(at, at + size))
    decoder.push(piece)
    piece.fill(0xee)
    at += size
    const now = settings.tick?.(at)
    if (now !== undefined) decoder.tick?.(now)
  }
  decoder.end()
  writer.end()
  return { ...read(chunks), stats: decoder.stats, chunks }
}

function read(chunks: readonly Uint8Array[]): Omit<Run, 'stats' | 'chunks'> {
  const flows: SeenFlow[] = []
  const coverage = new Map<string, number>()
  const rejects: Run['rejects'] = []
  const known = (value: number) => (Number.isNaN(value) ? undefined : value)
  for (const bytes of chunks) {
    const chunk = decodeChunk(bytes)
    const part = chunkPart(chunk, 'flow_records')
    const rows = part?.rows ?? 0
    for (let row = 0; row < rows; row++) {
      const c = part!.columns
      flows.push({
        uid: uidOf(c.flow_id, 16 * row),
        recNo: c.rec_no[row]!,
        ts: c.ts[row]!,
        duration: known(c.duration[row]!),
        orig: `${formatAddress(c.orig_h, 16 * row)}:${c.orig_p[row]}`,
        resp: `${formatAddress(c.resp_h, 16 * row)}:${c.resp_p[row]}`,
        protocol: c.ip_proto[row]!,
        origPackets: c.orig_pkts[row]!,
        respPackets: c.resp_pkts[row]!,
        origIpBytes: c.orig_ip_bytes[row]!,
        respIpBytes: c.resp_ip_bytes[row]!,
        origBytes: known(c.orig_bytes[row]!),
        respBytes: known(c.resp_bytes[row]!),
        missed: c.missed_bytes[row]!,
        state: c.conn_state.get(row),
        history: c.history.get(row),
        service: c.service.get(row),
        name: c.server_name.get(row),
        nameSource: c.name_source.get(row),
        nameProof: c.name_proof.get(row),
        dnsNames: c.dns_names.get(row),
        proxyUser: c.proxy_user.get(row),
        decidedBy: c.decided_by.get(row),
        decidedAt: c.decided_at[row]!,
        handshake: c.handshake.get(row),
        sure: c.direction_sure[row] === 1,
        vlan: c.vlan[row]!,
        vantage: c.vantage.get(row),
        parents: c.tunnel_parents.get(row),
        anomalies: c.anomalies.get(row),
        endReason: c.end_reason.get(row),
      })
    }
    const notes = chunkPart(chunk, 'coverage')
    for (let row = 0; row < (notes?.rows ?? 0); row++) {
      const metric = notes!.columns.metric.get(row)
      coverage.set(metric, (coverage.get(metric) ?? 0) + notes!.columns.value[row]!)
    }
    const bad = chunkPart(chunk, 'rejects')
    for (let row = 0; row < (bad?.rows ?? 0); row++)
      rejects.push({ at: bad!.columns.at[row]!, reason: bad!.columns.reason.get(row) })
  }
  return { flows, coverage, rejects }
}

/** Packets counted in flows that are not inside a tunnel. */
export function packetsInFlows(result: Run): number {
  return result.flows.reduce((sum, flow) => sum + flow.origPackets + flow.respPackets, 0)
}
